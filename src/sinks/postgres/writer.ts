import type { Database, Log, Session } from './database.ts';
import { failureOf } from './advice.ts';
import { classify, NoTemporaryTables } from './error-class.ts';
import type { ErrorClass } from './error-class.ts';
import { LeaseLost } from './lease.ts';
import type { Lease } from './lease.ts';
import { afterFailure, afterSuccess, nextFlush, nextStep, NO_TROUBLE, secondLook } from './plan.ts';
import type { Pace, Step, Trouble } from './plan.ts';
import { Quarantine } from './quarantine.ts';
import { Reminder } from './reminder.ts';
import type { Target } from './target.ts';

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
  /** Asked in each transaction that writes, or makes a claim, before it ends. Rejects where that may not be. */
  readonly allow?: ((session: Session) => Promise<void>) | undefined;
  readonly target: Target;
  readonly clock: Clock;
  readonly log: Log;
  readonly flushMs: number;
  /** How often the table is read back although nothing speaks against it: somebody else may have changed it. undefined: never. */
  readonly compareEveryMs?: number;
}

/** For metrics; the numbers only grow. */
export interface WriterCounts {
  written: number;
  deleted: number;
  pruned: number;
  comparisons: number;
  flushes: number;
  readonly failures: Record<ErrorClass, number>;
}

/** As long as the last flush may take when the process ends. */
const LAST_FLUSH_MS = 5_000;
/** What cannot be compared yet. */
const LATER_MS = 1_000;
const PRUNE_EVERY_MS = 60_000;
/** Groups that are remembered as dirty beyond twice what there is: then all are compared instead. */
const SPARE = 10_000;
/** Between two times that the lease is taken over from a writer at work: what this process alone knows lasts longer in its memory. */
const TAKE_OVER_EVERY_MS = 60_000;

/**
 * Makes what is in Postgres equal the truth, whatever happens to the database. It holds which groups may differ, never what happened to them,
 * so an outage of any length costs no more than there are groups; after any doubt it reads back and compares. What to do next is
 * decided in `plan.ts`.
 */
export class Writer {
  readonly counts: WriterCounts = {
    written: 0,
    deleted: 0,
    pruned: 0,
    comparisons: 0,
    flushes: 0,
    failures: { connection: 0, 'read-only': 0, full: 0, conflict: 0, timeout: 0, setup: 0, poison: 0 },
  };
  readonly #options: WriterOptions;
  readonly #pace: Pace;
  /** A new one each time, see `Made.news` of the history's target. */
  #dirty = new Set<string>();
  readonly #quarantine: Quarantine;
  #trouble: Trouble = NO_TROUBLE;
  /** How many groups the attempt under way writes. */
  #writing = 0;
  #prepared = false;
  #provenAt = 0;
  #doubt = true;
  /** Of the database's connections, when doubt was last raised for it. */
  #breaks = 0;
  #compareAt = Infinity;
  #flushAt = -Infinity;
  #pruneAt: number;
  /** Infinity: it has taken the lease over, and has claimed nothing since. Who could not is of no use to the others. */
  #takeOverAt = -Infinity;
  /** Since when the table has been behind; undefined: it is not. */
  #behindSince: number | undefined;
  #retryAt = 0;
  #shrunkenSince: number | undefined;
  #copy = true;
  readonly #reminder = new Reminder();
  #failing: ErrorClass | undefined;
  #failingSince: number | undefined;
  #asked = false;
  #wake = new AbortController();

  constructor(options: WriterOptions) {
    this.#options = options;
    this.#quarantine = new Quarantine(options.target.name, options.log);
    this.#pruneAt = options.target.prune ? -Infinity : Infinity;
    this.#pace = { flushMs: options.flushMs, leaseMs: (options.lease?.ttlMs ?? 15_000) / 3 };
  }

  /** Whether this process is the one that writes. */
  get leading(): boolean {
    const { lease } = this.#options;
    return lease === undefined || (lease.held && !this.#rests);
  }

  get dirty(): number {
    return this.#dirty.size;
  }

  get quarantined(): ReadonlyMap<string, string> {
    return this.#quarantine.reasons;
  }

  /** Whether it has asked for the lease since it last lost sight of it, so that `leading` says something. */
  get asked(): boolean {
    return (this.#asked && !this.#rests) || this.#options.lease === undefined;
  }

  /** Of what kind the last attempt's failure was; undefined: it was none, or nothing is attempted. */
  get failing(): ErrorClass | undefined {
    return this.#rests ? undefined : this.#failing;
  }

  /** The truth is not to be believed, so that nothing is done, and the lease has run out: another one may have it. */
  get #rests(): boolean {
    const { target, lease, clock } = this.#options;
    if (target.ready || !this.#prepared) return false;
    return lease?.held !== true || clock.now() - this.#provenAt >= lease.ttlMs;
  }

  /** How long nothing has succeeded that the writer is for; 0: it does. */
  failingMs(): number {
    return this.#failingSince === undefined ? 0 : this.#options.clock.now() - this.#failingSince;
  }

  /** How long the oldest change has not been written; Infinity until the first comparison. */
  lagMs(): number {
    if (this.#flushAt === -Infinity) return Infinity;
    return this.#behindSince === undefined ? 0 : this.#options.clock.now() - this.#behindSince;
  }

  /** Runs until the signal ends it, with one last flush. Never rejects; what it waits for after the signal is broken off in time. */
  async run(signal: AbortSignal): Promise<void> {
    const { target, clock, database, lease } = this.#options;
    let late: NodeJS.Timeout | undefined;
    const limit = (): void => void (late = setTimeout(() => database.breakOff(), LAST_FLUSH_MS));
    signal.addEventListener('abort', limit);
    const stopListening = target.onChange(() => this.#collect());
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
    const { target } = this.#options;
    // A target that makes claims makes a last one.
    const isBehind = this.#dirty.size > 0 || target.claim !== undefined;
    if (this.leading && this.#prepared && !this.#doubt && isBehind && target.ready) {
      await this.#attempt({ kind: 'flush' });
    }
  }

  get #isEqual(): boolean {
    return this.#options.target.ready && !this.#doubt && this.#dirty.size === 0 && this.quarantined.size === 0;
  }

  /** To ask for it can bring changes to light, of which it speaks then: they are collected after it. */
  #claim(): ReturnType<NonNullable<Target['claim']>> | undefined {
    const claim = this.#options.target.claim?.();
    this.#collect();
    return claim;
  }

  #state(): Parameters<typeof nextStep>[0] {
    return {
      ready: this.#options.target.ready,
      prepared: this.#prepared,
      leading: this.leading,
      provenAt: this.#provenAt,
      doubt: this.#doubt,
      compareAt: this.#compareAt,
      dirty: this.#dirty.size,
      flushAt: this.#flushAt,
      retryAt: this.#retryAt,
      pruneAt: this.#pruneAt,
      takeOverAt: this.#takeOverAt,
    };
  }

  /** Takes what has changed out of the truth, before it forgets. */
  #collect(): void {
    const idle = !this.#doubt && this.#dirty.size === 0;
    const { target, database } = this.#options;
    const changed = target.changed();
    if (changed === 'all') this.#doubt = true;
    else for (const group of changed) this.#dirty.add(group);
    if (database.breaks !== this.#breaks) this.#doubt = true;
    this.#breaks = database.breaks;
    if (this.#dirty.size > 2 * target.size + SPARE) this.#doubt = true;
    // In doubt everything is compared anyway; what comes during the comparison is collected again.
    if (this.#doubt) this.#dirty = new Set();
    if (!this.#doubt && this.#dirty.size === 0) return;
    this.#behindSince ??= this.#options.clock.now();
    if (idle) this.#wake.abort();
  }

  async #attempt(step: Exclude<Step, { kind: 'wait' }>): Promise<void> {
    const { clock, lease, database } = this.#options;
    this.#writing = 0;
    try {
      switch (step.kind) {
        case 'prepare':
          await this.#options.prepare();
          this.#prepared = true;
          break;
        case 'acquire':
          await this.#acquire(step.takeOver);
          break;
        case 'prove':
          await database.transaction(async (session) => {
            const claim = this.#claim();
            if (!this.#isEqual) return await lease?.enter(session);
            // Where nothing is left to write, readers see that the rows are fresh.
            if (claim) {
              await lease?.enter(session);
              await this.#options.allow?.(session);
              await claim(session);
            }
            await lease?.leave(session);
          });
          lease?.committed();
          this.#provenAt = clock.now();
          break;
        case 'compare':
          await this.#compare();
          break;
        case 'flush':
          await this.#flush();
          break;
        case 'prune':
          await this.#prune();
          break;
      }
      this.#failing = undefined;
      // Where the schema or the lease is there and the table is not, each attempt begins well.
      const isBeginning = step.kind === 'prepare' || (step.kind === 'acquire' && this.leading);
      if (!isBeginning) this.#failingSince = undefined;
      if (step.kind === 'compare' || step.kind === 'flush') this.#reminder.forget();
    } catch (error) {
      this.#failed(error);
    }
  }

  async #acquire(mayTakeOver: boolean): Promise<void> {
    const { database, lease, target, clock, log, allow } = this.#options;
    let isTakenOver = false;
    const takesOver = async (session: Session): Promise<boolean> => {
      isTakenOver = (await target.misses?.(session)) === true;
      if (isTakenOver) await allow?.(session);
      return isTakenOver;
    };
    if (await lease?.acquire(database, mayTakeOver && target.misses ? takesOver : undefined)) {
      this.#doubt = true;
      this.#provenAt = clock.now();
      if (isTakenOver) {
        this.#takeOverAt = Infinity;
        log.info({ table: target.name }, 'this process knows what the one that writes does not: it takes over');
      }
      // After a fault it asks anew for what it has: nothing has begun.
      if (lease?.isResumed === false) log.info({ table: target.name }, 'this process writes the table now');
    } else this.#retryAt = clock.now() + this.#pace.leaseMs;
    this.#asked = true;
  }

  async #compare(): Promise<void> {
    const { database, lease, target, clock, log } = this.#options;
    const kept = lease?.keep(database);
    try {
      this.#dirty = new Set();
      // From here on whatever changes is collected again.
      this.#doubt = false;
      const found = await database.transaction(async (session) => await target.compare(session));
      const now = clock.now();
      if (found === 'later') {
        this.#retryAt = now + LATER_MS;
        this.#doubt = true;
        return;
      }
      this.counts.comparisons++;
      const again = secondLook(found.gone.size, found.groups, this.#shrunkenSince, now);
      if (again !== undefined) {
        log.warn(
          { table: target.name, rows: found.groups, gone: found.gone.size },
          'more than half of the rows would go: looking again first',
        );
        this.#shrunkenSince ??= now;
        this.#retryAt = now + again;
        this.#doubt = true;
        return;
      }
      this.#shrunkenSince = undefined;
      this.#compareAt = now + (this.#options.compareEveryMs ?? Infinity);
      for (const group of found.differing) this.#dirty.add(group);
      for (const group of found.gone) this.#dirty.add(group);
      this.#quarantine.clear();
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
    const { database, lease, target, clock } = this.#options;
    const claim = this.#claim();
    // What differs is not known any more: nothing may be claimed.
    if (this.#doubt) return;
    const began = clock.now();
    const beside = target.beside?.();
    const written = this.#dirty;
    const groups = [...written];
    const since = this.#behindSince;
    this.#dirty = new Set();
    this.#behindSince = undefined;
    this.#writing = groups.length;
    const kept = lease?.keep(database);
    let isWhole = false;
    try {
      const { batch, careful } = this.#trouble;
      const done = await database.transaction(
        async (session) =>
          await target.flush(session, groups, {
            batch,
            copy: this.#copy,
            careful,
            enter: async (own: Session) => {
              await kept?.stop();
              await lease?.enter(own);
            },
            leave: async (own: Session, poison: ReadonlyMap<string, string>) => {
              await this.#options.allow?.(own);
              const left = this.#quarantine.after(written, poison);
              await beside?.(own, left);
              // What lacks a row is neither whole nor fresh.
              isWhole = left.size === 0;
              if (!isWhole) return await lease?.enter(own);
              await claim?.(own);
              await lease?.leave(own);
            },
          }),
      );
      lease?.committed();
      done.committed?.();
      this.#quarantine.settle(groups, done.poison);
      this.counts.written += done.written;
      this.counts.deleted += done.deleted;
      this.counts.flushes++;
      this.#provenAt = clock.now();
      this.#flushAt = nextFlush(began, this.#provenAt, this.#pace);
      if (isWhole && this.#takeOverAt === Infinity) this.#takeOverAt = this.#provenAt + TAKE_OVER_EVERY_MS;
      this.#trouble = afterSuccess(this.#trouble);
    } catch (error) {
      for (const group of groups) this.#dirty.add(group);
      this.#behindSince = since ?? clock.now();
      throw error;
    } finally {
      await kept?.stop();
    }
  }

  async #prune(): Promise<void> {
    const { database, lease, target, clock } = this.#options;
    const { deleted, more } = await database.transaction(async (session) => {
      await lease?.enter(session);
      return (await target.prune?.(session)) ?? { deleted: 0, more: false };
    });
    lease?.committed();
    this.counts.pruned += deleted;
    this.#provenAt = clock.now();
    this.#pruneAt = more ? -Infinity : clock.now() + PRUNE_EVERY_MS;
  }

  #failed(error: unknown): void {
    const { clock, log, lease, target, database } = this.#options;
    const now = clock.now();
    if (error instanceof LeaseLost) {
      log.warn(
        { table: target.name },
        'the lease is lost: another process writes the table now, or an older state was restored',
      );
      this.#doubt = true;
      return;
    }
    const failure = classify(error);
    this.counts.failures[failure]++;
    this.#failing = failure;
    this.#failingSince ??= now;
    // No right to temporary tables, or an engine that has none: arrays do it too.
    if (error instanceof NoTemporaryTables) {
      this.#copy = false;
      log.warn({ table: target.name, ...failureOf(error) }, 'there are no temporary tables here: going on with arrays');
      return;
    }
    const { trouble, delayMs, doubt, unprepared } = afterFailure(this.#trouble, failure, this.#writing, clock.random());
    this.#trouble = trouble;
    this.#retryAt = now + delayMs;
    if (doubt) {
      this.#doubt = true;
      this.#asked = false;
    }
    if (unprepared) this.#prepared = false;
    // Whether the lease is still ours is asked again, not believed.
    if (doubt) lease?.forget();
    if (!this.#reminder.isDue(error, now)) return;
    log.error(
      { table: target.name, database: database.place, ...failureOf(error) },
      'Postgres cannot be written: trying again',
    );
  }
}
