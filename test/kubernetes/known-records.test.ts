import assert from 'node:assert/strict';
import * as fc from 'fast-check';
import { test } from 'node:test';
import { canonicalIp } from '../../src/index/ip-address.ts';
import { podReader } from '../../src/kubernetes/pod-from-api.ts';
import type { Pod } from '../../src/pod.ts';
import { plainPod } from './golden/golden.ts';

const ip = fc.constantFrom('', '10.0.0.1', '10.0.0.2', 'fd00::1');
const id = fc.constantFrom('', `containerd://${'a'.repeat(64)}`, `containerd://${'b'.repeat(64)}`);

/** Few values, so that a pod and the one before often say the same in part. */
const pod = fc.record({
  metadata: fc.record({
    uid: fc.constantFrom('u', 'v'),
    namespace: fc.constantFrom('n', 'm'),
    name: fc.constantFrom('p', 'q', 'pq'),
    resourceVersion: fc.constantFrom('1', '2'),
  }),
  spec: fc.record({ containers: fc.constantFrom([], [{ name: 'c', image: 'i' }]) }),
  status: fc.record({
    podIP: ip,
    podIPs: fc.array(fc.record({ ip }), { maxLength: 3 }),
    containerStatuses: fc
      .tuple(id, fc.nat(2))
      .map(([containerID, restartCount]) => [{ name: 'c', restartCount, ...(containerID && { containerID }) }]),
  }),
});

test('what is read of a pod is the same whatever is kept of it, and of addresses that are the same the list that is kept', () => {
  const property = fc.property(fc.array(pod, { maxLength: 20 }), (said) => {
    const kept = new Map<string, Pod>();
    const reader = podReader({ canonicalIp, known: (uid) => kept.get(uid) });
    for (const one of said) {
      const read = reader.fromJson(one);
      const alone = podReader({ canonicalIp }).fromJson(one);
      assert.deepEqual(plainPod(read), plainPod(alone));
      const before = kept.get(read.uid)?.podIps;
      const isSame = before?.join() === alone.podIps.join();
      assert.equal(read.podIps === before, before !== undefined && isSame);
      kept.set(read.uid, read);
    }
  });
  fc.assert(property, { numRuns: 500 });
});
