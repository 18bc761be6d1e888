import { once } from 'node:events';
import { createServer } from 'node:net';
import { relative } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Client } from 'pg';
import { CAPABILITIES, loadCapabilities } from '../capabilities.ts';
import type { Edge } from '../capabilities.ts';
import { createLog } from '../log.ts';
import { listenOn } from '../http/listeners.ts';
import type { Log } from '../log.ts';
import { startMirror } from '../mirror-endpoints.ts';
import { readMirrorSettings } from '../mirror-settings.ts';
import { startService } from '../service.ts';
import type { Service } from '../service.ts';
import { readServeSettings } from '../serve-settings.ts';
import { startSimulator } from '../simulator/simulator.ts';
import { changeOfHands } from './demo/change-of-hands.ts';
import type { ChangeOfHands } from './demo/change-of-hands.ts';
import { listenAsPostgres } from './demo/embedded-postgres.ts';
import type { EmbeddedPostgres } from './demo/embedded-postgres.ts';
import { makeExamples } from './demo/examples.ts';
import type { Examples } from './demo/examples.ts';
import { callsFrom, hasChangedHands, POSTGRES_PORT, postgresIsReady, welcome } from './demo/text.ts';
import type { DemoSettings } from './settings.ts';
import { onShutdown } from './shutdown.ts';

const PODS = 300;
/** Events per second: lively, and still to be followed by eye in /pods/stream. */
const CHURN = 3;

/** Who tries it plays the proxy. */
const FORWARD_AUTH = { FORWARD_AUTH: 'true', TRUSTED_PROXIES: '127.0.0.1,::1' };

/**
 * `podwhois demo`: a simulated cluster, the service on it and, where it is installed, a Postgres for what the service and the mirror
 * keep there; all in this process, on this machine only. Prints what to try as soon as that works; runs until a signal ends it.
 */
export async function demo(
  settings: DemoSettings,
  { write, environment }: Pick<Edge, 'write' | 'environment'>,
): Promise<void> {
  const log = createLog({ level: settings.logLevel, format: settings.logFormat });
  const calls = callsFrom(environment, relative('', process.argv[1] ?? ''));
  // All of it ends with the process, and nothing of it is kept: there is nothing to be put in order.
  const uninstall = onShutdown({ log, delayMs: 0, close: () => Promise.resolve() });
  try {
    const { service, apiServer, postgres, examples } = await start(settings, log);
    const { url } = service;
    write(welcome({ url, apiServer, postgres: postgres?.url }, examples, { calls, pods: PODS }));
    const changed = changeOfHands(service.index);
    const isFull = postgres !== undefined && (await fill(postgres, apiServer, log));
    if (isFull) write(postgresIsReady(postgres, examples.pod, calls));
    const story = await changed;
    const isKept = isFull && (await isTrue(postgres, isInHistory(story), HISTORY_MS));
    write(hasChangedHands(story, { url, postgresPort: isKept ? postgres.port : undefined }, calls));
  } catch (error) {
    uninstall();
    throw error;
  }
}

interface Started {
  readonly service: Service;
  readonly apiServer: string;
  /** It listens, and is not there yet. */
  readonly postgres: EmbeddedPostgres | undefined;
  readonly examples: Examples;
}

/** Everything but what Postgres needs time for; nothing is left running when it fails. */
async function start(settings: DemoSettings, log: Log): Promise<Started> {
  await using starting = new AsyncDisposableStack();
  const simulator = await startSimulator({ pods: PODS, churn: CHURN });
  starting.defer(async () => await simulator.close());
  simulator.cluster.keepEndpointSlices();
  const examples = makeExamples(simulator.cluster);
  // In a thread of its own, and first: it takes longer than all that follows, and the writers wait 15 s for it.
  const postgres = await listening(POSTGRES_PORT, listenAsPostgres);
  starting.defer(async () => await postgres?.close());
  const { host, logLevel, logFormat } = settings;
  const free = async (at: number): Promise<number> =>
    await listenOn([host], async (address) => await freePort(address, at), { setting: 'PORT', port: at });
  const port = settings.port === undefined ? await listening(8080, free) : await free(settings.port);
  const flags = { apiServer: simulator.url, host, logLevel, logFormat, port: String(port) };
  const snapshot = postgres && { SNAPSHOT: 'true', SNAPSHOT_FLUSH_INTERVAL: '1s', ...environmentOf(postgres) };
  const own = readServeSettings({ flags, environment: { ...FORWARD_AUTH, ...snapshot } });
  const service = await startService(own, { log, capabilities: await loadCapabilities(CAPABILITIES, own) });
  while (!service.source.synced) await sleep(10);
  starting.move();
  return { service, apiServer: simulator.url, postgres, examples };
}

/** On the port that is best known, or on a free one where that is taken. */
async function listening<T>(port: number, listen: (port: number) => Promise<T>): Promise<T> {
  try {
    return await listen(port);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EADDRINUSE') throw error;
    return await listen(0);
  }
}

/** The port. Throws when it is taken, before anything is plugged in that would wait for Postgres to end in order. */
async function freePort(host: string, port: number): Promise<number> {
  const server = createServer().listen({ port, host });
  await once(server, 'listening');
  server.close();
  await once(server, 'close');
  return port;
}

const environmentOf = ({ port }: EmbeddedPostgres): Readonly<Record<string, string>> => ({
  PGHOST: '127.0.0.1',
  PGPORT: String(port),
  PGUSER: 'postgres',
  PGSSLMODE: 'disable',
});

/** Waits for Postgres, and starts the mirror. True when both writers have written their first rows; what goes wrong leaves the rest as it is. */
async function fill(postgres: EmbeddedPostgres, apiServer: string, log: Log): Promise<boolean> {
  try {
    await postgres.ready;
    const flags = { apiServer, host: '127.0.0.1', port: '0' };
    await startMirror(readMirrorSettings({ flags, environment: environmentOf(postgres) }), { log });
    await isTrue(postgres, "to_regclass('podwhois.pods') IS NOT NULL AND to_regclass('server') IS NOT NULL");
    return await isTrue(postgres, 'EXISTS (SELECT FROM podwhois.pods) AND EXISTS (SELECT FROM server)');
  } catch (err) {
    log.error({ err }, 'the demo goes on without Postgres');
    return false;
  }
}

/** The history is written a second after it has happened. */
const HISTORY_MS = 10_000;

const isInHistory = ({ before, now }: ChangeOfHands): string =>
  `EXISTS (SELECT FROM podwhois.ip_history WHERE uid = '${before.uid}' AND valid_until < 'infinity')
   AND EXISTS (SELECT FROM podwhois.ip_history WHERE uid = '${now.uid}')`;

/** Asks until the condition is true, for so many milliseconds at most. */
async function isTrue({ url }: EmbeddedPostgres, condition: string, limitMs = Infinity): Promise<boolean> {
  const end = performance.now() + limitMs;
  const client = new Client({ connectionString: url });
  await client.connect();
  try {
    for (;;) {
      const { rows } = await client.query<{ is: boolean }>(`SELECT ${condition} AS is`);
      if (rows[0]?.is === true) return true;
      if (performance.now() > end) return false;
      await sleep(100);
    }
  } finally {
    await client.end();
  }
}
