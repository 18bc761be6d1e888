import assert from 'node:assert/strict';
import { test } from 'node:test';
import { callerOf } from '../../../src/http/forward-auth/caller.ts';
import type { View } from '../../../src/index/answer.ts';
import { parseCidr } from '../../../src/index/ip-address.ts';
import type { Cidr } from '../../../src/index/ip-address.ts';
import { makePod } from '../../index/make-pod.ts';
import { AT, NOW, PODS, SLACK, smallCluster, WHOLE } from './support/cluster.ts';

const index = smallCluster();
const cidr = parseCidr('127.42.0.0/16') as Cidr;
const inPodNetwork: View = { partial: false, clusterCidrs: [cidr] };
const partly: View = { partial: true, clusterCidrs: [] };

/** `pod shop/web-1`, `outside node`, or the reason of the denial. */
function told(ip: string, view: View = WHOLE, now = NOW): string {
  const found = callerOf(ip, { index, view, terminatingSlackMs: SLACK }, now);
  if ('allow' in found) return found.reason;
  assert.equal(found.ip, ip);
  return found.kind === 'pod' ? `pod ${found.pod.namespace}/${found.pod.name}` : `outside ${found.reason}`;
}

/** Address, and who it is: seen whole, with CLUSTER_CIDR, and in part. */
const TABLE: readonly (readonly [keyof typeof AT, string, string, string])[] = [
  ['web', 'pod shop/web-1', 'pod shop/web-1', 'pod shop/web-1'],
  ['web6', 'pod shop/web-1', 'outside-cluster-cidr', 'pod shop/web-1'],
  ['leaving', 'pod shop/web-2', 'pod shop/web-2', 'pod shop/web-2'],
  ['gone', 'terminating', 'terminating', 'terminating'],
  ['twins', 'ambiguous', 'ambiguous', 'ambiguous'],
  ['done', 'terminal', 'terminal', 'terminal'],
  ['unreadable', 'unreadable', 'unreadable', 'unreadable'],
  ['hostNetwork', 'outside host-network', 'outside host-network', 'outside host-network'],
  ['node', 'outside node', 'outside node', 'outside node'],
  ['free', 'outside no-pod', 'outside no-pod', 'not-in-view'],
  ['office', 'outside no-pod', 'outside no-pod', 'not-in-view'],
  ['office6', 'outside no-pod', 'outside no-pod', 'not-in-view'],
  ['claimed', 'pod shop/liar-1', 'outside-cluster-cidr', 'pod shop/liar-1'],
];

for (const [name, whole, withCidr, partial] of TABLE) {
  test(`A4 A5 A6 A10 who has the address of ${name}`, () => {
    assert.deepEqual(
      [told(AT[name]), told(AT[name], inPodNetwork), told(AT[name], partly)],
      [whole, withCidr, partial],
    );
  });
}

test('A10 with part of the pods in view an address outside of CLUSTER_CIDR may be any hidden pod', () => {
  assert.equal(told(AT.office, { partial: true, clusterCidrs: [cidr] }), 'outside-cluster-cidr');
});

test('A5 a terminating pod is the caller until its deletion time and the slack have passed', () => {
  const end = NOW; // of `leaving`: its deletionTimestamp is SLACK before NOW
  assert.equal(told(AT.leaving, WHOLE, end - SLACK), 'pod shop/web-2');
  assert.equal(told(AT.leaving, WHOLE, end), 'pod shop/web-2');
  assert.equal(told(AT.leaving, WHOLE, end + 1), 'terminating');
});

test('A4 the log names the candidates of an ambiguous address, ten at most', () => {
  const crowd = Array.from({ length: 25 }, (_, i) =>
    makePod({ namespace: 'shop', name: `p-${100 + i}`, podIps: ['127.42.5.5'] }),
  );
  const found = callerOf('127.42.5.5', { index: smallCluster(...crowd), view: WHOLE, terminatingSlackMs: SLACK }, NOW);
  assert.ok('allow' in found && found.reason === 'ambiguous');
  assert.match(found.detail ?? '', /^127\.42\.5\.5: shop\/p-100, .*, shop\/p-109 and 15 more$/);
  assert.equal(
    (callerOf(AT.twins, { index, view: WHOLE, terminatingSlackMs: SLACK }, NOW) as { detail?: string }).detail,
    `${AT.twins}: bank/twin-2, shop/twin-1`,
  );
});

test('A4 the caller is the very record of the index', () => {
  const found = callerOf(AT.web, { index, view: WHOLE, terminatingSlackMs: SLACK }, NOW);
  assert.ok('kind' in found && found.kind === 'pod');
  assert.equal(found.pod, PODS.web);
});
