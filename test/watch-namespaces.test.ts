import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import { ApiClient } from '../src/kubernetes/client.ts';
import { SystemClock } from '../src/kubernetes/clock.ts';
import { findAccess } from '../src/kubernetes/credentials.ts';
import { json } from '../src/kubernetes/wire/json.ts';
import { protobuf } from '../src/kubernetes/wire/protobuf.ts';
import { createMetrics } from '../src/metrics.ts';
import { startSimulator } from '../src/simulator/simulator.ts';
import type { FaultActions } from '../src/simulator/faults.ts';
import type { Simulator, SimulatorOptions } from '../src/simulator/simulator.ts';
import { watchNamespaces } from '../src/watch-namespaces.ts';
import { keptLog } from './support/reflector-harness.ts';
import { until } from './support/until.ts';

const FORMATS = { 'application/vnd.kubernetes.protobuf': protobuf, 'application/json': json };
const NAMESPACES = { resource: 'namespaces', times: Infinity } as const;

/** The namespaces of a simulated cluster, watched; the clock can be moved ahead. */
async function watched(
  t: TestContext,
  options: SimulatorOptions & {
    readonly prepare?: (simulator: Simulator) => void;
    readonly staleness?: { readonly readyMaxStaleness: number; readonly serveMaxStaleness: number };
  } = {},
) {
  const simulator = await startSimulator({ pods: 0, ...options });
  t.after(() => simulator.close());
  simulator.cluster.createNamespace('shop', { team: 'a' });
  options.prepare?.(simulator);
  let ahead = 0;
  const clock = new SystemClock({ monotonic: () => performance.now() + ahead, wall: () => Date.now() + ahead });
  const { log } = keptLog();
  const access = await findAccess({ apiServer: simulator.url });
  const client = new ApiClient({ access, formats: FORMATS, clock, log, userAgent: 'podwhois/test' });
  const metrics = createMetrics();
  const settings = {
    readyMaxStaleness: 90_000,
    serveMaxStaleness: 300_000,
    resyncInterval: 600_000,
    ...options.staleness,
  };
  const stopping = new AbortController();
  const { source, done } = watchNamespaces({ transport: client, clock, log, metrics, settings }, stopping.signal);
  t.after(async () => {
    stopping.abort();
    await done;
    await client.close();
    clock.close();
  });
  const team = (namespace = 'shop'): string | undefined => source.labelsOf(namespace)?.['team'];
  const untilTeam = async (expected: string | undefined): Promise<unknown> =>
    await until(`the team is ${expected}`, () => source.refusal === undefined && team() === expected, { everyMs: 5 });
  const move = (ms: number): void => void (ahead += ms);
  return { simulator, cluster: simulator.cluster, source, metrics, team, untilTeam, move };
}

/** Servers as they may be. */
const SERVERS: Readonly<Record<string, FaultActions>> = {
  'as Kubernetes is': {},
  'with JSON only': { jsonOnly: true },
  'that does not cut objects down': { wholeObjects: true },
  'that does not stream lists': { sendInitialEvents: 'refuse' },
  'that neither streams lists nor cuts objects down, in JSON': {
    jsonOnly: true,
    wholeObjects: true,
    sendInitialEvents: 'refuse',
  },
};

for (const [kind, actions] of Object.entries(SERVERS)) {
  test(`labels are known, and new ones soon, from a server ${kind}`, async (t) => {
    const { cluster, source, untilTeam, team } = await watched(t, {
      prepare: ({ faults }) => void faults.add({ ...NAMESPACES, ...actions }),
    });
    await untilTeam('a');
    assert.deepEqual({ ...source.labelsOf('shop') }, { team: 'a', 'kubernetes.io/metadata.name': 'shop' });
    assert.deepEqual([source.labelsOf('nowhere'), source.labelsOf('constructor')], [undefined, undefined]);
    cluster.labelNamespace('shop', { team: 'b' });
    await untilTeam('b');
    cluster.deleteNamespace('shop');
    await untilTeam(undefined);
    cluster.createNamespace('shop', { team: 'c' });
    cluster.createNamespace('later', { team: 'd' });
    await untilTeam('c');
    await until('the later one is known', () => team('later') === 'd', { everyMs: 5 });
  });
}

test('only metadata is asked for, and nothing but namespaces', async (t) => {
  const { simulator, untilTeam } = await watched(t);
  await untilTeam('a');
  await until('it watches', () => simulator.requests.some(({ verb }) => verb === 'watch'), { everyMs: 5 });
  for (const { resource, headers } of simulator.requests) {
    assert.equal(resource, 'namespaces');
    assert.match(String(headers.accept), /^application\/vnd\.kubernetes\.protobuf;as=PartialObjectMetadata(List)?;/);
  }
});

test('B5 until they may be listed nothing is said, and the verb and resource that must be granted are named', async (t) => {
  const { simulator, source, team, untilTeam } = await watched(t, { access: { namespaces: false } });
  await until('it is refused', () => source.details()[0]?.problem !== undefined, { everyMs: 5 });
  assert.deepEqual([source.refusal, team()], ['not_synced', undefined]);
  const [detail] = source.details();
  assert.deepEqual([detail?.slice, detail?.synced], ['namespaces', false]);
  assert.match(detail?.problem ?? '', /not allowed to list namespaces: the verb "list" must be granted/);
  simulator.access.namespaces = true;
  await untilTeam('a');
});

test('C3 past SERVE_MAX_STALENESS nothing is said any more, until the API server can be read again', async (t) => {
  const { simulator, source, team, untilTeam, move } = await watched(t, {
    staleness: { readyMaxStaleness: 3_000, serveMaxStaleness: 300_000 },
  });
  await untilTeam('a');
  simulator.cutOffFromEtcd(true);
  move(295_000);
  assert.deepEqual([source.refusal, team()], [undefined, 'a']);
  move(6_000);
  assert.deepEqual([source.refusal, team()], ['stale', undefined]);
  simulator.cutOffFromEtcd(false);
  await untilTeam('a');
});

test('B4 a forgotten history and B8 a restored etcd: what is there is what is known', async (t) => {
  const { simulator, cluster, untilTeam } = await watched(t);
  await untilTeam('a');
  const backup = cluster.namespaces.snapshot();
  cluster.labelNamespace('shop', { team: 'b' });
  await untilTeam('b');
  await simulator.down();
  cluster.labelNamespace('shop', { team: 'c' });
  await simulator.up();
  await untilTeam('c');
  cluster.labelNamespace('shop', { team: 'd' });
  await untilTeam('d'); // by the watch: only one that breaks off makes it look at once
  cluster.namespaces.restore(backup);
  await untilTeam('a');
});

test('B6 of a namespace that cannot be read nothing is known, whatever was; the others go on', async (t) => {
  const { simulator, cluster, source, metrics, untilTeam } = await watched(t);
  await untilTeam('a');
  const fault = simulator.faults.add({
    ...NAMESPACES,
    unreadable: { namespace: '', name: 'shop', how: 'no-uid' },
  });
  simulator.dropConnections();
  await fault.applied;
  cluster.labelNamespace('shop', { team: 'b' });
  await untilTeam(undefined);
  const aside = async (): Promise<boolean> => /^podwhois_unreadable_namespaces 1$/m.test(await metrics.text());
  await until('it is set aside', aside, { everyMs: 20 });
  assert.ok(source.labelsOf('default'));
  fault.remove();
  simulator.dropConnections();
  cluster.labelNamespace('shop', { team: 'c' });
  await untilTeam('c');
});

test('gauges tell how old they are; the counters are of pods alone', async (t) => {
  const { metrics, untilTeam } = await watched(t);
  await untilTeam('a');
  const text = await metrics.text();
  assert.match(text, /^podwhois_namespaces 5$/m);
  assert.match(text, /^podwhois_namespaces_age_seconds [0-9.e-]+$/m);
  assert.match(text, /^podwhois_lists_total\{result="ok"\} 0$/m);
  assert.doesNotMatch(await createMetrics().text(), /^podwhois_namespaces/m);
});
