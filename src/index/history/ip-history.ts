import type { Pod } from '../../pod.ts';
import { charactersOf } from '../change-feed.ts';
import { Claims } from '../claims.ts';
import { sameFields, sameStrings } from '../same-pod.ts';
import { holderOf } from './interval.ts';
import type { Holder, Interval, Moment } from './interval.ts';

export interface IpHistoryOptions {
  /** How many intervals that have ended are kept: 400 bytes each. */
  readonly maxEnded: number;
  /** Labels are their writers' to choose: how many characters of them those intervals keep alive at most. */
  readonly maxCharacters?: number;
}

const MOST_CHARACTERS = 64 * 1024 * 1024;

/** One object through all its life: held open by address, then in the order of endings, and by address from the newest to the oldest. */
class Span implements Interval {
  readonly ip: string;
  from: Moment;
  until: Moment | undefined = undefined;
  heldFrom: Moment;
  goesOn = false;
  holder: Holder | undefined;
  /** The last comparison that met it. */
  met = 0;
  older: Span | undefined = undefined;
  newer: Span | undefined = undefined;

  constructor(ip: string, from: Moment, heldFrom: Moment, holder: Holder | undefined) {
    this.ip = ip;
    this.from = from;
    this.heldFrom = heldFrom;
    this.holder = holder;
  }
}

/**
 * Who held which address when. Moments are handed in and never go back. Open intervals share the index's newest records and are
 * always all there; those that have ended are bounded by count and by characters, and the oldest endings go first: what is known from `reach` on is whole.
 */
export class IpHistory {
  readonly #open = new Claims<string, Span>();
  /** The newest that has ended. */
  readonly #ended = new Map<string, Span>();
  /** In the order of endings; the first `gone` places are empty. */
  #order: (Span | undefined)[] = [];
  #gone = 0;
  /** How many were dropped, ever. */
  #dropped = 0;
  #characters = 0;
  #reach: Moment = -Infinity;
  #openCount = 0;
  readonly #doubts = new Map<string, Span>();
  #comparison = 0;
  readonly #maxEnded: number;
  readonly #maxCharacters: number;

  constructor({ maxEnded, maxCharacters = MOST_CHARACTERS }: IpHistoryOptions) {
    this.#maxEnded = maxEnded;
    this.#maxCharacters = maxCharacters;
  }

  /** How many intervals are held. */
  get size(): number {
    return this.#openCount + this.endedCount;
  }

  get endedCount(): number {
    return this.#order.length - this.#gone;
  }

  /** From this moment on nothing has been dropped. */
  get reach(): Moment {
    return this.#reach;
  }

  /** Whether an address is in doubt. */
  get hasDoubts(): boolean {
    return this.#doubts.size > 0;
  }

  /** A pod as it is from now on; `formerIps` are those of its record before. */
  see(pod: Pod, formerIps: readonly string[], moment: Moment): void {
    for (const ip of formerIps) if (!pod.podIps.includes(ip)) this.#release(ip, pod.uid, moment);
    for (const ip of pod.podIps) this.#hold(ip, pod, moment);
  }

  /** A pod, as it was last, is gone. */
  lose(pod: Pod, moment: Moment): void {
    for (const ip of pod.podIps) this.#release(ip, pod.uid, moment);
  }

  /** Which addresses an object that cannot be read may hold now. What is new among them may have been so since `since`. */
  doubt(ips: ReadonlySet<string>, since: Moment, moment: Moment): void {
    for (const [ip, span] of this.#doubts) {
      if (ips.has(ip)) continue;
      this.#doubts.delete(ip);
      this.#end(span, moment);
    }
    for (const ip of ips) if (!this.#doubts.has(ip)) this.#doubts.set(ip, this.#begin(ip, since, undefined));
  }

  /**
   * Begins a comparison with all pods there are: let each be seen, in any number of steps and with changes between, then end those
   * that are missing.
   */
  compare(): void {
    this.#comparison++;
  }

  /** Ends those that no `see` has met since `compare`. Yields once for each that it looks at. */
  *endMissing(moment: () => Moment): Generator<void, void, undefined> {
    for (const span of this.#open.all()) {
      if (span.holder !== undefined && span.met !== this.#comparison) this.#end(span, moment());
      yield;
    }
  }

  /** All of an address that did not end before `back`, the newest ending first, and of those that did the newest one with a holder. */
  of(ip: string, back: Moment): readonly Interval[] {
    const found: Interval[] = [...this.#open.of(ip)];
    for (let span = this.#ended.get(ip); span; span = span.older) {
      const isBack = (span.until as Moment) < back;
      if (!isBack || span.holder) found.push(span);
      if (isBack && span.holder) break;
    }
    return found;
  }

  /** Every interval. What begins or ends meanwhile may come or not; what is there throughout comes. */
  *all(): Generator<Interval, void, undefined> {
    // Ended ones second: what ends meanwhile comes twice rather than never.
    yield* this.#open.all();
    for (let next = 0; ; next++) {
      next = Math.max(next, this.#dropped);
      const span = this.#order[next - this.#dropped + this.#gone];
      if (!span) return;
      yield span;
    }
  }

  /** Drops what ended before a moment. */
  forgetBefore(moment: Moment): void {
    while (this.endedCount > 0 && (this.#order[this.#gone]?.until as Moment) < moment) this.#drop();
  }

  #hold(ip: string, pod: Pod, moment: Moment): void {
    const span = this.#find(ip, pod.uid);
    if (span?.holder === undefined) return void (this.#begin(ip, moment, pod).met = this.#comparison);
    span.met = this.#comparison;
    if (span.from !== moment && !sameHolder(span.holder, pod)) {
      const ended = new Span(ip, span.from, span.heldFrom, span.holder);
      ended.goesOn = true;
      this.#keep(ended, moment);
      span.from = moment;
    }
    // The newest record, so that no former one is kept alive.
    span.holder = pod;
  }

  #release(ip: string, uid: string, moment: Moment): void {
    const span = this.#find(ip, uid);
    if (span) this.#end(span, moment);
  }

  #find(ip: string, uid: string): Span | undefined {
    return this.#open.of(ip).find(({ holder }) => holder?.uid === uid);
  }

  #begin(ip: string, moment: Moment, holder: Holder | undefined): Span {
    const span = new Span(ip, moment, moment, holder);
    this.#open.add(ip, span);
    this.#openCount++;
    return span;
  }

  #end(span: Span, moment: Moment): void {
    this.#open.remove(span.ip, span);
    this.#openCount--;
    this.#keep(span, moment);
  }

  #keep(span: Span, moment: Moment): void {
    span.until = moment;
    if (span.holder) span.holder = holderOf(span.holder);
    span.older = this.#ended.get(span.ip);
    if (span.older) span.older.newer = span;
    this.#ended.set(span.ip, span);
    this.#order.push(span);
    this.#characters += weightOf(span);
    while (this.endedCount > this.#maxEnded || this.#characters > this.#maxCharacters) this.#drop();
  }

  #drop(): void {
    const span = this.#order[this.#gone];
    if (!span) return;
    this.#order[this.#gone++] = undefined;
    this.#dropped++;
    this.#characters -= weightOf(span);
    this.#reach = Math.max(this.#reach, span.until as Moment);
    if (span.newer) span.newer.older = undefined;
    else this.#ended.delete(span.ip);
    if (this.#gone > 1024 && this.#gone * 2 > this.#order.length) {
      this.#order = this.#order.slice(this.#gone);
      this.#gone = 0;
    }
  }
}

/** Equal in all that decides or identifies. Pods of one template share their labels, so nearly all of this is comparing pointers. */
function sameHolder(a: Holder, b: Holder): boolean {
  return (
    sameStrings(a.labels, b.labels) &&
    (a.deletionTimestamp === undefined) === (b.deletionTimestamp === undefined) &&
    isTerminal(a) === isTerminal(b) &&
    a.hostNetwork === b.hostNetwork &&
    a.nodeName === b.nodeName &&
    a.serviceAccount === b.serviceAccount &&
    sameFields(a.workload, b.workload)
  );
}

const isTerminal = ({ phase }: Holder): boolean => phase === 'Succeeded' || phase === 'Failed';

const weightOf = ({ holder }: Span): number => (holder ? charactersOf(holder.labels) : 0);
