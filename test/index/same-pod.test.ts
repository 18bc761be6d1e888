import assert from 'node:assert/strict';
import { test } from 'node:test';
import { samePod } from '../../src/index/same-pod.ts';
import type { Owner, Pod, Workload } from '../../src/pod.ts';
import { makeContainer, makePod } from './make-pod.ts';

const owner: Owner = { kind: 'ReplicaSet', name: 'web-1', uid: 'o' };
const workload: Workload = { kind: 'Deployment', name: 'web', source: 'pod-template-hash' };
const pod = makePod({
  labels: { a: '1', b: '2' },
  annotations: { c: '3' },
  podIps: ['10.0.0.1'],
  hostIps: ['10.9.0.1'],
  owner,
  workload,
});

/** Of every field of a pod another value. Containers, packed or not, are not compared, and `isPlain` says nothing of its own. */
const OTHER: { readonly [K in Exclude<keyof Pod, 'containers' | 'shapes' | 'states' | 'isPlain'>]: Pod[K] } = {
  uid: 'other',
  namespace: 'other',
  name: 'other',
  resourceVersion: '101',
  labels: { a: '1', b: '3' },
  annotations: {},
  podIps: ['10.0.0.2'],
  hostIps: ['10.9.0.1', 'fd00::1'],
  hostNetwork: true,
  nodeName: 'other',
  phase: 'Failed',
  ready: false,
  deletionTimestamp: 1,
  serviceAccount: 'other',
  owner: { ...owner, uid: 'p' },
  workload: { ...workload, source: 'owner' },
  qosClass: 'other',
  createdAt: 1,
  startedAt: 1,
};

test('B8 a pod is the same when every field is equal, in objects of its own', () => {
  assert.equal(samePod(pod, structuredClone(pod)), true);
  assert.equal(samePod(pod, { ...pod, labels: { b: '2', a: '1' } }), true);
  assert.equal(samePod(makePod({ uid: 'u', name: 'n' }), makePod({ uid: 'u', name: 'n' })), true);
  assert.equal(samePod(pod, { ...pod, containers: [makeContainer('c')] }), true);
});

for (const [field, value] of Object.entries(OTHER)) {
  test(`B8 a pod is another one when its ${field} is`, () => {
    assert.equal(samePod(pod, { ...pod, [field]: value }), false);
    assert.equal(samePod({ ...pod, [field]: value }, pod), false);
  });
}

test('B8 a label more, a label less, or none, makes another pod', () => {
  for (const labels of [{ a: '1' }, { a: '1', b: '2', c: '3' }, { a: '1', c: '2' }, {}, { a: '1', toString: '2' }]) {
    assert.equal(samePod(pod, { ...pod, labels }), false, JSON.stringify(labels));
  }
  for (const field of ['owner', 'workload'] as const) {
    assert.equal(samePod(pod, { ...pod, [field]: undefined }), false);
    assert.equal(samePod({ ...pod, [field]: undefined }, pod), false);
  }
});
