import { existsSync, readFileSync, statfsSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { request } from 'undici';
import { startPostgres } from '../support/real-postgres.ts';
import type { RealPostgres } from '../support/real-postgres.ts';
import { TcpProxy } from '../support/tcp-proxy.ts';
import { until } from '../support/until.ts';
import { answersOf } from './answering.ts';
import { giveWay, goFirst, imageFlags, pin, startChild, startedBy, startLoad } from './child.ts';
import type { Child, Usage } from './child.ts';
import { lagsOf, TABLES } from './marker.ts';
import type { Marker } from './marker.ts';
import { readingPods } from './reading-pods.ts';
import { progress } from './rows.ts';
import type { Scale } from './rows.ts';
import { all, p99, rowsOf } from './sinks-rows.ts';
import type { Minute, Pair, Round } from './sinks-rows.ts';
import type { Row } from './table.ts';

/** Events of pods a second, besides the markers'. */
const EVENTS = 1_000;
const MARKER_MS = 40;
const LOOKUP_MS = 2;
/** A minute is so many turns. */
const TURNS = 3;
const NAMES = Object.keys(TABLES) as (keyof typeof TABLES)[];

/** A folder in memory, and what all of Postgres takes of it. */
const [MEMORY, BYTES] = ['/dev/shm', 4 * 1024 ** 3];

interface Stage {
  /** Each feeds one of the two services that are compared: the one without sinks, the one with them. */
  readonly simulators: readonly [off: Child, on: Child];
  readonly load: Child;
  readonly readers: readonly Child[];
  readonly postgres: RealPostgres;
  readonly proxy: TcpProxy;
  readonly pods: number;
  readonly turnMs: number;
  readonly minuteMs: number;
  /** For a minute and more V8 compiles what it has not met, on the same core: that is what most waits of two milliseconds are then. */
  readonly warmMs: number;
  readonly flushMs: number;
}

/** One of the two services that are compared, and the cluster that it alone watches. */
interface Side {
  readonly simulator: Child;
  readonly ours: Child;
  readonly url: string;
}

/**
 * What it costs to keep Postgres up to date while a cluster changes, and what a database that has stopped costs. Two services run at once, and the pods of one
 * of them change at a time, in turns: the pace of a machine drifts, and what the host takes of it comes in spells. Everything but
 * podwhois has the other core; Postgres and who reads its tables give way there, and the lookups' load goes first: what it waits for its core is not theirs.
 */
export async function sinks({ pods, rounds, smoke }: Scale): Promise<readonly Row[]> {
  const flushMs = smoke ? 300 : 3_000;
  const postgres = await startPostgres({}, inMemory());
  const proxy = await TcpProxy.to(postgres.port);
  const simulators = [startChild('simulator', { core: 1 }), startChild('simulator', { core: 1 })] as const;
  const load = startLoad();
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
    const times = smoke
      ? { turnMs: 1_000, warmMs: 300, minuteMs: 2_000 }
      : { turnMs: 21_000, warmMs: 90_000, minuteMs: 60_000 };
    const stage = { simulators, load, readers, postgres, proxy, pods, flushMs, ...times };
    const played: Round[] = [];
    const reading: Row[] = [];
    const few = Math.min(rounds, 3);
    for (let round = 0; round < few; round++) {
      played.push(await play({ ...stage, name: `round ${round + 1} of ${few}` }, round === 0 ? reading : undefined));
    }
    return [...rowsOf(played, { pods, flushMs, tables: NAMES }), ...reading];
  } finally {
    pin(process.pid, '0,1');
    await Promise.all([...simulators, load, ...readers].map((child) => child.stop()));
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
  const { simulators, load, pods, postgres, proxy, name } = stage;
  const schema = postgres.schema();
  const environment = {
    ...postgres.environment({ PGPORT: String(proxy.port) }),
    SNAPSHOT: 'true',
    PODWHOIS_SCHEMA: schema,
    SNAPSHOT_FLUSH_INTERVAL: `${stage.flushMs}ms`,
  };
  return await withService({ simulator: simulators[0], pods }, {}, async (off) => {
    // Right after the first sync of a machine that has much to do, /pods may be refused.
    const answers = await until('its pods', async () => await answersOf(off.url, 1_000));
    await load.ask(
      'paths',
      answers.map(([ip]) => `/pod?ip=${ip}`),
    );
    return await withService({ simulator: simulators[1], pods }, environment, async (on) => {
      progress(`first snapshot of ${pods} pods, ${name}`);
      const counts = await on.ours.ask<{ pods: number }>('counts');
      await untilEqual(postgres, schema, 0);
      reading?.push(...(await readingPods(postgres, schema, counts.pods)));
      const full = await footprintOf(postgres, schema);
      progress(`${EVENTS} events/s, so that V8 has compiled what it meets, ${name}`);
      for (const side of [off, on]) await changing(side, async () => await warm(stage, side));
      progress(`${EVENTS} events/s, in turns without sinks and into Postgres, ${name}`);
      const [before, changes] = [await footprintOf(postgres, schema), await on.ours.ask<number>('changes')];
      const lags: number[][] = NAMES.map(() => []);
      const into = await inTurns(stage, off, async () => {
        const made = await intoPostgres(stage, on, schema);
        for (const [i, some] of made.lags.entries()) lags[i]?.push(...some);
        return made.turn;
      });
      const [after, events] = [await footprintOf(postgres, schema), (await on.ours.ask<number>('changes')) - changes];
      progress(`${EVENTS} events/s, in turns without sinks and with a Postgres that has stopped, ${name}`);
      const silent = await inTurns(stage, off, async () => {
        const begin = (): void => void (proxy.blackHole = true);
        return await changing(on, async () => await turn(stage, on, begin));
      });
      progress(`${EVENTS} events/s, what is kept of a minute, ${name}`);
      const grownOff = await changing(off, async () => await growth(stage, off));
      const grownHole = await changing(on, async () => await growth(stage, on));
      proxy.blackHole = false;
      proxy.cut();
      const back = Date.now();
      await untilEqual(postgres, schema, back);
      return {
        on: into,
        hole: silent,
        lags,
        walPerEvent: (after.wal - before.wal) / events,
        swollen: after.bytes / full.bytes,
        grownMb: { off: grownOff, hole: grownHole },
        recoveredMs: Date.now() - back,
      };
    });
  });
}

/** A minute with sinks and a minute without, in turns. */
async function inTurns(stage: Stage, off: Side, ours: () => Promise<Minute>): Promise<Pair> {
  const pairs: Pair[] = [];
  for (let i = 0; i < TURNS; i++) {
    const without = await changing(off, async () => await turn(stage, off));
    pairs.push({ off: without, ours: await ours() });
  }
  const pair = { off: all(pairs.map((one) => one.off)), ours: all(pairs.map((one) => one.ours)) };
  progress(`p99 of a lookup ${p99(pair.ours).toFixed(2)} ms, ${p99(pair.off).toFixed(2)} ms without sinks`);
  return pair;
}

/** A turn into Postgres, and what becomes of the rows. */
async function intoPostgres(
  stage: Stage,
  side: Side,
  schema: string,
): Promise<{ readonly turn: Minute; readonly lags: readonly (readonly number[])[] }> {
  const { readers, flushMs } = stage;
  return await changing(side, async () => {
    const measured = await turn(stage, side, async () => {
      const first = await side.simulator.ask<number>('mark', { everyMs: MARKER_MS, livesMs: 4 * flushMs });
      await Promise.all(
        readers.map((reader, i) => reader.ask('watch', { table: NAMES[i], schema, everyMs: 25, first })),
      );
    });
    const made = await side.simulator.ask<Marker[]>('marked');
    return { turn: measured, lags: await Promise.all(readers.map((reader) => lagsIn(reader, made, stage))) };
  });
}

/** While the pods of one service change, and those of the other stand still. */
async function changing<T>({ simulator }: Side, use: () => Promise<T>): Promise<T> {
  await simulator.ask('churn', EVENTS);
  try {
    return await use();
  } finally {
    await simulator.ask('churn', 0);
  }
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

/** While a service watches a cluster of its own, of so many pods. */
async function withService<T>(
  { simulator, pods }: { readonly simulator: Child; readonly pods: number },
  environment: Readonly<Record<string, string>>,
  use: (side: Side) => Promise<T>,
): Promise<T> {
  const api = await simulator.ask<string>('start', { pods, keepBytes: false });
  const ours = startChild('ours', { core: 0, execArgv: imageFlags() });
  // What it costs to list everything again is not to fall into the other one's turn.
  const own = { K8S_API_SERVER: api, RESYNC_INTERVAL: '2h' };
  try {
    const url = await ours.ask<string>('start', { ...own, ...environment });
    await until('podwhois is ready', async () => await isReady(url), { timeoutMs: 300_000 });
    return await use({ simulator, ours, url });
  } finally {
    await ours.stop();
  }
}

async function isReady(url: string): Promise<boolean> {
  const { statusCode, body } = await request(`${url}/ready`);
  await body.dump();
  return statusCode === 200;
}

/** Lookups at a steady rate, for so long; they go on until others begin. */
async function warm({ load, warmMs }: Stage, { url }: Side): Promise<void> {
  await load.ask('probe', { url, everyMs: LOOKUP_MS });
  await pause(warmMs);
}

/**
 * What the process does while lookups come at a steady rate. V8 is left to itself: after a collection that we ask for, the next minute has none of its own, and those after it
 * have many.
 *
 * @param begin Called and waited for when it begins, after two flushes: right before it the other service had its turn.
 */
async function turn(stage: Stage, side: Side, begin?: () => unknown): Promise<Minute> {
  const { load, turnMs, flushMs } = stage;
  const { ours, url } = side;
  await warm({ ...stage, warmMs: 2 * flushMs }, side);
  const [collected, stolen] = [await markCompacts(url), stolenMs()];
  const [before, changes] = [await ours.ask<Usage>('usage'), await ours.ask<number>('changes')];
  const began = performance.now();
  await begin?.();
  await load.ask('probe', { url, everyMs: LOOKUP_MS });
  await pause(turnMs);
  const waits = await load.ask<number[]>('waits');
  if (!(await isReady(url))) throw new Error('podwhois is not ready');
  const after = await ours.ask<Usage>('usage');
  const seconds = (performance.now() - began) / 1000;
  const events = ((await ours.ask<number>('changes')) - changes) / seconds;
  return {
    cpuShare: (after.cpu - before.cpu) / seconds,
    events,
    waits,
    markCompacts: (await markCompacts(url)) - collected,
    stolenMs: stolenMs() - stolen,
    stallMs: after.stallMs,
    rssMb: after.peakRssMb,
  };
}

/** What the host has taken of all cores in which they had something to do, since ever; 0 where nobody counts it. The kernel counts 10 ms. */
function stolenMs(): number {
  if (!existsSync('/proc/stat')) return 0;
  const [, ticks = '0'] = /^cpu +(?:\d+ ){7}(\d+)/.exec(readFileSync('/proc/stat', 'utf8')) ?? [];
  return Number(ticks) * 10;
}

/** How often V8 has collected everything. */
async function markCompacts(url: string): Promise<number> {
  const { body } = await request(`${url}/metrics`);
  const metrics = await body.text();
  if (!metrics.includes('# TYPE nodejs_gc_duration_seconds ')) throw new Error('/metrics does not count collections');
  // There is no line before the first one.
  const [, count = '0'] = /^nodejs_gc_duration_seconds_count\{kind="major"\} (\d+)$/m.exec(metrics) ?? [];
  return Number(count);
}

/** How much more the process keeps after so long, in MB. */
async function growth({ minuteMs }: Stage, { ours }: Side): Promise<number> {
  const before = await ours.ask<number>('heap');
  await pause(minuteMs);
  return ((await ours.ask<number>('heap')) - before) / 2 ** 20;
}

/** A row that is not there three intervals after the turn is counted as lost. */
async function lagsIn(reader: Child, made: readonly Marker[], { flushMs }: Stage): Promise<readonly number[]> {
  const end = performance.now() + 3 * flushMs;
  for (;;) {
    const lags = lagsOf(made, await reader.ask<Marker[]>('seen'));
    if (performance.now() > end || lags.every((lag) => lag < Infinity)) return lags;
    await pause(100);
  }
}

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
