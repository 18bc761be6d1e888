import { compareResourceVersions, eraOf } from '../../resource-version.ts';
import type { ResourceVersion } from '../../pod.ts';
import { mergeWatched } from './merge.ts';
import type { Stretch } from './piece.ts';

/**
 * Whether an observer has watched a time that is missing in what is archived, though later times are there: before the first one or between two.
 * What is later than all of them may still be written by whoever is about to. In doubt it has not: where etcd was restored (rule B8) while it
 * watched, or between it and the others, versions may not mean the same, and who is behind the others may not have heard of a restore.
 */
export function fillsHole(archived: readonly Stretch[], own: readonly Stretch[]): boolean {
  const latest = latestOf(archived);
  if (latest === undefined || compareResourceVersions(latestOf(own) ?? '', latest) < 0) return false;
  if (own.some(({ sinceVersion }) => eraOf(sinceVersion) !== eraOf(latest))) return false;
  const before = own.flatMap((stretch) => upTo(stretch, latest) ?? []);
  return versionsOf(mergeWatched(archived, before)) !== versionsOf(mergeWatched(archived, []));
}

function upTo(stretch: Stretch, version: ResourceVersion): Stretch | undefined {
  if (compareResourceVersions(stretch.sinceVersion, version) > 0) return undefined;
  return compareResourceVersions(stretch.untilVersion, version) <= 0 ? stretch : { ...stretch, untilVersion: version };
}

const latestOf = (watched: readonly Stretch[]): ResourceVersion | undefined =>
  watched
    .map(({ untilVersion }) => untilVersion)
    .toSorted(compareResourceVersions)
    .at(-1);

const versionsOf = (watched: readonly Stretch[]): string =>
  watched.map(({ sinceVersion, untilVersion }) => `${sinceVersion}..${untilVersion}`).join();
