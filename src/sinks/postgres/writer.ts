import { compare } from './compare.ts';
import type { Database, Log, Session } from './database.ts';
import { advice, classify, sqlState } from './error-class.ts';
import type { ErrorClass } from './error-class.ts';
import { flush } from './flush.ts';
import { LeaseLost } from './lease.ts';
import type { Lease } from './lease.ts';
import type { MirroredTable, Truth } from './mirrored-table.ts';
import { afterFailure, afterSuccess, nextStep, NO_TROUBLE, secondLook } from './plan.ts';
import type { Pace, Step, Trouble } from './plan.ts';
import { statementsOf } from './statements.ts';
import type { Statements } from './statements.ts';

export interface Clock {
  now(): number;
  sleep(ms: number, signal: AbortSignal): Promise<void>;
  random(): number;
}

export interface WriterOptions {
  readonly database: Database;
  /** undefined: where there is no schema for one. Then nobody may write the same rows besides. */
  readonly lease: Lease | undefined;
  /** Brings the schema to what is needed; called at the start, and again after whatever a person must put right. */
  readonly prepare: () => Promise<void>;
  readonly table: MirroredTable;
  readonly truth: Truth;
  readonly clock: Clock;
  readonly log: Log;
  readonly flushMs: number;
}

/** For metrics; the numbers only grow. */
export interface WriterCounts {
  written: number;
  deleted: number;
  comparisons: number;
  flushes: number;
  readonly failures: Record<ErrorClass, number>;
}

/** As long as the last flush may take when the process ends. */
const LAST_FLUSH_MS = 5_000;
/** What stays wrong is said again this often. */
const REMIND_MS = 60_000;
/** Groups that are remembered as dirty beyond twice what there is: then all are compared instead. */
const SPARE = 10_000;

/**
 * Makes one table equal the truth, whatever happens to the database. It holds which groups may differ, never what happened to them,
 * so an outage of any length costs no more than there are groups; after any doubt it reads back and compares. What to do next is
 * decided in `plan.ts`.
 */
export class Writer {
  readonly counts: WriterCounts = {
    written: 0,
    deleted: 0,
    comparisons: 0,
    flushes: 0,
    failures: { connection: 0, 'read-only': 0, full: 0, conflict: 0, timeout: 0, setup: 0, poison: 0 },
  };
  readonly #options: WriterOptions;
  readonly #statements: Statements;
  readonly #pace: Pace;
  readonly #dirty = new Set<string>();
  /** What Postgres would not take, and why; tried again when it changes. */
  readonly #poison = new Map<string, string>();
  #trouble: Trouble = NO_TROUBLE;
  /** How many groups the attempt under way writes. */
  #writing = 0;
  #prepared = false;
  #provenAt = 0;
  #doubt = true;
  #flushedAt = -Infinity;
  /** Since when the table has been behind; undefined: it is not. */
  #behindSince: number | undefined;
  #retryAt = 0;
  #shrunkenSince: number | undefined;
  #copy = true;
  #said = '';
  #saidAt = 0;
  #failing: ErrorClass | undefined;
  #asked = false;
  #wake = new AbortController();

  constructor(options: WriterOptions) {
    this.#options = options;
    this.#statements = statementsOf(options.table);
    this.#pace = { flushMs: options.flushMs, leaseMs: (options.lease?.ttlMs ?? 15_000) / 3 };
  }

  /** Whether this process is the one that writes. */
  get leading(): boolean {
    return this.#options.lease?.held ?? true;
  }

  get dirty(): number {
    return this.#dirty.size;
  }

  get quarantined(): ReadonlyMap<string, string> {
    return this.#poison;
  }

  /** Whether it has been asked for the lease once, so that `leading` says something. */
  get asked(): boolean {
    return this.#asked || this.#options.lease === undefined;
  }

  /** Of what kind the last attempt's failure was; undefined: it was none. */
  get failing(): ErrorClass | undefined {
    return this.#failing;
  }

  /** How long the oldest change has not been written; Infinity until the first comparison. */
  lagMs(): number {
    if (this.#flushedAt === -Infinity) return Infinity;
    return this.#behindSince === undefined ? 0 : this.#options.clock.now() - this.#behindSince;
  }

  /** Runs until the signal ends it, with one last flush. Never rejects; what it waits for after the signal is broken off in time. */
  async run(signal: AbortSignal): Promise<void> {
    const { truth, clock, database, lease } = this.#options;
    let late: NodeJS.Timeout | undefined;
    const limit = (): void => void (late = setTimeout(() => database.breakOff(), LAST_FLUSH_MS));
    signal.addEventListener('abort', limit);
    const stopListening = truth.onChange(() => this.#collect());
    try {
      while (!signal.aborted) {
        this.#collect();
        const step = nextStep(this.#state(), clock.now(), this.#pace);
        if (step.kind === 'wait') {
          this.#wake = new AbortController();
          await clock.sleep(step.ms, AbortSignal.any([signal, this.#wake.signal]));
        } else await this.#attempt(step);
      }
      await this.#last();
      await lease?.release(database).catch(() => undefined); // it runs out by itself
    } finally {
      clearTimeout(late);
      signal.removeEventListener('abort', limit);
      stopListening();
    }
  }

  async #last(): Promise<void> {
    this.#collect();
    if (this.leading && this.#prepared && !this.#doubt && this.#dirty.size > 0 && this.#options.truth.ready) {
      await this.#attempt({ kind: 'flush' });
    }
  }

  get #isEqual(): boolean {
    return this.#options.truth.ready && !this.#doubt && this.#dirty.size === 0 && this.#poison.size === 0;
  }

  #state(): Parameters<typeof nextStep>[0] {
    return {
      ready: this.#options.truth.ready,
      prepared: this.#prepared,
      leading: this.leading,
      provenAt: this.#provenAt,
      doubt: this.#doubt,
      dirty: this.#dirty.size,
      flushedAt: this.#flushedAt,
      retryAt: this.#retryAt,
    };
  }

  /** Takes what has changed out of the truth, before it forgets. */
  #collect(): void {
    const idle = !this.#doubt && this.#dirty.size === 0;
    const changed = this.#options.truth.changed();
    if (changed === 'all') this.#doubt = true;
    else for (const group of changed) this.#dirty.add(group);
    if (this.#dirty.size > 2 * this.#options.truth.size + SPARE) this.#doubt = true;
    // In doubt everything is compared anyway; what comes during the comparison is collected again.
    if (this.#doubt) this.#dirty.clear();
    if (!this.#doubt && this.#dirty.size === 0) return;
    this.#behindSince ??= this.#options.clock.now();
    if (idle) this.#wake.abort();
  }

  async #attempt(step: Exclude<Step, { kind: 'wait' }>): Promise<void> {
    const { clock, lease, database, log } = this.#options;
    this.#writing = 0;
    try {
      switch (step.kind) {
        case 'prepare':
          await this.#options.prepare();
          this.#prepared = true;
          break;
        case 'acquire':
          if (await lease?.acquire(database)) {
            this.#doubt = true;
            this.#provenAt = clock.now();
            log.info({ table: this.#options.table.name }, 'this process writes the table now');
          } else this.#retryAt = clock.now() + this.#pace.leaseMs;
          this.#asked = true;
          break;
        case 'prove':
          await database.transaction(async (session) => {
            // Where nothing is left to write, readers see that the rows are fresh.
            if (this.#isEqual) await lease?.leave(session);
            else await lease?.enter(session);
          });
          this.#provenAt = clock.now();
          break;
        case 'compare':
          await this.#compare();
          break;
        case 'flush':
          await this.#flush();
          break;
      }
      this.#failing = undefined;
      if (step.kind === 'compare' || step.kind === 'flush') this.#said = '';
    } catch (error) {
      this.#failed(error);
    }
  }

  async #compare(): Promise<void> {
    const { database, lease, table, truth, clock, log } = this.#options;
    const statements = this.#statements;
    const kept = lease?.keep(database);
    try {
      this.#dirty.clear();
      // From here on whatever changes is collected again.
      this.#doubt = false;
      const found = await database.transaction(async (session) => await compare(session, { table, statements, truth }));
      this.counts.comparisons++;
      const now = clock.now();
      const gone = [...found.gone].filter((group) => truth.mayDelete?.(group) ?? true);
      const again = secondLook(gone.length, found.groups, this.#shrunkenSince, now);
      if (again !== undefined) {
        log.warn(
          { table: table.name, rows: found.groups, gone: gone.length },
          'more than half of the rows would go: looking again first',
        );
        this.#shrunkenSince ??= now;
        this.#retryAt = now + again;
        this.#doubt = true;
        return;
      }
      this.#shrunkenSince = undefined;
      for (const group of found.differing) this.#dirty.add(group);
      for (const group of gone) this.#dirty.add(group);
      this.#poison.clear();
    } catch (error) {
      this.#doubt = true;
      throw error;
    } finally {
      await kept?.stop();
    }
    this.#trouble = { ...this.#trouble, failures: 0 };
    // Also when nothing differs: it proves the lease, and tells readers how fresh the rows are.
    await this.#flush();
  }

  async #flush(): Promise<void> {
    const { database, lease, table, truth, clock, log } = this.#options;
    const groups = [...this.#dirty];
    const since = this.#behindSince;
    this.#dirty.clear();
    this.#behindSince = undefined;
    this.#writing = groups.length;
    const kept = lease?.keep(database);
    try {
      const { batch, careful } = this.#trouble;
      const done = await database.transaction(
        async (session) =>
          await flush(session, groups, {
            table,
            statements: this.#statements,
            rows: (group) => truth.rows(group),
            mayDelete: (group) => truth.mayDelete?.(group) ?? true,
            batch,
            copy: this.#copy,
            careful,
            enter: async (own: Session) => {
              await kept?.stop();
              await lease?.enter(own);
            },
            leave: async (own: Session) => await lease?.leave(own),
          }),
      );
      for (const group of groups) this.#poison.delete(group);
      for (const [group, reason] of done.poison) {
        this.#poison.set(group, reason);
        log.error(
          { table: table.name, row: group, reason },
          'Postgres does not take a row: it is left out until it changes',
        );
      }
      this.counts.written += done.written;
      this.counts.deleted += done.deleted;
      this.counts.flushes++;
      this.#flushedAt = this.#provenAt = clock.now();
      this.#trouble = afterSuccess(this.#trouble);
    } catch (error) {
      for (const group of groups) this.#dirty.add(group);
      this.#behindSince = since ?? clock.now();
      throw error;
    } finally {
      await kept?.stop();
    }
  }

  #failed(error: unknown): void {
    const { clock, log, lease, table, database } = this.#options;
    const now = clock.now();
    if (error instanceof LeaseLost) {
      log.warn({ table: table.name }, 'another process writes the table now');
      this.#doubt = true;
      return;
    }
    const failure = classify(error);
    this.counts.failures[failure]++;
    this.#failing = failure;
    // No right to temporary tables, or an engine that has none: arrays do it too.
    if (this.#copy && isAboutTemporaryTables(error)) {
      this.#copy = false;
      log.warn({ table: table.name, err: error }, 'there are no temporary tables here: going on with arrays');
      return;
    }
    const { trouble, delayMs, doubt, unprepared } = afterFailure(this.#trouble, failure, this.#writing, clock.random());
    this.#trouble = trouble;
    this.#retryAt = now + delayMs;
    if (doubt) this.#doubt = true;
    if (unprepared) this.#prepared = false;
    // Whether the lease is still ours is asked again, not believed.
    if (doubt) lease?.forget();
    const key = `${failure} ${sqlState(error)}`;
    if (key === this.#said && now - this.#saidAt < REMIND_MS) return;
    [this.#said, this.#saidAt] = [key, now];
    log.error(
      { table: table.name, database: database.place, err: error, advice: advice(error) },
      'Postgres cannot be written: trying again',
    );
  }
}

const isAboutTemporaryTables = (error: unknown): boolean =>
  ['42501', '0A000', '42601'].includes(sqlState(error) ?? '') && /\btemp(orary)?\b/i.test((error as Error).message);
