import { compareResourceVersions } from '../../resource-version.ts';
import type { ResourceVersion } from '../../pod.ts';
import type { Moment } from './interval.ts';
import type { Piece, Stretch } from './piece.ts';
import { changesOnly, inOrder, pointsOf, sameState, toPieces, UNKNOWN } from './point.ts';
import type { Point, State } from './point.ts';
import { PER_STEP } from './steps.ts';
import type { Steps } from './steps.ts';

/**
 * What an observer knows, or several of them together. Where somebody watched the pieces are all there is: between them nobody held
 * anything.
 */
export interface Knowledge {
  readonly pieces: readonly Piece[];
  readonly watched: readonly Stretch[];
}

/**
 * The pieces of one pod at one address, as two observers of one truth know them together. Each has heard of some of the changes,
 * late, by its own clock. Versions put them in order. A change that an observer has not heard of it can still refute: when it begins to
 * watch anew it knows how it is then. Of what both have heard the earlier moment counts, and of any change that of a later one if it
 * is earlier, for nothing is heard before it happens. So the result is the same in whichever order observers are merged, and however
 * often.
 */
export function* merge(a: Knowledge, b: Knowledge): Steps<readonly Piece[]> {
  const first = a.pieces[0] ?? b.pieces[0];
  if (first === undefined) return [];
  const witnesses: Witness[] = [];
  for (const { pieces, watched } of [a, b]) witnesses.push({ points: yield* pointsOf(pieces), watched });
  const points = yield* union(witnesses);
  const all = yield* earliest(yield* refuted(points, witnesses));
  return yield* toPieces(first.ip, yield* changesOnly(all));
}

/** Of stretches, those that begin when a first piece is known already. */
export function speaking(watched: readonly Stretch[], pieces: readonly Piece[]): readonly Stretch[] {
  return watched.filter(({ sinceVersion }) =>
    pieces.some((piece) => compareResourceVersions(piece.sinceVersion, sinceVersion) <= 0),
  );
}

/** Of stretches, those that begin with a version or later. */
export function beginning(watched: readonly Stretch[], since: ResourceVersion): readonly Stretch[] {
  const isLate = ({ sinceVersion }: Stretch): boolean => compareResourceVersions(sinceVersion, since) >= 0;
  // Nearly always all of them or none.
  return watched.every(isLate) ? watched : watched.filter(isLate);
}

/**
 * Of the stretches in which somebody watched who has no piece of a pod at all, those at whose beginning it was gone: not those at which it
 * was there, by what was watched at first hand. What there was of it has then been refused, or pruned.
 */
export const undisputed = (watched: readonly Stretch[], own: Knowledge): readonly Stretch[] =>
  watched.filter(
    ({ sinceVersion: version }) =>
      !own.watched.some((one) => hasBegun(one, version) && compareResourceVersions(version, one.untilVersion) <= 0) ||
      !own.pieces.some((one) => hasBegun(one, version) && !isOver(one, version)),
  );

export const hasBegun = ({ sinceVersion }: Piece | Stretch, version: ResourceVersion): boolean =>
  compareResourceVersions(sinceVersion, version) <= 0;

export const isOver = ({ untilVersion }: Piece, version: ResourceVersion): boolean =>
  untilVersion !== undefined && compareResourceVersions(untilVersion, version) <= 0;

/** When somebody was watching. */
export function mergeWatched(a: readonly Stretch[], b: readonly Stretch[]): readonly Stretch[] {
  const merged: Stretch[] = [];
  for (const next of [...a, ...b].toSorted(bySince)) {
    const last = merged.at(-1);
    if (last === undefined || compareResourceVersions(next.sinceVersion, last.untilVersion) > 0) merged.push(next);
    else merged[merged.length - 1] = joined(last, next);
  }
  return merged;
}

/** The end is the later version's: so a clock that was wrong for a while does not call watched what is to come. */
function joined(a: Stretch, b: Stretch): Stretch {
  const { from, sinceVersion } = a;
  const order = compareResourceVersions(a.untilVersion, b.untilVersion);
  const { until, untilVersion } = order > 0 || (order === 0 && a.until > b.until) ? a : b;
  return { from: Math.min(from, b.from), until, sinceVersion, untilVersion };
}

const bySince = (a: Stretch, b: Stretch): number => compareResourceVersions(a.sinceVersion, b.sinceVersion);

interface Witness {
  readonly points: readonly Point[];
  readonly watched: readonly Stretch[];
}

/** One point for each version. */
function* union(witnesses: readonly Witness[]): Steps<readonly Point[]> {
  const byVersion = new Map<ResourceVersion, Point>();
  let looked = 0;
  for (const { points } of witnesses) {
    for (const point of points) {
      if (++looked % PER_STEP === 0) yield;
      if (point.state === UNKNOWN) continue;
      const known = byVersion.get(point.version);
      byVersion.set(point.version, known ? both(known, point) : point);
    }
  }
  return inOrder(byVersion.values());
}

/** They say the same, unless two versions of this program read one record differently. */
function both(a: Point, b: Point): Point {
  const isSame = sameState(a.state, b.state);
  const { version, state, heldFrom } = isSame || textOf(a.state) <= textOf(b.state) ? a : b;
  const at = Math.min(a.at, b.at);
  return { version, at, state, heldFrom: isSame ? least(a.heldFrom, b.heldFrom) : heldFrom };
}

/** That it was not held comes last. */
function textOf(state: State | undefined): string {
  if (state?.holder === undefined) return state ? '' : '~';
  const { labels, hostNetwork, nodeName, serviceAccount, workload } = state.holder;
  const { terminating, finished } = state;
  return JSON.stringify({ labels, hostNetwork, nodeName, serviceAccount, workload, terminating, finished });
}

const least = (a: Moment | undefined, b: Moment | undefined): Moment | undefined =>
  a === undefined || b === undefined ? (a ?? b) : Math.min(a, b);

/** With what the witnesses say where they began to watch anew, as far as it is something else, or was heard earlier. */
function* refuted(points: readonly Point[], witnesses: readonly Witness[]): Steps<readonly Point[]> {
  const starts = witnesses
    .flatMap(({ points: own, watched }) => watched.map((stretch) => ({ stretch, own })))
    .toSorted((a, b) => bySince(a.stretch, b.stretch));
  const found: Point[] = [];
  let next = 0;
  for (const [i, point] of points.entries()) {
    if (i % PER_STEP === PER_STEP - 1) yield;
    found.push(point);
    let { state, at } = point;
    const end = points[i + 1]?.version;
    for (; next < starts.length; next++) {
      const { stretch, own } = starts[next] as (typeof starts)[number];
      const version = stretch.sinceVersion;
      if (end !== undefined && compareResourceVersions(version, end) >= 0) break;
      const order = compareResourceVersions(version, point.version);
      if (order < 0) continue;
      const said = order === 0 ? state : lastOf(own, version)?.state;
      if (said === UNKNOWN) continue;
      if (stretch.from >= at && sameState(said, state)) continue;
      [state, at] = [said, stretch.from];
      found.push({ version, at, state });
    }
  }
  return found;
}

/** The last one that is not later. */
function lastOf(points: readonly Point[], version: ResourceVersion): Point | undefined {
  let [low, high] = [0, points.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (compareResourceVersions((points[middle] as Point).version, version) <= 0) low = middle + 1;
    else high = middle;
  }
  return points[low - 1];
}

function* earliest(points: readonly Point[]): Steps<readonly Point[]> {
  const all: Point[] = [];
  let at = Infinity;
  for (const point of points.toReversed()) {
    at = Math.min(at, point.at);
    if (all.push({ ...point, at }) % PER_STEP === 0) yield;
  }
  return all.reverse();
}
