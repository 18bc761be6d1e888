import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ApiClient } from '../../src/kubernetes/client.ts';
import { SystemClock } from '../../src/kubernetes/clock.ts';
import { findAccess } from '../../src/kubernetes/credentials.ts';
import { ApiListWatch } from '../../src/kubernetes/list-watch.ts';
import { Reflector } from '../../src/kubernetes/reflector.ts';
import { json } from '../../src/kubernetes/wire/json.ts';
import { MemoryStore } from '../support/memory-store.ts';
import { keptLog, zeroMetrics } from '../support/reflector-harness.ts';
import { scriptedServer } from '../support/scripted-server.ts';
import { bookmarkLine, line, listBody, thing, thingReader } from '../support/scripted-transport.ts';
import { until } from '../support/until.ts';
import type { ServerResponse } from 'node:http';
import type { TestContext } from 'node:test';
import type { ApiObject } from '../../src/kubernetes/api-object.ts';

/** A reflector as a process has it, on a server of two things. */
async function onSockets(t: TestContext) {
  const watches = new Set<ServerResponse>();
  const server = await scriptedServer(t, (request, response) => {
    const url = new URL(request.url ?? '', 'http://x');
    response.setHeader('content-type', 'application/json');
    if (url.searchParams.has('sendInitialEvents')) {
      response.write(line('ADDED', thing('a', 1)) + line('ADDED', thing('b', 2)) + bookmarkLine(2, true));
    } else if (url.searchParams.has('watch')) {
      response.flushHeaders();
      watches.add(response);
      response.on('close', () => watches.delete(response));
    } else response.end(listBody(2, [thing('a', 1)]));
  });
  const clock = new SystemClock();
  const { log, lines } = keptLog();
  const access = await findAccess({ apiServer: server.url });
  const formats = { 'application/json': json };
  const client = new ApiClient({ access, formats, clock, log, userAgent: 'podwhois/test' });
  const store = new MemoryStore<ApiObject>();
  const resource = { path: '/api/v1/things', reader: thingReader };
  const reflector = new Reflector({
    what: 'things',
    listWatch: new ApiListWatch({ transport: client, resource, clock }),
    store,
    clock,
    log,
    metrics: zeroMetrics(),
    readyMaxStalenessMs: 90_000,
    resyncIntervalMs: 600_000,
  });
  const stopping = new AbortController();
  const running = reflector.run(stopping.signal);
  const stop = async (): Promise<void> => {
    stopping.abort();
    await running;
    await client.close();
    clock.close();
  };
  t.after(stop);
  return { server, watches, store, reflector, lines, stop };
}

test('over real sockets: synced, watched on, reconnected after a reset, and stopped without a timer or a socket left', async (t) => {
  const before = active();
  const { server, watches, store, reflector, stop } = await onSockets(t);
  await until('it is synced and watches', () => reflector.synced && watches.size === 1);
  assert.deepEqual([...store.objects.keys()], ['uid-a', 'uid-b']);
  for (const watch of watches) watch.write(line('ADDED', thing('c', 3)));
  await until('the event is there', () => store.objects.has('uid-c'));
  for (const watch of watches) watch.socket?.resetAndDestroy();
  await until('it watches on from there', () => server.requests.some(({ url }) => url?.includes('resourceVersion=3&')));
  await until('B8: a read was made after the failure', () =>
    server.requests.some(({ url }) => url?.endsWith('?limit=1')),
  );
  await stop();
  await server.close();
  await until('nothing is left', () => active() <= before);
});

/** Sockets and timers that keep the process alive. */
const active = (): number => process.getActiveResourcesInfo().filter((name) => /TCP|TLS|Timeout/.test(name)).length;

test('over real sockets: an API server that is gone and comes back on the same port', async (t) => {
  const { server, watches, reflector, store } = await onSockets(t);
  await until('it watches', () => watches.size === 1);
  await server.close();
  await until('it says so', () => reflector.problem !== undefined);
  assert.equal(store.objects.size, 2);
  server.server.listen(server.port, '127.0.0.1');
  await until('it watches again', () => watches.size === 1);
  await until('no problem', () => reflector.problem === undefined);
});
