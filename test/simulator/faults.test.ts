import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Simulator } from '../../src/simulator/simulator.ts';
import { PODS, SYNC, bytesUntilBroken, parse, told, watch, withSimulator } from './asking.ts';

const PROTOBUF = { headers: { accept: 'application/vnd.kubernetes.protobuf' } };

interface PodList {
  readonly metadata: { readonly resourceVersion: string };
  readonly items: readonly { readonly metadata: { readonly name: string; readonly uid?: unknown } }[];
}

const list = async (simulator: Simulator, query = ''): Promise<PodList> =>
  (await (await fetch(`${simulator.url}${PODS}${query}`)).json()) as PodList;

/** Three pods called a, b and c; then events: d and e come, a fails. */
async function withEvents(use: (simulator: Simulator, query: string) => Promise<void>): Promise<void> {
  await withSimulator({ pods: 0 }, async (simulator) => {
    const { cluster } = simulator;
    for (const name of ['a', 'b', 'c']) cluster.createPod({ name });
    const query = `resourceVersion=${cluster.store.version}`;
    for (const name of ['d', 'e']) cluster.createPod({ name });
    cluster.patchStatus('default', 'a', { phase: 'Failed' });
    // A watch lasts whole seconds at least; a clean close is what ends it sooner.
    simulator.faults.add({ on: ['watch', 'sync'], closeAfterMs: 60, times: Infinity });
    await use(simulator, query);
  });
}

test('a rule applies from its n-th request on, as many times as it says, and only to its verbs', async () => {
  await withSimulator({ pods: 5 }, async (simulator) => {
    const { faults, url } = simulator;
    const fault = faults.add({ on: 'list', nth: 2, times: 2, status: 503 });
    const statuses: number[] = [];
    for (let i = 0; i < 4; i++) statuses.push((await fetch(`${url}${PODS}`)).status);
    await fault.applied;
    assert.deepEqual([statuses, fault.hits], [[200, 503, 503, 200], 2]);
    const always = faults.add({ on: 'page', times: Infinity, status: 500 });
    const first = (await (await fetch(`${url}${PODS}?limit=2`)).json()) as { metadata: { continue: string } };
    const next = `${url}${PODS}?limit=2&continue=${first.metadata.continue}`;
    assert.equal((await fetch(next)).status, 500);
    always.remove();
    assert.equal((await fetch(next)).status, 200);
    const some = faults.add({ where: ({ namespace }) => namespace === 'shop', status: 429 });
    assert.equal((await fetch(`${url}${PODS}`)).status, 200);
    assert.equal((await fetch(`${url}/api/v1/namespaces/shop/pods`)).status, 429);
    assert.equal(some.hits, 1);
  });
});

test('a status comes with its reason, its Retry-After and its message, in the format that was asked for', async () => {
  await withSimulator({ pods: 0 }, async ({ faults, url }) => {
    faults.add({ status: 429, retryAfterSeconds: 7, times: 2 });
    const response = await fetch(`${url}${PODS}`);
    const { reason, details } = (await response.json()) as { reason: string; details: object };
    assert.deepEqual(
      [response.headers.get('retry-after'), reason, details],
      ['7', 'TooManyRequests', { retryAfterSeconds: 7 }],
    );
    const bytes = Buffer.from(await (await fetch(`${url}${PODS}`, PROTOBUF)).arrayBuffer());
    assert.equal(bytes.subarray(0, 4).toString('latin1'), 'k8s\0');
  });
});

test('an answer can be late, never come, or be a reset', async () => {
  await withSimulator({ pods: 1 }, async ({ faults, url }) => {
    faults.add({ delayMs: 100 });
    const start = performance.now();
    assert.equal((await fetch(`${url}${PODS}`)).status, 200);
    assert.ok(performance.now() - start >= 95);
    const withheld = faults.add({ withhold: true });
    const abort = new AbortController();
    const never = fetch(`${url}${PODS}`, { signal: abort.signal });
    await withheld.applied;
    abort.abort();
    await assert.rejects(never, { name: 'AbortError' });
    faults.add({ reset: true });
    await assert.rejects(fetch(`${url}${PODS}`), /fetch failed/);
  });
});

test('a body is cut, corrupted or stalled at exactly the byte that was said', async () => {
  await withSimulator({ pods: 60 }, async ({ faults, url }) => {
    for (const accept of ['application/json', 'application/vnd.kubernetes.protobuf']) {
      const get = async (): Promise<Response> => await fetch(`${url}${PODS}`, { headers: { accept } });
      const whole = Buffer.from(await (await get()).arrayBuffer());
      const at = 200_001; // beyond the first buffer
      faults.add({ cutAt: at });
      const cut = await bytesUntilBroken(await get());
      assert.deepEqual([cut.broken, cut.bytes.equals(whole.subarray(0, at))], [true, true]);
      faults.add({ corruptAt: at });
      const corrupt = await bytesUntilBroken(await get());
      assert.equal(corrupt.broken, false);
      const wrong = [...corrupt.bytes.keys()].filter((i) => corrupt.bytes[i] !== whole[i]);
      assert.deepEqual([wrong, corrupt.bytes.length], [[at], whole.length]);
      faults.add({ stallAt: at });
      const reader = (await get()).body?.getReader();
      let received = 0;
      while (received < at) received += ((await reader?.read()) ?? {}).value?.length ?? 0;
      const more = await Promise.race([reader?.read(), new Promise((resolve) => setTimeout(resolve, 50, 'nothing'))]);
      assert.deepEqual([received, more], [at, 'nothing']);
      await reader?.cancel();
    }
  });
});

test('a slow drip comes a few bytes at a time', async () => {
  await withSimulator({ pods: 0 }, async ({ faults, url }) => {
    faults.add({ drip: { bytes: 10, everyMs: 5 } });
    const start = performance.now();
    const { length } = await (await fetch(`${url}${PODS}`)).text();
    assert.ok(length > 60 && performance.now() - start >= 5 * (length / 10 - 1));
  });
});

test('a list or sync can be stale, empty or shrunken', async () => {
  await withEvents(async (simulator) => {
    const { faults, cluster, url } = simulator;
    const staleVersion = cluster.store.version - 2;
    const names = (items: PodList['items']): string => items.map(({ metadata }) => metadata.name).join('');
    const lists = [];
    for (const fault of [{ staleVersion }, { empty: true }, { keep: 2 }] as const) {
      faults.add({ ...fault, times: 2 });
      const { metadata, items } = await list(simulator);
      lists.push([cluster.store.version - Number(metadata.resourceVersion), names(items)]);
      const lines = parse(await (await fetch(`${url}${PODS}?${SYNC}`)).text());
      assert.equal(
        names(lines.filter(({ type }) => type === 'ADDED').map(({ object }) => object)).startsWith(names(items)),
        true,
      );
    }
    assert.deepEqual(lists, [
      [2, 'abcd'],
      [0, ''],
      [0, 'ab'],
    ]);
  });
});

test('an event can be dropped, doubled, late, or of a type nobody knows', async () => {
  await withEvents(async (simulator, query) => {
    const { faults } = simulator;
    assert.deepEqual(told(await watch(simulator, query)), ['ADDED d', 'ADDED e', 'MODIFIED a']);
    faults.add({ dropEvent: 2 });
    assert.deepEqual(told(await watch(simulator, query)), ['ADDED d', 'MODIFIED a']);
    faults.add({ duplicateEvent: 1 });
    assert.deepEqual(told(await watch(simulator, query)), ['ADDED d', 'ADDED d', 'ADDED e', 'MODIFIED a']);
    faults.add({ reorderEvent: 1 });
    assert.deepEqual(told(await watch(simulator, query)), ['ADDED e', 'ADDED d', 'MODIFIED a']);
    faults.add({ unknownEvent: 3 });
    assert.deepEqual(told(await watch(simulator, query)), ['ADDED d', 'ADDED e', 'SURPRISE a']);
    faults.add({ bookmarksOnly: true });
    assert.deepEqual(told(await watch(simulator, query)), []);
  });
});

test('an in-stream ERROR comes after so many events and ends the watch; a clean close comes after its time', async () => {
  await withEvents(async (simulator, query) => {
    const { faults } = simulator;
    faults.add({ errorAfter: { events: 1, code: 500 } });
    const lines = await watch(simulator, query);
    assert.deepEqual([lines.map(({ type }) => type), lines[1]?.object.code], [['ADDED', 'ERROR'], 500]);
    faults.add({ closeAfterMs: 100 });
    const start = performance.now();
    assert.equal((await watch(simulator, query)).length, 3);
    assert.ok(performance.now() - start < 900);
  });
});

test('an old server refuses sendInitialEvents, or ignores it and never says where the initial events end', async () => {
  await withEvents(async ({ faults, url }) => {
    faults.add({ on: 'sync', sendInitialEvents: 'refuse' });
    const refused = await fetch(`${url}${PODS}?${SYNC}`);
    assert.equal(refused.status, 422);
    assert.match(
      await refused.text(),
      /sendInitialEvents is forbidden for watch unless the WatchList feature gate is enabled/,
    );
    faults.add({ on: 'sync', sendInitialEvents: 'ignore' });
    const lines = parse(await (await fetch(`${url}${PODS}?${SYNC}`)).text());
    assert.deepEqual(
      lines.map(({ type }) => type),
      Array.from({ length: 5 }, () => 'ADDED'),
    );
  });
});

test('a server without protobuf answers 406, or JSON where JSON was asked for too', async () => {
  await withEvents(async ({ faults, url }) => {
    faults.add({ jsonOnly: true, times: Infinity });
    assert.equal((await fetch(`${url}${PODS}`, PROTOBUF)).status, 406);
    const both = await fetch(`${url}${PODS}`, { headers: { accept: `${PROTOBUF.headers.accept},application/json` } });
    assert.deepEqual([both.status, both.headers.get('content-type')], [200, 'application/json']);
  });
});

test('an object that cannot be read stands in an intact list among others that can', async () => {
  await withEvents(async (simulator) => {
    const { faults, url } = simulator;
    faults.add({ unreadable: { namespace: 'default', name: 'b', how: 'no-uid' } });
    const without = await list(simulator);
    assert.deepEqual(
      without.items.map(({ metadata }) => metadata.uid === undefined),
      [false, true, false, false, false],
    );
    faults.add({ unreadable: { namespace: 'default', name: 'b', how: 'broken' } });
    assert.equal((await list(simulator)).items[1]?.metadata.uid, 7);
    const whole = Buffer.from(await (await fetch(`${url}${PODS}`, PROTOBUF)).arrayBuffer());
    faults.add({ unreadable: { namespace: 'default', name: 'b', how: 'broken' } });
    const broken = Buffer.from(await (await fetch(`${url}${PODS}`, PROTOBUF)).arrayBuffer());
    assert.equal(broken.length, whole.length + 2);
  });
});

test('a client that does not read holds up nobody, and is dropped when the history has gone past it', async () => {
  await withSimulator({ pods: 0, history: 100 }, async ({ url, cluster }) => {
    cluster.createPod({ name: 'a' });
    const { version } = cluster.store;
    const slow = await fetch(`${url}${PODS}?watch=1&resourceVersion=${version}`);
    for (let round = 0; round < 50; round++) {
      for (let i = 0; i < 100; i++) cluster.patchStatus('default', 'a', { phase: 'Running' });
      await new Promise((resolve) => setImmediate(resolve));
    }
    const lines = parse(await slow.text());
    const versions = lines.map(({ object }) => Number(object.metadata.resourceVersion));
    assert.ok(versions.length > 10 && versions.length < 5000, `${versions.length} of 5000 events`);
    assert.deepEqual(
      versions,
      versions.map((_, i) => version + 1 + i),
    );
  });
});
