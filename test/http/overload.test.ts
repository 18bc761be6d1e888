import assert from 'node:assert/strict';
import { setImmediate as turn } from 'node:timers/promises';
import { test } from 'node:test';
import { until } from '../support/until.ts';
import { makePod } from './support/pods.ts';
import { ask } from './support/raw.ts';
import { startService } from './support/service.ts';

test('overload sheds lists, batches and streams first and spares lookups and probes', async (t) => {
  const { port, metrics } = await startService(t, {
    pods: [makePod('a', { podIps: ['10.0.0.1'] })],
    // What the last interval was like decides about the next.
    limits: { shedDelay: 150, shedInterval: 2000 },
  });
  await until('a machine that is not overloaded itself', async () => (await ask(port, '/pods')).status === 200);
  const post = { method: 'POST', headers: ['Content-Type: application/json'], body: '{"ips":[]}' };
  await until(
    'shedding',
    async () => {
      const end = performance.now() + 400;
      while (performance.now() < end);
      return (await ask(port, '/pods')).status === 503;
    },
    { everyMs: 0 },
  );
  for (const path of ['/pods', '/pods?by=ip', '/pods/stream', '/pods?limit=x']) {
    const { status, json, headers } = await ask(port, path);
    assert.deepEqual([status, json['code'], headers.get('retry-after')], [503, 'overloaded', '1'], path);
  }
  assert.equal((await ask(port, '/pods/lookup', post)).json['code'], 'overloaded');
  for (const path of [
    '/pod?ip=10.0.0.1',
    '/pod?uid=uid-a',
    '/pod?%69p=10.0.0.1',
    '/health',
    '/ready',
    '/metrics',
    '/openapi.json',
  ]) {
    assert.equal((await ask(port, path)).status, 200, path);
  }
  assert.equal((await ask(port, '/whoami')).status, 404);
  assert.ok(metrics.counters.shed_total.all >= 6);
  await until('all is served again', async () => (await ask(port, '/pods')).status === 200);
});

test('many at once are all answered: churn storm beside lookups', async (t) => {
  const pods = Array.from({ length: 1000 }, (_, i) => makePod(`p${i}`, { podIps: [`10.0.${i >> 8}.${i & 255}`] }));
  const { port, add } = await startService(t, { pods });
  const stop = new AbortController();
  const storm = (async () => {
    for (let i = 0; !stop.signal.aborted; i++) {
      add(makePod(`p${i % 1000}`, { podIps: [`10.0.${(i % 1000) >> 8}.${(i % 1000) & 255}`], ready: i % 2 === 0 }));
      if (i % 10 === 0) await turn();
    }
  })();
  const answers = await Promise.all(
    Array.from({ length: 300 }, (_, i) => ask(port, `/pod?ip=10.0.${i >> 8}.${i & 255}`)),
  );
  stop.abort();
  await storm;
  answers.forEach(({ status, json }, i) => assert.deepEqual([status, json['name']], [200, `p${i}`]));
});
