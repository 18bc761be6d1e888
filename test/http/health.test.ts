import assert from 'node:assert/strict';
import { test } from 'node:test';
import { makePod } from './support/pods.ts';
import { ask } from './support/raw.ts';
import { startService } from './support/service.ts';

test('C4 liveness does not depend on the API server', async (t) => {
  const { port, source } = await startService(t, { pods: [makePod('a')] });
  for (const state of [{}, { age: 1e12 }, { synced: false, problem: 'connection refused' }]) {
    Object.assign(source, state);
    for (const path of ['/health', '/healthz', '/livez', '/health?x=1&x=2']) {
      const { status, json } = await ask(port, path);
      assert.deepEqual([status, json], [200, { status: 'healthy', pod_count: 1 }], path);
    }
  }
});

test('C4 ready is synced once and fresh now; an empty cluster is ready', async (t) => {
  const { port, source } = await startService(t);
  for (const path of ['/ready', '/readyz']) {
    source.synced = false;
    let answer = await ask(port, path);
    assert.deepEqual(
      [answer.status, answer.json],
      [503, { status: 'not ready', pod_count: 0, reason: 'not_synced', age: null }],
    );
    Object.assign(source, { synced: true, age: 1250 });
    answer = await ask(port, path);
    assert.deepEqual([answer.status, answer.json], [200, { status: 'ready', pod_count: 0, age: 1.25 }]);
  }
});

test('C3 past the soft limit ready says 503 while lookups go on, and a probe may ask with another limit', async (t) => {
  const { port, source } = await startService(t, { pods: [makePod('a', { podIps: ['10.0.0.1'] })] });
  source.age = 90_000;
  assert.equal((await ask(port, '/ready')).status, 200);
  source.age = 90_001;
  const { status, json } = await ask(port, '/ready');
  assert.deepEqual([status, json], [503, { status: 'not ready', pod_count: 1, reason: 'stale', age: 90.001 }]);
  assert.equal((await ask(port, '/pod?ip=10.0.0.1')).status, 200);
  assert.equal((await ask(port, '/ready?max_staleness=5m')).status, 200);
  assert.equal((await ask(port, '/ready?max_staleness=90s')).status, 503);
  for (const wrong of ['max_staleness=5m1s', 'max_staleness=', 'max_staleness=1s&max_staleness=2s', 'stale=1m']) {
    assert.equal((await ask(port, `/ready?${wrong}`)).json['code'], 'invalid_request', wrong);
  }
});

test('verbose lists the checks, slice by slice, and what is wrong with each', async (t) => {
  const { port, source } = await startService(t);
  assert.deepEqual((await ask(port, '/health?verbose')).json['checks'], [{ name: 'answering', ok: true }]);
  assert.deepEqual((await ask(port, '/ready?verbose')).json['checks'], [
    { name: 'serving', ok: true },
    { name: 'all namespaces', ok: true, message: 'read 250ms ago, at version 4711; at most 1m30s allowed' },
  ]);
  Object.assign(source, { synced: false, problem: 'pods is forbidden: cannot list' });
  assert.deepEqual((await ask(port, '/ready?verbose=1')).json['checks'], [
    { name: 'serving', ok: true },
    {
      name: 'all namespaces',
      ok: false,
      message: 'not read yet; at most 1m30s allowed; pods is forbidden: cannot list',
    },
  ]);
});

test('what is needed besides the pods is counted, what is not is only listed', async (t) => {
  const other = { slice: 'other', synced: false, ageMs: Infinity, resourceVersion: '', problem: undefined };
  const state = { ...other, needed: false };
  const { port, source } = await startService(t, { besides: () => [state] });
  const reason = async (): Promise<unknown> => (await ask(port, '/ready')).json['reason'];
  assert.equal(await reason(), undefined);
  const message = 'not read yet; at most 1m30s allowed; not needed to be ready';
  assert.deepEqual(((await ask(port, '/ready?verbose')).json['checks'] as unknown[])[2], {
    name: 'other',
    ok: false,
    message,
  });
  state.needed = true;
  assert.equal(await reason(), 'not_synced');
  Object.assign(state, { synced: true, ageMs: 90_000 });
  assert.equal(await reason(), undefined);
  state.ageMs = 90_001;
  assert.equal(await reason(), 'stale');
  assert.equal((await ask(port, '/ready?max_staleness=5m')).status, 200);
  source.synced = false;
  assert.equal(await reason(), 'not_synced');
});
