import { failureOf } from '../postgres/advice.ts';
import type { Database, Log } from '../postgres/database.ts';
import { classify, INSUFFICIENT_PRIVILEGE, OlderSchema, sqlState } from '../postgres/error-class.ts';
import { Lease } from '../postgres/lease.ts';
import { migrate } from '../postgres/migrate.ts';
import { Reminder } from '../postgres/reminder.ts';
import { problemOf } from '../postgres/standing.ts';
import { mirrored } from '../postgres/target.ts';
import { Writer } from '../postgres/writer.ts';
import type { Clock } from '../postgres/writer.ts';
import { AbandonedRows } from './abandoned-rows.ts';
import type { AbandonedRowsOptions } from './abandoned-rows.ts';
import { DETAIL_COLUMNS } from './pod-details.ts';
import { prepareTable } from './table.ts';
import type { TableName } from './table-name.ts';
import { mirroredTable } from './truth.ts';
import type { MirrorTruth } from './truth.ts';

export interface EndpointMirrorOptions {
  readonly database: Database;
  readonly truth: MirrorTruth;
  readonly clock: Clock;
  readonly log: Log;
  /** Nobody else's, ever. */
  readonly holder: string;
  readonly cluster: string;
  readonly table: TableName;
  /** Whether the truth tells more of the pods, in columns of their own. */
  readonly enriched: boolean;
  /** What of the cluster it mirrors, in words; empty: all. Whoever mirrors something else into the same table has a lease of its own. */
  readonly part: string;
  /** Of podwhois' own tables, where the lease is. */
  readonly schema: string;
  readonly requeueAfterMs: number;
  /** Where not all namespaces are watched: which are, and whom to ask about the Services of others. */
  readonly partial?: Pick<AbandonedRowsOptions, 'namespaces' | 'lookup'> | undefined;
}

/** How often changes are written at most: a rollout's come in bursts. */
const FLUSH_MS = 250;
/** Before Postgres has said once whether there can be a lease: first pause and longest. */
const PAUSES = [500, 8_000] as const;

/** How it stands with what is kept in Postgres; `problem` is for everybody to read. */
export interface MirrorState {
  readonly lease: 'unknown' | 'held' | 'elsewhere' | 'none';
  readonly problem: string | undefined;
  /** How long the oldest change has not been written; Infinity until the table was compared once. */
  readonly lagMs: number;
  readonly quarantined: number;
  /** What becomes of rows in namespaces that are not watched; undefined: all are. */
  readonly abandoned: string | undefined;
}

/**
 * Mirrors the truth into the table until it is stopped. One process writes: by a lease, where the role may have a schema for it; else
 * as the observer did, without, and two that run at once write the same.
 */
export class EndpointMirror {
  readonly #options: EndpointMirrorOptions;
  #writer: Writer | undefined;
  #abandoned: AbandonedRows | undefined;
  #hasLease = false;
  #problem: string | undefined;
  /** Of the attempts before there is a writer, which counts its own. */
  readonly #early = new Map<string, number>();

  constructor(options: EndpointMirrorOptions) {
    this.#options = options;
  }

  get state(): MirrorState {
    const writer = this.#writer;
    if (writer === undefined) {
      return { lease: 'unknown', problem: this.#problem, lagMs: Infinity, quarantined: 0, abandoned: undefined };
    }
    const held = writer.leading ? 'held' : 'elsewhere';
    const lease = this.#hasLease ? held : 'none';
    return {
      lease: writer.asked ? lease : 'unknown',
      problem: problemOf({ failing: writer.failing, failingMs: writer.failingMs() }),
      lagMs: writer.lagMs(),
      quarantined: writer.quarantined.size,
      abandoned: this.#abandoned?.remark,
    };
  }

  /** Rows, since the start. */
  get counts(): { readonly written: number; readonly deleted: number } {
    const { written, deleted } = this.#writer?.counts ?? { written: 0, deleted: 0 };
    return { written, deleted: deleted + (this.#abandoned?.deleted ?? 0) };
  }

  /** Attempts to reach Postgres or to write that failed, by kind. */
  get failures(): ReadonlyMap<string, number> {
    const own = Object.entries(this.#writer?.counts.failures ?? {});
    const all = new Map(this.#early);
    for (const [kind, count] of own) all.set(kind, count + (all.get(kind) ?? 0));
    return all;
  }

  /** Runs until the signal ends it, with one last flush. */
  async run(signal: AbortSignal): Promise<void> {
    const lease = await this.#findLease(signal);
    if (lease === 'stopped') return;
    const { database, table, enriched, cluster, schema, truth, clock, log, partial, requeueAfterMs } = this.#options;
    this.#hasLease = lease !== undefined;
    const writer = new Writer({
      database,
      lease,
      prepare: async () => {
        if (lease) await prepareLease(database, schema);
        await prepareTable(database, table, enriched ? DETAIL_COLUMNS : []);
      },
      target: mirrored(mirroredTable(table, cluster, { enriched }), truth),
      clock,
      log,
      flushMs: FLUSH_MS,
      compareEveryMs: requeueAfterMs,
    });
    this.#writer = writer;
    // Nothing is done for what the table has besides before it has been compared once.
    const mayWrite = (): boolean => writer.leading && truth.ready && writer.lagMs() < Infinity;
    this.#abandoned =
      partial && new AbandonedRows({ database, lease, table, cluster, ...partial, mayWrite, clock, log });
    // Not waited for at the end: it has nothing to finish, and what it waits for is broken off when the database is closed.
    void this.#abandoned?.run(signal, requeueAfterMs);
    await writer.run(signal);
  }

  /** Asks until Postgres answers. undefined: the role may not create the schema, or not look into it. */
  async #findLease(signal: AbortSignal): Promise<Lease | 'stopped' | undefined> {
    const { database, schema, cluster, table, part, holder, clock, log } = this.#options;
    const sink = `endpoint-mirror ${table.text}${part}`;
    const [first, longest] = PAUSES;
    const reminder = new Reminder();
    for (let pause: number = first; !signal.aborted; pause = Math.min(longest, 2 * pause)) {
      try {
        await prepareLease(database, schema);
        return new Lease({ schema, cluster, sink, holder });
      } catch (error) {
        if (sqlState(error) === INSUFFICIENT_PRIVILEGE) {
          log.warn({ schema }, 'no right to a schema of its own: running without a lease, so only one may run');
          return undefined;
        }
        const kind = classify(error);
        this.#early.set(kind, 1 + (this.#early.get(kind) ?? 0));
        this.#problem = 'Postgres does not answer as it should, see the log';
        if (reminder.isDue(error, clock.now())) {
          log.error({ database: database.place, ...failureOf(error) }, 'Postgres cannot be used yet');
        }
        await clock.sleep(pause, signal);
      }
    }
    return 'stopped';
  }
}

/** Of the schema the mirror needs `leases` alone: whoever may not make the rest does not wait for it, and not without a lease. */
async function prepareLease(database: Database, schema: string): Promise<void> {
  try {
    await migrate(database, schema);
  } catch (error) {
    if (!(error instanceof OlderSchema) || error.missing.includes('leases')) throw error;
  }
}
