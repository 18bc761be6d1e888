import type { ResourceVersion } from '../../pod.ts';
import { eraOf, erasLater } from '../../resource-version.ts';
import type { Knowledge } from './merge.ts';
import type { Stretch } from './piece.ts';

/**
 * How many eras an observer is behind of what is archived: it began after restores of etcd (rule B8) that the archive has seen, and counts
 * from 0.
 */
export function erasBehind(own: readonly Stretch[], archived: readonly Stretch[]): number {
  const latest = (watched: readonly Stretch[]): number =>
    Math.max(0, ...watched.map(({ untilVersion }) => eraOf(untilVersion)));
  return Math.max(0, latest(archived) - latest(own));
}

/** What was heard, counted so many eras later. */
export function laterBy(known: Knowledge, eras: number): Knowledge {
  if (eras === 0) return known;
  const { pieces, watched } = known;
  const later = (version: ResourceVersion): ResourceVersion => erasLater(version, eras);
  const maybe = (version: ResourceVersion | undefined): ResourceVersion | undefined => version && later(version);
  return {
    pieces: pieces.map((piece) => ({
      ...piece,
      sinceVersion: later(piece.sinceVersion),
      terminatingVersion: maybe(piece.terminatingVersion),
      finishedVersion: maybe(piece.finishedVersion),
      untilVersion: maybe(piece.untilVersion),
    })),
    watched: watched.map((stretch) => ({
      ...stretch,
      sinceVersion: later(stretch.sinceVersion),
      untilVersion: later(stretch.untilVersion),
    })),
  };
}
