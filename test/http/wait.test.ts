import assert from 'node:assert/strict';
import { test } from 'node:test';
import { until } from '../support/until.ts';
import { changed, makePod } from './support/pods.ts';
import { ask, open } from './support/raw.ts';
import { startService } from './support/service.ts';
import type { Service } from './support/service.ts';

const waiting = ({ metrics }: Service, count: number): Promise<unknown> =>
  until(
    `${count} waiters`,
    async () => {
      return new RegExp(`^podwhois_waiters ${count}$`, 'm').test(await metrics.text());
    },
    { everyMs: 5 },
  );

test('C5 a lookup before the event waits for its pod', async (t) => {
  const service = await startService(t);
  const asked = ask(service.port, '/pod?ip=10.0.0.1&wait=2s');
  await waiting(service, 1);
  service.add(makePod('other', { podIps: ['10.0.0.2'] }));
  service.add(makePod('a', { podIps: ['10.0.0.1'] }));
  const { status, json } = await asked;
  assert.deepEqual([status, json['name']], [200, 'a']);
  await waiting(service, 0);
  assert.deepEqual(
    [service.metrics.counters.lookups_total.found, service.metrics.counters.lookups_total['no-pod']],
    [1, 0],
  );
});

test('C5 a wait ends with the miss when its time is up, and only then', async (t) => {
  const service = await startService(t);
  let answered = false;
  const asked = ask(service.port, '/pod?ip=10.0.0.1&wait=1500ms').finally(() => (answered = true));
  await waiting(service, 1);
  service.clock.advance(1499);
  await ask(service.port, '/health');
  assert.equal(answered, false);
  service.clock.advance(1);
  const { status, json } = await asked;
  assert.deepEqual([status, json['reason']], [404, 'no-pod']);
  await waiting(service, 0);
});

test('C5 a lookup waits while its address is ambiguous, and for a pod that takes it over', async (t) => {
  const [a, b] = [makePod('a', { podIps: ['10.0.0.1'] }), makePod('b', { podIps: ['10.0.0.1'] })];
  const service = await startService(t, { pods: [a, b] });
  const asked = ask(service.port, '/pod?ip=10.0.0.1&wait=2s');
  await waiting(service, 1);
  service.remove(changed(a, { podIps: [] })); // released by what is stored, not by what the event holds (A2)
  assert.equal((await asked).json['name'], 'b');
  const c = makePod('c', { podIps: ['10.0.0.1'] });
  service.add(c);
  const left = ask(service.port, '/pod?ip=10.0.0.1&wait=2s');
  await waiting(service, 1);
  service.add(changed(c, { podIps: ['10.0.0.3'] }));
  assert.equal((await left).json['name'], 'b', 'the other has moved away');
  const moved = ask(service.port, '/pod?ip=10.0.0.9&wait=2s');
  await waiting(service, 1);
  service.add(changed(b, { podIps: ['10.0.0.9'] }));
  assert.equal((await moved).json['name'], 'b');
});

test('C5 a hit, a wrong question and what can never change do not wait', async (t) => {
  const service = await startService(t, { pods: [makePod('a', { podIps: ['10.0.0.1'] })] });
  assert.equal((await ask(service.port, '/pod?ip=10.0.0.1&wait=2s')).status, 200);
  assert.equal((await ask(service.port, '/pod?ip=x&wait=2s')).status, 400);
  assert.equal((await ask(service.port, '/pod?ip=10.0.0.2&wait=0s')).status, 404);
  service.source.synced = false;
  assert.equal((await ask(service.port, '/pod?ip=10.0.0.2&wait=2s')).status, 503);
});

test('C5 waiters are bounded, and freed on disconnect', async (t) => {
  const service = await startService(t, { limits: { maxWaiters: 2 } });
  const connections = [open(service.port), open(service.port)];
  for (const { socket } of connections) socket.write('GET /pod?ip=10.0.0.1&wait=2s HTTP/1.1\r\nHost: x\r\n\r\n');
  await waiting(service, 2);
  const refused = await ask(service.port, '/pod?ip=10.0.0.1&wait=2s');
  assert.deepEqual([refused.status, refused.json['code']], [503, 'overloaded']);
  assert.equal((await ask(service.port, '/pod?ip=10.0.0.1')).status, 404, 'without wait it is answered');
  for (const { socket } of connections) socket.destroy();
  await waiting(service, 0);
  assert.equal(service.clock.sleepers, 1, 'only the heartbeat of streams still sleeps');
});

test('C5 more changes at once than the feed holds wake every waiter', async (t) => {
  const service = await startService(t, { feedCapacity: 4 });
  const asked = ask(service.port, '/pod?ip=10.0.0.1&wait=2s');
  await waiting(service, 1);
  service.add(makePod('a', { podIps: ['10.0.0.1'] }), ...Array.from({ length: 20 }, (_, i) => makePod(`p${i}`)));
  assert.equal((await asked).json['name'], 'a');
});
