import type { ResourceVersion } from '../../pod.ts';
import { compareResourceVersions } from '../../resource-version.ts';
import { erasBehind, laterBy } from './eras.ts';
import type { Moment } from './interval.ts';
import { beginning, merge, speaking, undisputed } from './merge.ts';
import type { Knowledge } from './merge.ts';
import type { Piece } from './piece.ts';
import type { Steps } from './steps.ts';
import type { Unwatched } from './unwatched.ts';

/** What is to be read of one address. */
export interface Window {
  readonly ip: string;
  /** All that touches [from, until], with the last piece of each such hold. Infinite where there is no end. */
  readonly from: Moment;
  readonly until: Moment;
  /** Also the last one before and the first one after it; they are wanted in any case where an unreadable object touches it. */
  readonly neighbours: boolean;
}

/** What one pod did at one address, from a version on. */
export interface Course {
  readonly ip: string;
  readonly uid: string;
  readonly sinceVersion: ResourceVersion;
}

/** What must be read of an archive to say how it was at a moment. */
export function windowAround(ip: string, moment: Moment, unwatched: Unwatched): Window {
  const hole = unwatched.around(moment);
  return {
    ip,
    from: hole?.from ?? moment,
    until: hole ? (hole.until ?? Infinity) : moment,
    neighbours: hole !== undefined,
  };
}

/** Of whom, of those that memory knows at an address, the archive may know better what is in the window, or when it ended before. */
export function coursesIn(
  { from, until }: Pick<Window, 'from' | 'until'>,
  pieces: readonly Piece[],
): readonly Course[] {
  const endOf = (piece: Piece): Moment => piece.until ?? Infinity;
  const began = pieces.filter((piece) => piece.holder && piece.from <= until);
  const last = began.reduce(
    (latest, piece) => (endOf(piece) < from ? Math.max(latest, endOf(piece)) : latest),
    -Infinity,
  );
  const courses = new Map<string, Course>();
  for (const { ip, holder, sinceVersion, ...piece } of began) {
    if (!holder || (piece.until ?? Infinity) < Math.min(from, last)) continue;
    const known = courses.get(holder.uid);
    if (known && compareResourceVersions(known.sinceVersion, sinceVersion) <= 0) continue;
    courses.set(holder.uid, { ip, uid: holder.uid, sinceVersion });
  }
  return [...courses.values()];
}

/** Each once. */
export const distinctWindows = (windows: readonly Window[]): readonly Window[] => [
  ...new Map(windows.map((window) => [`${window.ip} ${window.from} ${window.until}`, window])).values(),
];

export interface Joined {
  /** All that memory knows of some addresses. */
  readonly memory: Knowledge;
  /** What was read of them; `watched` is all of it. */
  readonly archived: Knowledge;
  /** Of these all was read, and may be nothing. */
  readonly courses: readonly Course[];
}

/** Most have one piece. */
const PODS_PER_STEP = 64;

/** The pieces of each pod at each address, as memory and archive know them together. */
export function* join({ memory: heard, archived, courses }: Joined): Steps<readonly Piece[]> {
  const memory = laterBy(heard, erasBehind(heard.watched, archived.watched));
  const own = Map.groupBy(memory.pieces, keyOf);
  const read = Map.groupBy(archived.pieces, keyOf);
  const whole = new Map(courses.map(({ ip, uid, sinceVersion }) => [keyFor(ip, uid), sinceVersion]));
  const first = memory.watched[0]?.sinceVersion;
  const joined: (readonly Piece[])[] = [];
  let looked = 0;
  for (const key of new Set([...own.keys(), ...read.keys()])) {
    if (++looked % PODS_PER_STEP === 0) yield;
    const [mine, pieces] = [own.get(key) ?? [], once(read.get(key) ?? [])];
    if (mine.length === 0 && pieces.every((piece) => isOverBefore(piece, first))) {
      joined.push(pieces);
      continue;
    }
    const since = whole.get(key);
    const all = since === undefined ? speaking(archived.watched, pieces) : beginning(archived.watched, since);
    const watched = pieces.length === 0 ? undisputed(all, { pieces: mine, watched: memory.watched }) : all;
    joined.push(yield* merge({ pieces: mine, watched: memory.watched }, { pieces, watched }));
  }
  return joined.flat();
}

/** A row is read with each window that it touches. */
const once = (pieces: readonly Piece[]): readonly Piece[] => [
  ...new Map(pieces.map((piece) => [piece.sinceVersion, piece])).values(),
];

const keyFor = (ip: string, uid: string): string => `${ip} ${uid}`;
const keyOf = ({ ip, holder }: Piece): string => keyFor(ip, holder?.uid ?? '');

/** Whoever began to watch at a version, or never, cannot refute it. */
const isOverBefore = ({ untilVersion }: Piece, version: ResourceVersion | undefined): boolean =>
  version === undefined || (untilVersion !== undefined && compareResourceVersions(untilVersion, version) < 0);
