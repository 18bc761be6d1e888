import { beginning, isOver, merge, undisputed } from '../../index/history/merge.ts';
import type { Knowledge } from '../../index/history/merge.ts';
import type { Piece, Stretch } from '../../index/history/piece.ts';
import { saidByOne } from '../../index/history/said-by-one.ts';
import { samePiece } from '../../index/history/same-piece.ts';
import { PER_STEP } from '../../index/history/steps.ts';
import type { Steps } from '../../index/history/steps.ts';
import type { ResourceVersion } from '../../pod.ts';
import type { Row } from '../postgres/mirrored-table.ts';
import type { Course } from './history-store.ts';
import { historyRow, sameRow } from './history-table.ts';

/** What memory knows of a group. */
export interface Heard extends Course, Knowledge {
  readonly group: string;
  /** `sinceVersion` is where the last one begins of the pieces that are written, and only later ones can be others than those. */
  readonly isRest: boolean;
}

/** What Postgres knows of all groups. */
interface Archived {
  /** When somebody was watching. */
  readonly watched: readonly Stretch[];
  /** What ended before it is left to pruning. */
  readonly horizon: number;
}

interface Differences {
  readonly news: readonly Row[];
  /** They are not to be there any more. */
  readonly gone: readonly Row[];
}

/** What is to be written of a group of which memory says all there is, as of nearly all; undefined: `differences` tells. Few: `PER_STEP` at most. */
export function newsOf(heard: Heard, found: readonly Piece[], archived: Archived): readonly Piece[] | undefined {
  const from = restFrom(heard);
  const known = knownOf(heard, from, found, archived);
  const pieces = saidByOne(heard, known);
  // Of what is written the beginning is the same.
  const isOurs = from === undefined || (known.pieces.length > 0 && pieces?.[0]?.sinceVersion === from);
  if (pieces === undefined || !isOurs) return undefined;
  let news: Piece[] | undefined;
  for (let i = 0; i < pieces.length; i++) {
    const piece = pieces[i] as Piece;
    const old = known.pieces[i];
    if (!isRecent(piece, archived) || (old && samePiece(piece, old))) continue;
    if (news) news.push(piece);
    // Nearly always the only one: an array that is begun empty has room for sixteen.
    else news = [piece];
  }
  return news ?? NONE;
}

const NONE: readonly Piece[] = [];

/** What is to be written of a group. undefined: of its rest that cannot be told, for what is written already would become another one. */
export function* differences(
  heard: Heard,
  found: readonly Piece[],
  archived: Archived,
): Steps<Differences | undefined> {
  const from = restFrom(heard);
  const known = knownOf(heard, from, found, archived);
  const before = new Map<string, Piece>();
  for (const [i, piece] of known.pieces.entries()) {
    before.set(keyOf(piece), piece);
    if (i % PER_STEP === PER_STEP - 1) yield;
  }
  const news: Row[] = [];
  for (const [i, piece] of (yield* merge(heard, known)).entries()) {
    const key = keyOf(piece);
    const old = before.get(key);
    before.delete(key);
    // What is before it depends on when it and its hold began.
    const isSame = piece.sinceVersion === from && piece.heldFrom === old?.heldFrom;
    if (i === 0 && from !== undefined && !isSame) return undefined;
    const row = historyRow(piece);
    if (isRecent(piece, archived) && !(old && sameRow(row, historyRow(old)))) news.push(row);
    if (i % PER_STEP === PER_STEP - 1) yield;
  }
  return { news, gone: Array.from(before.values(), historyRow) };
}

/** From which version on only, if it is the rest. */
const restFrom = ({ isRest, sinceVersion }: Heard): ResourceVersion | undefined => (isRest ? sinceVersion : undefined);

function knownOf(
  heard: Heard,
  from: ResourceVersion | undefined,
  found: readonly Piece[],
  { watched }: Archived,
): Knowledge {
  const pieces = from === undefined ? found : found.filter((piece) => !isOver(piece, from));
  return { pieces, watched: speakingOf(heard, pieces, watched) };
}

const isRecent = ({ until = Infinity }: Piece, { horizon }: Archived): boolean => until >= horizon;

/** By which a row of a group is found. */
const keyOf = ({ from, sinceVersion }: Piece): string => `${from} ${sinceVersion}`;

/** Of what was read all is there from a version on. */
function speakingOf(heard: Heard, there: readonly Piece[], watched: readonly Stretch[]): readonly Stretch[] {
  const since = heard.sinceVersion ?? there[0]?.sinceVersion;
  if (since === undefined) return [];
  const all = beginning(watched, since);
  return there.length > 0 || all.length === 0 ? all : undisputed(all, heard);
}
