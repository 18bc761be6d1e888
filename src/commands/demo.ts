import { once } from 'node:events';
import { createServer } from 'node:net';
import { relative } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Client } from 'pg';
import { CAPABILITIES, loadCapabilities } from '../capabilities.ts';
import type { Edge } from '../capabilities.ts';
import { createLog } from '../log.ts';
import type { Log } from '../log.ts';
import { startMirror } from '../mirror-endpoints.ts';
import { readMirrorSettings } from '../mirror-settings.ts';
import { startService } from '../service.ts';
import type { Service } from '../service.ts';
import { readServeSettings } from '../serve-settings.ts';
import { startSimulator } from '../simulator/simulator.ts';
import { changeOfHands } from './demo/change-of-hands.ts';
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
    if (postgres) {
      try {
        await fill(postgres, apiServer, log);
        write(postgresIsReady(postgres, examples.pod, calls));
      } catch (err) {
        log.error({ err }, 'the demo goes on without Postgres');
      }
    }
    write(hasChangedHands(await changed, url, calls));
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
  const postgres = await listening(POSTGRES_PORT, listenAsPostgres);
  starting.defer(async () => await postgres?.close());
  const { host, logLevel, logFormat } = settings;
  const free = async (port: number): Promise<number> => await freePort(host, port);
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
async function freePort(host: string | undefined, port: number): Promise<number> {
  const server = createServer().listen({ port, ...(host !== undefined && { host }) });
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

/** Starts Postgres and the mirror. Resolves when both writers have written their first rows. */
async function fill(postgres: EmbeddedPostgres, apiServer: string, log: Log): Promise<void> {
  await postgres.start();
  const flags = { apiServer, host: '127.0.0.1', port: '0' };
  await startMirror(readMirrorSettings({ flags, environment: environmentOf(postgres) }), { log });
  const client = new Client({ connectionString: postgres.url });
  await client.connect();
  const is = async (condition: string): Promise<boolean> =>
    (await client.query<{ is: boolean }>(`SELECT ${condition} AS is`)).rows[0]?.is === true;
  while (!(await is("to_regclass('podwhois.pods') IS NOT NULL AND to_regclass('server') IS NOT NULL"))) await sleep(50);
  while (!(await is('EXISTS (SELECT FROM podwhois.pods) AND EXISTS (SELECT FROM server)'))) await sleep(50);
  await client.end();
}
