import assert from 'node:assert/strict';
import { test } from 'node:test';
import { array, assert as check, constantFrom, nat, property, tuple } from 'fast-check';
import { Follower } from './model/follower.ts';
import { pick } from './model/truth.ts';
import { makePod } from './make-pod.ts';
import { PodIndex } from '../../src/index/pod-index.ts';
import type { Pod } from '../../src/pod.ts';

const NAMESPACES = ['a', 'b'];
const IPS = ['10.0.0.1', '10.0.0.2', 'fd00::1'];

/** Pods that cannot be: one uid under many names and in two namespaces, one version of many contents. */
function garbage(number: number): Pod {
  const version = 1 + ((number >> 3) % 12);
  return makePod({
    uid: `u${number % 5}`,
    namespace: pick(NAMESPACES, number >> 7) ?? '',
    name: `n${(number >> 8) % 4}`,
    resourceVersion: `${version}`,
    podIps: IPS.slice((number >> 10) % 4, 3),
    hostIps: IPS.slice(0, (number >> 12) % 3),
    hostNetwork: (number >> 14) % 4 === 0,
  });
}

/** However it came about, all ways to a pod lead to the same pods. */
function assertWhole(index: PodIndex): void {
  const pods = [...index.walk()];
  assert.equal(index.size, pods.length);
  assert.equal(new Set(pods.map(({ namespace, name }) => `${namespace}/${name}`)).size, pods.length, 'one pod a name');
  for (const pod of pods) {
    assert.equal(index.byUid(pod.uid), pod);
    assert.equal(index.byName(pod.namespace, pod.name), pod);
  }
  for (const ip of IPS) {
    assert.deepEqual(new Set(index.holders(ip)), new Set(pods.filter((pod) => pod.podIps.includes(ip))), ip);
    assert.equal(
      index.isHostIp(ip),
      pods.some((pod) => pod.hostIps.includes(ip)),
      ip,
    );
  }
}

const step = tuple(
  constantFrom('upsert', 'remove', 'setAside', 'begin', 'add', 'unlist', 'commit', 'forget'),
  nat(0xffff),
);

test('G whatever nonsense it is told, the index stays whole, its feed true, and nothing is left when all is gone', () => {
  check(
    property(array(step, { maxLength: 80, size: 'max' }), (steps) => {
      const index = new PodIndex({ namespaces: NAMESPACES, feedCapacity: 30, rememberedDeletions: 6 });
      const follower = new Follower(index);
      let lists = NAMESPACES.map((namespace) => ({ namespace, list: index.slice(namespace).beginReplace() }));
      const synced = new Set<string>();
      for (const [what, number] of steps) {
        const pod = garbage(number);
        const slice = index.slice(pod.namespace);
        const own = lists.filter(({ namespace }) => namespace === pod.namespace);
        const open = pick(own, number);
        if (what === 'upsert') slice.upsert(pod);
        else if (what === 'remove') slice.remove(pod);
        else if (what === 'setAside') slice.setAside({ ...pod, key: pod.uid, ips: pod.podIps, reason: '' });
        else if (what === 'begin') lists.push({ namespace: pod.namespace, list: slice.beginReplace() });
        else if (what === 'add') open?.list.add(pod);
        else if (what === 'unlist') open?.list.remove(pod);
        else if (open) {
          open.list.commit(String((number >> 3) % 15), { forget: what === 'forget' });
          lists = lists.filter((one) => one !== open);
          synced.add(pod.namespace);
        }
        assertWhole(index);
        if (synced.size === NAMESPACES.length && number % 2 === 0) {
          follower.pull();
          assert.deepEqual(new Set(follower.pods.values()), new Set(index.walk()));
        }
      }
      for (const namespace of NAMESPACES) index.slice(namespace).beginReplace().commit('99', { forget: true });
      assert.equal(index.size, 0);
      assert.deepEqual(new Set(Object.values(index.leftovers)), new Set([0]));
    }),
    { numRuns: 3_000 },
  );
});
