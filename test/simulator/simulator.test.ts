import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Agent, request } from 'undici';
import { selfSigned } from '../support/test-certificates.ts';
import { PODS, SYNC, parse, told, watch, withSimulator } from './asking.ts';

const status = async (url: string, init?: RequestInit): Promise<readonly [number, string]> => {
  const response = await fetch(url, init);
  const { message } = (await response.json()) as { message: string };
  return [response.status, message];
};

test('what the simulator does not do is a 501, a wrong method a 405, an unknown option a 400', async () => {
  await withSimulator({ pods: 0 }, async ({ url }) => {
    assert.equal((await status(`${url}/api/v1/services`))[0], 501);
    assert.equal((await status(`${url}/api/v1/nodes?watch=1`))[0], 501);
    assert.equal((await status(`${url}${PODS}`, { method: 'POST', body: '{}' }))[0], 405);
    assert.deepEqual(await status(`${url}${PODS}?shardSelector=x`), [
      400,
      'the simulator does not know the option shardSelector',
    ]);
  });
});

test('a token is asked for where one is set, and the verbs that are not allowed are named in a 403', async () => {
  await withSimulator({ pods: 0, access: { token: 'secret', user: 'somebody' } }, async ({ url, access }) => {
    const headers = { authorization: 'Bearer secret' };
    assert.deepEqual(await status(`${url}${PODS}`), [401, 'Unauthorized']);
    assert.deepEqual(await status(`${url}${PODS}`, { headers: { authorization: 'Bearer other' } }), [
      401,
      'Unauthorized',
    ]);
    assert.equal((await fetch(`${url}${PODS}`, { headers })).status, 200);
    access.watch = false;
    const forbidden =
      'pods is forbidden: User "somebody" cannot watch resource "pods" in API group "" at the cluster scope';
    assert.deepEqual(await status(`${url}${PODS}?watch=1`, { headers }), [403, forbidden]);
    access.list = false;
    const inNamespace = forbidden.replace('watch', 'list').replace('at the cluster scope', 'in the namespace "shop"');
    assert.deepEqual(await status(`${url}/api/v1/namespaces/shop/pods`, { headers }), [403, inNamespace]);
  });
});

test('a watch sees changes while it is open, at once', async () => {
  await withSimulator({ pods: 0 }, async ({ url, cluster }) => {
    cluster.createPod({ name: 'a' });
    const response = await fetch(`${url}${PODS}?watch=1&resourceVersion=${cluster.store.version}`);
    const reader = response.body?.getReader();
    for (const name of ['b', 'c']) {
      cluster.createPod({ name });
      const { value } = (await reader?.read()) ?? {};
      assert.deepEqual(told(parse(Buffer.from(value ?? []).toString())), [`ADDED ${name}`]);
    }
    await reader?.cancel();
  });
});

test('bookmarks come as often as set, once something happened', async () => {
  await withSimulator({ pods: 1, times: { bookmarkEveryMs: 100, bookmarkBeforeEndMs: 50 } }, async (simulator) => {
    const { store } = simulator.cluster;
    const query = `resourceVersion=${store.version}&allowWatchBookmarks=true`;
    assert.deepEqual(await watch(simulator, query), []);
    const lines = watch(simulator, query);
    store.tick();
    const versions = (await lines).map(({ type, object }) => [type, object.metadata.resourceVersion]);
    assert.ok(versions.length >= 5, `${versions.length} bookmarks`);
    assert.deepEqual(new Set(versions.flat()), new Set(['BOOKMARK', String(store.version)]));
  });
});

test('an API server that is down refuses, and answers in-stream 410 to older versions when it is back on its port', async () => {
  await withSimulator({ pods: 3 }, async (simulator) => {
    const { version } = simulator.cluster.store;
    const open = await fetch(`${simulator.url}${PODS}?watch=1&resourceVersion=${version}`);
    simulator.cluster.store.tick();
    await simulator.down();
    await assert.rejects(open.text());
    await assert.rejects(fetch(simulator.url));
    await simulator.up();
    const [event, ...more] = await watch(simulator, `resourceVersion=${version}`);
    assert.deepEqual([event?.type, event?.object.code, more.length], ['ERROR', 410, 0]);
    assert.deepEqual(await watch(simulator, `resourceVersion=${version + 1}`), []);
  });
});

test('cut off from etcd, consistent reads wait while watches and stale lists go on', async () => {
  await withSimulator({ pods: 3, times: { bookmarkEveryMs: 50, bookmarkBeforeEndMs: 10 } }, async (simulator) => {
    const { url, cluster } = simulator;
    const { version } = cluster.store;
    simulator.cutOffFromEtcd(true);
    const consistent = fetch(`${url}${PODS}?limit=1`);
    const sync = fetch(`${url}${PODS}?${SYNC}`);
    cluster.store.tick();
    const lines = await watch(simulator, `resourceVersion=${version}&allowWatchBookmarks=true`);
    assert.ok(lines.length > 1);
    assert.equal((await fetch(`${url}${PODS}?resourceVersion=0`)).status, 200);
    const first = await Promise.race([consistent, sync, new Promise((resolve) => setTimeout(resolve, 50, 'nothing'))]);
    assert.equal(first, 'nothing');
    simulator.cutOffFromEtcd(false);
    assert.equal((await consistent).status, 200);
    assert.equal((await (await sync).text()).split('\n').length, 5);
  });
});

test('an etcd restored from a snapshot goes back in objects and versions, and breaks off the watches', async () => {
  await withSimulator({ pods: 0 }, async ({ url, cluster: { store }, cluster }) => {
    cluster.createPod({ name: 'old' });
    const snapshot = store.snapshot();
    cluster.createPod({ name: 'new' });
    const open = await fetch(`${url}${PODS}?watch=1&resourceVersion=${store.version}`);
    store.restore(snapshot);
    await assert.rejects(open.text());
    const list = (await (await fetch(`${url}${PODS}`)).json()) as {
      metadata: { resourceVersion: string };
      items: { metadata: { name: string } }[];
    };
    assert.equal(list.metadata.resourceVersion, String(snapshot.version));
    assert.deepEqual(
      list.items.map(({ metadata }) => metadata.name),
      ['old'],
    );
  });
});

test('churn runs at the rate that was set, and stops', async () => {
  await withSimulator({ pods: 50 }, async (simulator) => {
    const { log } = simulator.cluster.store;
    const start = performance.now();
    simulator.setChurn(500);
    while (log.length < 100) await new Promise((resolve) => setTimeout(resolve, 10));
    simulator.setChurn(0);
    const rate = (log.length * 1000) / (performance.now() - start);
    assert.ok(rate > 50 && rate < 600, `${rate} events/s`);
    const { length } = log;
    await new Promise((resolve) => setTimeout(resolve, 60));
    assert.equal(log.length, length);
  });
});

test('a request that is not HTTP, or that asks for nonsense, does not end the simulator', async () => {
  await withSimulator({ pods: 1 }, async ({ url }) => {
    for (const path of [
      '//',
      '/%ff',
      `${PODS}?limit=%ff`,
      `${PODS}?continue=e30`,
      `${PODS}?labelSelector=%00`,
      '/api/v1/namespaces/%2e%2e/pods/%00',
    ])
      assert.ok((await fetch(url + path)).status < 500, path);
    assert.equal((await fetch(`${url}/readyz`)).status, 200);
  });
});

test('with a certificate the simulator speaks HTTPS', async (t) => {
  const tls = selfSigned(t);
  await withSimulator({ pods: 3, tls }, async ({ url }) => {
    const dispatcher = new Agent({ connect: { ca: tls.cert } });
    const { statusCode, body } = await request(url + PODS, { dispatcher });
    assert.match(url, /^https:/);
    assert.equal(statusCode, 200);
    await body.dump();
    await dispatcher.destroy();
  });
});
