import { eraOf, isOlder } from '../../resource-version.ts';
import { mergeWatched } from './merge.ts';
import type { Stretch } from './piece.ts';

/**
 * Whether an observer has watched a time that is missing in what is archived, though later times are there: before the first one or between two.
 * What is later than all of them may still be written by whoever is about to. In doubt it has not: where etcd was restored (rule B8) while it
 * watched, or between it and the others, versions may not mean the same, and who is behind the others may not have heard of a restore.
 */
export function fillsHole(archived: readonly Stretch[], own: readonly Stretch[]): boolean {
  const there = mergeWatched(archived, []);
  const latest = there.at(-1)?.untilVersion;
  const ownLatest = mergeWatched(own, []).at(-1)?.untilVersion ?? '';
  if (latest === undefined || isOlder(ownLatest, latest)) return false;
  if (own.some(({ sinceVersion }) => eraOf(sinceVersion) !== eraOf(latest))) return false;
  return own.some(({ sinceVersion, untilVersion }) => {
    // Of what begins later than `latest` nothing is left: that is in the last one.
    const until = isOlder(latest, untilVersion) ? latest : untilVersion;
    return !there.some((one) => !isOlder(sinceVersion, one.sinceVersion) && !isOlder(one.untilVersion, until));
  });
}
