import { answerThen, backTo, tenureOf } from './index/history/answer-then.ts';
import type { Then } from './index/history/answer-then.ts';
import { isHeld } from './index/history/interval.ts';
import type { Holder, Moment, Tenure } from './index/history/interval.ts';
import type { Piece, Stretch } from './index/history/piece.ts';
import { piecesFrom, piecesOfWhole } from './index/history/point.ts';
import type { Steps } from './index/history/steps.ts';
import { IpHistory } from './index/history/ip-history.ts';
import { Unwatched } from './index/history/unwatched.ts';
import type { View } from './index/answer.ts';
import type { PodIndex } from './index/pod-index.ts';
import type { Counters } from './metrics.ts';
import type { ResourceVersion } from './pod.ts';
import { compareResourceVersions, eraOf, inEra, newer } from './resource-version.ts';

export interface RecorderOptions {
  readonly index: Pick<
    PodIndex,
    'changes' | 'walk' | 'isHostIp' | 'unreadable' | 'unreadableIps' | 'version' | 'newestVersion' | 'versionOf'
  >;
  readonly view: View;
  /** How fresh the index is. */
  readonly source: { readonly synced: boolean; ageMs(): number; readonly reachedVersion: ResourceVersion };
  readonly clock: {
    now(): number;
    wall(): number;
    sleep(ms: number, signal: AbortSignal): Promise<void>;
  };
  readonly counters: Counters['history_holes_total'];
  /** What ended longer ago is forgotten. */
  readonly retentionMs: number;
  readonly maxEnded: number;
  /** Past this age nobody is watching. */
  readonly maxAgeMs: number;
  readonly onError: (error: unknown) => void;
}

type HoleCause = keyof Counters['history_holes_total'];

/** Changes taken over in one turn of the event loop, pods or intervals compared: about a millisecond of work. */
const PIECE = 1_024;
const LOOK_EVERY_MS = 1_000;
/** The process stood still: what came meanwhile was heard of when it went on. */
const STALL_MS = 5_000;
/** What is less is NTP slewing, and rounding. */
const LEAST_STEP_MS = 100;

/**
 * Writes down who holds which address while the index changes: pulls from the change feed, in bounded pieces, and gives every
 * change the time it was heard at. Inside, time is the clock that never goes back. Outside it is the wall clock as it is now: when
 * that is put right, what was written down before is put right with it.
 *
 *     hole (start) ──first comparison──► watching ──► hole: past `maxAgeMs`; the feed was overrun; the process stood still
 *                                            ▲               │ fresh, every change taken over, compared after an overrun
 *                                            └───────────────┘
 */
export class IpRecorder {
  readonly #options: RecorderOptions;
  readonly #history: IpHistory;
  readonly #unwatched = new Unwatched();
  /** Of the last change taken over. */
  #sequence = -1;
  #comparison: Generator<void, void, undefined> | undefined;
  #now: Moment;
  /** When nothing was left to be taken over. */
  #caughtUpAt: Moment;
  /** All changes up to it had been taken over then. */
  #caughtUpTo: ResourceVersion = '';
  /** All that had been made before was in the index then, and taken over. */
  #provenAt: Moment = -Infinity;
  readonly #listeners = new Set<(ip: string, uid: string) => void>();
  #looked: Moment;
  #stalledUntil: Moment = -Infinity;
  /** From moments to the wall clock. */
  #offset: number;
  #isScheduled = false;

  constructor(options: RecorderOptions) {
    this.#options = options;
    this.#history = new IpHistory({
      maxEnded: options.maxEnded,
      onChange: (ip, uid) => {
        for (const listener of this.#listeners) listener(ip, uid);
      },
    });
    this.#now = this.#caughtUpAt = this.#looked = Math.round(options.clock.now());
    this.#offset = Math.round(options.clock.wall() - this.#now);
  }

  /** Resolves when the signal is aborted. */
  async run(signal: AbortSignal): Promise<void> {
    const { clock, index } = this.#options;
    const stop = index.changes.onChange(() => this.#safely(() => this.#pull()));
    try {
      while (!signal.aborted) {
        this.#safely(() => this.look());
        await clock.sleep(LOOK_EVERY_MS, signal);
      }
    } finally {
      stop();
    }
  }

  /** For the gauges. */
  get intervals(): number {
    return this.#history.size;
  }

  /** How far back answers go, in milliseconds; less than the retention when there was more than may be kept. */
  get depthMs(): number {
    const began = this.#unwatched.holes[0]?.until ?? this.#now;
    return this.#now - Math.max(began, this.#reach);
  }

  /** Everything has been compared once. */
  get isReady(): boolean {
    return this.#unwatched.holes[0]?.until !== undefined;
  }

  /** The wall clock, in milliseconds since 1970. */
  now(): number {
    this.#pull();
    return Math.max(this.#options.clock.wall(), this.#now + this.#offset);
  }

  /** Who answered for a canonical address then. `wall` is not later than `now`. */
  at(ip: string, wall: number): Then {
    this.#pull();
    const moment = Math.min(this.#now, wall - this.#offset);
    const { view, index } = this.#options;
    const intervals = this.#history.of(ip, backTo(this.#unwatched, moment));
    const isHostIp = (one: string): boolean => index.isHostIp(one);
    const then = answerThen(ip, moment, { intervals, unwatched: this.#unwatched, reach: this.#reach, view, isHostIp });
    return this.#toWall(then);
  }

  /** Since when everything is known that is not in a hole. */
  get reach(): number {
    return this.#reach + this.#offset;
  }

  /** The times in which nobody was watching, and that touch [since, until). */
  holes(since: number, until: number): readonly { readonly from: number; readonly until: number | undefined }[] {
    return this.#unwatched.holes
      .map((hole) => ({
        from: hole.from + this.#offset,
        until: hole.until === undefined ? undefined : hole.until + this.#offset,
      }))
      .filter((hole) => hole.from < until && (hole.until ?? Infinity) > since);
  }

  /**
   * Who held addresses, one tenure for each time: of one address, or of all. Yields undefined for what is looked at and is none, so that a
   * long search can be cut into pieces.
   */
  *tenures(ip: string | undefined): Generator<Tenure | undefined, void, undefined> {
    this.#pull();
    for (const interval of ip === undefined ? this.#history.all() : this.#history.of(ip, -Infinity)) {
      const isLast = isHeld(interval) && !interval.goesOn && (interval.until ?? Infinity) >= this.#reach;
      yield isLast ? this.#tenureToWall(tenureOf(interval, interval, this.#unwatched)) : undefined;
    }
  }

  /** Calls for every change of what `pieces` says of a pod at an address; '' is an object that could not be read. Returns how to stop that. */
  onChange(listener: (ip: string, uid: string) => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  /** Of every pod at every address that `pieces` knows something of. Some come more than once. */
  *keys(): Generator<readonly [ip: string, uid: string], void, undefined> {
    for (const { ip, holder } of this.#history.all()) yield [ip, holder?.uid ?? ''];
  }

  /**
   * What one pod did at one address, by the wall clock; '' is an object that could not be read. As it is now, whenever the steps are made.
   * `since`: without what had ended by that version.
   */
  pieces(ip: string, uid: string, since?: ResourceVersion): Steps<readonly Piece[]> {
    return piecesFrom(ip, [this.#history.ofPod(ip, uid, since)], this.#offset);
  }

  /** The same of one hold of which nothing is missing, as nearly all are; undefined: it is something else, or much. */
  whole(ip: string, uid: string, since?: ResourceVersion): readonly Piece[] | undefined {
    return piecesOfWhole(ip, this.#history.ofPod(ip, uid, since), this.#offset);
  }

  /** As `pieces`, of all that held an address. */
  piecesOf(ip: string): Steps<readonly Piece[]> {
    const byUid = Map.groupBy(this.#history.of(ip, -Infinity), ({ holder }) => holder?.uid ?? '');
    return piecesFrom(ip, [...byUid.values()], this.#offset);
  }

  /** Whether a pod has an address now; '' is an object that cannot be read. */
  isHeld(ip: string, uid: string): boolean {
    return this.#history.isHeld(ip, uid);
  }

  /**
   * When this process was watching, as far as that is proven and nothing of it has been dropped: there `pieces` says all there is. Where slices
   * (rule A10) were not at one version when it began, it counts from when all have come as far as the furthest had. `soFar`: from the
   * beginning, which is good enough for an answer, and must not be written.
   */
  stretches({ soFar = false }: { readonly soFar?: boolean } = {}): readonly Stretch[] {
    this.#pull();
    // What `tenures` does not tell of any more must not count as never held.
    this.#history.forgetBefore(this.#now - this.#options.retentionMs);
    const { reach, reachVersion } = this.#history;
    const offset = this.#offset;
    return this.#unwatched
      .stretches(this.#provenAt, this.#caughtUpTo)
      .map((stretch) =>
        soFar ? { ...stretch, untilVersion: newer(stretch.sinceVersion, stretch.untilVersion) } : stretch,
      )
      .filter(({ sinceVersion, untilVersion }) => compareResourceVersions(sinceVersion, untilVersion) <= 0)
      .filter(({ until, untilVersion }) => until >= reach && compareResourceVersions(untilVersion, reachVersion) >= 0)
      .map(({ from, until, sinceVersion, untilVersion }) => ({
        from: Math.max(from, reach) + offset,
        until: until + offset,
        sinceVersion: newer(sinceVersion, reachVersion),
        untilVersion,
      }));
  }

  get #reach(): Moment {
    return Math.max(this.#history.reach, this.#now - this.#options.retentionMs);
  }

  /** What does not announce itself; `run` calls it every second. */
  look(): void {
    const { index, retentionMs } = this.#options;
    const before = this.#looked;
    this.#pull();
    this.#looked = this.#now;
    if (this.isReady && (index.unreadable > 0 || this.#history.hasDoubts)) {
      this.#history.doubt(index.unreadableIps(), before, this.#now, index.version);
    }
    this.#history.forgetBefore(this.#now - retentionMs);
  }

  #pull(): void {
    this.#tick();
    const { source } = this.#options;
    // Before that nobody may read the index.
    if (!source.synced) return;
    const isCaughtUp = this.#takeOver();
    if (isCaughtUp) this.#caughtUpTo = this.#reachedVersion();
    else this.#soon();
    const provenAt = this.#now - source.ageMs();
    if (!(provenAt >= this.#now - this.#options.maxAgeMs)) this.#lost('stale', Math.floor(provenAt));
    else if (isCaughtUp && provenAt >= this.#stalledUntil) {
      this.#caughtUpAt = this.#now;
      this.#provenAt = Math.floor(provenAt);
      this.#unwatched.end(this.#now, newer(this.#options.index.newestVersion, this.#caughtUpTo));
    }
  }

  /** What the pods say, or the connection where they stand still. */
  #reachedVersion(): ResourceVersion {
    const { index, source } = this.#options;
    return newer(inEra(source.reachedVersion, eraOf(index.version)), index.version);
  }

  #tick(): void {
    const { clock } = this.#options;
    const before = this.#now;
    this.#now = Math.max(before, Math.round(clock.now()));
    const offset = Math.round(clock.wall() - this.#now);
    if (Math.abs(offset - this.#offset) >= LEAST_STEP_MS) this.#offset = offset;
    if (this.#now - before <= STALL_MS) return;
    this.#lost('stalled', before);
    // Bytes that waited in a socket prove nothing (rule B11).
    this.#stalledUntil = this.#now;
  }

  /** One piece. Whether nothing is left. */
  #takeOver(): boolean {
    const { changes } = this.#options.index;
    const news = changes.since(this.#sequence, PIECE);
    if (news === undefined) {
      this.#lost('overrun', this.#caughtUpAt);
      this.#sequence = changes.sequence;
      this.#comparison = this.#compare();
    } else {
      for (const { type, pod, previous, version } of news) {
        if (type === 'deleted') this.#history.lose(pod, this.#now, version);
        else this.#history.see(pod, previous?.podIps ?? [], this.#now, version);
      }
      this.#sequence += news.length;
      if (this.#sequence < changes.sequence) return false;
    }
    // Only when nothing is left of the feed: what is walked is then what the changes have led to.
    if (this.#comparison?.next().done !== false) this.#comparison = undefined;
    return this.#comparison === undefined;
  }

  *#compare(): Generator<void, void, undefined> {
    const history = this.#history;
    const { index } = this.#options;
    history.compare();
    for (let after: Holder | undefined, looked = PIECE; looked === PIECE;) {
      looked = 0;
      for (const pod of index.walk(after ? { after } : {})) {
        history.see(pod, [], this.#now, index.versionOf(pod));
        after = pod;
        if (++looked === PIECE) break;
      }
      if (looked === PIECE) yield;
    }
    let looked = 0;
    const missing = history.endMissing(
      () => this.#now,
      (pod) => index.versionOf(pod),
    );
    for (const _ of missing) if (++looked % PIECE === 0) yield;
  }

  #lost(cause: HoleCause, from: Moment): void {
    if (!this.#unwatched.isOpen) this.#options.counters[cause]++;
    this.#unwatched.begin(from, this.#caughtUpTo);
  }

  #soon(): void {
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    setImmediate(() => {
      this.#isScheduled = false;
      this.#safely(() => this.#pull());
    });
  }

  /** Whatever goes wrong here must not end the process, which serves lookups: what was missed is a hole, and compared anew. */
  #safely(work: () => void): void {
    try {
      work();
    } catch (error) {
      this.#lost('overrun', this.#caughtUpAt);
      this.#sequence = -1;
      this.#options.onError(error);
    }
  }

  #toWall(then: Then): Then {
    if (then.kind === 'one') return { ...then, tenure: this.#tenureToWall(then.tenure) };
    if (then.kind !== 'not-observed') return then;
    const { before, after } = then;
    return { ...then, before: before && this.#tenureToWall(before), after: after && this.#tenureToWall(after) };
  }

  #tenureToWall({ from, until, ...rest }: Tenure): Tenure {
    const offset = this.#offset;
    return { ...rest, from: { ...from, at: from.at + offset }, until: until && { ...until, at: until.at + offset } };
  }
}
