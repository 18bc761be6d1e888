import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import { EndpointSliceIndex } from '../src/index/endpoint-slice-index.ts';
import { ApiClient } from '../src/kubernetes/client.ts';
import { SystemClock } from '../src/kubernetes/clock.ts';
import { findAccess } from '../src/kubernetes/credentials.ts';
import { json } from '../src/kubernetes/wire/json.ts';
import { protobuf } from '../src/kubernetes/wire/protobuf.ts';
import { zeroCounters } from '../src/metrics.ts';
import type { Cluster } from '../src/simulator/cluster.ts';
import type { FaultActions } from '../src/simulator/faults.ts';
import { startSimulator } from '../src/simulator/simulator.ts';
import type { Simulator, SimulatorOptions } from '../src/simulator/simulator.ts';
import { watchEndpointSlices } from '../src/watch-endpoint-slices.ts';
import { keptLog } from './support/reflector-harness.ts';
import { until } from './support/until.ts';

const FORMATS = { 'application/vnd.kubernetes.protobuf': protobuf, 'application/json': json };
const SLICES = { resource: 'endpointslices', times: Infinity } as const;

async function watched(
  t: TestContext,
  options: SimulatorOptions & {
    readonly namespaces?: readonly string[];
    readonly prepare?: (simulator: Simulator) => void;
  } = {},
) {
  const simulator = await startSimulator({ pods: 90, seed: 4, ...options });
  t.after(() => simulator.close());
  options.prepare?.(simulator);
  const clock = new SystemClock();
  const { log } = keptLog();
  const access = await findAccess({ apiServer: simulator.url });
  const client = new ApiClient({ access, formats: FORMATS, clock, log, userAgent: 'podwhois/test' });
  const { namespaces = [] } = options;
  const index = new EndpointSliceIndex({ namespaces });
  const metrics = zeroCounters();
  const settings = { namespaces, readyMaxStaleness: 90_000, resyncInterval: 600_000 };
  const stopping = new AbortController();
  const { source, done } = watchEndpointSlices(
    { transport: client, clock, log, metrics, settings, index },
    stopping.signal,
  );
  t.after(async () => {
    stopping.abort();
    await done;
    await client.close();
    clock.close();
  });
  return { simulator, cluster: simulator.cluster, index, source, metrics };
}

/** Each slice, with each pod in it: what is known, and what is. */
const known = (index: EndpointSliceIndex): string[] =>
  [...index.services()]
    .flatMap((service) => index.of(service))
    .flatMap(({ uid, resourceVersion, pods }) => [
      `${uid} ${resourceVersion}`,
      ...pods.map((pod) => `${uid} ${pod.uid} ${pod.name} ${pod.ip} ${pod.ready}`),
    ])
    .toSorted();

const truth = ({ endpointSlices }: Cluster, isSeen = (_namespace: string): boolean => true): string[] =>
  endpointSlices.objects
    .map(({ object }) => object)
    .filter(({ metadata }) => isSeen(metadata.namespace))
    .flatMap(({ metadata: { uid, resourceVersion }, endpoints }) => [
      `${uid} ${resourceVersion}`,
      ...(endpoints ?? []).map(
        ({ addresses, conditions, targetRef }) =>
          `${uid} ${targetRef?.uid} ${targetRef?.name} ${addresses[0]} ${conditions.ready}`,
      ),
    ])
    .toSorted();

const equal = (one: readonly string[], other: readonly string[]): boolean => one.join('\n') === other.join('\n');

/** Servers as they may be. */
const SERVERS: Readonly<Record<string, FaultActions>> = {
  'as Kubernetes is': {},
  'with JSON only': { jsonOnly: true },
  'that does not stream lists': { sendInitialEvents: 'refuse' },
};

for (const [kind, actions] of Object.entries(SERVERS)) {
  test(`what is known is what is, through rollouts, from a server ${kind}`, async (t) => {
    const { cluster, index, source } = await watched(t, {
      prepare: ({ faults }) => void faults.add({ ...SLICES, ...actions }),
    });
    await until('it is synced', () => source.synced, { everyMs: 5 });
    assert.ok(known(index).length > 50);
    for (let i = 0; i < 5; i++) {
      cluster.step(40);
      await until('all of it is known', () => equal(known(index), truth(cluster)), { everyMs: 5 });
    }
  });
}

test('cut in the middle, gone, corrupt, with an event lost: in the end what is known is what is', async (t) => {
  const { simulator, cluster, index, source, metrics } = await watched(t);
  await until('it is synced', () => source.synced, { everyMs: 5 });
  const faults: readonly FaultActions[] = [
    { cutAt: 200 },
    { errorAfter: { events: 1, code: 410, reason: 'Expired' } },
    { unknownEvent: 1 },
    { status: 410 },
  ];
  for (const actions of faults) {
    const fault = simulator.faults.add({ resource: 'endpointslices', on: 'watch', ...actions });
    simulator.dropConnections();
    cluster.step(30);
    await fault.applied;
    cluster.step(30);
    await until('all of it is known', () => equal(known(index), truth(cluster)), { everyMs: 10 });
  }
  assert.ok(metrics.relists_total.gone >= 1 && metrics.relists_total.corrupt >= 1);
});

test('A10 of chosen namespaces only those are asked for and known, one watch each', async (t) => {
  const namespaces = ['shop', 'payments'];
  const { simulator, cluster, index, source } = await watched(t, { namespaces });
  const isSeen = (namespace: string): boolean => namespaces.includes(namespace);
  await until('it is synced', () => source.synced, { everyMs: 5 });
  cluster.step(100);
  await until('all of it is known', () => equal(known(index), truth(cluster, isSeen)), { everyMs: 5 });
  assert.ok(known(index).length > 10 && known(index).length < truth(cluster).length);
  assert.equal(source.partial, true);
  for (const { path, resource } of simulator.requests) {
    assert.equal(resource, 'endpointslices');
    assert.match(path, /^\/apis\/discovery\.k8s\.io\/v1\/namespaces\/(shop|payments)\/endpointslices$/);
  }
});

test('B6 one that cannot be read makes its namespace unsure; when it can be read, all is known again', async (t) => {
  const metadata = {
    namespace: 'shop',
    name: 'by-hand',
    uid: 'uid-by-hand',
    creationTimestamp: '2026-11-20T00:00:00Z',
  };
  const targetRef = { kind: 'Pod', namespace: 'shop', name: 'p', uid: 'uid-p' };
  const endpoints = [{ addresses: ['10.1.0.1'], conditions: {}, targetRef }];
  const slice = { metadata: { ...metadata, labels: { 'kubernetes.io/service-name': 'by-hand' } }, addressType: 'IPv4' };
  const { simulator, cluster, index, source } = await watched(t, {
    prepare: ({ cluster, faults }) => {
      cluster.endpointSlices.put({ ...slice, endpoints, ports: null });
      faults.add({ ...SLICES, on: 'watch', unreadable: { ...metadata, how: 'broken' } });
    },
  });
  await until('it watches', () => source.synced && simulator.requests.some(({ verb }) => verb === 'watch'));
  const held = simulator.faults.add({ ...SLICES, on: ['list', 'sync'], delayMs: 500 });
  cluster.endpointSlices.put({ ...slice, endpoints: null, ports: null });
  await until('it is set aside', () => index.isUnsure('shop'), { everyMs: 5 });
  const podsOf = (): string[] =>
    index.of({ namespace: 'shop', name: 'by-hand' }).flatMap(({ pods }) => pods.map(({ uid }) => uid));
  assert.deepEqual(podsOf(), ['uid-p'], 'what was last known of it stays');
  held.remove();
  await until('it is sure again', () => !index.isUnsure('shop'), { everyMs: 5 });
  assert.deepEqual(podsOf(), []);
});

test('B5 who may not list them is told which verb, until the right is granted', async (t) => {
  const { simulator, source } = await watched(t, { access: { endpointSlices: false } });
  const problem = await until('it complains', () => source.details()[0]?.problem, { everyMs: 5 });
  assert.equal(problem, 'not allowed to list endpointslices at cluster scope: the verb "list" must be granted');
  simulator.access.endpointSlices = true;
  await until('it is synced', () => source.synced);
});
