import assert from 'node:assert/strict';
import { test } from 'node:test';
import { acceptedWhileTerminating, answer } from '../../src/index/answer.ts';
import type { View } from '../../src/index/answer.ts';
import { parseCidr } from '../../src/index/ip-address.ts';
import { PodIndex } from '../../src/index/pod-index.ts';
import type { Pod, PodPhase } from '../../src/pod.ts';
import { makePod } from './make-pod.ts';

const X = '10.0.0.1';
const whole: View = { partial: false, clusterCidrs: [] };

function indexOf(...pods: readonly Pod[]): PodIndex {
  const index = new PodIndex();
  const list = index.slice().beginReplace();
  for (const pod of pods) list.add(pod);
  list.commit('1000');
  return index;
}

const eligible: readonly (readonly [PodPhase, boolean])[] = [
  ['Pending', true],
  ['Running', true],
  ['Unknown', true],
  ['Succeeded', false],
  ['Failed', false],
];
for (const [phase, isEligible] of eligible) {
  test(`A1 a pod in phase ${phase} ${isEligible ? 'answers' : 'does not answer'} for its address`, () => {
    const pod = makePod({ podIps: [X], phase });
    const given = answer(indexOf(pod), X, whole);
    assert.deepEqual(given, isEligible ? { kind: 'one', pod } : { kind: 'none', reason: 'terminal' });
  });
}

test('A1 each of the addresses of a dual-stack pod is its own', () => {
  const pod = makePod({ podIps: [X, 'fd00::1'] });
  const index = indexOf(pod);
  assert.deepEqual(answer(index, X, whole), { kind: 'one', pod });
  assert.deepEqual(answer(index, 'fd00::1', whole), { kind: 'one', pod });
  assert.equal(index.addresses, 2);
});

test('A4 the candidates of an ambiguous address are all that are eligible, in order of their names', () => {
  const b = makePod({ podIps: [X], namespace: 'b', name: 'a' });
  const a = makePod({ podIps: [X], namespace: 'a', name: 'z', deletionTimestamp: 1 });
  const c = makePod({ podIps: [X], namespace: 'a', name: 'b' });
  const finished = makePod({ podIps: [X], phase: 'Failed' });
  assert.deepEqual(answer(indexOf(b, a, c, finished), X, whole), { kind: 'ambiguous', candidates: [c, a, b] });
});

test('A4 neither startedAt nor createdAt decides, whichever is newer', () => {
  for (const [first, second] of [
    [1, 2],
    [2, 1],
    [undefined, 2],
  ] as const) {
    const a = makePod({ podIps: [X], startedAt: first, createdAt: first ?? 0 });
    const b = makePod({ podIps: [X], startedAt: second, createdAt: second });
    assert.equal(answer(indexOf(a, b), X, whole).kind, 'ambiguous');
  }
});

test('A5 a terminating pod answers only when it is alone', () => {
  const going = makePod({ podIps: [X], deletionTimestamp: 1 });
  const staying = makePod({ podIps: [X] });
  assert.deepEqual(answer(indexOf(going), X, whole), { kind: 'one', pod: going });
  assert.deepEqual(answer(indexOf(going, staying), X, whole), { kind: 'one', pod: staying });
  assert.equal(answer(indexOf(going, makePod({ podIps: [X], deletionTimestamp: 2 })), X, whole).kind, 'ambiguous');
});

test('A5 a terminating pod is accepted until its deletionTimestamp and the slack have passed', () => {
  const pod = makePod({ deletionTimestamp: 1_000_000 });
  const rows: readonly (readonly [number, boolean])[] = [
    [0, true],
    [1_000_000, true],
    [1_030_000, true],
    [1_030_001, false],
    [9_000_000, false],
  ];
  for (const [now, isAccepted] of rows) assert.equal(acceptedWhileTerminating(pod, now, 30_000), isAccepted, `${now}`);
  assert.equal(acceptedWhileTerminating(pod, 1_000_001, 0), false);
  assert.equal(acceptedWhileTerminating(makePod(), Number.MAX_SAFE_INTEGER, 0), true);
});

for (const ip of ['192.168.0.1', 'fd00:ffff::1']) {
  test(`A6 a host-network pod never answers for its node's address ${ip}`, () => {
    const onHost = makePod({ podIps: [ip], hostIps: [ip], hostNetwork: true });
    const hostNetwork = { kind: 'none', reason: 'host-network' };
    const patched = makePod({ podIps: [ip] });
    assert.deepEqual(answer(indexOf(onHost), ip, whole), hostNetwork);
    assert.deepEqual(answer(indexOf(onHost, patched), ip, whole), hostNetwork, 'whoever else claims it');
    assert.deepEqual(answer(indexOf(patched, onHost), ip, whole), hostNetwork);
    assert.deepEqual(answer(indexOf({ ...onHost, phase: 'Succeeded' }, patched), ip, whole), hostNetwork, 'finished');
    assert.deepEqual(answer(indexOf({ ...onHost, deletionTimestamp: 1 }, patched), ip, whole), hostNetwork);
    assert.deepEqual(new Set(indexOf(onHost, patched).holders(ip)), new Set([onHost, patched]), 'all are listed');
  });
}

test('A6 an address that is only a host IP is a node', () => {
  const pod = makePod({ podIps: [X], hostIps: ['192.168.0.1', 'fd00:ffff::1'] });
  const index = indexOf(pod);
  for (const ip of pod.hostIps) assert.deepEqual(answer(index, ip, whole), { kind: 'none', reason: 'node' });
  assert.deepEqual(answer(index, '192.168.0.2', whole), { kind: 'none', reason: 'no-pod' });
});

test('A6 a pod whose address is its host IP too, as on nodes of one pod, answers', () => {
  const pod = makePod({ podIps: [X], hostIps: [X] });
  assert.deepEqual(answer(indexOf(pod), X, whole), { kind: 'one', pod });
});

test('A6 a finished pod on an address that is a host IP leaves it to the node', () => {
  const finished = makePod({ podIps: [X], phase: 'Succeeded' });
  assert.deepEqual(answer(indexOf(finished, makePod({ hostIps: [X] })), X, whole), { kind: 'none', reason: 'node' });
});

test('A7 no clock is read while pods are indexed and addresses are asked for', (t) => {
  const fail = (): never => assert.fail('a clock was read');
  t.mock.method(Date, 'now', fail);
  t.mock.method(performance, 'now', fail);
  const pod = makePod({ podIps: [X], deletionTimestamp: 1 });
  const index = indexOf(pod);
  index.slice().upsert({ ...pod, resourceVersion: '2000' });
  assert.equal(answer(index, X, whole).kind, 'one');
  t.mock.restoreAll();
});

test('A10 in a partial view a miss is not-in-view, and no other reason changes', () => {
  const partial = { partial: true, clusterCidrs: [] };
  const index = indexOf(
    makePod({ podIps: [X], phase: 'Failed', hostIps: ['192.168.0.1'] }),
    makePod({ podIps: ['192.168.0.2'], hostNetwork: true }),
  );
  assert.deepEqual(answer(index, '10.9.9.9', partial), { kind: 'none', reason: 'not-in-view' });
  assert.deepEqual(answer(index, X, partial), { kind: 'none', reason: 'terminal' });
  assert.deepEqual(answer(index, '192.168.0.1', partial), { kind: 'none', reason: 'node' });
  assert.deepEqual(answer(index, '192.168.0.2', partial), { kind: 'none', reason: 'host-network' });
});

test('an address outside the cluster CIDRs is not answered for, whoever holds it', () => {
  const clusterCidrs = ['10.0.0.0/24', 'fd00::/64'].map((text) => parseCidr(text) ?? assert.fail(text));
  const view = { partial: false, clusterCidrs };
  const pod = makePod({ podIps: [X, 'fd00::1', '10.0.1.1', 'fd01::1'] });
  const index = indexOf(pod);
  index.slice().setAside({ key: 'k', namespace: undefined, name: undefined, ips: ['10.0.1.2'], reason: '' });
  const outside = { kind: 'none', reason: 'outside-cluster-cidr' };
  for (const ip of [X, 'fd00::1']) assert.deepEqual(answer(index, ip, view), { kind: 'one', pod }, ip);
  for (const ip of ['10.0.1.1', 'fd01::1', '10.0.1.2']) assert.deepEqual(answer(index, ip, view), outside, ip);
  assert.deepEqual(answer(index, '10.0.0.9', view), { kind: 'none', reason: 'no-pod' });
});

test('B6 an address of an object that cannot be read is unreadable before everything but the CIDRs', () => {
  const object = { key: 'k', namespace: undefined, name: undefined, ips: [X], reason: '' };
  for (const holder of [
    makePod({ podIps: [X] }),
    makePod({ podIps: [X], hostNetwork: true }),
    makePod({ podIps: [X], phase: 'Failed' }),
    makePod({ hostIps: [X] }),
  ]) {
    const index = indexOf(holder);
    index.slice().setAside(object);
    assert.deepEqual(answer(index, X, whole), { kind: 'unreadable' });
  }
});
