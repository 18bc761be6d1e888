import { existsSync, statfsSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { request } from 'undici';
import { startPostgres } from '../support/real-postgres.ts';
import type { RealPostgres } from '../support/real-postgres.ts';
import { TcpProxy } from '../support/tcp-proxy.ts';
import { until } from '../support/until.ts';
import { answersOf } from './answering.ts';
import { giveWay, goFirst, imageFlags, pin, startChild, startedBy, startLoad } from './child.ts';
import type { Child, Usage } from './child.ts';
import { lagsOf } from './marker.ts';
import type { Marker } from './marker.ts';
import { readingPods } from './reading-pods.ts';
import { progress } from './rows.ts';
import type { Scale } from './rows.ts';
import { rowsOf } from './sinks-rows.ts';
import type { Minute, Round } from './sinks-rows.ts';
import type { Row } from './table.ts';

/** Events of pods a second, besides the markers'. */
const EVENTS = 1_000;
const MARKER_MS = 40;
/** Where a pod has rows, and under which lease they are written. */
const TABLES = { pods: 'snapshot', ip_history: 'history' } as const;
const NAMES = Object.keys(TABLES) as (keyof typeof TABLES)[];

/** A folder in memory, and what all of Postgres takes of it. */
const [MEMORY, BYTES] = ['/dev/shm', 4 * 1024 ** 3];

interface Stage {
  readonly simulator: Child;
  readonly load: Child;
  readonly readers: readonly Child[];
  readonly postgres: RealPostgres;
  readonly proxy: TcpProxy;
  readonly api: string;
  readonly pods: number;
  readonly minuteMs: number;
  /** For a minute V8 compiles what it has not met, on the same core: that is what most waits of two milliseconds are then. */
  readonly warmMs: number;
  readonly flushMs: number;
}

/**
 * What it costs to keep Postgres up to date while a cluster changes, and what a database that has stopped costs. Everything but
 * podwhois has the other core; Postgres and who reads its tables give way there, and the lookups' load goes first: what it waits for its core is not theirs.
 */
export async function sinks({ pods, rounds, smoke }: Scale): Promise<readonly Row[]> {
  const flushMs = smoke ? 300 : 3_000;
  const postgres = await startPostgres({}, inMemory());
  const proxy = await TcpProxy.to(postgres.port);
  const [simulator, load] = [startChild('simulator', { core: 1 }), startLoad()];
  const readers = NAMES.map(() => startChild('row-reader', { core: 1 }));
  try {
    const { server } = postgres;
    const lookingOn = [server, ...startedBy(server.pid), ...readers.map((reader) => reader.process)];
    for (const one of [...lookingOn, process]) pin(one.pid, '1');
    for (const one of lookingOn) giveWay(one);
    goFirst(load.process);
    const { PGHOST: host, PGPORT: port, PGUSER: user, PGPASSWORD: password } = postgres.environment();
    for (const reader of readers)
      await reader.ask('connect', { host, port: Number(port), user, password, database: 'postgres' });
    const [minuteMs, warmMs] = smoke ? [2_000, 300] : [60_000, 60_000];
    const stage = { simulator, load, readers, postgres, proxy, pods, minuteMs, warmMs, flushMs };
    const all: Round[] = [];
    const reading: Row[] = [];
    const few = Math.min(rounds, 3);
    for (let round = 0; round < few; round++) {
      const api = await simulator.ask<string>('start', { pods, keepBytes: false });
      const of = { ...stage, api, name: `round ${round + 1} of ${few}` };
      all.push(await play(of, round === 0 ? reading : undefined));
    }
    return [...rowsOf(all, { pods, flushMs, tables: NAMES }), ...reading];
  } finally {
    pin(process.pid, '0,1');
    await Promise.all([simulator, load, ...readers].map((child) => child.stop()));
    await proxy.close();
    await postgres.down();
  }
}

/** What is written to a disk the kernel writes on any core, podwhois' too, for milliseconds in which nobody else runs there. */
function inMemory(): string {
  const { bavail = 0, bsize = 0 } = existsSync(MEMORY) ? statfsSync(MEMORY) : {};
  if (bavail * bsize >= BYTES) return MEMORY;
  progress(`${MEMORY} has no room for Postgres: what the kernel writes to disk for it is waited for`);
  return tmpdir();
}

async function play(stage: Stage & { name: string }, reading: Row[] | undefined): Promise<Round> {
  const { simulator, load, postgres, proxy, api, name } = stage;
  const off = await withService(api, {}, async (ours, url) => {
    progress(`${EVENTS} events/s without sinks, ${name}`);
    // Right after the first sync of a machine that has much to do, /pods may be refused.
    const answers = await until('its pods', async () => await answersOf(url, 1_000));
    await load.ask(
      'paths',
      answers.map(([ip]) => `/pod?ip=${ip}`),
    );
    await simulator.ask('churn', EVENTS);
    return { ...(await minute(stage, ours, url)), grownMb: await growth(stage, ours) };
  });
  await simulator.ask('churn', 0);
  const schema = postgres.schema();
  const environment = {
    ...postgres.environment({ PGPORT: String(proxy.port) }),
    SNAPSHOT: 'true',
    PODWHOIS_SCHEMA: schema,
    SNAPSHOT_FLUSH_INTERVAL: `${stage.flushMs}ms`,
  };
  return await withService(api, environment, async (ours, url) => {
    progress(`first snapshot of ${stage.pods} pods, ${name}`);
    const { pods } = await ours.ask<{ pods: number }>('counts');
    await untilEqual(postgres, schema, 0);
    reading?.push(...(await readingPods(postgres, schema, pods)));
    progress(`${EVENTS} events/s into Postgres, ${name}`);
    await simulator.ask('churn', EVENTS);
    const first = await simulator.ask<number>('mark', { everyMs: MARKER_MS, livesMs: 4 * stage.flushMs });
    await Promise.all(
      stage.readers.map((reader, i) => reader.ask('watch', { table: NAMES[i], schema, everyMs: 25, first })),
    );
    const [before, began] = [await footprintOf(postgres, schema), performance.now()];
    const on = await minute(stage, ours, url);
    const [after, seconds] = [await footprintOf(postgres, schema), (performance.now() - began) / 1000];
    const made = await simulator.ask<Marker[]>('marked');
    const lags = await Promise.all(stage.readers.map((reader) => lagsIn(reader, made, stage)));
    progress(`${EVENTS} events/s, and Postgres has stopped, ${name}`);
    proxy.blackHole = true;
    // It is warm, and what comes first is the worst.
    const hole = { ...(await minute({ ...stage, warmMs: 0 }, ours, url)), grownMb: await growth(stage, ours) };
    await simulator.ask('churn', 0);
    proxy.blackHole = false;
    proxy.cut();
    const back = Date.now();
    await untilEqual(postgres, schema, back);
    return {
      off,
      on,
      hole,
      lags,
      walPerEvent: (after.wal - before.wal) / (seconds * on.events),
      swollen: after.bytes / before.bytes,
      recoveredMs: Date.now() - back,
    };
  });
}

/** Waits until all tables have been known to equal the cluster after a time; Postgres and this process have one clock. */
async function untilEqual(postgres: RealPostgres, schema: string, since: number): Promise<void> {
  const isEqual = async (): Promise<boolean> => {
    const flushed = await postgres.query(
      `SELECT FROM ${schema}.leases WHERE sink = ANY($1) AND flushed_at > to_timestamp($2)`,
      [Object.values(TABLES), since / 1000],
    );
    return flushed.length === NAMES.length;
  };
  await until('the tables equal the cluster', isEqual, { timeoutMs: 300_000, everyMs: 100 });
}

/** What has been written to the log of the database since ever, and what the tables are with their indexes, in bytes. */
async function footprintOf(postgres: RealPostgres, schema: string): Promise<{ wal: number; bytes: number }> {
  const [row] = await postgres.query<{ wal: string; bytes: string }>(
    `SELECT pg_current_wal_lsn() - '0/0' AS wal, sum(pg_total_relation_size(oid)) AS bytes FROM pg_class
     WHERE relnamespace = $1::regnamespace AND relkind = 'r'`,
    [schema],
  );
  return { wal: Number(row?.wal), bytes: Number(row?.bytes) };
}

async function withService<T>(
  api: string,
  environment: Readonly<Record<string, string>>,
  use: (ours: Child, url: string) => Promise<T>,
): Promise<T> {
  const ours = startChild('ours', { core: 0, execArgv: imageFlags() });
  try {
    const url = await ours.ask<string>('start', { K8S_API_SERVER: api, ...environment });
    await until('podwhois is ready', async () => await isReady(url), { timeoutMs: 300_000 });
    return await use(ours, url);
  } finally {
    await ours.stop();
  }
}

async function isReady(url: string): Promise<boolean> {
  const { statusCode, body } = await request(`${url}/ready`);
  await body.dump();
  return statusCode === 200;
}

/**
 * What the process does while lookups come at a steady rate. V8 is left to itself: after a collection that we ask for, the next minute has none of its own, and those after it
 * have many.
 */
async function minute({ load, minuteMs, warmMs }: Stage, ours: Child, url: string): Promise<Minute> {
  await load.ask('probe', { url, everyMs: 2 });
  await pause(warmMs);
  const [before, changes] = [await ours.ask<Usage>('usage'), await ours.ask<number>('changes')];
  const began = performance.now();
  await load.ask('probe', { url, everyMs: 2 });
  await pause(minuteMs);
  const { p99 } = await load.ask<{ p99: number }>('probed');
  if (!(await isReady(url))) throw new Error('podwhois is not ready');
  const after = await ours.ask<Usage>('usage');
  const seconds = (performance.now() - began) / 1000;
  const events = ((await ours.ask<number>('changes')) - changes) / seconds;
  const { stallMs, peakRssMb: rssMb } = after;
  return { cpuShare: (after.cpu - before.cpu) / seconds, events, p99, stallMs, rssMb };
}

/** How much more the process keeps after so long, in MB. */
async function growth({ minuteMs }: Stage, ours: Child): Promise<number> {
  const before = await ours.ask<number>('heap');
  await pause(minuteMs);
  return ((await ours.ask<number>('heap')) - before) / 2 ** 20;
}

/** A row that is not there three intervals after the minute is counted as lost. */
async function lagsIn(reader: Child, made: readonly Marker[], { flushMs }: Stage): Promise<readonly number[]> {
  const end = performance.now() + 3 * flushMs;
  for (;;) {
    const lags = lagsOf(made, await reader.ask<Marker[]>('seen'));
    if (performance.now() > end || lags.every((lag) => lag < Infinity)) return lags;
    await pause(100);
  }
}

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
