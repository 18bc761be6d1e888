import type { TestContext } from 'node:test';
import { SystemClock } from '../../../src/kubernetes/clock.ts';
import { accessOf } from '../../../src/sinks/postgres/access.ts';
import { Database, TIME_LIMITS } from '../../../src/sinks/postgres/database.ts';
import type { Log, TimeLimits } from '../../../src/sinks/postgres/database.ts';
import { Lease } from '../../../src/sinks/postgres/lease.ts';
import { migrate } from '../../../src/sinks/postgres/migrate.ts';
import type { MirroredTable, Row, Truth } from '../../../src/sinks/postgres/mirrored-table.ts';
import { mirrored } from '../../../src/sinks/postgres/target.ts';
import type { Target } from '../../../src/sinks/postgres/target.ts';
import { Writer } from '../../../src/sinks/postgres/writer.ts';
import type { Clock } from '../../../src/sinks/postgres/writer.ts';
import type { RealPostgres } from '../../support/real-postgres.ts';
import { keepRunning } from '../../support/running-writer.ts';
import { until } from '../../support/until.ts';

/** A truth that a test writes by hand. */
export class MapTruth implements Truth {
  ready = true;
  readonly #rows = new Map<string, string | null>();
  #changed = new Set<string>();
  readonly #listeners = new Set<() => void>();

  get size(): number {
    return this.#rows.size;
  }

  set(key: string, value: string | null): void {
    this.#rows.set(key, value);
    this.#tell(key);
  }

  delete(key: string): void {
    this.#rows.delete(key);
    this.#tell(key);
  }

  /** As the table should be. */
  expected(): readonly (readonly [string, string | null])[] {
    return [...this.#rows].sort(([a], [b]) => (a < b ? -1 : 1));
  }

  changed(): Iterable<string> {
    const changed = this.#changed;
    this.#changed = new Set();
    return changed;
  }

  rows(group: string): readonly Row[] {
    const value = this.#rows.get(group);
    return value === undefined ? [] : [[group, value]];
  }

  async *groups(): AsyncIterable<readonly string[]> {
    yield await Promise.resolve([...this.#rows.keys()]);
  }

  onChange(wake: () => void): () => void {
    this.#listeners.add(wake);
    return () => void this.#listeners.delete(wake);
  }

  #tell(key: string): void {
    this.#changed.add(key);
    for (const wake of this.#listeners) wake();
  }
}

export interface Stage {
  readonly schema: string;
  readonly database: Database;
  readonly truth: MapTruth;
  readonly writer: Writer;
  /** What it has logged. */
  readonly logged: readonly { readonly fields: object; readonly message: string }[];
  /** As the table is. */
  table(): Promise<readonly (readonly [string, string | null])[]>;
  /** Waits until the table is as it should be. */
  settled(timeoutMs?: number): Promise<void>;
  stop(): Promise<void>;
}

export interface StageOptions {
  readonly schema?: string;
  readonly truth?: MapTruth;
  readonly environment?: Readonly<Record<string, string>>;
  readonly limits?: Partial<TimeLimits>;
  readonly ttlMs?: number;
  readonly holder?: string;
  /** Another one than the machine's. */
  readonly clock?: Clock;
  /** The writer's own migrations are not run. */
  readonly unprepared?: boolean;
  /** The table as the writer is to see it. */
  readonly seen?: (table: Target) => Target;
}

let holders = 0;

/** A writer at work on a table of its own: `mirrored (cluster, key, value varchar(100))`, with digests, as cluster `c`. */
export async function startStage(t: TestContext, postgres: RealPostgres, options: StageOptions = {}): Promise<Stage> {
  const { schema = postgres.schema(), truth = new MapTruth(), environment = {}, limits, ttlMs = 1_500 } = options;
  const logged: { fields: object; message: string }[] = [];
  const say = (fields: object, message: string): void => void logged.push({ fields, message });
  const log: Log = { info: say, warn: say, error: say };
  await createTable(postgres, schema);
  const access = accessOf(postgres.settings(environment));
  const database = new Database({ access, poolSize: 2, log, limits: { ...TIME_LIMITS, ...limits } });
  const clock = new SystemClock();
  const table: MirroredTable = {
    schema,
    name: 'mirrored',
    scope: [{ name: 'cluster', type: 'text', value: 'c' }],
    keys: [{ name: 'key', type: 'text' }],
    groupColumns: 1,
    values: [{ name: 'value', type: 'varchar' }],
    digest: 'digest',
  };
  const writer = new Writer({
    database,
    lease: new Lease({ schema, cluster: 'c', sink: 's', holder: options.holder ?? `holder-${++holders}`, ttlMs }),
    prepare: async () => void (options.unprepared === true || (await migrate(database, schema))),
    target: options.seen?.(mirrored(table, truth)) ?? mirrored(table, truth),
    clock: options.clock ?? clock,
    log,
    flushMs: 20,
  });
  const stop = keepRunning(t, writer, database, clock);
  const rows = async (): Promise<readonly (readonly [string, string | null])[]> =>
    (
      await postgres.query<{ key: string; value: string | null }>(
        `SELECT key, value FROM ${schema}.mirrored WHERE cluster = 'c' ORDER BY key COLLATE "C"`,
      )
    ).map(({ key, value }) => [key, value] as const);
  const settled = async (timeoutMs = 30_000): Promise<void> =>
    void (await until(
      'the table is as it should be',
      async () => JSON.stringify(await rows()) === JSON.stringify(truth.expected()),
      { timeoutMs },
    ));
  return { schema, database, truth, writer, logged, table: rows, settled, stop };
}

export async function createTable(postgres: RealPostgres, schema: string): Promise<void> {
  await postgres.query(
    `CREATE SCHEMA IF NOT EXISTS ${schema};
     CREATE TABLE IF NOT EXISTS ${schema}.mirrored (cluster text, key text, value varchar(100), digest text, PRIMARY KEY (cluster, key))`,
  );
}
