import { compareResourceVersions, nextVersion } from '../../resource-version.ts';
import type { ResourceVersion } from '../../pod.ts';
import type { HeardInterval, Holder, Moment } from './interval.ts';
import type { Identity, Piece } from './piece.ts';
import { isFinished, isTerminating, sameWho } from './same-identity.ts';
import { PER_STEP } from './steps.ts';
import type { Steps } from './steps.ts';

/** How it was with one pod at one address, from a version on. */
export interface Point {
  readonly version: ResourceVersion;
  /** When that was heard. */
  readonly at: Moment;
  /** undefined: it did not hold the address. */
  readonly state: State | undefined;
  /** When the hold began, where the point of that is not at hand. */
  readonly heldFrom?: Moment | undefined;
}

export interface State {
  readonly holder: Identity | undefined;
  readonly terminating: boolean;
  readonly finished: boolean;
}

/** From here on it is not at hand how it was: a piece that is missing follows. */
export const UNKNOWN: State = Object.freeze({ holder: undefined, terminating: false, finished: false });

/** Of pieces of one pod at one address: what each says, in the order of versions. */
export function* pointsOf(pieces: readonly Piece[]): Steps<readonly Point[]> {
  const points = new Map<ResourceVersion, Point>();
  let looked = 0;
  for (const piece of pieces) {
    if (++looked % PER_STEP === 0) yield;
    const { until, untilVersion, goesOn } = piece;
    if (until === undefined || untilVersion === undefined) continue;
    points.set(untilVersion, { version: untilVersion, at: until, state: goesOn ? UNKNOWN : undefined });
  }
  let before: Piece | undefined;
  for (const piece of pieces.toSorted(byVersion)) {
    if (++looked % PER_STEP === 0) yield;
    const isWhole = piece.heldFrom === piece.from || (before?.goesOn === true && before.heldFrom === piece.heldFrom);
    // The hold began in one that is missing, after the one before.
    if (!isWhole && before?.goesOn !== true) {
      const version = before?.untilVersion === undefined ? '' : nextVersion(before.untilVersion);
      points.set(version, { version, at: -Infinity, state: UNKNOWN });
    }
    for (const point of changesIn(piece, isWhole ? undefined : piece.heldFrom)) points.set(point.version, point);
    before = piece;
  }
  return inOrder(points.values());
}

/** Of what one observer has heard of one pod at one address. */
export function* toPoints(intervals: readonly HeardInterval[]): Steps<readonly Point[]> {
  const points = new Map<ResourceVersion, Point>();
  let looked = 0;
  for (const { goesOn, until, untilVersion } of intervals) {
    if (++looked % PER_STEP === 0) yield;
    if (until === undefined || untilVersion === undefined || goesOn) continue;
    points.set(untilVersion, { version: untilVersion, at: until, state: undefined });
  }
  // Of a long hold the first intervals may have been dropped.
  const beginnings = new Set(intervals.map(({ from }) => from));
  for (const { sinceVersion: version, from: at, heldFrom, holder } of intervals) {
    if (++looked % PER_STEP === 0) yield;
    const state = stateOf(holder);
    points.set(version, { version, at, state, heldFrom: beginnings.has(heldFrom) ? undefined : heldFrom });
  }
  return inOrder(points.values());
}

const stateOf = (holder: Holder | undefined): State => ({
  holder,
  terminating: holder !== undefined && isTerminating(holder),
  finished: holder !== undefined && isFinished(holder),
});

/** The other way round: points are in order, and no two neighbours say the same. */
export function* toPieces(ip: string, points: readonly Point[]): Steps<readonly Piece[]> {
  const draft = new Draft(ip);
  let looked = 0;
  for (const { version, at, state, heldFrom } of points) {
    if (++looked % PER_STEP === 0) yield;
    draft.add(version, at, state, heldFrom);
  }
  return draft.pieces;
}

type Writable<T> = { -readonly [K in keyof T]: T[K] };

/** Pieces while they are made, of what is said in order. */
class Draft {
  readonly #ip: string;
  /** Nearly always one: an array that is begun empty has room for sixteen. */
  #pieces: Writable<Piece>[] | undefined;
  /** Of the last piece, while it lasts. */
  #state: State | undefined;
  #gone: Moment = -Infinity;

  constructor(ip: string) {
    this.#ip = ip;
  }

  get pieces(): readonly Piece[] {
    return this.#pieces ?? [];
  }

  add(version: ResourceVersion, at: Moment, state: State | undefined, heldFrom = at): void {
    const before = this.#state;
    this.#state = state;
    const last = before && this.#pieces?.at(-1);
    if (last && before && state && isInOne(before, state)) {
      change(last, state, version, at);
      return;
    }
    if (last) {
      last.until = at;
      last.untilVersion = version;
      last.goesOn = state !== undefined;
    }
    if (state === undefined) {
      this.#gone = at;
      return;
    }
    const next = begun(this.#ip, state, version, at);
    next.heldFrom = last ? last.heldFrom : Math.max(this.#gone, Math.min(heldFrom, at));
    change(next, state, version, at);
    if (this.#pieces) this.#pieces.push(next);
    else this.#pieces = [next];
  }
}

const begun = (ip: string, { holder }: State, sinceVersion: ResourceVersion, from: Moment): Writable<Piece> => ({
  ip,
  holder,
  heldFrom: from,
  from,
  until: undefined,
  goesOn: false,
  terminatingFrom: undefined,
  finishedFrom: undefined,
  sinceVersion,
  terminatingVersion: undefined,
  finishedVersion: undefined,
  untilVersion: undefined,
});

/** A piece holds one beginning to terminate and one finishing, and neither is taken back. */
const isInOne = (state: State, next: State): boolean =>
  sameWho(state.holder, next.holder) && next.terminating >= state.terminating && next.finished >= state.finished;

function change(piece: Writable<Piece>, state: State, version: ResourceVersion, at: Moment): void {
  if (state.terminating && piece.terminatingVersion === undefined) {
    piece.terminatingFrom = at;
    piece.terminatingVersion = version;
  }
  if (state.finished && piece.finishedVersion === undefined) {
    piece.finishedFrom = at;
    piece.finishedVersion = version;
  }
}

/** Up to three: it began, began to terminate, and finished. */
function changesIn(piece: Piece, heldFrom: Moment | undefined): readonly Point[] {
  const { holder, from, sinceVersion, terminatingVersion, terminatingFrom, finishedVersion, finishedFrom } = piece;
  const versions = new Map<ResourceVersion, Moment>([[sinceVersion, from]]);
  if (terminatingVersion !== undefined) versions.set(terminatingVersion, terminatingFrom ?? from);
  if (finishedVersion !== undefined) versions.set(finishedVersion, finishedFrom ?? from);
  const isSo = (since: ResourceVersion | undefined, version: ResourceVersion): boolean =>
    since !== undefined && compareResourceVersions(since, version) <= 0;
  return Array.from(versions, ([version, at]) => ({
    version,
    at,
    state: { holder, terminating: isSo(terminatingVersion, version), finished: isSo(finishedVersion, version) },
    heldFrom: version === sinceVersion ? heldFrom : undefined,
  }));
}

/** Of what one observer has heard of several pods at one address, by a clock that is `offset` ahead of its moments. */
export function* piecesFrom(
  ip: string,
  holders: readonly (readonly HeardInterval[])[],
  offset: number,
): Steps<readonly Piece[]> {
  const all: Piece[] = [];
  for (const intervals of holders) {
    const whole = piecesOfWhole(ip, intervals, offset);
    if (whole && holders.length === 1) return whole;
    if (whole) {
      all.push(...whole);
      continue;
    }
    for (const piece of yield* toPieces(ip, yield* changesOnly(yield* toPoints(intervals)))) {
      if (all.push(later(piece, offset)) % PER_STEP === 0) yield;
    }
  }
  return all;
}

/**
 * The same of one hold of which nothing is missing, the newest interval first, as nearly all are: without a point for each change.
 * undefined: it is something else.
 */
export function piecesOfWhole(
  ip: string,
  intervals: readonly HeardInterval[],
  offset: number,
): readonly Piece[] | undefined {
  if (intervals.length > PER_STEP) return undefined;
  const first = intervals.at(-1);
  const draft = new Draft(ip);
  for (let i = intervals.length - 1; i >= 0; i--) {
    const interval = intervals[i] as HeardInterval;
    const { sinceVersion, untilVersion, from, until, holder } = interval;
    if (first?.from !== interval.heldFrom || !isFollowedBy(interval, intervals[i - 1])) return undefined;
    draft.add(sinceVersion, from + offset, stateOf(holder));
    if (i === 0 && untilVersion !== undefined && until !== undefined)
      draft.add(untilVersion, until + offset, undefined);
  }
  return draft.pieces;
}

/** undefined: by nothing. Also of pieces. */
export function isFollowedBy(one: Part, next: Part | undefined): boolean {
  const { sinceVersion, until, untilVersion, goesOn } = one;
  if (next === undefined && untilVersion === undefined) return until === undefined && !goesOn;
  if (untilVersion === undefined || compareResourceVersions(sinceVersion, untilVersion) >= 0) return false;
  return next === undefined
    ? until !== undefined && !goesOn
    : goesOn && until === next.from && untilVersion === next.sinceVersion;
}

type Part = Pick<Piece, 'sinceVersion' | 'untilVersion' | 'from' | 'until' | 'goesOn'>;

function later({ from, until, heldFrom, terminatingFrom, finishedFrom, ...rest }: Piece, offset: number): Piece {
  const wall = (moment: Moment | undefined): Moment | undefined => (moment === undefined ? undefined : moment + offset);
  return {
    ...rest,
    from: from + offset,
    until: wall(until),
    heldFrom: heldFrom + offset,
    terminatingFrom: wall(terminatingFrom),
    finishedFrom: wall(finishedFrom),
  };
}

/** Without those that say what the one before says. */
export function* changesOnly(points: readonly Point[]): Steps<readonly Point[]> {
  const changes: Point[] = [];
  for (const [i, point] of points.entries()) {
    if (!sameState(point.state, points[i - 1]?.state)) changes.push(point);
    if (i % PER_STEP === PER_STEP - 1) yield;
  }
  return changes;
}

export function sameState(a: State | undefined, b: State | undefined): boolean {
  if (a === undefined || b === undefined) return a === b;
  if (a.terminating !== b.terminating || a.finished !== b.finished) return false;
  return sameWho(a.holder, b.holder);
}

export const inOrder = (points: Iterable<Point>): readonly Point[] =>
  [...points].toSorted((a, b) => compareResourceVersions(a.version, b.version));

const byVersion = (a: Piece, b: Piece): number => compareResourceVersions(a.sinceVersion, b.sinceVersion);
