import assert from 'node:assert/strict';
import { answer } from '../../../src/index/answer.ts';
import type { PodIndex } from '../../../src/index/pod-index.ts';
import type { Pod } from '../../../src/pod.ts';
import type { List } from './list.ts';
import { expectedAnswer, inOrder, isAbout } from './oracle.ts';
import type { SliceOracle } from './oracle.ts';
import { ADDRESSES, NAMES, NAMESPACES } from './truth.ts';
import type { Truth } from './truth.ts';

/** One slice: what its watch has brought so far, and the lists that are being read. */
export interface Watched {
  readonly namespace: string | undefined;
  readonly slice: ReturnType<PodIndex['slice']>;
  readonly oracle: SliceOracle;
  /** How much of the truth's log the watch has brought. */
  at: number;
  /** The newest version that the watch has brought, or lost. */
  taken: number;
  /** The version up to which the index has been told everything, so that it must be as the truth was then. */
  seen: number | undefined;
  lists: List[];
}

export function covers({ namespace }: Watched, pod: Pod): boolean {
  return namespace === undefined || pod.namespace === namespace;
}

/** Everything that can be asked is answered as the oracle says; and the oracle says what was true, where that can be known. */
export function compare(
  index: PodIndex,
  slices: readonly Watched[],
  { truth, uids }: { readonly truth: Truth; readonly uids: Iterable<string> },
): void {
  for (const of of slices) {
    if (of.seen === undefined) continue;
    const then = [...truth.at(of.seen).values()].filter((pod) => covers(of, pod));
    same(inOrder(of.oracle.records()), inOrder(then), 'the oracle knows what was true');
  }
  const pods = inOrder(slices.flatMap(({ oracle }) => oracle.records()));
  const aside = slices.flatMap(({ oracle }) => oracle.aside());
  same([...index.walk()], pods, 'all pods, in order');
  assert.equal(index.size, pods.length);
  assert.equal(index.unreadable, aside.length);
  assert.equal(index.addresses, new Set(pods.flatMap((pod) => pod.podIps)).size);
  const partial = slices[0]?.namespace !== undefined;
  for (const ip of ADDRESSES) {
    const given = answer(index, ip, { partial, clusterCidrs: [] });
    const expected = expectedAnswer(pods, aside, ip, partial);
    assert.equal(given.kind, expected.kind, ip);
    if (given.kind === 'one' && expected.kind === 'one') same([given.pod], [expected.pod], ip);
    if (given.kind === 'ambiguous' && expected.kind === 'ambiguous') same(given.candidates, expected.candidates, ip);
    if (given.kind === 'none' && expected.kind === 'none') assert.equal(given.reason, expected.reason, ip);
  }
  for (const uid of uids) {
    const pod = pods.find((one) => one.uid === uid);
    same([index.byUid(uid)], [pod], uid);
    assert.equal(
      index.isSetAside({ uid }),
      aside.some((object) => object.key === uid),
    );
    const owner = pods.filter((one) => one.containers.some(({ id }) => id.endsWith(`${uid}-1`)));
    same([index.byContainerId(`containerd://${uid}-1`)], [owner[0]], `container of ${uid}`);
  }
  for (const namespace of NAMESPACES) {
    same(
      [...index.walk({ namespace })],
      pods.filter((pod) => pod.namespace === namespace),
      namespace,
    );
    for (const name of NAMES) {
      const pod = pods.find((one) => one.namespace === namespace && one.name === name);
      same([index.byName(namespace, name)], [pod], name);
      const reference = { uid: 'x', namespace, name };
      assert.equal(
        index.isSetAside(reference),
        aside.some((object) => isAbout(object, reference)),
        name,
      );
    }
  }
}

export function compareShrinkage(of: Watched, list: List): void {
  const records = of.oracle.floor === undefined ? [] : of.oracle.records();
  const lost = records.filter(
    (pod) =>
      Number(pod.resourceVersion) <= list.version &&
      !list.pods.some((one) => one.uid === pod.uid) &&
      !list.unreadable.some((object) => isAbout(object, pod)),
  );
  const told = list.replacement.shrinkage(String(list.version));
  assert.deepEqual(told, { total: records.length, lost: lost.length });
}

/** What a commit says it did is what it did; and whoever is as before is the very record of before. */
export function compareCommit(
  before: readonly Pod[],
  after: readonly Pod[],
  done: { readonly added: number; readonly modified: number; readonly deleted: number },
): void {
  const old = new Map(before.map((pod) => [pod.uid, pod]));
  let added = 0;
  let modified = 0;
  for (const pod of after) {
    const former = old.get(pod.uid);
    if (former === undefined) added++;
    else if (former !== pod) modified++;
    if (former && former !== pod) assert.notEqual(essence(former), essence(pod), 'an unchanged pod keeps its record');
  }
  const deleted = before.length + added - after.length;
  assert.deepEqual(done, { added, modified, deleted });
}

function same(given: readonly (Pod | undefined)[], expected: readonly (Pod | undefined)[], what: string): void {
  if (given.length === expected.length && given.every((pod, i) => essence(pod) === essence(expected[i]))) return;
  assert.deepEqual(given, expected, what);
  assert.fail(what);
}

const essences = new WeakMap<Pod, string>();

function essence(pod: Pod | undefined): string {
  if (pod === undefined) return '';
  let text = essences.get(pod);
  if (text === undefined) essences.set(pod, (text = JSON.stringify(pod)));
  return text;
}
