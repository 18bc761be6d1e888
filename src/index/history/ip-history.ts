import type { Pod, ResourceVersion } from '../../pod.ts';
import { compareResourceVersions, nextVersion } from '../../resource-version.ts';
import { charactersOf } from '../change-feed.ts';
import { Holds } from './holds.ts';
import type { Hold } from './holds.ts';
import { holderOf } from './interval.ts';
import type { HeardInterval, Holder, Moment } from './interval.ts';
import { sameHolder } from './same-identity.ts';

export interface IpHistoryOptions {
  /** How many intervals that have ended are kept: 400 bytes each. */
  readonly maxEnded: number;
  /** Labels are their writers' to choose: how many characters of them those intervals keep alive at most. */
  readonly maxCharacters?: number;
  /** Told of every beginning, cut and end: of which address and pod; '' is an object that could not be read. */
  readonly onChange?: (ip: string, uid: string) => void;
}

const MOST_CHARACTERS = 64 * 1024 * 1024;

/** One that has ended: in the order of endings, and by address from the newest to the oldest. */
class Span implements HeardInterval {
  readonly ip: string;
  readonly from: Moment;
  readonly until: Moment;
  readonly heldFrom: Moment;
  readonly goesOn: boolean;
  readonly holder: Holder | undefined;
  readonly sinceVersion: ResourceVersion;
  readonly untilVersion: ResourceVersion;
  older: Span | undefined = undefined;
  newer: Span | undefined = undefined;

  constructor({ ip, from, heldFrom, sinceVersion }: HeardInterval, end: Ending, holder: Holder | undefined) {
    this.ip = ip;
    this.from = from;
    this.until = end.moment;
    this.heldFrom = heldFrom;
    this.goesOn = end.goesOn === true;
    this.holder = holder;
    this.sinceVersion = sinceVersion;
    // What ends it came later, even where no version says so: two of its changes must not have one place in the order.
    this.untilVersion =
      this.goesOn || compareResourceVersions(end.version, sinceVersion) > 0 ? end.version : nextVersion(sinceVersion);
  }
}

interface Ending {
  readonly moment: Moment;
  readonly version: ResourceVersion;
  readonly goesOn?: boolean;
}

/**
 * Who held which address when. Moments are handed in and never go back. Open intervals share the index's newest records and are
 * always all there; those that have ended are bounded by count and by characters, and the oldest endings go first: what is known from `reach` on is whole.
 */
export class IpHistory {
  readonly #open = new Holds();
  /** The newest that has ended. */
  readonly #ended = new Map<string, Span>();
  /** In the order of endings; the first `gone` places are empty. */
  #order: (Span | undefined)[] = [];
  #gone = 0;
  /** How many were dropped, ever. */
  #dropped = 0;
  #characters = 0;
  #reach: Moment = -Infinity;
  #reachVersion: ResourceVersion = '';
  readonly #doubts = new Map<string, HeardInterval>();
  /** Of the interval that ended last, of those with a holder: one record, kept until the next ends. */
  #last: { readonly pod: Holder; readonly holder: Holder } | undefined;
  #comparison = 0;
  readonly #maxEnded: number;
  readonly #maxCharacters: number;
  readonly #changed: (ip: string, uid: string) => void;

  constructor({ maxEnded, maxCharacters = MOST_CHARACTERS, onChange = () => {} }: IpHistoryOptions) {
    this.#changed = onChange;
    this.#maxEnded = maxEnded;
    this.#maxCharacters = maxCharacters;
  }

  /** How many intervals are held. */
  get size(): number {
    return this.#open.size + this.#doubts.size + this.endedCount;
  }

  get endedCount(): number {
    return this.#order.length - this.#gone;
  }

  /** From this moment on nothing has been dropped. */
  get reach(): Moment {
    return this.#reach;
  }

  /** Nothing of what was known by a later version has been dropped; '': nothing at all. */
  get reachVersion(): ResourceVersion {
    return this.#reachVersion;
  }

  /** Whether an address is in doubt. */
  get hasDoubts(): boolean {
    return this.#doubts.size > 0;
  }

  /** A pod as it is from now on; `formerIps` are those of its record before. */
  see(pod: Pod, formerIps: readonly string[], moment: Moment, version = pod.resourceVersion): void {
    for (const ip of formerIps) if (!pod.podIps.includes(ip)) this.#release(ip, pod.uid, { moment, version });
    const fresh: string[] = [];
    let last: Hold = -1;
    for (const ip of pod.podIps) {
      const hold = this.#open.find(ip, pod.uid);
      if (hold < 0) fresh.push(ip);
      else if (hold !== last) this.#goOn((last = hold), pod, moment, version);
    }
    if (fresh.length === 0) return;
    this.#open.meet(this.#open.begin(pod, fresh, moment, version), this.#comparison);
    for (const ip of fresh) this.#changed(ip, pod.uid);
  }

  /** A pod, as it was last, is gone: `version` tells of that. */
  lose(pod: Pod, moment: Moment, version: ResourceVersion): void {
    for (const ip of pod.podIps) this.#release(ip, pod.uid, { moment, version });
  }

  /** Which addresses an object that cannot be read may hold now. What is new among them may have been so since `since`. */
  doubt(ips: ReadonlySet<string>, since: Moment, moment: Moment, version: ResourceVersion): void {
    for (const [ip, doubt] of this.#doubts) {
      if (ips.has(ip)) continue;
      this.#doubts.delete(ip);
      this.#keep(doubt, { moment, version });
    }
    for (const ip of ips) {
      if (this.#doubts.has(ip)) continue;
      const known = { holder: undefined, sinceVersion: version, untilVersion: undefined };
      this.#doubts.set(ip, { ip, from: since, until: undefined, heldFrom: since, goesOn: false, ...known });
      this.#changed(ip, '');
    }
  }

  /**
   * Begins a comparison with all pods there are: let each be seen, in any number of steps and with changes between, then end those
   * that are missing.
   */
  compare(): void {
    this.#comparison++;
  }

  /** Ends those that no `see` has met since `compare`; `versionOf` says by what it is known that a pod has it no more. Yields once for each that it looks at. */
  *endMissing(moment: () => Moment, versionOf: (pod: Pod) => ResourceVersion): Generator<void, void, undefined> {
    for (let hold: Hold = 0; hold < this.#open.end; hold++) {
      const pod = this.#open.pod(hold);
      if (pod && this.#open.met(hold) !== this.#comparison) {
        const end = { moment: moment(), version: versionOf(pod) };
        for (const ip of this.#open.ips(hold)) this.#end(hold, ip, end);
      }
      yield;
    }
  }

  /** All of an address that did not end before `back`, the newest ending first, and of those that did the newest one with a holder. */
  of(ip: string, back: Moment): readonly HeardInterval[] {
    const found = this.#open.of(ip);
    const doubt = this.#doubts.get(ip);
    if (doubt) found.push(doubt);
    for (let span = this.#ended.get(ip); span; span = span.older) {
      const isBack = span.until < back;
      if (!isBack || span.holder) found.push(span);
      if (isBack && span.holder) break;
    }
    return found;
  }

  /** Of one pod at an address, '' being an object that could not be read, without what had ended by a version. */
  ofPod(ip: string, uid: string, since: ResourceVersion = ''): readonly HeardInterval[] {
    const hold = this.#open.find(ip, uid);
    const found = hold < 0 ? [] : [this.#open.interval(hold, ip)];
    const doubt = uid === '' ? this.#doubts.get(ip) : undefined;
    if (doubt) found.push(doubt);
    for (let span = this.#ended.get(ip); span; span = span.older) {
      if ((span.holder?.uid ?? '') !== uid) continue;
      // Of one pod versions only grow.
      if (compareResourceVersions(span.untilVersion, since) <= 0) break;
      found.push(span);
    }
    return found;
  }

  /** Whether it holds the address now. */
  isHeld(ip: string, uid: string): boolean {
    return this.#open.find(ip, uid) >= 0 || (uid === '' && this.#doubts.has(ip));
  }

  /** Every interval. What begins or ends meanwhile may come or not; what is there throughout comes. */
  *all(): Generator<HeardInterval, void, undefined> {
    // Ended ones second: what ends meanwhile comes twice rather than never.
    for (let hold: Hold = 0; hold < this.#open.end; hold++) yield* this.#open.intervals(hold);
    yield* this.#doubts.values();
    for (let next = 0; ; next++) {
      next = Math.max(next, this.#dropped);
      const span = this.#order[next - this.#dropped + this.#gone];
      if (!span) return;
      yield span;
    }
  }

  /** Drops what ended before a moment. */
  forgetBefore(moment: Moment): void {
    while (this.endedCount > 0 && (this.#order[this.#gone] as Span).until < moment) this.#drop();
  }

  /** The pod has addresses of the hold still. */
  #goOn(hold: Hold, pod: Pod, moment: Moment, version: ResourceVersion): void {
    const open = this.#open;
    const former = open.pod(hold) as Pod;
    // Only a comparison meets what was not told before.
    for (const ip of open.ips(hold)) if (!pod.podIps.includes(ip)) this.#end(hold, ip, { moment, version });
    open.meet(hold, this.#comparison);
    const isOther = !sameHolder(former, pod);
    if (isOther) for (const one of open.intervals(hold)) this.#keep(one, { moment, version, goesOn: true });
    open.renew(hold, pod, isOther ? moment : open.from(hold), isOther ? version : open.version(hold));
  }

  #release(ip: string, uid: string, end: Ending): void {
    const hold = this.#open.find(ip, uid);
    if (hold >= 0) this.#end(hold, ip, end);
  }

  #end(hold: Hold, ip: string, end: Ending): void {
    const interval = this.#open.interval(hold, ip);
    this.#open.release(hold, ip);
    this.#keep(interval, end);
  }

  #keep(interval: HeardInterval, end: Ending): void {
    const span = new Span(interval, end, interval.holder && this.#holderOf(interval.holder));
    span.older = this.#ended.get(span.ip);
    if (span.older) span.older.newer = span;
    this.#ended.set(span.ip, span);
    this.#order.push(span);
    this.#characters += weightOf(span);
    this.#changed(span.ip, span.holder?.uid ?? '');
    while (this.endedCount > this.#maxEnded || this.#characters > this.#maxCharacters) this.#drop();
  }

  /** One for all addresses of a pod. */
  #holderOf(pod: Holder): Holder {
    if (this.#last?.pod !== pod) this.#last = { pod, holder: holderOf(pod) };
    return this.#last.holder;
  }

  #drop(): void {
    const span = this.#order[this.#gone];
    if (!span) return;
    this.#order[this.#gone++] = undefined;
    this.#dropped++;
    this.#characters -= weightOf(span);
    this.#reach = Math.max(this.#reach, span.until);
    if (compareResourceVersions(span.untilVersion, this.#reachVersion) > 0) this.#reachVersion = span.untilVersion;
    if (span.newer) span.newer.older = undefined;
    else this.#ended.delete(span.ip);
    if (this.#gone > 1024 && this.#gone * 2 > this.#order.length) {
      this.#order = this.#order.slice(this.#gone);
      this.#gone = 0;
    }
  }
}

const weightOf = ({ holder }: Span): number => (holder ? charactersOf(holder.labels) : 0);
