import type { ResourceVersion } from './pod.ts';

/**
 * Orders two resource versions: negative when a is older, 0 when equal, positive when newer.
 * Since Kubernetes 1.35 they are defined as decimal integers of any size without leading zeros (KEP-5504),
 * so the longer one is the newer one and equal lengths compare as text. No number type is big enough for sure.
 */
export function compareResourceVersions(a: ResourceVersion, b: ResourceVersion): number {
  if (a === b) return 0;
  if (a.length !== b.length) return a.length - b.length;
  return a < b ? -1 : 1;
}

export const isOlder = (a: ResourceVersion, b: ResourceVersion): boolean => compareResourceVersions(a, b) < 0;

export const newer = (a: ResourceVersion, b: ResourceVersion): ResourceVersion => (isOlder(a, b) ? b : a);

/** As long as the longest, so that what comes after a restore is later than all that was before. */
const DIGITS = 39;

/**
 * Puts the versions of several histories in one order: when an etcd was restored (rule B8) versions go back, and those of the next
 * era come after all of the era before. Of the first era, 0, they are as they were.
 */
export function inEra(version: ResourceVersion, era: number): ResourceVersion {
  return era === 0 ? version : `${era}${version.padStart(DIGITS, '0')}`;
}

/** Of what `inEra` has made. */
export function eraOf(version: ResourceVersion): number {
  return version.length <= DIGITS ? 0 : Number(version.slice(0, -DIGITS));
}

/** Many eras later. */
export function erasLater(version: ResourceVersion, eras: number): ResourceVersion {
  const era = eraOf(version);
  return inEra(era === 0 ? version : version.slice(-DIGITS), era + eras);
}

/** The one after it. */
export const nextVersion = (version: ResourceVersion): ResourceVersion => String(BigInt(version) + 1n);

/** Whether text is a resource version that can be ordered. The API's `""` and `"0"` ask for something and order nothing. */
export function isResourceVersion(text: unknown): text is ResourceVersion {
  return typeof text === 'string' && /^[1-9][0-9]{0,38}$/.test(text);
}
