import assert from 'node:assert/strict';
import { test } from 'node:test';
import { until } from '../../support/until.ts';
import { makePod } from '../support/pods.ts';
import { ask } from '../support/raw.ts';
import { startForwardAuth } from './support/forward-auth.ts';

test('E3: overload sheds everything else first: preflights go on, allowed and denied', async (t) => {
  const { port } = await startForwardAuth(t, {
    pods: [makePod('web', { namespace: 'shop', podIps: ['10.0.0.1'] })],
    limits: { shedDelay: 150, shedInterval: 2000 },
  });
  await until(
    'shedding',
    async () => {
      const end = performance.now() + 400;
      while (performance.now() < end);
      return (await ask(port, '/pods')).status === 503;
    },
    { everyMs: 0 },
  );
  for (const [ip, status] of [
    ['10.0.0.1', 200],
    ['10.0.0.2', 403],
    ['x', 400],
  ] as const) {
    assert.equal(
      (await ask(port, '/authorize?namespace=shop', { headers: [`X-Forwarded-For: ${ip}`] })).status,
      status,
    );
  }
});

test('E3: of one address twenty wait at most, and leave room for those who call from others', async (t) => {
  const service = await startForwardAuth(t, { environment: { FORWARD_AUTH_WAIT: '2s' }, limits: { maxWaiters: 100 } });
  const from = async (ip: string): Promise<number> =>
    (await ask(service.port, '/authorize?namespace=shop', { headers: [`X-Forwarded-For: ${ip}`] })).status;
  const greedy = Array.from({ length: 300 }, async () => await from('10.1.0.1'));
  await until('those beyond its share have been denied', async () =>
    /outcome="overloaded",rule=""\} 280/.test(await service.metrics.text()),
  );
  const pod = from('10.0.0.9');
  await until('the other one waits', async () => (await service.metrics.text()).includes('\npodwhois_waiters 21\n'));
  service.add(makePod('new', { namespace: 'shop', podIps: ['10.0.0.9'] }));
  assert.equal(await pod, 200);
  service.clock.advance(2000);
  const statuses = await Promise.all(greedy);
  assert.deepEqual(
    [403, 503].map((status) => statuses.filter((one) => one === status).length),
    [20, 280],
  );
});

test('E3: of hundreds that wait at once those beyond the limit are denied, and nobody passes who may not', async (t) => {
  const service = await startForwardAuth(t, {
    pods: [makePod('web', { namespace: 'shop', podIps: ['10.0.0.1'] })],
    environment: { FORWARD_AUTH_WAIT: '2s' },
    limits: { maxWaiters: 100 },
  });
  const answers = Array.from({ length: 300 }, (_, i) =>
    ask(service.port, '/authorize?namespace=shop', { headers: [`X-Forwarded-For: 10.1.${i >> 8}.${i & 255}`] }),
  );
  const waiting = async (): Promise<boolean> => (await service.metrics.text()).includes('\npodwhois_waiters 100\n');
  await until('they wait', waiting);
  assert.equal(
    (await ask(service.port, '/authorize?namespace=shop', { headers: ['X-Forwarded-For: 10.0.0.1'] })).status,
    200,
    'who is known does not wait',
  );
  const overloaded = async (): Promise<boolean> =>
    /outcome="overloaded",rule=""\} 200/.test(await service.metrics.text());
  await until('the others have been denied', overloaded);
  service.clock.advance(2000);
  const statuses = (await Promise.all(answers)).map(({ status }) => status);
  assert.deepEqual(
    [403, 503].map((status) => statuses.filter((one) => one === status).length),
    [100, 200],
  );
});
