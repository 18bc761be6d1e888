import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { EVERY_KIND_OF_POD } from '../../cluster/every-kind-of-pod.ts';
import { FORMATS, golden, KEPT, plainEvent, readAll, samePods, testReader } from './golden.ts';
import { json } from '../../../src/kubernetes/wire/json.ts';
import { protobuf } from '../../../src/kubernetes/wire/protobuf.ts';
import type { Container, Pod } from '../../../src/pod.ts';

const pods = new Map(samePods(golden('list', protobuf), golden('list', json)).map((pod) => [pod.name, pod]));

function recorded(name: string): Pod {
  const pod = pods.get(name);
  assert.ok(pod, `${name} is not in the recorded list`);
  return pod;
}

const NONE = { kind: 'container', name: 'main', image: 'example.test/main:1', id: '', ready: false, restarts: 0 };

describe('recorded from a real API server', () => {
  test('both formats give the identical record for every kind of pod', () => {
    assert.ok(pods.size >= EVERY_KIND_OF_POD.length);
  });

  test('a pod without a status has the defaults', () => {
    const { uid, resourceVersion, createdAt, labels, annotations, ...rest } = recorded('bare');
    assert.match(uid, /^[0-9a-f-]{36}$/);
    assert.match(resourceVersion, /^[0-9]+$/);
    assert.ok(createdAt > Date.parse('2026-01-01') && createdAt % 1000 === 0);
    assert.deepEqual([Object.keys(labels), Object.keys(annotations)], [[], []]);
    assert.deepEqual(rest, {
      namespace: 'golden',
      name: 'bare',
      podIps: [],
      hostIps: [],
      hostNetwork: false,
      nodeName: '',
      phase: 'Pending',
      ready: false,
      deletionTimestamp: undefined,
      serviceAccount: '',
      owner: undefined,
      workload: undefined,
      containers: [NONE],
      qosClass: 'BestEffort',
      startedAt: undefined,
    });
  });

  test('owner is the controller, and its Deployment is known by the pod-template-hash', () => {
    const { owner, workload, ready, startedAt } = recorded('running');
    assert.equal(owner?.name, 'web-84cd44fcbb');
    assert.deepEqual(workload, { kind: 'Deployment', name: 'web', source: 'pod-template-hash' });
    assert.deepEqual([ready, startedAt], [true, Date.parse('2026-11-20T07:08:09Z')]);
  });

  test("a fresh scheduled time makes a Job's pod its CronJob's", () => {
    assert.deepEqual(recorded('cron-job').workload, { kind: 'CronJob', name: 'nightly', source: 'scheduled-time' });
  });

  test('A1 a terminal pod keeps its address and phase', () => {
    assert.deepEqual([recorded('job').phase, recorded('job').podIps], ['Succeeded', ['10.1.0.4']]);
    assert.deepEqual([recorded('failed').phase, recorded('failed').podIps], ['Failed', ['10.1.0.5']]);
  });

  test('D1 both addresses of a dual stack, in their order', () => {
    assert.deepEqual(recorded('dual-stack').podIps, ['10.1.0.2', 'fd00::2']);
    assert.deepEqual(recorded('dual-stack').hostIps, ['192.0.2.7', '2001:db8::7']);
    assert.deepEqual(recorded('six-first').podIps, ['fd00::3', '10.1.0.3']);
  });

  test('A6 a host-network pod says so', () => {
    assert.equal(recorded('host-network').hostNetwork, true);
  });

  test('A5 a terminating pod has its deletionTimestamp', () => {
    assert.ok((recorded('everything-in-the-spec').deletionTimestamp ?? 0) > Date.parse('2026-01-01'));
  });

  test('a phase that Kubernetes does not know is Unknown', () => {
    assert.equal(recorded('odd-phase').phase, 'Unknown');
  });

  test('containers come by kind, each with the status of its name', () => {
    const seen = recorded('many-containers').containers.map(
      ({ kind, name, restarts }) => `${kind} ${name} ${restarts}`,
    );
    const expected = ['container web 3', 'container proxy 0', 'init setup 0', 'init sidecar 0', 'ephemeral debug 0'];
    assert.deepEqual(seen, expected);
    const crashing = recorded('crashing').containers[0] as Container;
    assert.deepEqual([crashing.restarts, crashing.ready], [2147483647, false]);
    assert.equal(crashing.id, `containerd://${'main'.padEnd(64, '0')}`);
  });

  test('A9 labels that Object.prototype has are labels like others', () => {
    const { labels } = recorded('constructor');
    assert.equal(Object.getPrototypeOf(labels), null);
    assert.deepEqual(labels['constructor'], 'x');
    assert.deepEqual(recorded('bare').labels['constructor'], undefined);
  });

  test('F annotations are those that were asked for, never the last applied configuration', () => {
    const { annotations } = recorded('unicode');
    assert.deepEqual({ ...annotations }, { [KEPT]: 'Zoë 🦊 \u2028 "quoted" \\ \t line\nbreak' });
    for (const format of FORMATS) {
      const reader = testReader(['kubectl.kubernetes.io/last-applied-configuration', 'managedFields']);
      const decoys = format.list(golden('list', format), reader).items.find(({ name }) => name === 'decoys');
      assert.deepEqual(Object.keys(decoys?.annotations ?? {}), ['managedFields'], format.name);
    }
  });

  test('B12 text that looks like managedFields is text', () => {
    const { labels, annotations, nodeName } = recorded('decoys');
    assert.equal(labels['managedFields'], 'managedFields');
    assert.equal(annotations[KEPT], ',"managedFields":[{"a":"b"}]},"spec":{"nodeName":"decoy"}');
    assert.equal(nodeName, '');
  });

  test('a watch tells the same in both formats: initial events, their end, changes, a bookmark', () => {
    const [one, other] = FORMATS.map((format) => readAll(format, golden('watch', format)));
    assert.ok(one && other);
    assert.deepEqual(one.map(plainEvent), other.map(plainEvent));
    const types = one.map((event) => (event.type === 'BOOKMARK' && event.initialEventsEnd ? 'END' : event.type));
    assert.match(types.join(' '), /^(ADDED )+END ADDED( MODIFIED)+ DELETED( BOOKMARK)+$/);
    assert.equal(types.indexOf('END'), pods.size);
  });

  test('in-stream ERROR: a version that is gone is a Status in the stream', () => {
    for (const format of FORMATS) {
      const [event, ...more] = readAll(format, golden('gone', format));
      assert.deepEqual(more, []);
      assert.ok(event?.type === 'ERROR');
      const { message, ...status } = event.status;
      assert.match(message, /^too old resource version: 1 \(\d+\)$/);
      assert.deepEqual(status, { code: 410, reason: 'Expired', retryAfterSeconds: undefined });
    }
  });

  test('a page has the token of the next one', () => {
    for (const format of FORMATS) {
      const page = format.list(golden('page', format), testReader());
      assert.equal(page.items.length, 3);
      assert.ok(page.continue.length > 10);
      assert.equal(format.list(golden('list', format), testReader()).continue, '');
    }
  });

  test('an error body is a Status, with the time to retry after where there is one', () => {
    for (const format of FORMATS) {
      const missing = { code: 404, reason: 'NotFound', message: 'pods "not-there" not found' };
      assert.deepEqual(format.status(golden('not-found', format)), { ...missing, retryAfterSeconds: undefined });
      const tooLarge = format.status(golden('too-large', format));
      assert.deepEqual([tooLarge?.code, tooLarge?.reason, tooLarge?.retryAfterSeconds], [504, 'Timeout', 1]);
      assert.equal(format.status(golden('list', format)), undefined);
    }
  });
});
