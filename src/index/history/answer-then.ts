import { answer } from '../answer.ts';
import type { Answer, NoneReason, View } from '../answer.ts';
import { holderOf, isHeld } from './interval.ts';
import type { Held, Holder, Interval, Moment, Tenure } from './interval.ts';
import type { Hole, Unwatched } from './unwatched.ts';

/** Who answered for an address at a moment that has passed. */
export type Then =
  /** `inferred`: nobody was watching, and the same pod, and nobody else, is known to have held it before and after. */
  | { readonly kind: 'one'; readonly tenure: Tenure; readonly inferred: boolean }
  | { readonly kind: 'ambiguous'; readonly candidates: readonly Holder[] }
  | { readonly kind: 'none'; readonly reason: NoneReason }
  /** Nobody was watching, or what was there could not be read. Who held it last before, and first after, as far as is known. */
  | { readonly kind: 'not-observed'; readonly before: Tenure | undefined; readonly after: Tenure | undefined }
  | { readonly kind: 'beyond-retention' };

export interface Known {
  /** Those of one address, as far back as is needed: see `backTo`. In no order. */
  readonly intervals: readonly Interval[];
  readonly unwatched: Unwatched;
  /** From here on nothing has been dropped. */
  readonly reach: Moment;
  readonly view: View;
  /** A node's address is so for long: what is known of it is how it is now. */
  readonly isHostIp: (ip: string) => boolean;
}

/** How far back the intervals of an address must be known to say how it was at a moment. */
export function backTo(unwatched: Unwatched, moment: Moment): Moment {
  return unwatched.around(moment)?.from ?? moment;
}

/** Rules A as they stood then. The moment must not lie in the future. */
export function answerThen(ip: string, moment: Moment, known: Known): Then {
  if (moment < known.reach) return BEYOND;
  const { intervals, unwatched } = known;
  const hole = unwatched.around(moment);
  if (hole) {
    const same = sameSince(ip, moment, hole, known);
    return same ? one(same, known, true) : notObserved(moment, known);
  }
  const at = intervals.filter((interval) => covers(interval, moment));
  const found = answerOf(ip, at, known);
  if (found.kind === 'one') return one(found.pod, known, false);
  return found.kind === 'unreadable' ? notObserved(moment, known) : toHolders(found);
}

/** How long the pod of an interval held the address. */
export function tenureOf({ ip, holder, heldFrom }: Held, last: Interval, unwatched: Unwatched): Tenure {
  const until = last.until === undefined ? undefined : unwatched.ending(heldFrom, last.until);
  return { ip, holder, from: unwatched.beginning(heldFrom), until };
}

/** An interval as a claimant of the present is: `answer` looks at nothing else. */
interface Claim extends Holder {
  readonly interval: Held;
}

function answerOf(ip: string, at: readonly Interval[], { view, isHostIp }: Known): Answer<Claim> {
  const claims = at.filter(isHeld).map((interval): Claim => ({ ...holderOf(interval.holder), interval }));
  const isUnreadable = at.some(({ holder }) => holder === undefined);
  return answer({ holders: () => claims, isHostIp, isUnreadable: () => isUnreadable }, ip, view);
}

/**
 * The claim that answered when anything was heard last up to a moment in a hole, and whenever anything was heard from then to its end. Nothing
 * is heard of before it happens: what was heard up to the moment was over by then, what was heard later may have been so already.
 */
function sameSince(ip: string, moment: Moment, { from, until }: Hole, known: Known): Claim | undefined {
  if (from === -Infinity || until === undefined) return undefined;
  const touching = known.intervals.filter(
    (interval) => interval.from <= until && (interval.until === undefined || interval.until >= from),
  );
  const heard = touching.flatMap((one) => [one.from, one.until ?? until]).filter((at) => at > from && at < until);
  const since = heard.filter((at) => at <= moment).reduce((a, b) => Math.max(a, b), from);
  let same: Claim | undefined;
  for (const at of new Set([since, ...heard.filter((one) => one > moment), until])) {
    const there = touching.filter((one) => covers(one, at));
    // One that was gone as soon as it was heard of did hold the address for some time.
    const passing = touching.filter((one) => one.from === at && one.until === at && at > since && !one.goesOn);
    for (const claimants of passing.length === 0 ? [there] : [there, [...there, ...passing]]) {
      const found = answerOf(ip, claimants, known);
      if (found.kind !== 'one' || (same && same.uid !== found.pod.uid)) return undefined;
      same ??= found.pod;
    }
  }
  return same;
}

function notObserved(moment: Moment, { intervals, unwatched }: Known): Then {
  let before: Held | undefined;
  let after: Held | undefined;
  /** Until when it is known to have gone on. */
  const endOf = ({ from, until }: Held): Moment => (until === undefined ? Infinity : unwatched.ending(from, until).at);
  for (const interval of intervals.filter(isHeld)) {
    if (interval.from <= moment && isNearer(interval, before, -endOf(interval), before && -endOf(before)))
      before = interval;
    if (endOf(interval) > moment && isNearer(interval, after, interval.from, after?.from)) after = interval;
  }
  const tenure = (one: typeof before): Tenure | undefined => one && tenureOf(one, lastOf(one, intervals), unwatched);
  return { kind: 'not-observed', before: tenure(before), after: tenure(after) };
}

/** Of two that are equally near, always the same one. */
function isNearer(a: Held, b: Held | undefined, ofA: Moment, ofB: Moment = Infinity): boolean {
  return b === undefined || ofA < ofB || (ofA === ofB && a.holder.uid < b.holder.uid);
}

function one({ interval }: Claim, { intervals, unwatched }: Known, inferred: boolean): Then {
  return { kind: 'one', tenure: tenureOf(interval, lastOf(interval, intervals), unwatched), inferred };
}

function toHolders(found: Exclude<Answer<Claim>, { kind: 'one' | 'unreadable' }>): Then {
  if (found.kind === 'none') return found;
  return { kind: 'ambiguous', candidates: found.candidates.map(({ interval }) => interval.holder) };
}

/** The interval in which the pod's hold of the address ends. */
function lastOf(interval: Interval, intervals: readonly Interval[]): Interval {
  if (!interval.goesOn) return interval;
  const { from, heldFrom, holder } = interval;
  const later = intervals.filter(
    (one) => one.heldFrom === heldFrom && one.holder?.uid === holder?.uid && one.from >= from,
  );
  const ends = ({ until }: Interval): Moment => until ?? Infinity;
  return later.find((one) => !one.goesOn) ?? later.reduce((a, b) => (ends(a) < ends(b) ? b : a), interval);
}

const covers = ({ from, until }: Interval, moment: Moment): boolean =>
  from <= moment && (until === undefined || moment < until);

const BEYOND: Then = Object.freeze({ kind: 'beyond-retention' });
