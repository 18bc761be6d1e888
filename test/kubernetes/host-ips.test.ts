import assert from 'node:assert/strict';
import * as fc from 'fast-check';
import { test } from 'node:test';
import { canonicalIp } from '../../src/index/ip-address.ts';
import { podReader } from '../../src/kubernetes/pod-from-api.ts';

/** Two addresses in two spellings each; the second of each is the canonical one. */
const ip = fc.constantFrom('', 'FD00::1', 'fd00::1', '::ffff:10.0.0.1', '10.0.0.1');

test('D1 the addresses of a node are the list and then the single one, canonical, whatever other pods said of it before', () => {
  const property = fc.property(fc.array(fc.tuple(fc.array(ip, { maxLength: 3 }), ip), { maxLength: 20 }), (said) => {
    const reader = podReader({ annotations: [], canonicalIp });
    for (const [list, hostIP] of said) {
      const metadata = { uid: 'u', namespace: 'n', name: 'p', resourceVersion: '1' };
      const pod = reader.fromJson({ metadata, status: { hostIP, hostIPs: list.map((one) => ({ ip: one })) } });
      const all = [...list, hostIP].filter((one) => one !== '').map((one) => canonicalIp(one) ?? assert.fail());
      assert.deepEqual(pod.hostIps, [...new Set(all)]);
    }
  });
  fc.assert(property, { numRuns: 500 });
});
