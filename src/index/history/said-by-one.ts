import type { ResourceVersion } from '../../pod.ts';
import { compareResourceVersions, isOlder } from '../../resource-version.ts';
import type { Moment } from './interval.ts';
import { hasBegun } from './merge.ts';
import type { Knowledge } from './merge.ts';
import type { Piece } from './piece.ts';
import { isFollowedBy } from './point.ts';
import { sameWho } from './same-identity.ts';
import { CHANGES, sameBeginning, sameChange } from './same-piece.ts';
import { PER_STEP } from './steps.ts';

/**
 * What `merge` comes to where one of two says all there is to say, as is so of nearly all that changes while somebody writes down what it
 * hears: a hold of which nothing is missing, of which the other knows the beginning at most, and nobody who began to watch anew found
 * it otherwise. undefined: it is something else.
 */
export function saidByOne(own: Knowledge, other: Knowledge): readonly Piece[] | undefined {
  const { pieces } = own;
  if (pieces.length > PER_STEP || !isWhole(pieces) || !isBeginning(other.pieces, pieces)) return undefined;
  const unheard = firstUnheard(pieces, other.pieces);
  for (const { sinceVersion, from } of own.watched) if (lastChange(pieces, sinceVersion) > from) return undefined;
  for (const { sinceVersion, from } of other.watched) {
    const isSaid = unheard === undefined || compareResourceVersions(sinceVersion, unheard) <= 0;
    if (!isSaid || lastChange(pieces, sinceVersion) > from) return undefined;
  }
  return pieces;
}

/** When the last change was heard that is not later than a version. */
function lastChange(pieces: readonly Piece[], version: ResourceVersion): Moment {
  let last = -Infinity;
  for (const piece of pieces) {
    if (!hasBegun(piece, version)) break;
    last = piece.from;
    for (const { version: name, at } of CHANGES) {
      const changed = piece[name];
      if (changed !== undefined && compareResourceVersions(changed, version) <= 0)
        last = Math.max(last, piece[at] ?? last);
    }
  }
  return last;
}

/** The first change of pieces of which some, their beginning, say nothing; undefined: they say all. */
function firstUnheard(pieces: readonly Piece[], some: readonly Piece[]): ResourceVersion | undefined {
  const last = some.at(-1);
  const piece = pieces[some.length - 1];
  let first = pieces[some.length]?.sinceVersion;
  if (last === undefined || piece === undefined) return first;
  for (const { version: name } of CHANGES) {
    const changed = piece[name];
    if (changed === undefined || last[name] !== undefined) continue;
    if (first === undefined || isOlder(changed, first)) first = changed;
  }
  return first;
}

/** One hold from its beginning, each piece of which goes on in the next one, which is another one. */
function isWhole(pieces: readonly Piece[]): boolean {
  const began = pieces[0]?.from;
  for (let i = 0; i < pieces.length; i++) {
    const piece = pieces[i] as Piece;
    const next = pieces[i + 1];
    if (piece.heldFrom !== began || !isPlain(piece) || !isFollowedBy(piece, next)) return false;
    if (next && sameWho(piece.holder, next.holder)) return false;
  }
  return true;
}

/** What it says was heard in the order in which it happened; of what happened at once, at once. */
function isPlain(piece: Piece): boolean {
  const { sinceVersion, from, untilVersion, until } = piece;
  const { terminatingVersion, terminatingFrom, finishedVersion, finishedFrom } = piece;
  return (
    inTurn(sinceVersion, from, untilVersion, until) &&
    isWithin(piece, terminatingVersion, terminatingFrom) &&
    isWithin(piece, finishedVersion, finishedFrom) &&
    (inTurn(terminatingVersion, terminatingFrom, finishedVersion, finishedFrom) ||
      inTurn(finishedVersion, finishedFrom, terminatingVersion, terminatingFrom))
  );
}

const isWithin = (piece: Piece, version: ResourceVersion | undefined, at: Moment | undefined): boolean =>
  version === undefined ||
  (version !== piece.untilVersion &&
    inTurn(piece.sinceVersion, piece.from, version, at) &&
    inTurn(version, at, piece.untilVersion, piece.until));

/** What does not happen is not in the way. */
function inTurn(
  version: ResourceVersion | undefined,
  at: Moment = NaN,
  nextVersion: ResourceVersion | undefined,
  nextAt: Moment = NaN,
): boolean {
  if (version === undefined || nextVersion === undefined) return true;
  const order = compareResourceVersions(version, nextVersion);
  return order < 0 ? at <= nextAt : order === 0 && at === nextAt;
}

/** They are the first of those, the last one perhaps as it was before it changed or ended. */
function isBeginning(some: readonly Piece[], all: readonly Piece[]): boolean {
  for (let i = 0; i < some.length; i++) {
    const one = some[i] as Piece;
    const known = all[i];
    if (known === undefined || !sameBeginning(one, known)) return false;
    const isOpen = i === some.length - 1 && one.untilVersion === undefined;
    for (const change of CHANGES) {
      const isNews = isOpen && one[change.version] === undefined && isLater(known[change.version], one);
      if (!isNews && !sameChange(one, known, change)) return false;
    }
  }
  return true;
}

/** Than all that a piece says. */
const isLater = (version: ResourceVersion | undefined, piece: Piece): boolean =>
  version !== undefined &&
  isBefore(piece.sinceVersion, version) &&
  isBefore(piece.terminatingVersion, version) &&
  isBefore(piece.finishedVersion, version);

const isBefore = (said: ResourceVersion | undefined, version: ResourceVersion): boolean =>
  said === undefined || isOlder(said, version);
