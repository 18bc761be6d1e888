import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import * as fc from 'fast-check';
import { encodeMessage } from '../../src/simulator/encoding/protobuf.ts';
import { plainPod, testReader } from './golden/golden.ts';
import type { Pod } from '../../src/pod.ts';

type Json = Readonly<Record<string, unknown>>;

const METADATA = {
  name: 'web-1',
  namespace: 'shop',
  uid: 'u-1',
  resourceVersion: '5',
  creationTimestamp: '2026-11-20T07:08:09Z',
};

interface Parts {
  readonly metadata?: Json;
  readonly spec?: Json;
  readonly status?: Json;
}

const podOf = ({ metadata, spec, status }: Parts = {}): Json => ({
  kind: 'Pod',
  metadata: { ...METADATA, ...metadata },
  spec: { containers: [], ...spec },
  status: { ...status },
});

const fromJson = (object: unknown, annotations?: string[]): Pod => plainPod(testReader(annotations).fromJson(object));

/** Through the text: what JSON.parse makes of a `__proto__` is not what a literal makes. */
const fromText = (text: string): Pod => fromJson(JSON.parse(text));

function fromBoth(parts: Parts, annotations?: string[]): Pod {
  const object = podOf(parts);
  const pod = fromJson(object, annotations);
  const other = plainPod(testReader(annotations).fromProtobuf(encodeMessage('Pod', object)));
  assert.deepEqual(other, pod);
  return pod;
}

describe('A1 addresses', () => {
  const TABLE: readonly (readonly [podIPs: string[] | undefined, podIP: string | undefined, expected: string[]])[] = [
    [undefined, undefined, []],
    [[], '', []],
    [undefined, '10.0.0.1', ['10.0.0.1']],
    [['10.0.0.1'], undefined, ['10.0.0.1']],
    [['10.0.0.1'], '10.0.0.1', ['10.0.0.1']],
    [['10.0.0.1', 'fd00::1'], '10.0.0.1', ['10.0.0.1', 'fd00::1']],
    [['10.0.0.1', 'fd00::1'], '10.0.0.2', ['10.0.0.1', 'fd00::1', '10.0.0.2']],
    [['10.0.0.1', '10.0.0.1'], '10.0.0.1', ['10.0.0.1']],
    [['', '10.0.0.1'], undefined, ['10.0.0.1']],
    [[''], '', []],
  ];
  for (const [podIPs, podIP, expected] of TABLE) {
    test(`A1 podIPs ${JSON.stringify(podIPs)} and podIP ${JSON.stringify(podIP)} are ${expected.join(' ') || 'none'}`, () => {
      const list = podIPs?.map((ip) => ({ ip }));
      assert.deepEqual(fromBoth({ status: { podIP, podIPs: list } }).podIps, expected);
      assert.deepEqual(fromBoth({ status: { hostIP: podIP, hostIPs: list } }).hostIps, expected);
    });
  }

  test('B6 an address that is none makes the pod unreadable, also as one of several', () => {
    for (const ip of ['10.0.0.256', '010.0.0.1', 'fe80::1%eth0', 'localhost', '10.0.0.1:80', '10.0.0.1,10.0.0.2']) {
      for (const status of [{ podIP: ip }, { podIPs: [{ ip: '10.0.0.1' }, { ip }] }, { hostIP: ip }]) {
        const object = podOf({ status });
        assert.throws(() => fromJson(object), /is not an address/);
        assert.throws(() => testReader().fromProtobuf(encodeMessage('Pod', object)), /is not an address/);
      }
    }
  });
});

describe('B6 what makes a pod unreadable', () => {
  const REQUIRED = ['uid', 'name', 'namespace', 'resourceVersion'];
  for (const field of REQUIRED) {
    test(`B6 no ${field}`, () => {
      for (const value of ['', undefined, null]) {
        const object = podOf({ metadata: { [field]: value } });
        assert.throws(() => fromJson(object), new RegExp(field));
        assert.throws(() => testReader().fromProtobuf(encodeMessage('Pod', object)), new RegExp(field));
      }
    });
  }

  test('B6 a version that cannot be ordered', () => {
    for (const resourceVersion of ['0', '05', 'a', '-1', '1.5', '9'.repeat(40)]) {
      assert.throws(() => fromJson(podOf({ metadata: { resourceVersion } })), /resourceVersion/);
    }
  });

  const WRONG: readonly Parts[] = [
    { metadata: { name: 1 } },
    { metadata: { labels: [] } },
    { metadata: { labels: { a: 1 } } },
    { metadata: { labels: { a: { managedFields: [] } } } },
    { metadata: { annotations: { 'example.test/kept': {} } } },
    { metadata: { creationTimestamp: 0 } },
    { metadata: { creationTimestamp: 'yesterday' } },
    { metadata: { creationTimestamp: '2026-11-20' } },
    { metadata: { deletionTimestamp: '2026-13-20T07:08:09Z' } },
    { metadata: { ownerReferences: {} } },
    { metadata: { ownerReferences: [{ kind: 'Job', name: 'a', uid: 'b', controller: 'true' }] } },
    { spec: { hostNetwork: 'true' } },
    { spec: { hostNetwork: 1 } },
    { spec: { containers: {} } },
    { spec: { containers: ['a'] } },
    { spec: { serviceAccountName: ['a'] } },
    { status: { phase: true } },
    { status: { podIPs: ['10.0.0.1'] } },
    { status: { podIPs: { 0: { ip: '10.0.0.1' } } } },
    { status: { conditions: [{ type: 'Ready', status: true }] } },
    { status: { startTime: {} } },
    { status: { containerStatuses: [{ name: 'a', restartCount: '1' }] } },
    { status: { containerStatuses: [{ name: 'a', restartCount: 1.5 }] } },
    { status: { containerStatuses: [{ name: 'a', ready: 'yes' }] } },
  ];
  for (const parts of WRONG) {
    test(`B6 a wrong type: ${JSON.stringify(parts)}`, () => assert.throws(() => fromJson(podOf(parts))));
  }

  test('B6 not even an object', () => {
    for (const value of [null, undefined, 1, 'pod', [], [podOf()], {}, { metadata: [] }, { metadata: 'x' }]) {
      assert.throws(() => fromJson(value));
    }
  });

  test('B6 null is as good as absent, as it is to Kubernetes', () => {
    const nothing = { labels: null, annotations: null, ownerReferences: null, deletionTimestamp: null };
    const pod = fromBoth({
      metadata: { ...nothing, creationTimestamp: null },
      spec: { hostNetwork: null, containers: null, nodeName: null },
      status: { podIPs: null, podIP: null, conditions: null, containerStatuses: null, startTime: null, phase: null },
    });
    assert.deepEqual([pod.phase, pod.createdAt, pod.startedAt, pod.podIps], ['Pending', 0, undefined, []]);
  });
});

describe('A9 names that objects have', () => {
  test('A9 a __proto__ is no way in', () => {
    const { uid, ...metadata } = METADATA;
    const text = JSON.stringify({ metadata, spec: {}, status: {} });
    const proto = JSON.stringify({ uid, hostNetwork: true, podIP: '10.0.0.1' });
    assert.throws(() => fromText(text.replace('"name":', `"__proto__":${proto},"name":`)), /uid/);
    const pod = fromText(
      JSON.stringify(podOf()).replaceAll('"status":{', `"__proto__":${proto},"status":{"__proto__":${proto}`),
    );
    assert.deepEqual([pod.hostNetwork, pod.podIps], [false, []]);
    assert.equal(({} as Json)['hostNetwork'], undefined);
  });

  test('A9 a label called __proto__ is a label', () => {
    const labels = JSON.parse('{"__proto__":"x","constructor":"y"}') as Json;
    const pod = fromBoth({ metadata: { labels, annotations: labels } }, ['__proto__', 'toString']);
    for (const map of [pod.labels, pod.annotations]) {
      assert.equal(Object.getPrototypeOf(map), null);
      assert.equal(map['__proto__'], 'x');
      assert.equal(map['toString'], undefined);
    }
    assert.deepEqual(Object.keys(pod.annotations), ['__proto__']);
  });
});

test('a pod is plain when none of its own texts needs an escape in JSON', () => {
  const plain = (text: string, metadata: Json, containerID: string): void => {
    const spec = { containers: [{ name: 'a' }, { name: 'b' }] };
    const status = { containerStatuses: [{ name: 'b', containerID }] };
    const object = podOf({ metadata, spec, status });
    const expected = JSON.stringify(text) === `"${text}"` && !/[^ -~]/.test(text);
    const read = [testReader().fromJson(object), testReader().fromProtobuf(encodeMessage('Pod', object))];
    for (const pod of read) assert.equal(pod.isPlain, expected, JSON.stringify([text, metadata, containerID]));
  };
  const digits = '0123456789abcdef'.repeat(4);
  const text = fc.oneof(
    fc.constantFrom('"', '\\', '\u007f', 'é', '\u2028', '\n', '~ !#[]'),
    fc.string({ minLength: 1 }),
  );
  fc.assert(
    fc.property(text, (any) => {
      for (const key of ['name', 'namespace', 'uid']) plain(any, { [key]: any }, digits);
      plain(any, {}, any);
      plain(any, {}, any + digits);
    }),
    { numRuns: 300 },
  );
});

test('owner is the first controller, or nobody', () => {
  const reference = (name: string, controller?: boolean): Json => ({ kind: 'Job', name, uid: `u-${name}`, controller });
  const ownerOf = (...ownerReferences: Json[]): string | undefined =>
    fromBoth({ metadata: { ownerReferences } }).owner?.name;
  assert.equal(ownerOf(), undefined);
  assert.equal(ownerOf(reference('a')), undefined);
  assert.equal(ownerOf(reference('a', false), reference('b', true), reference('c', true)), 'b');
});

test('a workload is derived from the API group and the kind of the owner, in both formats', () => {
  const workloadOf = (owner: Json): string | undefined =>
    fromBoth({
      metadata: {
        labels: { 'pod-template-hash': '84cd' },
        ownerReferences: [{ ...owner, uid: 'u', controller: true }],
      },
    }).workload?.kind;
  const replicaSet = { kind: 'ReplicaSet', name: 'web-84cd' };
  assert.equal(workloadOf({ apiVersion: 'apps/v1', ...replicaSet }), 'Deployment');
  assert.equal(workloadOf({ apiVersion: 'apps/v2beta1', ...replicaSet }), 'Deployment');
  for (const apiVersion of ['example.com/v1', 'v1', 'apps', '/v1', '', undefined]) {
    assert.equal(workloadOf({ apiVersion, ...replicaSet }), 'ReplicaSet', apiVersion);
  }
});

test('F the last applied configuration is never kept, whatever is asked for', () => {
  const key = 'kubectl.kubernetes.io/last-applied-configuration';
  const pod = fromBoth({ metadata: { annotations: { [key]: 'secret', a: 'x', b: 'y' } } }, [key, 'a']);
  assert.deepEqual({ ...pod.annotations }, { a: 'x' });
});

test('Ready is the condition of that name, when it is True', () => {
  const readyOf = (...conditions: Json[]): boolean => fromBoth({ status: { conditions } }).ready;
  assert.equal(readyOf({ type: 'Ready', status: 'True' }), true);
  assert.equal(readyOf({ type: 'PodScheduled', status: 'True' }, { type: 'Ready', status: 'False' }), false);
  assert.equal(readyOf({ type: 'ContainersReady', status: 'True' }, { type: 'Ready', status: 'Unknown' }), false);
  assert.equal(readyOf({ type: 'Ready', status: 'true' }), false);
});

test('times are whole seconds, whatever zone they are written in', () => {
  const createdAt = (creationTimestamp: string): number =>
    fromJson(podOf({ metadata: { creationTimestamp } })).createdAt;
  const expected = Date.parse('2026-11-20T07:08:09Z');
  for (const text of ['2026-11-20T07:08:09Z', '2026-11-20T08:08:09+01:00', '2026-11-20T07:08:09.987654321Z']) {
    assert.equal(createdAt(text), expected);
  }
});

test('both formats give the identical record, whatever the pod says', () => {
  const unit = fc.constantFrom('a', '-', '7', '"', '\\', '\n', '\0', 'é', '\u2028', '🦊');
  const known = fc.constantFrom('', 'a', 'web-84cd', '84cd', 'constructor', '__proto__', '7');
  const word = fc.oneof(known, fc.string({ unit, maxLength: 6 }));
  const some = fc.constantFrom('u-1', 'web-1', 'x');
  const ip = fc.constantFrom('', '10.0.0.1', '10.0.0.2', 'fd00::1');
  const ips = fc.array(fc.record({ ip }), { maxLength: 3 });
  const time = fc.option(fc.date({ min: new Date(0), max: new Date('9999-01-01'), noInvalidDate: true }).map(rfc3339));
  const strings = fc.array(fc.tuple(word, word), { maxLength: 12 }).map((pairs) => Object.fromEntries(pairs));
  const container = fc.record({ name: word, image: word, env: fc.constant([{ name: 'A', value: 'b' }]) });
  const containers = fc.array(container, { maxLength: 3 });
  const statuses = fc.array(
    fc.record({ name: word, ready: fc.boolean(), restartCount: fc.nat(), image: word, containerID: word }),
    { maxLength: 10 },
  );
  const reference = fc.record({
    apiVersion: fc.constantFrom('apps/v1', 'batch/v1', 'v1', 'example.com/v1'),
    kind: fc.constantFrom('ReplicaSet', 'Job', 'Other'),
    name: word,
    uid: word,
    controller: fc.option(fc.boolean(), { nil: undefined }),
  });
  const condition = fc.record({
    type: fc.constantFrom('Ready', 'Other'),
    status: fc.constantFrom('True', 'False', 'Unknown'),
  });
  const parts = fc.record({
    metadata: fc.record(
      {
        name: some,
        namespace: some,
        uid: some,
        labels: strings,
        annotations: strings,
        creationTimestamp: time,
        deletionTimestamp: time,
        ownerReferences: fc.array(reference, { maxLength: 3 }),
      },
      { requiredKeys: [] },
    ),
    spec: fc.record(
      {
        nodeName: word,
        serviceAccountName: word,
        hostNetwork: fc.boolean(),
        containers,
        initContainers: containers,
        ephemeralContainers: containers,
      },
      { requiredKeys: [] },
    ),
    status: fc.record(
      {
        phase: fc.constantFrom('', 'Pending', 'Running', 'Succeeded', 'Failed', 'Unknown', 'odd'),
        podIP: ip,
        podIPs: ips,
        hostIP: ip,
        hostIPs: ips,
        startTime: time,
        qosClass: word,
        conditions: fc.array(condition, { maxLength: 3 }),
        containerStatuses: statuses,
        initContainerStatuses: statuses,
        ephemeralContainerStatuses: statuses,
      },
      { requiredKeys: [] },
    ),
  });
  const reader = testReader(['a', 'constructor', '__proto__']); // one for all, so that what is shared is met
  const property = fc.property(parts, (given) => {
    const object = JSON.parse(JSON.stringify(podOf(given))) as Json;
    const one = plainPod(reader.fromJson(object));
    const other = plainPod(reader.fromProtobuf(encodeMessage('Pod', object)));
    assert.deepEqual(other, one);
    assert.equal(JSON.stringify(other.containers), JSON.stringify(one.containers));
  });
  fc.assert(property, { numRuns: 2000 });
});

const rfc3339 = (date: Date): string => date.toISOString().replace(/\.\d+Z$/, 'Z');

describe('B6 what can be salvaged of an unreadable pod', () => {
  const broken = podOf({
    metadata: { resourceVersion: 'none' },
    status: { podIP: '10.0.0.1', podIPs: [{ ip: '10.0.0.1' }, { ip: 'nowhere' }, { ip: 'fd00::1' }] },
  });
  const encoded = { json: Buffer.from(JSON.stringify(broken)), protobuf: Buffer.from(encodeMessage('Pod', broken)) };

  for (const format of ['json', 'protobuf'] as const) {
    const salvage = (bytes: Uint8Array): ReturnType<ReturnType<typeof testReader>['salvage']> =>
      testReader().salvage(bytes, format, new Error('why'));

    test(`B6 from ${format}: who it is, and its canonical addresses`, () => {
      assert.deepEqual(salvage(encoded[format]), {
        key: 'u-1',
        namespace: 'shop',
        name: 'web-1',
        ips: ['10.0.0.1', 'fd00::1'],
        reason: 'why',
      });
    });

    test(`B6 from ${format}: without a uid the name is the key, without a name the bytes are`, () => {
      const without = (...fields: string[]): string => {
        const metadata = Object.fromEntries(fields.map((field) => [field, '']));
        const object = podOf({ metadata });
        return salvage(format === 'json' ? Buffer.from(JSON.stringify(object)) : encodeMessage('Pod', object)).key;
      };
      assert.equal(without('uid'), 'shop/web-1');
      assert.match(without('uid', 'name'), /^[0-9a-f]{64}$/);
      assert.equal(without('uid', 'name'), without('uid', 'name'));
      assert.notEqual(without('uid', 'name'), without('uid', 'namespace'));
    });

    test(`B6 from ${format}: the rest of an object that ends in the middle`, () => {
      const bytes = encoded[format];
      for (let length = 0; length < bytes.length; length++) {
        const { ips, key } = salvage(bytes.subarray(0, length));
        assert.ok(key.length > 0);
        for (const ip of ips) assert.ok(['10.0.0.1', 'fd00::1'].includes(ip), ip);
      }
    });
  }
});
