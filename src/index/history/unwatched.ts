import type { Bound, Moment } from './interval.ts';

/** A time in which nobody was watching. What was heard at `until` was true then; what changed between is not known. */
export interface Hole {
  /** -Infinity: before the first. */
  readonly from: Moment;
  /** undefined: it lasts. */
  readonly until: Moment | undefined;
}

const MOST_HOLES = 1_000;

/** The times in which nobody was watching, in order, none touching another. It begins in one. */
export class Unwatched {
  #holes: readonly Hole[] = [{ from: -Infinity, until: undefined }];

  get holes(): readonly Hole[] {
    return this.#holes;
  }

  get isOpen(): boolean {
    return this.#last.until === undefined;
  }

  /** Nobody has been watching since `from`, which may lie before moments that were told already. */
  begin(from: Moment): void {
    if (this.isOpen && from >= this.#last.from) return;
    const before = this.#holes.filter(({ until }) => until !== undefined && until < from);
    const touched = this.#holes.slice(before.length);
    this.#holes = [...before, { from: Math.min(from, ...touched.map((hole) => hole.from)), until: undefined }];
    // The oldest two and what lies between: a longer hole is never a wrong answer.
    if (this.#holes.length > MOST_HOLES)
      this.#holes = [{ from: -Infinity, until: this.#holes[1]?.until }, ...this.#holes.slice(2)];
  }

  /** What is known at `until` is how it is. */
  end(until: Moment): void {
    if (this.isOpen) this.#holes = [...this.#holes.slice(0, -1), { from: this.#last.from, until }];
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
