import type { ErrorClass } from './error-class.ts';

/** What the writer knows. Times are those of its clock, in milliseconds. */
export interface State {
  /** The truth may be believed. */
  readonly ready: boolean;
  /** The schema is as this version needs it. */
  readonly prepared: boolean;
  readonly leading: boolean;
  /** When the lease was last proven. */
  readonly provenAt: number;
  /** Nobody knows what is in the table: it is to be read back. */
  readonly doubt: boolean;
  /** When it is to be read back although nothing speaks against it. */
  readonly compareAt: number;
  /** Groups that may differ. */
  readonly dirty: number;
  /** No flush before. */
  readonly flushAt: number;
  /** Nothing is tried before. */
  readonly retryAt: number;
  /** When what is too old is to be deleted. */
  readonly pruneAt: number;
  /** The lease of a writer at work is not taken over before. */
  readonly takeOverAt: number;
}

export interface Pace {
  /** How often changes are written, see `nextFlush`. */
  readonly flushMs: number;
  /** The lease is proven this often, and asked for this often by who has it not. */
  readonly leaseMs: number;
}

export type Step =
  | { readonly kind: 'wait'; readonly ms: number }
  | { readonly kind: 'prepare' | 'compare' | 'flush' | 'prove' | 'prune' }
  /** Whether also from a writer at work, who does not know what this process knows. */
  | { readonly kind: 'acquire'; readonly takeOver: boolean };

/** What to do next. */
export function nextStep(state: State, now: number, { leaseMs }: Pace): Step {
  if (now < state.retryAt) return wait(state.retryAt - now);
  if (!state.prepared) return { kind: 'prepare' };
  // Whoever does not know how it is lets the lease run out, for somebody who may know.
  if (!state.ready) return wait(UNREADY_MS);
  if (!state.leading) return { kind: 'acquire', takeOver: now >= state.takeOverAt };
  const compareIn = state.doubt ? 0 : state.compareAt - now;
  if (compareIn <= 0) return { kind: 'compare' };
  const flushIn = state.dirty > 0 ? state.flushAt - now : Infinity;
  if (flushIn <= 0) return { kind: 'flush' };
  const proveIn = state.provenAt + leaseMs - now;
  if (proveIn <= 0) return { kind: 'prove' };
  const pruneIn = state.pruneAt - now;
  if (pruneIn <= 0) return { kind: 'prune' };
  return wait(Math.min(compareIn, flushIn, proveIn, pruneIn));
}

/** What a flush may take before the next one begins earlier. A row is behind by an interval and what a flush takes: a second is allowed for that. */
const FLUSH_TAKES_MS = 750;
/** So much earlier at most: an interval is there to spare the database. */
const EARLIER_MS = 500;

/**
 * When the next flush may begin: an interval after the last one began, and as much earlier as that one took too long. A slow database rests in
 * between: as long as it worked, an interval at most. So with intervals of 3 s rows are at most 4 s behind while flushes take up to 1.33 s.
 */
export function nextFlush(began: number, ended: number, { flushMs }: Pace): number {
  const took = ended - began;
  const earlier = Math.min(Math.max(0, took - FLUSH_TAKES_MS), EARLIER_MS);
  return Math.max(began + flushMs - earlier, ended + Math.min(took, flushMs));
}

/** How often it is asked whether the truth may be believed. */
const UNREADY_MS = 1_000;

const wait = (ms: number): Step => ({ kind: 'wait', ms });

/** How it went so far, as far as it says how to go on. */
export interface Trouble {
  /** Failures since the last success. */
  readonly failures: number;
  /** Groups in one statement. */
  readonly batch: number;
  /** A value was refused: look for it. */
  readonly careful: boolean;
}

/** Each takes a fraction of a second, so that a machine ten times as slow still keeps the time limits. */
export const MOST_AT_ONCE = 10_000;
/** What is not answered at all is seldom the batch's fault, so it is not made smaller than this. */
const LEAST_UNANSWERED = 1_000;
export const NO_TROUBLE: Trouble = { failures: 0, batch: MOST_AT_ONCE, careful: false };

export interface Consequence {
  readonly trouble: Trouble;
  readonly delayMs: number;
  /** What was committed is not known. */
  readonly doubt: boolean;
  /** The schema is to be looked at again. */
  readonly unprepared: boolean;
}

/** First delay, doubled by every further failure, and the longest. The promise is 30 s after the last fault: see faults.md. */
const DELAYS: Readonly<Record<ErrorClass, readonly [number, number]>> = {
  connection: [250, 8_000],
  'read-only': [500, 8_000],
  full: [2_000, 10_000],
  conflict: [50, 2_000],
  timeout: [100, 1_000],
  setup: [2_000, 10_000],
  poison: [0, 5_000],
};

/** What follows from a failure to write so many groups; `random` in [0, 1) spreads what several writers do. */
export function afterFailure(trouble: Trouble, failure: ErrorClass, groups: number, random: number): Consequence {
  const [first, longest] = DELAYS[failure];
  // A poisonous value is looked for at once; when that fails too, not at once again.
  const base = failure === 'poison' && trouble.careful ? 500 : first;
  const delayMs = Math.min(longest, base * 2 ** Math.min(trouble.failures, 20)) * (0.5 + random / 2);
  return {
    trouble: {
      failures: trouble.failures + 1,
      batch: smaller(trouble.batch, failure, groups),
      careful: trouble.careful || failure === 'poison',
    },
    delayMs,
    doubt: failure === 'connection' || failure === 'read-only' || failure === 'setup',
    unprepared: failure === 'setup',
  };
}

function smaller(batch: number, failure: ErrorClass, groups: number): number {
  // What waits for the lease or reads back can take too long as well: that says nothing of the batch.
  if (failure === 'timeout') return groups === 0 ? batch : Math.max(1, Math.floor(Math.min(batch, groups) / 2));
  // A client-side time limit looks like a broken connection.
  return failure === 'connection' ? Math.max(Math.min(batch, LEAST_UNANSWERED), Math.floor(batch / 2)) : batch;
}

/** Grows back what a timeout has halved. */
export function afterSuccess(trouble: Trouble): Trouble {
  return { ...NO_TROUBLE, batch: Math.min(MOST_AT_ONCE, trouble.batch * 2) };
}

/** From so many groups on a loss of more than half is looked at twice, as the watcher does with lists (rule B9). */
const FEW = 5;
const SECOND_LOOK_MS = 1_000;

/**
 * Whether a comparison that would delete so many of so many groups is to be made again before anything is deleted: undefined when it
 * may go on. `since` is when the first of such comparisons in a row was made.
 */
export function secondLook(gone: number, groups: number, since: number | undefined, now: number): number | undefined {
  if (groups < FEW || gone * 2 <= groups) return undefined;
  const left = (since ?? now) + SECOND_LOOK_MS - now;
  return left > 0 ? left : undefined;
}
