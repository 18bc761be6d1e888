import { beginning, isOver, merge, undisputed } from '../../index/history/merge.ts';
import type { Knowledge } from '../../index/history/merge.ts';
import type { Piece, Stretch } from '../../index/history/piece.ts';
import { PER_STEP } from '../../index/history/steps.ts';
import type { Steps } from '../../index/history/steps.ts';
import type { Row } from '../postgres/mirrored-table.ts';
import type { Course } from './history-store.ts';
import { historyRow, rowKey, sameHeldFrom, sameRow } from './history-table.ts';

/** What memory knows of a group. */
export interface Heard extends Course, Knowledge {
  readonly group: string;
  /** `sinceVersion` is where the last one begins of the pieces that are written, and only later ones can be others than those. */
  readonly isRest: boolean;
}

/** What Postgres knows of a group. */
interface Archived {
  readonly found: readonly Piece[];
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

/** What is to be written of a group. undefined: of its rest that cannot be told, for what is written already would become another one. */
export function* differences(heard: Heard, { found, watched, horizon }: Archived): Steps<Differences | undefined> {
  const from = heard.isRest ? heard.sinceVersion : undefined;
  const there = from === undefined ? found : found.filter((piece) => !isOver(piece, from));
  const known = { pieces: there, watched: speakingOf(heard, there, watched) };
  const before = new Map<string, Row>();
  for (const [i, piece] of there.entries()) {
    const row = historyRow(piece);
    before.set(rowKey(row), row);
    if (i % PER_STEP === PER_STEP - 1) yield;
  }
  const news: Row[] = [];
  for (const [i, piece] of (yield* merge(heard, known)).entries()) {
    const row = historyRow(piece);
    const key = rowKey(row);
    const old = before.get(key);
    before.delete(key);
    // What is before it depends on when it and its hold began.
    const isSame = piece.sinceVersion === from && old !== undefined && sameHeldFrom(row, old);
    if (i === 0 && from !== undefined && !isSame) return undefined;
    const isRecent = (piece.until ?? Infinity) >= horizon;
    if (isRecent && (old === undefined || !sameRow(row, old))) news.push(row);
    if (i % PER_STEP === PER_STEP - 1) yield;
  }
  return { news, gone: [...before.values()] };
}

/** Of what was read all is there from a version on. */
function speakingOf(heard: Heard, there: readonly Piece[], watched: readonly Stretch[]): readonly Stretch[] {
  const since = heard.sinceVersion ?? there[0]?.sinceVersion;
  if (since === undefined) return [];
  const all = beginning(watched, since);
  return there.length === 0 ? undisputed(all, heard) : all;
}
