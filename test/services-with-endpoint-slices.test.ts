import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import { ApiClient } from '../src/kubernetes/client.ts';
import { SystemClock } from '../src/kubernetes/clock.ts';
import { findAccess } from '../src/kubernetes/credentials.ts';
import { json } from '../src/kubernetes/wire/json.ts';
import { protobuf } from '../src/kubernetes/wire/protobuf.ts';
import { servicesWithEndpointSlices } from '../src/services-with-endpoint-slices.ts';
import type { FaultActions } from '../src/simulator/faults.ts';
import { startSimulator } from '../src/simulator/simulator.ts';
import type { Simulator } from '../src/simulator/simulator.ts';
import { endpoint, slice } from './support/mirror-stage.ts';
import { keptLog } from './support/reflector-harness.ts';

const FORMATS = { 'application/vnd.kubernetes.protobuf': protobuf, 'application/json': json };

/** A namespace `shop` with slices of `web` and `api`, and how to ask for Services of it. */
async function asked(t: TestContext, fault: FaultActions = {}) {
  const simulator = await startSimulator({ pods: 0 });
  t.after(() => simulator.close());
  for (const service of ['web', 'api']) {
    simulator.cluster.endpointSlices.put(slice(service, [endpoint(service, '10.1.0.1')]));
  }
  simulator.faults.add({ resource: 'endpointslices', times: Infinity, ...fault });
  const clock = new SystemClock();
  const access = await findAccess({ apiServer: simulator.url });
  const client = new ApiClient({ access, formats: FORMATS, clock, log: keptLog().log, userAgent: 'podwhois/test' });
  t.after(async () => {
    await client.close();
    clock.close();
  });
  const { having } = servicesWithEndpointSlices({ transport: client, clock });
  const ask = async (...services: readonly string[]): Promise<readonly string[] | 'forbidden'> => {
    const found = await having('shop', services, new AbortController().signal);
    return found === 'forbidden' ? found : [...found].toSorted();
  };
  return { simulator, ask };
}

const queries = ({ requests }: Simulator): unknown =>
  requests.map(({ path, query }) => [path, Object.fromEntries(query)]);

test('one consistent list of the metadata tells which Services of a namespace have EndpointSlices', async (t) => {
  const { simulator, ask } = await asked(t);
  assert.deepEqual(await ask('gone', 'web'), ['web']);
  assert.deepEqual(await ask('gone'), []);
  const path = '/apis/discovery.k8s.io/v1/namespaces/shop/endpointslices';
  assert.deepEqual(queries(simulator), [
    [path, { limit: '500', labelSelector: 'kubernetes.io/service-name in (gone,web)' }],
    [path, { limit: '500', labelSelector: 'kubernetes.io/service-name in (gone)' }],
  ]);
  assert.match(String(simulator.requests[0]?.headers.accept), /as=PartialObjectMetadataList/);
});

const SERVERS: Readonly<Record<string, FaultActions>> = {
  'that knows only JSON': { jsonOnly: true },
  'that does not cut objects down': { wholeObjects: true },
  'that does both': { jsonOnly: true, wholeObjects: true },
};
for (const [which, fault] of Object.entries(SERVERS)) {
  test(`the same of a server ${which}`, async (t) => {
    const { ask } = await asked(t, fault);
    assert.deepEqual(await ask('gone', 'web'), ['web']);
  });
}

for (const how of ['no-uid', 'broken'] as const) {
  test(`an EndpointSlice that cannot be read (${how}, B6) may be of any Service: all may have some`, async (t) => {
    const { ask } = await asked(t, { unreadable: { namespace: 'shop', name: 'web-1', how } });
    assert.deepEqual(await ask('gone', 'web'), ['gone', 'web']);
  });
}

test('pages are read until every Service is found, and no further', async (t) => {
  const { simulator, ask } = await asked(t);
  for (let i = 0; i < 1_100; i++) {
    simulator.cluster.endpointSlices.put(slice('large', [], { name: `large-${String(i).padStart(4, '0')}` }));
  }
  assert.deepEqual(await ask('large'), ['large']);
  assert.equal(simulator.requests.length, 1);
  assert.deepEqual(await ask('large', 'web', 'gone'), ['large', 'web']);
  assert.equal(simulator.requests.length, 4);
});

test('403 is told as such; any other failure is nobody’s knowledge', async (t) => {
  const { ask } = await asked(t, { status: 403, reason: 'Forbidden' });
  assert.equal(await ask('gone'), 'forbidden');
  for (const status of [401, 404, 429, 500]) {
    const { ask: failing } = await asked(t, { status });
    await assert.rejects(failing('gone'));
  }
});
