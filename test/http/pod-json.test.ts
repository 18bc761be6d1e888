import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { AnswerCache } from '../../src/http/answer-cache.ts';
import { PodJson } from '../../src/http/pod-json.ts';
import { WeakCache } from '../../src/http/weak-cache.ts';
import { ContainerPacker, unpackContainers } from '../../src/kubernetes/containers.ts';
import type { Pod } from '../../src/pod.ts';
import { makePod, strings } from './support/pods.ts';

const parse = (pod: Pod, partial = false): unknown => JSON.parse(new PodJson(partial).of(pod));

test('F an answer holds these keys and nothing else of the pod', () => {
  const pod = makePod('web-1', {
    labels: strings({ app: 'web' }),
    annotations: strings({ team: 'a' }),
    podIps: ['10.0.0.1', 'fd00::1'],
    hostIps: ['192.168.0.1'],
    deletionTimestamp: 1,
    resourceVersion: '42',
  });
  const hidden = {
    ...pod,
    spec: { secret: 'x' },
    containers: pod.containers.map((one) => ({ ...one, env: 'secret' })),
  };
  assert.deepEqual(
    parse(
      Object.assign(hidden, {
        owner: { ...pod.owner, secret: 'x' },
        workload: { ...pod.workload, secret: 'x' },
      }) as Pod,
    ),
    {
      name: 'web-1',
      namespace: 'default',
      uid: 'uid-web-1',
      labels: { app: 'web' },
      annotations: { team: 'a' },
      pod_ip: '10.0.0.1',
      pod_ips: ['10.0.0.1', 'fd00::1'],
      host_ip: '192.168.0.1',
      host_ips: ['192.168.0.1'],
      node_name: 'worker-1',
      phase: 'Running',
      ready: true,
      terminating: true,
      host_network: false,
      service_account: 'default',
      owner: { kind: 'ReplicaSet', name: 'web-7d9f8b6c5', uid: 'uid-rs' },
      workload: { kind: 'Deployment', name: 'web', source: 'pod-template-hash' },
      containers: [
        {
          kind: 'container',
          name: 'web',
          image: 'registry.example/web:1.2.3',
          id: 'containerd://000web-1',
          ready: true,
          restarts: 0,
        },
      ],
      qos_class: 'Burstable',
      created_at: '2026-11-20T10:00:00Z',
      started_at: '2026-11-20T10:00:01Z',
      resource_version: '42',
    },
  );
  assert.equal((parse(pod, true) as { view: string }).view, 'partial');
});

test('F what is not there is null', () => {
  const json = parse(
    makePod('p', {
      podIps: [],
      hostIps: [],
      nodeName: '',
      serviceAccount: '',
      qosClass: '',
      owner: undefined,
      workload: undefined,
      startedAt: undefined,
      createdAt: NaN,
      containers: [{ kind: 'init', name: 'x', image: '', id: '', ready: false, restarts: 3 }],
    }),
  ) as Record<string, unknown>;
  for (const key of [
    'pod_ip',
    'host_ip',
    'node_name',
    'service_account',
    'qos_class',
    'owner',
    'workload',
    'started_at',
    'created_at',
  ]) {
    assert.equal(json[key], null, key);
  }
  assert.deepEqual(json['containers'], [{ kind: 'init', name: 'x', image: '', id: null, ready: false, restarts: 3 }]);
  assert.deepEqual([json['pod_ips'], json['host_ips']], [[], []]);
});

const text = fc.string({ unit: 'binary', maxLength: 12 });

test('whatever stands in a pod comes out as it went in: hostile text is only text', () => {
  const pods = fc.record({
    name: text,
    label: text,
    key: text,
    image: text,
    id: text,
    ips: fc.array(text, { maxLength: 3 }),
    owner: text,
    at: fc.integer({ min: -8_000_000_000_000, max: 8_000_000_000_000 }),
  });
  fc.assert(
    fc.property(pods, ({ name, label, key, image, id, ips, owner, at }) => {
      const kind = 'container' as const;
      const pod = makePod(name, {
        labels: strings({ [key]: label }),
        podIps: ips,
        owner: { kind: owner, name: owner, uid: owner },
        containers: [{ kind, name: image, image, id, ready: false, restarts: 1 }],
        createdAt: at * 1000,
      });
      const json = parse(pod) as Record<string, unknown>;
      assert.equal(json['name'], name);
      assert.deepEqual(json['labels'], JSON.parse(JSON.stringify({ [key]: label })));
      assert.deepEqual(json['pod_ips'], ips);
      assert.deepEqual(json['owner'], { kind: owner, name: owner, uid: owner });
      assert.deepEqual(json['containers'], [{ kind, name: image, image, id: id || null, ready: false, restarts: 1 }]);
      assert.equal(json['created_at'], new Date(at * 1000).toISOString().replace('.000Z', 'Z'));
    }),
    { numRuns: 500 },
  );
});

test('an answer is all ASCII, whatever stands in the pod', () => {
  const odd = 'é\u007f\u2028🦭';
  const pod = makePod(odd, { labels: strings({ [odd]: odd }), annotations: strings({ [odd]: odd }), nodeName: odd });
  const json = new PodJson(false).of(pod);
  assert.match(json, /^[ -~]*$/);
  assert.equal((JSON.parse(json) as { name: string }).name, odd);
});

test('what is known to be plain is written as what is not known to be', () => {
  const containers = [0, 3, 10, 2 ** 31 - 1].flatMap((restarts) =>
    [true, false].map((ready) => ({
      kind: 'container' as const,
      name: 'c',
      image: 'i',
      id: `x://${restarts}`,
      ready,
      restarts,
    })),
  );
  const pod = makePod('web-1', { podIps: ['10.0.0.1', 'fd00::1', '10.0.0.2'], containers });
  assert.equal(new PodJson(false).of({ ...pod, isPlain: true }), new PodJson(false).of(pod));
  assert.deepEqual((parse(pod) as { containers: unknown }).containers, containers);
});

test('containers that are written as they are kept read as the others do, whichever pods of one template came before', () => {
  const name = fc.constantFrom('a', 'b');
  const kind = fc.constantFrom('container' as const, 'init' as const);
  const specs = fc.array(fc.record({ kind, name, image: name }), { maxLength: 3 });
  const digits = fc.stringMatching(/^[0-9a-f]{64}$/);
  const id = fc.oneof(
    fc.constantFrom('', 'cri://x'),
    fc.tuple(fc.constantFrom('', 'cri://', 'o"é://'), digits).map(([a, b]) => a + b),
  );
  const restarts = fc.oneof(fc.nat(12), fc.constantFrom(63, 64, 2 ** 31 - 1));
  const statuses = fc.array(fc.record({ kind, name, ready: fc.boolean(), restarts, id }), { maxLength: 6 });
  const packer = new ContainerPacker();
  fc.assert(
    fc.property(fc.array(fc.tuple(specs, statuses, fc.boolean()), { minLength: 1, maxLength: 5 }), (all) => {
      const json = new PodJson(false);
      const base = makePod('a');
      for (const [containers, states, isToldPlain] of all) {
        const packed = packer.pack(containers, states);
        const unpacked = unpackContainers(packed);
        const pod = { ...base, containers: unpacked };
        const isPlain = isToldPlain && !JSON.stringify(unpacked).includes('é');
        assert.equal(json.of({ ...pod, ...packed, isPlain }), new PodJson(false).of(pod));
      }
    }),
    { numRuns: 2000 },
  );
});

test('of containers as they are kept no objects are made, once the template is known', () => {
  const id = `containerd://${'0123456789abcdef'.repeat(4)}`;
  const packed = new ContainerPacker().pack(
    [{ kind: 'container', name: 'web', image: 'web:1' }],
    [{ kind: 'container', name: 'web', ready: true, restarts: 2, id }],
  );
  const json = new PodJson(false);
  const pod = makePod('a', { containers: unpackContainers(packed) });
  json.of({ ...pod, ...packed, isPlain: true });
  const again = json.of({ ...pod, ...packed, isPlain: true, get containers() { return assert.fail('made'); } }); // prettier-ignore
  assert.equal(again, new PodJson(false).of(pod));
});

test('a pod is not told with what another of the same labels has', () => {
  const json = new PodJson(false);
  const a = makePod('a', { annotations: strings({ of: 'a' }) });
  const others: Partial<Pod>[] = [
    { annotations: strings({ of: 'b' }) },
    { owner: undefined },
    { workload: { kind: 'Deployment', name: 'web', source: 'owner' } },
    { serviceAccount: 'other' },
    { qosClass: 'Guaranteed' },
    { nodeName: 'worker-2' },
    { containers: a.containers.map((one) => ({ ...one, image: 'other' })) },
    { containers: a.containers.map((one) => ({ ...one, kind: 'init' as const })) },
    { containers: [...a.containers, ...a.containers.map((one) => ({ ...one, name: 'second' }))] },
    { containers: [] },
  ];
  for (const other of others) {
    const b = { ...a, ...other };
    for (const pod of [a, b, a, b]) assert.equal(json.of(pod), new PodJson(false).of(pod), JSON.stringify(other));
    assert.notEqual(json.of(a), json.of(b));
  }
});

test('what pods share is kept while it fits, and from the beginning when it no longer does', () => {
  const kept = new WeakCache<object, number>(100);
  const keys = Array.from({ length: 25 }, () => ({}));
  const found = (): (number | undefined)[] => keys.map((key) => kept.get(key));
  keys.slice(0, 10).forEach((key, i) => kept.set(key, i, 10));
  assert.deepEqual(found().slice(0, 11), [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, undefined]);
  keys.slice(10).forEach((key, i) => kept.set(key, i + 10, 10));
  assert.deepEqual(found().slice(0, 20), Array.from({ length: 20 }));
  assert.deepEqual(found().slice(20), [20, 21, 22, 23, 24]);
});

test('ready answers count only for the record they were made of, and are kept from the second time on', () => {
  const cache = new AnswerCache<string>();
  const [a, b] = [makePod('a'), makePod('a')];
  cache.set('10.0.0.1', a, 'of a', 4);
  assert.equal(cache.get('10.0.0.1', a), undefined, 'asked for once');
  cache.set('10.0.0.1', a, 'of a', 4);
  assert.equal(cache.get('10.0.0.1', a), 'of a');
  assert.equal(cache.get('10.0.0.1', b), undefined);
  cache.set('10.0.0.1', b, 'of b', 5);
  assert.equal(cache.get('10.0.0.1', a), undefined);
  assert.equal(cache.get('10.0.0.1', b), 'of b');
  assert.equal(cache.size, 5);
});

test('ready answers are bounded, and spread evenly over their slots', () => {
  const pods = Array.from({ length: 100_000 }, (_, i) => ({
    ip: `10.${i >> 16}.${(i >> 8) & 255}.${i & 255}`,
    pod: makePod('p'),
  }));
  const cache = new AnswerCache<string>();
  for (const { ip, pod } of pods) {
    for (let twice = 0; twice < 2; twice++) cache.set(ip, pod, ip, 1000);
  }
  assert.ok(cache.size > 4e6 && cache.size < 6.3e6, String(cache.size));
  const { ip = '', pod } = pods[0] ?? {};
  for (let twice = 0; twice < 2; twice++) if (pod) cache.set(ip, pod, 'huge', 1e9);
  assert.ok(pod && cache.get(ip, pod) !== 'huge');
  // Full of others, it still takes in who calls again and again.
  const callers = pods.slice(-100);
  for (let twice = 0; twice < 2; twice++) for (const one of callers) cache.set(one.ip, one.pod, one.ip, 1000);
  assert.ok(callers.filter((one) => cache.get(one.ip, one.pod) === one.ip).length > 90);
  assert.ok(cache.size <= 6 * 1024 * 1024);
  const few = pods.slice(0, 5000);
  const fresh = new AnswerCache<string>();
  for (let twice = 0; twice < 2; twice++) for (const one of few) fresh.set(one.ip, one.pod, one.ip, 100);
  const hits = few.filter((one) => fresh.get(one.ip, one.pod) === one.ip).length;
  // 5,000 balls in 16,384 urns: 74 % are alone in theirs when the hash is even, and of 2,000 random ones it was never less than 63 %.
  assert.ok(hits > 2900, `${hits} hits`);
});
