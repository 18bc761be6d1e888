import { spawnSync } from 'node:child_process';
import { startPostgres } from '../support/real-postgres.ts';
import type { RealPostgres } from '../support/real-postgres.ts';
import { TcpProxy } from '../support/tcp-proxy.ts';
import { until } from '../support/until.ts';
import { answersOf } from './answering.ts';
import { startChild } from './child.ts';
import type { Child, Usage } from './child.ts';
import { lagsOf } from './marker.ts';
import type { Marker } from './marker.ts';
import { readingPods } from './reading-pods.ts';
import { progress } from './rows.ts';
import type { Scale } from './rows.ts';
import { median, quantile, ratios, spread } from './statistics.ts';
import type { Row } from './table.ts';

/** Events of pods a second, besides the markers'. */
const EVENTS = 1_000;
const MARKER = { everyMs: 40, livesMs: 5_000 };
const FLUSH_MS = 3_000;
/** A row that is not there so long after the minute is counted as lost. */
const PATIENCE_MS = 10_000;
/** Where a pod has rows, and under which lease they are written. */
const TABLES = { pods: 'snapshot' } as const;
const NAMES = Object.keys(TABLES) as (keyof typeof TABLES)[];

/** One minute of one process. */
interface Minute {
  readonly cpuShare: number;
  readonly events: number;
  readonly p99: number;
  readonly grownMb: number;
  readonly rssMb: number;
}

interface Round {
  readonly off: Minute;
  readonly on: Minute;
  /** As `on`, with a database that swallows everything, and goes on not to answer. */
  readonly hole: Minute;
  /** Of each table's rows, milliseconds. */
  readonly lags: readonly (readonly number[])[];
  /** From the moment the database answers again until nothing is behind. */
  readonly recoveredMs: number;
}

interface Stage {
  readonly simulator: Child;
  readonly load: Child;
  readonly readers: readonly Child[];
  readonly postgres: RealPostgres;
  readonly proxy: TcpProxy;
  readonly api: string;
  readonly pods: number;
  readonly minuteMs: number;
}

/**
 * What it costs to keep Postgres up to date while a cluster changes, and what a database that has stopped costs. Everything but
 * podwhois has the other core, and Postgres gives way to the rest there: what the lookups' load waits for its core is not theirs.
 */
export async function sinks({ pods, rounds, smoke }: Scale): Promise<readonly Row[]> {
  const postgres = await startPostgres();
  const proxy = await TcpProxy.to(postgres.port);
  const [simulator, load] = [startChild('simulator', { core: 1 }), startChild('load', { core: 1 })];
  const readers = NAMES.map(() => startChild('row-reader', { core: 1 }));
  try {
    spawnSync('taskset', ['-a', '-cp', '1', String(postgres.server.pid)]);
    spawnSync('renice', ['-n', '10', '-p', String(postgres.server.pid)]);
    const { PGHOST: host, PGPORT: port, PGUSER: user, PGPASSWORD: password } = postgres.environment();
    for (const reader of readers)
      await reader.ask('connect', { host, port: Number(port), user, password, database: 'postgres' });
    const stage = { simulator, load, readers, postgres, proxy, pods, minuteMs: smoke ? 2_000 : 60_000 };
    const all: Round[] = [];
    const reading: Row[] = [];
    const few = Math.min(rounds, 3);
    for (let round = 0; round < few; round++) {
      const api = await simulator.ask<string>('start', { pods, keepBytes: false });
      const of = { ...stage, api, name: `round ${round + 1} of ${few}` };
      all.push(await play(of, round === 0 ? reading : undefined));
    }
    return [...rowsOf(all, pods), ...reading];
  } finally {
    await Promise.all([simulator, load, ...readers].map((child) => child.stop()));
    await proxy.close();
    await postgres.down();
  }
}

async function play(stage: Stage & { name: string }, reading: Row[] | undefined): Promise<Round> {
  const { simulator, load, postgres, proxy, api, name } = stage;
  const off = await withService(api, {}, async (ours, url) => {
    progress(`${EVENTS} events/s without sinks, ${name}`);
    await load.ask(
      'paths',
      (await answersOf(url, 1_000)).map(([ip]) => `/pod?ip=${ip}`),
    );
    await simulator.ask('churn', EVENTS);
    return await minute(stage, ours, url);
  });
  await simulator.ask('churn', 0);
  const schema = postgres.schema();
  const environment = {
    ...postgres.environment({ PGPORT: String(proxy.port) }),
    SNAPSHOT: 'true',
    PODWHOIS_SCHEMA: schema,
    SNAPSHOT_FLUSH_INTERVAL: `${FLUSH_MS}ms`,
  };
  return await withService(api, environment, async (ours, url) => {
    progress(`first snapshot of ${stage.pods} pods, ${name}`);
    const { pods } = await ours.ask<{ pods: number }>('counts');
    await untilEqual(postgres, schema, 0);
    reading?.push(...(await readingPods(postgres, schema, pods)));
    progress(`${EVENTS} events/s into Postgres, ${name}`);
    await simulator.ask('churn', EVENTS);
    const first = await simulator.ask<number>('mark', MARKER);
    await Promise.all(
      stage.readers.map((reader, i) => reader.ask('watch', { table: NAMES[i], schema, everyMs: 25, first })),
    );
    const on = await minute(stage, ours, url);
    const made = await simulator.ask<Marker[]>('marked');
    const lags = await Promise.all(stage.readers.map((reader) => lagsIn(reader, made)));
    progress(`${EVENTS} events/s, and Postgres has stopped, ${name}`);
    proxy.blackHole = true;
    const hole = await minute(stage, ours, url);
    await simulator.ask('churn', 0);
    proxy.blackHole = false;
    proxy.cut();
    const began = Date.now();
    await untilEqual(postgres, schema, began);
    return { off, on, hole, lags, recoveredMs: Date.now() - began };
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

async function withService<T>(
  api: string,
  environment: Readonly<Record<string, string>>,
  use: (ours: Child, url: string) => Promise<T>,
): Promise<T> {
  const ours = startChild('ours', { core: 0 });
  try {
    const url = await ours.ask<string>('start', { K8S_API_SERVER: api, ...environment });
    await ours.ask('synced');
    return await use(ours, url);
  } finally {
    await ours.stop();
  }
}

/** What the process does and keeps while lookups come at a steady rate. */
async function minute({ load, minuteMs }: Stage, ours: Child, url: string): Promise<Minute> {
  await pause(minuteMs / 30); // the first events find cold code
  const heap = await ours.ask<number>('heap');
  const [before, changes] = [await ours.ask<Usage>('usage'), await ours.ask<number>('changes')];
  const began = performance.now();
  await load.ask('probe', { url, everyMs: 2 });
  await pause(minuteMs);
  const { p99 } = await load.ask<{ p99: number }>('probed');
  const after = await ours.ask<Usage>('usage');
  const seconds = (performance.now() - began) / 1000;
  const events = ((await ours.ask<number>('changes')) - changes) / seconds;
  const grownMb = ((await ours.ask<number>('heap')) - heap) / 2 ** 20;
  return { cpuShare: (after.cpu - before.cpu) / seconds, events, p99, grownMb, rssMb: after.peakRssMb };
}

async function lagsIn(reader: Child, made: readonly Marker[]): Promise<readonly number[]> {
  const end = performance.now() + PATIENCE_MS;
  for (;;) {
    const lags = lagsOf(made, await reader.ask<Marker[]>('seen'));
    if (performance.now() > end || lags.every((lag) => lag < Infinity)) return lags;
    await pause(100);
  }
}

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

function rowsOf(rounds: readonly Round[], pods: number): readonly Row[] {
  const of = (state: 'off' | 'on' | 'hole', pick: (minute: Minute) => number): number[] =>
    rounds.map((round) => pick(round[state]));
  const name = `${Math.round(median(of('on', (one) => one.events)))} events/s on ${pods.toLocaleString('en')} pods`;
  const percent = (values: readonly number[]): string =>
    `${spread(
      values.map((value) => value * 100),
      1,
    )} %`;
  const more = (state: 'on' | 'hole'): Row => {
    const [ours, floor] = [of(state, (one) => one.cpuShare), of('off', (one) => one.cpuShare)];
    const added = ours.map((share, round) => share - (floor[round] ?? Number.NaN));
    return {
      what: `${name}${SAY[state]}: CPU`,
      ours: percent(ours),
      floor: percent(floor),
      result: `${percent(added)} more`,
      target: '≤ 25 % of a core more',
      met: median(added) <= 0.25,
    };
  };
  const waits = (state: 'on' | 'hole'): Row => {
    const [ours, floor] = [of(state, (one) => one.p99), of('off', (one) => one.p99)];
    const ratio = ratios(ours, floor);
    return {
      what: `${name}${SAY[state]}: a lookup waits, p99`,
      ours: `${spread(ours)} ms`,
      floor: `${spread(floor)} ms`,
      result: `× ${spread(ratio)}`,
      target: '≤ 1.5 × without sinks',
      met: median(ratio) <= 1.5,
    };
  };
  const grown = of('hole', (one) => one.grownMb);
  const grownOff = of('off', (one) => one.grownMb);
  const grownMore = grown.map((mb, round) => mb - (grownOff[round] ?? Number.NaN));
  return [
    ...NAMES.map((table, i): Row => {
      const lags = rounds.flatMap((round) => round.lags[i] ?? []).map((lag) => lag / 1000);
      return {
        what: `${name}: rows of ${table} are behind, p99 of ${lags.length}`,
        ours: `${quantile(lags, 0.99).toFixed(2)} s`,
        floor: `${(FLUSH_MS / 1000).toFixed(2)} s between flushes`,
        result: `p50 ${quantile(lags, 0.5).toFixed(2)} s, at most ${quantile(lags, 1).toFixed(2)} s`,
        target: '≤ the interval + 1 s',
        met: quantile(lags, 0.99) <= FLUSH_MS / 1000 + 1,
      };
    }),
    more('on'),
    waits('on'),
    more('hole'),
    waits('hole'),
    {
      what: `${name}${SAY.hole}: heap grows in a minute`,
      ours: `${spread(grown, 1)} MB`,
      floor: `${spread(grownOff, 1)} MB`,
      result: `${spread(grownMore, 1)} MB more`,
      target: 'flat: ≤ 2 MB more than without sinks',
      met: median(grownMore) <= 2,
    },
    {
      what: 'Postgres answers again → nothing is behind',
      ours: `${spread(rounds.map((round) => round.recoveredMs / 1000))} s`,
      floor: '',
      result: `peak RSS ${spread(
        of('hole', (one) => one.rssMb),
        0,
      )} MB, without sinks ${spread(
        of('off', (one) => one.rssMb),
        0,
      )} MB`,
      target: '',
      met: undefined,
    },
  ];
}

const SAY = { on: ' into Postgres', hole: ', Postgres silent' } as const;
