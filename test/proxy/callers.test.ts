import assert from 'node:assert/strict';
import { once } from 'node:events';
import { after, before, suite, test } from 'node:test';
import { until } from '../support/until.ts';
import { bytesOf, connectFrom } from './support/caller.ts';
import { readLoosely } from './support/echo-upstream.ts';
import { PROXIES } from './support/proxies.ts';
import type { Proxy } from './support/proxies.ts';
import { CALLERS, Stage } from './support/stage.ts';

// Each proxy with the configuration of its page, in front of a service that remembers what reaches it. Only pods of team-a may call.

const RULES = 'rules: [{ name: team-a, match: {}, namespace: team-a, allow: [{ podSelector: {} }] }]\n';

/** What the service is to read of the caller, however loosely it reads names. */
const IDENTITY = {
  'X-Pod-Name': 'hello',
  'X-Pod-Namespace': 'team-a',
  'X-Pod-Uid': 'uid-of-hello',
  'X-Pod-Ip': CALLERS.teamA,
  'X-Pod-Node': 'node-1',
  'X-Pod-Workload': 'team-a/Pod/hello',
};

const start = async (proxy: Proxy, settings = {}, apiServer = true): Promise<Stage> =>
  await Stage.start(proxy, { settings, apiServer, ...(proxy.constraint ? {} : { rules: RULES }) });

for (const proxy of PROXIES) {
  suite(`${proxy.name}: who passes`, { skip: proxy.skip }, () => {
    let stage: Stage;
    before(async () => {
      stage = await start(proxy);
    });
    after(async () => await stage[Symbol.asyncDispose]());

    const passes = async (request = {}): Promise<void> => {
      const { status, seen } = await stage.from(CALLERS.teamA, request);
      assert.equal(status, 200);
      assert.equal(seen.length, 1);
      for (const [name, value] of Object.entries(IDENTITY)) assert.deepEqual(readLoosely(seen[0], name), [value], name);
      assert.equal(readLoosely(seen[0], 'X-Pod-Service-Account').length, 1);
    };
    const isDenied = async (address: string, request = {}): Promise<void> => {
      const { status, seen } = await stage.from(address, request);
      assert.deepEqual(seen, []);
      assert.ok(status === 403 || status === 400, String(status));
    };

    test('a pod that is allowed, and the service reads who it is', async () => await passes());

    for (const who of ['teamB', 'twice', 'finished', 'hostNetwork', 'nobody', 'overdue'] as const) {
      test(`not ${who}, and the service never hears of it`, async () => {
        const { status, seen, body } = await stage.from(CALLERS[who]);
        assert.deepEqual([status, seen], [403, []]);
        assert.doesNotMatch(body, /twin-a|team-a/, 'a refusal names nobody');
      });
    }

    test('headers that a caller forges let nobody pass and change nobody', async () => {
      for (const header of forged(CALLERS.teamA, 'team-a')) await isDenied(CALLERS.teamB, { headers: [header] });
      await isDenied(CALLERS.teamB, { headers: forged(CALLERS.teamA, 'team-a') });
      for (const header of forged(CALLERS.teamB, 'team-b')) await passes({ headers: [header] });
    });

    test('names that only loose readers take for an identity reach no service beside the true ones', async () => {
      for (const name of aliases('x-pod-namespace')) {
        const { status, seen } = await stage.from(CALLERS.teamA, { headers: [`${name}: team-b`] });
        if (seen.length > 0) assert.deepEqual(readLoosely(seen[0], 'x-pod-namespace'), ['team-a'], name);
        else assert.ok(status === 400 || status === 403, `${name}: ${status}`);
      }
    });

    test('names that only loose readers take for a forwarding header let nobody pass', async () => {
      for (const header of ['x-forwarded-for', 'x-real-ip', 'x-original-url', 'x-forwarded-uri', 'x-original-uri']) {
        for (const name of aliases(header)) await isDenied(CALLERS.teamB, { headers: [`${name}: ${CALLERS.teamA}`] });
      }
    });

    test('a header that a caller tells the proxy to drop is missing at most, never forged', async () => {
      const dropped = [
        'x-forwarded-for',
        'x-real-ip',
        'x-forwarded-uri',
        'x-original-uri',
        'x-pod-namespace',
        'x-pod-ip',
      ];
      for (const name of dropped) {
        const headers = [`Connection: close, ${name}`, `${name}: forged`];
        await isDenied(CALLERS.teamB, { headers });
        const { seen } = await stage.from(CALLERS.teamA, { headers });
        for (const [field, value] of Object.entries(IDENTITY)) {
          for (const read of readLoosely(seen[0], field)) assert.equal(read, value, `${name}, ${field}`);
        }
      }
    });

    test('a constraint that a caller writes himself changes nothing', async () => {
      for (const path of ['/?namespace=team-b', '/?namespace=team-a&namespace=team-b', '/authorize?namespace=team-b']) {
        await isDenied(CALLERS.teamB, { path });
      }
      for (const path of ['/?namespace=team-b', '/x?y=z']) await passes({ path });
    });

    test('nobody reaches the permission through the proxy', async () => {
      for (const path of ['/_podwhois', '/_external-auth', '/authorize', '/auth']) {
        const { seen } = await stage.from(CALLERS.teamB, { path });
        assert.deepEqual(seen, [], path);
      }
    });

    test('HEAD, POST with a body and odd methods pass and are denied as GET is', async () => {
      const requests = [
        { method: 'POST', body: 'x'.repeat(100_000) },
        { method: 'PUT', body: 'y' },
      ];
      for (const request of [...requests, ...['HEAD', 'DELETE', 'OPTIONS'].map((method) => ({ method, body: '' }))]) {
        const { status, seen } = await stage.from(CALLERS.teamA, request);
        assert.equal(status, 200, request.method);
        assert.deepEqual([seen[0]?.method, seen[0]?.body], [request.method, request.body]);
        assert.deepEqual((await stage.from(CALLERS.teamB, request)).seen, [], request.method);
      }
    });

    if (!proxy.played) {
      test('a WebSocket is opened for whom may, and for nobody else', async () => {
        const upgrade = ['Connection: Upgrade', 'Upgrade: websocket', 'Sec-WebSocket-Version: 13'];
        const key = 'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==';
        const handshake = bytesOf({ path: '/socket', headers: [...upgrade, key] });
        const socket = await connectFrom(CALLERS.teamA, stage.port);
        let received = '';
        socket.on('data', (chunk) => (received += String(chunk)));
        socket.write(handshake);
        await until('the handshake is accepted', () => received.includes('\r\n\r\n'));
        assert.match(received, /^HTTP\/1\.1 101 /);
        received = '';
        socket.write('to and fro');
        await until('it comes back', () => received === 'to and fro');
        socket.destroy();
        const [seen] = stage.upstream.take();
        assert.deepEqual(readLoosely(seen, 'X-Pod-Namespace'), ['team-a']);

        const refused = await connectFrom(CALLERS.teamB, stage.port);
        refused.write(handshake);
        const [answer] = (await once(refused, 'data')) as [Buffer];
        refused.destroy();
        assert.match(answer.toString(), /^HTTP\/1\.1 403 /);
        assert.deepEqual(stage.upstream.take(), []);
      });
    }

    test('with podwhois gone nobody passes', async () => {
      await stage.podwhois.child.stop();
      const { status, seen } = await stage.from(CALLERS.teamA);
      assert.deepEqual([status, seen], [proxy.whenGone, []]);
    });
  });

  suite(`${proxy.name}: while podwhois cannot be sure`, { skip: proxy.skip }, () => {
    test('before the cluster was read nobody passes', async () => {
      await using stage = await start(proxy, {}, false);
      const { status, seen } = await stage.from(CALLERS.teamA);
      assert.deepEqual(
        [status, seen],
        [proxy.page.includes('caddy') || proxy.page.includes('traefik') ? 503 : 403, []],
      );
      await stage.simulator.up();
      await stage.podwhois.untilReady();
      assert.equal((await stage.from(CALLERS.teamA)).status, 200);
    });

    test('once what it knows is too old nobody passes', async () => {
      await using stage = await start(proxy, { READY_MAX_STALENESS: '2s', SERVE_MAX_STALENESS: '2s' });
      await stage.simulator.down();
      const refused = await until('a refusal', async () => {
        const answer = await stage.from(CALLERS.teamA);
        return answer.status === 200 ? false : answer;
      });
      assert.deepEqual(refused.seen, []);
      assert.ok(refused.status === 503 || refused.status === 403, String(refused.status));
      assert.deepEqual((await stage.from(CALLERS.teamA)).seen, []);
    });
  });
}

/** Whatever a proxy or a service might take for the truth about a caller, each as one line. */
function forged(address: string, namespace: string): string[] {
  return [
    `X-Forwarded-For: ${address}`,
    `x-forwarded-for: ${address}, ${address}`,
    `X-Real-IP: ${address}`,
    `X-Client-IP: ${address}`,
    `Client-IP: ${address}`,
    `True-Client-IP: ${address}`,
    `CF-Connecting-IP: ${address}`,
    `Forwarded: for=${address};host=app.example;proto=https`,
    `X-Envoy-External-Address: ${address}`,
    'X-Envoy-Internal: true',
    'X-Envoy-Original-Path: /elsewhere',
    'X-Forwarded-Host: elsewhere.example',
    'X-Forwarded-Method: OPTIONS',
    'X-Forwarded-Uri: /elsewhere?namespace=team-b',
    'X-Forwarded-Proto: https',
    'X-Forwarded-Prefix: /elsewhere',
    'X-Original-URI: /elsewhere',
    'X-Original-URL: http://elsewhere.example/elsewhere',
    'X-Original-Method: OPTIONS',
    'X-Auth-Request-Redirect: /elsewhere',
    'X-HTTP-Method-Override: OPTIONS',
    'X-Rewrite-URL: /elsewhere',
    `X-Pod-Namespace: ${namespace}`,
    'X-Pod-Name: forged',
    'x-pod-uid: forged',
    'X-POD-IP: forged',
    'X-Pod-Node: forged',
    'X-Pod-Service-Account: forged',
    'X-Pod-Workload: forged',
  ];
}

/** Other spellings of a name, which readers may fold into it. */
function aliases(name: string): string[] {
  const separators = ['_', '.', '!', '+', '~'];
  return [
    ...separators.map((one) => name.replaceAll('-', one)),
    name.replace('-', '_'),
    name.replace(/-(?=[^-]*$)/, '.'),
  ];
}
