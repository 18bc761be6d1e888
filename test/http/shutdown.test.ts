import assert from 'node:assert/strict';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { test } from 'node:test';
import { Agent, request } from 'undici';
import { listenOn } from '../../src/http/listeners.ts';
import { EventReader } from './support/events.ts';
import { until } from '../support/until.ts';
import { makePod } from './support/pods.ts';
import { ask, open } from './support/raw.ts';
import { REAL_CLOCK, startService } from './support/service.ts';

const POD = makePod('a', { podIps: ['10.0.0.1'] });

test('a graceful shutdown is not ready at once, keeps serving, then ends streams and frees the port', async (t) => {
  const { port, url, server, clock } = await startService(t, { pods: [POD] });
  const reader = await EventReader.open(`${url}/pods/stream`);
  await reader.until('sync');
  const kept = open(port);
  kept.socket.write('GET /pod?ip=10.0.0.1 HTTP/1.1\r\nHost: x\r\n\r\n');
  await once(kept.socket, 'data');

  let closed = false;
  const closing = server.close({ delayMs: 5000 }).finally(() => (closed = true));
  const ready = await ask(port, '/ready');
  assert.deepEqual([ready.status, ready.json['reason']], [503, 'shutting_down']);
  assert.equal((await ask(port, '/health')).status, 200);
  for (const path of ['/pod?ip=10.0.0.1', '/pod?%69p=10.0.0.1', '/pods']) {
    const { status } = await fetch(url + path);
    assert.equal(status, 200, path);
  }
  // A connection that was there before learns with its next answer that it is to close.
  kept.socket.write('GET /pod?ip=10.0.0.1 HTTP/1.1\r\nHost: x\r\n\r\n');
  await kept.closed;
  assert.equal(kept.received.split('HTTP/1.1 200').length - 1, 2);
  assert.match(kept.received, /Connection: keep-alive[^]*Connection: close/);
  clock.advance(4999);
  assert.equal((await ask(port, '/pod?ip=10.0.0.1')).status, 200);
  assert.equal(closed, false);
  clock.advance(1);
  await closing;
  assert.equal(await reader.next(), undefined);
  const late = open(port);
  await late.closed;
  assert.equal(late.received, '');
});

test('a second close hurries, and each resolves when all is closed', async (t) => {
  const { port, server } = await startService(t, { pods: [POD] });
  const first = server.close({ delayMs: 3_600_000 });
  assert.equal((await ask(port, '/health')).status, 200);
  await server.close();
  await first;
});

test('requests under way finish', async (t) => {
  const pods = Array.from({ length: 3000 }, (_, i) => makePod(`p${i}`));
  const { port, server, clock, add } = await startService(t, { pods, limits: { scanPerTurn: 1 } });
  const scanning = ask(port, '/pods?node=none');
  const waiting = ask(port, '/pod?ip=10.0.0.1&wait=2s');
  const connection = open(port);
  // Half a request: it too is under way.
  connection.socket.write('GET /pod?ip=10.0.0.1 HTTP/1.1\r\nHost: x\r\n');
  while (clock.sleepers < 2) await sleep(2);
  const closing = server.close();
  add(POD);
  connection.socket.write('\r\n');
  await connection.closed;
  assert.match(connection.received, /^HTTP\/1\.1 200 /);
  assert.deepEqual([(await scanning).status, (await waiting).status], [200, 200]);
  await closing;
});

test('what does not end by itself is cut off after the grace', async (t) => {
  const pods = Array.from({ length: 2000 }, (_, i) =>
    makePod(`p${i}`, { annotations: { note: 'x'.repeat(10_000) }, podIps: [`10.0.${i >> 8}.${i & 255}`] }),
  );
  const { port, server } = await startService(t, { pods, limits: { closeGrace: 200 } });
  const deaf = open(port);
  deaf.socket.write('GET /pods?by=ip HTTP/1.1\r\nHost: x\r\n\r\n');
  await once(deaf.socket, 'data');
  deaf.socket.pause();
  await server.close();
  deaf.socket.resume();
  await deaf.closed;
});

test('a rolling restart at 1,000 requests/s loses none', async (t) => {
  const start = () => startService(t, { pods: [POD], clock: REAL_CLOCK });
  const agent = new Agent({ connections: 30 });
  t.after(() => agent.destroy());
  const replicas = new Set([await start(), await start()]);
  // As a Service does: new requests go to those that said lately that they are ready.
  let ready = [...replicas];
  const olds = [...replicas];
  const over = new AbortController();
  const probes = (async () => {
    while (!over.signal.aborted) {
      const states = await Promise.all(
        [...replicas].map(async (one) => ({
          one,
          ok: (await ask(one.port, '/ready').catch(() => undefined))?.status === 200,
        })),
      );
      ready = states.filter(({ ok }) => ok).map(({ one }) => one);
      await sleep(50);
    }
  })();
  const results: Promise<number | string>[] = [];
  const sent = new Map<unknown, number>();
  const shoot = async (): Promise<number | string> => {
    const one = ready[results.length % ready.length];
    sent.set(one, (sent.get(one) ?? 0) + 1);
    try {
      const { statusCode, body } = await request(`${one?.url}/pod?ip=10.0.0.1`, { dispatcher: agent });
      await body.dump();
      return statusCode;
    } catch (error) {
      return String(error);
    } finally {
      sent.set(one, (sent.get(one) ?? 0) - 1);
    }
  };
  const began = performance.now();
  const load = (async () => {
    while (performance.now() - began < 2500) {
      while (results.length < performance.now() - began) results.push(shoot());
      await sleep(2);
    }
  })();
  for (const old of olds) {
    await sleep(200);
    const fresh = await start();
    replicas.add(fresh);
    await sleep(150);
    const closed = old.server.close({ delayMs: 60_000 });
    // SHUTDOWN_DELAY is to be longer than it takes until nobody sends any more, however slow this machine is now.
    await until('nobody sends to it', () => !ready.includes(old) && sent.get(old) === 0, { everyMs: 5 });
    await old.server.close();
    await closed;
    replicas.delete(old);
  }
  await load;
  over.abort();
  await probes;
  const outcomes = await Promise.all(results);
  assert.ok(outcomes.length > 2000);
  assert.deepEqual(new Set(outcomes), new Set([200]));
});

test('C4 it listens before the first sync; on all addresses unless told where', async (t) => {
  const service = await startService(t, { settings: { host: undefined, preflightPort: 0 } });
  service.source.synced = false;
  assert.match(service.url, /^http:\/\/\[::\]:/);
  for (const port of [service.port, service.preflightPort]) {
    assert.equal((await fetch(`http://127.0.0.1:${port}/health`)).status, 200, 'by IPv4');
    assert.equal((await fetch(`http://[::1]:${port}/health`)).status, 200, 'by IPv6');
  }
});

test('without IPv6 it listens on all of IPv4, and any other failure to bind is told', async (t) => {
  // An address that this machine does not have is refused as :: is where there is no IPv6.
  const { app } = (await startService(t, { listen: false })).server;
  const binding = (port: number) => async (host: string) => await app.listen({ host, port });
  assert.match(
    await listenOn(['2001:db8::1', '127.0.0.1'], binding(0), { setting: 'PORT', port: 0 }),
    /^http:\/\/127\.0\.0\.1:/,
  );
  const { port } = await startService(t);
  const busy = await startService(t, { listen: false, settings: { port } });
  await assert.rejects(busy.server.listen(), { code: 'EADDRINUSE' });
});
