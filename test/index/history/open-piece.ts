import type { Piece } from '../../../src/index/history/piece.ts';
import { makePod } from '../make-pod.ts';

/** That the pod `a` holds an address, known by a version since then. */
export const openPiece = (ip: string, sinceVersion: string, from: number): Piece => ({
  ip,
  holder: makePod({ uid: 'a', name: 'a' }),
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
