import type { Piece } from './piece.ts';
import { sameWho } from './same-identity.ts';

/** What may become of a piece, and when. */
export const CHANGES = [
  { version: 'terminatingVersion', at: 'terminatingFrom' },
  { version: 'finishedVersion', at: 'finishedFrom' },
  { version: 'untilVersion', at: 'until' },
] as const;

export const sameChange = (a: Piece, b: Piece, { version, at }: (typeof CHANGES)[number]): boolean =>
  a[version] === b[version] && a[at] === b[at];

/** Of one pod: began alike, and were one and the same. */
export const sameBeginning = (a: Piece, b: Piece): boolean =>
  a.sinceVersion === b.sinceVersion && a.from === b.from && a.heldFrom === b.heldFrom && sameWho(a.holder, b.holder);

/** Equal in everything. */
export function samePiece(a: Piece, b: Piece): boolean {
  for (const change of CHANGES) if (!sameChange(a, b, change)) return false;
  return (
    sameBeginning(a, b) &&
    a.ip === b.ip &&
    a.holder?.namespace === b.holder?.namespace &&
    a.holder?.name === b.holder?.name &&
    a.holder?.uid === b.holder?.uid &&
    a.goesOn === b.goesOn
  );
}
