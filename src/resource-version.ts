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

/** Whether text is a resource version that can be ordered. The API's `""` and `"0"` ask for something and order nothing. */
export function isResourceVersion(text: unknown): text is ResourceVersion {
  return typeof text === 'string' && /^[1-9][0-9]{0,38}$/.test(text);
}
