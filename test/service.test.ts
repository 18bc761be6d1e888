import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import { createLog } from '../src/log.ts';
import { startService } from '../src/service.ts';
import type { Service } from '../src/service.ts';
import { readCoreSettings } from '../src/settings.ts';
import { startSimulator } from '../src/simulator/simulator.ts';
import type { Simulator, SimulatorOptions } from '../src/simulator/simulator.ts';
import { until } from './support/until.ts';

interface Started {
  readonly service: Service;
  readonly simulator: Simulator;
  readonly logged: () => string;
  readonly get: (path: string) => Promise<{ status: number; body: Record<string, unknown> }>;
}

/** The service on a simulator, by settings as they would be given; closed with the test. */
async function start(
  t: TestContext,
  options: {
    simulator?: SimulatorOptions;
    environment?: Record<string, string>;
    prepare?: (simulator: Simulator) => void;
  } = {},
): Promise<Started> {
  const simulator = await startSimulator({ pods: 60, ...options.simulator });
  t.after(() => simulator.close());
  options.prepare?.(simulator);
  const environment = { K8S_API_SERVER: simulator.url, HOST: '127.0.0.1', PORT: '0', ...options.environment };
  let logged = '';
  const log = createLog({ level: 'debug', format: 'json' }, { write: (line) => (logged += line) });
  const service = await startService(readCoreSettings({ flags: {}, environment }), { log });
  t.after(() => service.close());
  const get = async (path: string) => {
    const answer = await fetch(service.url + path, { headers: { connection: 'close' } });
    return { status: answer.status, body: (await answer.json()) as Record<string, unknown> };
  };
  return { service, simulator, get, logged: () => logged };
}

const synced = async ({ service }: Started): Promise<true> =>
  await until('synced', () => service.source.synced, { everyMs: 5 });

test('C4 it listens before the first sync: alive, not ready, lookups 503; then every address of the cluster is answered for', async (t) => {
  const started = await start(t, {
    prepare: ({ faults }) => void faults.add({ on: ['list', 'sync'], withhold: true, times: 1 }),
  });
  const { get, simulator, service } = started;
  assert.equal((await get('/health')).status, 200);
  assert.equal((await get('/ready')).status, 503);
  assert.deepEqual([(await get('/pod?ip=10.0.0.1')).body['code'], service.index.size], ['not_synced', 0]);
  simulator.dropConnections();
  await synced(started);
  assert.equal((await get('/ready')).status, 200);
  let asked = 0;
  for (const [ip, claims] of simulator.cluster.truth()) {
    const only = claims.filter(({ phase }) => phase !== 'Succeeded' && phase !== 'Failed');
    if (claims.some(({ hostNetwork }) => hostNetwork) || only.length !== 1) continue;
    const { status, body } = await get(`/pod?ip=${ip}`);
    assert.deepEqual([status, body['uid'], body['view']], [200, only[0]?.uid, undefined], ip);
    asked++;
  }
  assert.ok(asked > 30);
});

test('A10 each namespace has a reflector of its own; all must be synced; a miss is not-in-view', async (t) => {
  const started = await start(t, {
    environment: { NAMESPACE: 'demo,other' },
    prepare({ cluster, faults }) {
      cluster.createPod({ namespace: 'demo', name: 'a', ips: ['10.200.0.1'] });
      cluster.createPod({ namespace: 'elsewhere', name: 'b', ips: ['10.200.0.2'] });
      faults.add({ where: ({ namespace }) => namespace === 'other', withhold: true, times: 1 });
    },
  });
  const { get, simulator, service } = started;
  await until('one of two slices', () => service.source.details().some((slice) => slice.synced));
  assert.equal((await get('/pod?ip=10.200.0.1')).status, 503);
  simulator.dropConnections();
  await synced(started);
  const { status, body } = await get('/pod?ip=10.200.0.1');
  assert.deepEqual([status, body['name'], body['view']], [200, 'a', 'partial']);
  const miss = await get('/pod?ip=10.200.0.2');
  assert.deepEqual([miss.status, miss.body['reason']], [404, 'not-in-view']);
  assert.deepEqual(
    service.source.details().map(({ slice }) => slice),
    ['pods in namespace demo', 'pods in namespace other'],
  );
});

test('NODE_NAME and LABEL_SELECTOR restrict what is asked for, and make the view partial', async (t) => {
  const started = await start(t, {
    environment: { NODE_NAME: 'node-1', LABEL_SELECTOR: 'app in (seen)' },
    prepare({ cluster }) {
      cluster.createPod({ name: 'in', labels: { app: 'seen' }, node: 'node-1', ips: ['10.200.0.1'] });
      cluster.createPod({ name: 'other-label', labels: { app: 'x' }, node: 'node-1', ips: ['10.200.0.2'] });
      cluster.createPod({ name: 'other-node', labels: { app: 'seen' }, node: 'node-2', ips: ['10.200.0.3'] });
    },
  });
  await synced(started);
  const { get, service } = started;
  assert.equal(service.index.size, 1);
  assert.equal((await get('/pod?ip=10.200.0.1')).body['view'], 'partial');
  assert.equal((await get('/pod?ip=10.200.0.2')).body['reason'], 'not-in-view');
  assert.equal((await get('/pod?ip=10.200.0.3')).body['reason'], 'not-in-view');
});

test('A10 each of NAMESPACE, NODE_NAME and LABEL_SELECTOR alone makes the view partial, and nothing else does', async (t) => {
  for (const [environment, partial] of [
    [{ NAMESPACE: 'demo' }, true],
    [{ NODE_NAME: 'node-1' }, true],
    [{ LABEL_SELECTOR: 'app' }, true],
    [{ CLUSTER_CIDR: '10.0.0.0/8', ANNOTATIONS: 'team' }, false],
  ] as const) {
    const started = await start(t, { environment });
    await synced(started);
    assert.equal(started.service.source.partial, partial);
    const { body } = await started.get('/pod?ip=10.250.0.1');
    assert.equal(body['reason'], partial ? 'not-in-view' : 'no-pod', JSON.stringify(environment));
  }
});

test('ANNOTATIONS and CLUSTER_CIDR reach the answers', async (t) => {
  const started = await start(t, {
    environment: { ANNOTATIONS: 'example.com/team', CLUSTER_CIDR: '10.200.0.0/16,fd00::/16' },
    prepare({ cluster }) {
      const annotations = { 'example.com/team': 'a', 'example.com/secret': 'b' };
      cluster.createPod({ name: 'in', annotations, ips: ['10.200.0.1'] });
      cluster.createPod({ name: 'out', ips: ['10.201.0.1'] });
    },
  });
  await synced(started);
  const { body } = await started.get('/pod?ip=10.200.0.1');
  assert.deepEqual(body['annotations'], { 'example.com/team': 'a' });
  assert.equal((await started.get('/pod?ip=10.201.0.1')).body['reason'], 'outside-cluster-cidr');
});

test('metrics count what the reflectors do', async (t) => {
  const started = await start(t);
  await synced(started);
  const text = await started.service.metrics.text();
  assert.match(text, /^podwhois_relists_total\{cause="start"\} 1$/m);
  assert.match(text, /^podwhois_lists_total\{result="ok"\} 1$/m);
  assert.match(text, new RegExp(`^podwhois_pods ${started.service.index.size}$`, 'm'));
});

test('closing leaves no connection to the API server, and may be asked for twice', async (t) => {
  const started = await start(t, { simulator: { churn: 50 } });
  const { service, simulator } = started;
  await synced(started);
  await until('a watch', () => simulator.connections > 0);
  await Promise.all([service.close(), service.close()]);
  await until('no connection', () => simulator.connections === 0, { everyMs: 5 });
  await assert.rejects(fetch(`${service.url}/health`));
});

test('what cannot listen leaves nothing running', async (t) => {
  const taken = createServer().listen(0, '127.0.0.1');
  await once(taken, 'listening');
  t.after(() => void taken.close());
  const port = String((taken.address() as AddressInfo).port);
  await assert.rejects(start(t, { environment: { PORT: port } }), { code: 'EADDRINUSE' });
});

test('what a pod says still after a change is kept once', async (t) => {
  const { service, simulator } = await start(t, { simulator: { pods: 0 } });
  simulator.cluster.createPod({ name: 'a', uid: 'a' });
  const before = await until('the pod', () => service.index.byUid('a'));
  simulator.cluster.updatePod('default', 'a', (pod) => ({
    ...pod,
    metadata: { ...pod.metadata, labels: { app: 'b' } },
  }));
  const after = await until('its label', () => {
    const pod = service.index.byUid('a');
    return pod?.labels['app'] === 'b' && pod;
  });
  assert.equal(before.podIps.length, 2);
  assert.equal(after.podIps, before.podIps);
});
