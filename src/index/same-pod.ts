import type { Pod, StringMap } from '../pod.ts';

/**
 * Whether two records of one uid and resource version say the same. They must, except after an etcd was restored and its
 * versions were given out anew (rule B8): then the number is equal and the pod is not, and a list must not be taken for old
 * news. Containers are left out: nobody is identified by them, and packed as they are the comparison would cost more than
 * everything else a relist does.
 */
export function samePod(a: Pod, b: Pod): boolean {
  return (
    a.uid === b.uid &&
    a.resourceVersion === b.resourceVersion &&
    a.namespace === b.namespace &&
    a.name === b.name &&
    a.hostNetwork === b.hostNetwork &&
    a.phase === b.phase &&
    a.ready === b.ready &&
    a.nodeName === b.nodeName &&
    a.serviceAccount === b.serviceAccount &&
    a.qosClass === b.qosClass &&
    a.deletionTimestamp === b.deletionTimestamp &&
    a.createdAt === b.createdAt &&
    a.startedAt === b.startedAt &&
    sameTexts(a.podIps, b.podIps) &&
    sameTexts(a.hostIps, b.hostIps) &&
    sameStrings(a.labels, b.labels) &&
    sameStrings(a.annotations, b.annotations) &&
    sameFields(a.owner, b.owner) &&
    sameFields(a.workload, b.workload)
  );
}

export function sameTexts(a: readonly string[], b: readonly string[]): boolean {
  return a === b || (a.length === b.length && a.every((text, i) => text === b[i]));
}

export function sameStrings(a: StringMap, b: StringMap): boolean {
  if (a === b) return true;
  // Without `Object.keys`, which makes an array each time.
  let more = 0;
  for (const key in a) {
    if (a[key] !== b[key]) return false;
    more++;
  }
  for (const _ in b) more--;
  return more === 0;
}

/** Of owners and workloads: flat, texts only. */
export function sameFields(a: object | undefined, b: object | undefined): boolean {
  if (a === undefined || b === undefined) return a === b;
  return a === b || sameStrings(a as StringMap, b as StringMap);
}
