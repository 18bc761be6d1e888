import assert from 'node:assert/strict';
import { test } from 'node:test';
import { factsOf, plain, Timeline, verdict } from './truth.ts';
import type { Facts } from './truth.ts';

/** The judge of test/cluster, judged: it must find what it is there to find. */

interface Given {
  readonly ip?: string;
  readonly phase?: string;
  readonly hostNetwork?: boolean;
  readonly terminating?: boolean;
  readonly hostIP?: string;
}

function pod(uid: string, version: number, { ip, phase, hostNetwork, terminating, hostIP }: Given = {}): Facts {
  return factsOf({
    metadata: {
      uid,
      namespace: 'n',
      name: uid,
      resourceVersion: String(version),
      ...(terminating && { deletionTimestamp: '2026-11-20T00:00:00Z' }),
    },
    spec: { ...(hostNetwork && { hostNetwork }) },
    status: { phase: phase ?? 'Running', ...(ip && { podIP: ip, podIPs: [{ ip }] }), ...(hostIP && { hostIP }) },
  });
}

const X = '10.42.0.1';

test('the rules are read as they are written', () => {
  const a = pod('a', 1, { ip: X });
  const going = pod('b', 2, { ip: X, terminating: true });
  const ended = pod('c', 3, { ip: X, phase: 'Succeeded' });
  const node = pod('d', 4, { ip: X, hostNetwork: true });
  assert.deepEqual(verdict([a, going, ended], X), { status: 200, uid: 'a', version: 1 });
  assert.deepEqual(verdict([going, ended], X), { status: 200, uid: 'b', version: 2 });
  assert.deepEqual(verdict([ended], X), { status: 404, reason: 'terminal' });
  assert.deepEqual(verdict([a, pod('e', 5, { ip: X })], X), { status: 409, uids: ['a', 'e'] });
  assert.deepEqual(verdict([a, node], X), { status: 404, reason: 'host-network' });
  assert.deepEqual(verdict([pod('f', 6, { hostIP: X })], X), { status: 404, reason: 'node' });
  assert.deepEqual(verdict([], X), { status: 404, reason: 'no-pod' });
});

test('addresses have one text each', () => {
  assert.equal(plain('FD00:0:0::0001'), 'fd00::1');
  assert.equal(plain('::ffff:10.1.2.3'), '10.1.2.3');
});

test('a timeline tells what was true at each version, and what it cannot know', () => {
  const timeline = new Timeline();
  timeline.listed([pod('a', 5, { ip: X })], 10, 100);
  timeline.event('MODIFIED', pod('a', 12, { ip: X, phase: 'Failed' }), 200);
  timeline.event('ADDED', pod('b', 14, { ip: X }), 300);
  timeline.event('DELETED', pod('a', 16, { ip: X, phase: 'Failed' }), 400);
  const uidAt = (version: number): unknown => {
    const truth = timeline.verdictAt(version, X);
    return truth.status === 200 ? truth.uid : truth.status;
  };
  assert.deepEqual([10, 11, 12, 13, 14, 16].map(uidAt), ['a', 'a', 404, 404, 'b', 'b']);
  assert.deepEqual(
    [9, 10, 16, 17].map((version) => timeline.tells(version)),
    [false, true, true, false],
  );
  timeline.listed([], 20, 500);
  assert.deepEqual(
    [16, 17, 19, 20].map((version) => timeline.tells(version)),
    [true, false, false, true],
  );
  assert.equal(uidAt(20), 404);
  assert.deepEqual(
    [99, 100, 250, 300, 1000].map((at) => timeline.writtenBy(at)),
    [0, 10, 12, 14, 20],
  );
  assert.equal(timeline.heldBy(X), 2);
});
