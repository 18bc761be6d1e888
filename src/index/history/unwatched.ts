import type { ResourceVersion } from '../../pod.ts';
import type { Bound, Moment } from './interval.ts';
import type { Stretch } from './piece.ts';

/** A time in which nobody was watching. What was heard at `until` was true then; what changed between is not known. */
export interface Hole {
  /** -Infinity: before the first. */
  readonly from: Moment;
  /** undefined: it lasts. */
  readonly until: Moment | undefined;
  /** All changes up to this version had been heard of before it; '': that is not told. */
  readonly fromVersion?: ResourceVersion;
  /** From this version on changes were heard of again. */
  readonly untilVersion?: ResourceVersion;
}

const MOST_HOLES = 1_000;

/** The times in which nobody was watching, in order, none touching another. It begins in one. */
export class Unwatched {
  #holes: readonly Hole[];

  /** The holes in order, none overlapping another, the first of them from -Infinity. */
  constructor(holes: readonly Hole[] = [{ from: -Infinity, until: undefined }]) {
    this.#holes = holes;
  }

  get holes(): readonly Hole[] {
    return this.#holes;
  }

  get isOpen(): boolean {
    return this.#last.until === undefined;
  }

  /** Nobody has been watching since `from`, which may lie before moments that were told already. */
  begin(from: Moment, fromVersion: ResourceVersion = ''): void {
    if (this.isOpen && from >= this.#last.from) return;
    const before = this.#holes.filter(({ until }) => until !== undefined && until < from);
    const touched = this.#holes.slice(before.length);
    const first = touched[0];
    const begun = first && first.from <= from ? first : { from, fromVersion };
    this.#holes = [...before, { from: begun.from, fromVersion: begun.fromVersion ?? '', until: undefined }];
    // The oldest two and what lies between: a longer hole is never a wrong answer.
    if (this.#holes.length > MOST_HOLES)
      this.#holes = [{ ...this.#holes[1], from: -Infinity, until: this.#holes[1]?.until }, ...this.#holes.slice(2)];
  }

  /** What is known at `until` is how it is. */
  end(until: Moment, untilVersion: ResourceVersion = ''): void {
    if (this.isOpen) this.#holes = [...this.#holes.slice(0, -1), { ...this.#last, until, untilVersion }];
  }

  /** What lies between the holes; the last one as far as is told. */
  stretches(until: Moment, untilVersion: ResourceVersion): readonly Stretch[] {
    return this.#holes.flatMap((hole, i): readonly Stretch[] => {
      if (hole.until === undefined) return [];
      const { from, fromVersion = '' } = this.#holes[i + 1] ?? {
        from: Math.max(until, hole.until),
        fromVersion: untilVersion,
      };
      return [{ from: hole.until, until: from, sinceVersion: hole.untilVersion ?? '', untilVersion: fromVersion }];
    });
  }

  /** The hole around a moment. At its very beginning and end it is known how it was. */
  around(moment: Moment): Hole | undefined {
    const hole = this.#upTo(moment);
    return hole !== undefined && moment > hole.from && (hole.until === undefined || moment < hole.until)
      ? hole
      : undefined;
  }

  /** What was heard at this moment began then. */
  beginning(moment: Moment): Bound {
    return { at: moment, observed: this.#heardIn(moment) === undefined };
  }

  /** What began at `from` and was heard to be gone at `moment`, ended then. */
  ending(from: Moment, moment: Moment): Bound {
    const hole = this.#heardIn(moment);
    return hole === undefined ? { at: moment, observed: true } : { at: Math.max(from, hole.from), observed: false };
  }

  get #last(): Hole {
    return this.#holes.at(-1) as Hole;
  }

  #heardIn(moment: Moment): Hole | undefined {
    const hole = this.#upTo(moment);
    return hole !== undefined && (hole.until === undefined || moment <= hole.until) ? hole : undefined;
  }

  /** The last hole that began before a moment. */
  #upTo(moment: Moment): Hole | undefined {
    let [low, high] = [0, this.#holes.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.#holes[middle] as Hole).from < moment) low = middle + 1;
      else high = middle;
    }
    return this.#holes[low - 1];
  }
}

/** What is left by times in which somebody was watching, which may overlap and come in no order. */
export function holesBetween(watched: readonly { readonly from: Moment; readonly until: Moment }[]): readonly Hole[] {
  const holes: Hole[] = [];
  let from = -Infinity;
  for (const one of watched.toSorted((a, b) => a.from - b.from)) {
    if (one.from > from) holes.push({ from, until: one.from });
    from = Math.max(from, one.until);
  }
  return from === Infinity ? holes : [...holes, { from, until: undefined }];
}

/** When neither of two was watching. */
export function commonHoles(a: readonly Hole[], b: readonly Hole[]): readonly Hole[] {
  const holes: Hole[] = [];
  let [i, j] = [0, 0];
  for (;;) {
    const [one, other] = [a[i], b[j]];
    if (!one || !other) return holes;
    const [endOfOne, endOfOther] = [one.until ?? Infinity, other.until ?? Infinity];
    const from = Math.max(one.from, other.from);
    const until = Math.min(endOfOne, endOfOther);
    if (from < until) holes.push({ from, until: until === Infinity ? undefined : until });
    if (endOfOne <= endOfOther) i++;
    else j++;
  }
}

/** For people: one hole where two meet, though it is known how it was at that very moment. */
export function joinedWhereTheyMeet(holes: readonly Hole[]): readonly Hole[] {
  const joined: Hole[] = [];
  for (const hole of holes) {
    const last = joined.at(-1);
    if (last && last.until === hole.from) joined.splice(-1, 1, { from: last.from, until: hole.until });
    else joined.push(hole);
  }
  return joined;
}

/** Of somebody who has forgotten what was before `reach`. */
export function holesSince(reach: Moment, holes: readonly Hole[]): readonly Hole[] {
  const later = holes.filter(({ until }) => until === undefined || until > reach);
  const [first, ...rest] = later;
  return first !== undefined && first.from <= reach
    ? [{ from: -Infinity, until: first.until }, ...rest]
    : [{ from: -Infinity, until: reach }, ...later];
}
