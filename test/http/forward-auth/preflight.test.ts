import assert from 'node:assert/strict';
import { METHODS } from 'node:http';
import { connect } from 'node:net';
import { test } from 'node:test';
import { until } from '../../support/until.ts';
import { makePod, strings } from '../support/pods.ts';
import { ask, exchange, open } from '../support/raw.ts';
import { NOON, startForwardAuth } from './support/forward-auth.ts';
import type { ForwardAuth } from './support/forward-auth.ts';

const from = (ip: string, ...more: readonly string[]): { headers: string[] } => ({
  headers: [`X-Forwarded-For: ${ip}`, ...more],
});

const waits = async ({ metrics }: ForwardAuth, many: number): Promise<boolean> =>
  await until('as many wait', async () => (await metrics.text()).includes(`\npodwhois_waiters ${many}\n`), {
    everyMs: 5,
  });

const web = makePod('web', { namespace: 'shop', podIps: ['10.0.0.1', 'fd00::1'], labels: strings({ app: 'web' }) });

const HEADERS = ['name', 'namespace', 'uid', 'ip', 'node', 'service-account', 'workload'].map((key) => `x-pod-${key}`);

const OFFICE = `
rules:
  - name: the office
    match: {}
    allow: [{ ipBlock: { cidr: 203.0.113.0/24 } }, { namespaceSelector: { matchLabels: { team: a } } }]
`;

const ONLY_OFFICE = OFFICE.replace(/, { namespaceSelector.*(?=\])/, '');

test('E4: on 200 every identity header is there, for a pod', async (t) => {
  const { port } = await startForwardAuth(t, { pods: [web] });
  for (const method of ['GET', 'HEAD']) {
    for (const path of ['/authorize', '/auth', 'http://podwhois/authorize']) {
      const { status, headers, body } = await ask(port, `${path}?namespace=shop`, { method, ...from('fd00::1') });
      assert.deepEqual([status, body, headers.get('content-length')], [200, '', '0'], `${method} ${path}`);
      assert.deepEqual(
        HEADERS.map((name) => headers.get(name)),
        ['web', 'shop', 'uid-web', 'fd00::1', 'worker-1', 'shop/default', 'shop/Deployment/web'],
      );
      assert.deepEqual(
        ['cache-control', 'x-podwhois-age', 'x-podwhois-resource-version'].map((name) => headers.get(name)),
        ['no-store', '0.250', '4711'],
      );
      assert.ok(!headers.has('x-pod-token') && !headers.has('x-podwhois-reason'));
    }
  }
});

test('E4: on 200 every identity header is there, and "-", for a caller that is no pod', async (t) => {
  const { port } = await startForwardAuth(t, { rules: ONLY_OFFICE });
  const { status, headers } = await ask(port, '/authorize', from('203.0.113.7'));
  assert.equal(status, 200);
  assert.deepEqual(
    HEADERS.map((name) => headers.get(name)),
    HEADERS.map(() => '-'),
  );
});

test('E4: hostile values arrive encoded, on one line each, and nothing can be smuggled behind them', async (t) => {
  const evil = makePod('evil', {
    namespace: 'shop',
    podIps: ['10.0.0.2'],
    nodeName: 'a\r\nX-Admin: yes\r\n\r\nHTTP/1.1 200 OK',
    workload: { kind: 'Deployment/admin', name: 'é%0d%0aX: y', source: 'owner' },
    serviceAccount: '',
  });
  const { port } = await startForwardAuth(t, { pods: [evil] });
  const { status, headers, body } = await ask(port, '/authorize?namespace=shop', from('10.0.0.2'));
  assert.deepEqual([status, body], [200, '']);
  assert.equal(headers.get('x-pod-node'), 'a%0D%0AX-Admin:%20yes%0D%0A%0D%0AHTTP%2F1.1%20200%20OK');
  assert.equal(headers.get('x-pod-workload'), 'shop/Deployment%2Fadmin/%C3%A9%250d%250aX:%20y');
  assert.equal(headers.get('x-pod-service-account'), '-');
  assert.ok(!headers.has('x-admin'));
});

test('E4: renamed headers carry the identity, and no header of the old name does', async (t) => {
  const environment = { FORWARD_AUTH_HEADERS: 'namespace=X-Team,name=Remote-User' };
  const { port } = await startForwardAuth(t, { pods: [web], environment });
  const { headers } = await ask(port, '/authorize?namespace=shop', from('10.0.0.1'));
  assert.deepEqual(
    [headers.get('x-team'), headers.get('remote-user'), headers.get('x-pod-uid')],
    ['shop', 'web', 'uid-web'],
  );
  assert.ok(!headers.has('x-pod-namespace') && !headers.has('x-pod-name'));
});

test('without a constraint nobody passes, and with FORWARD_AUTH_DEFAULT=identify every pod does', async (t) => {
  const strict = await startForwardAuth(t, { pods: [web] });
  assert.equal((await ask(strict.port, '/authorize', from('10.0.0.1'))).json['reason'], 'no-rule');
  const lax = await startForwardAuth(t, { pods: [web], environment: { FORWARD_AUTH_DEFAULT: 'identify' } });
  assert.equal((await ask(lax.port, '/authorize', from('10.0.0.1'))).status, 200);
  assert.equal((await ask(lax.port, '/authorize', from('10.0.0.2'))).json['reason'], 'no-pod');
});

test('who connects himself is the caller, and cannot say that he is another', async (t) => {
  const environment = { TRUSTED_PROXIES: '', FORWARD_AUTH_DIRECT: 'true' };
  const pods = [makePod('me', { podIps: ['127.0.0.1'] }), web];
  const { port } = await startForwardAuth(t, { pods, environment });
  assert.equal((await ask(port, '/authorize?namespace=default')).headers.get('x-pod-name'), 'me');
  for (const header of ['X-Forwarded-For: 10.0.0.1', 'Forwarded: for=10.0.0.1', 'X-Real-IP: 127.0.0.1']) {
    const answer = await ask(port, '/authorize?namespace=default', { headers: [header] });
    assert.deepEqual([answer.status, answer.json['reason']], [403, 'untrusted-proxy'], header);
  }
});

test('E3: other methods, and other spellings of the path, are never 2xx', async (t) => {
  const environment = { FORWARD_AUTH_DEFAULT: 'identify' };
  const { port } = await startForwardAuth(t, { pods: [web], environment });
  const odd = [
    '/authorize/',
    '/authorize/x',
    '/%61uthorize',
    '/Authorize',
    '//authorize',
    '/authorize;x',
    '/authorize#x',
    '/./authorize',
    '/x/../authorize',
    '/auth%6frize',
    '/auth/',
    '/authorized',
    '/',
    '*',
  ];
  for (const path of odd) {
    const { status } = await ask(port, path, from('10.0.0.1'));
    assert.ok(status >= 400, `${path}: ${status}`);
  }
  for (const method of [...METHODS, 'BREW', 'get']) {
    if (method === 'GET' || method === 'HEAD') continue;
    for (const path of ['/authorize', '/auth?namespace=shop', '/%61uthorize', 'http://podwhois/authorize']) {
      const { status } = await ask(port, path, { method, ...from('10.0.0.1') });
      assert.ok(status >= 400, `${method} ${path}: ${status}`);
    }
  }
  const options = await ask(port, '/authorize', { method: 'OPTIONS', ...from('10.0.0.1') });
  assert.deepEqual([options.status, options.headers.get('allow')], [405, 'GET, HEAD']);
});

test('E3: what is not quite HTTP is never 2xx', async (t) => {
  const { port } = await startForwardAuth(t, { pods: [web], environment: { FORWARD_AUTH_DEFAULT: 'identify' } });
  const xff = 'X-Forwarded-For: 10.0.0.1\r\nConnection: close';
  for (const [what, bytes] of [
    ['no Host', `GET /authorize HTTP/1.1\r\n${xff}\r\n\r\n`],
    ['HTTP/0.9', `GET /authorize\r\n\r\n`],
    ['a URL that is too long', `GET /authorize?${'a'.repeat(9000)} HTTP/1.1\r\nHost: x\r\n${xff}\r\n\r\n`],
    ['headers that are too long', `GET /authorize HTTP/1.1\r\nHost: x\r\nA: ${'a'.repeat(20_000)}\r\n${xff}\r\n\r\n`],
    ['two lengths', `GET /authorize HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n${xff}\r\n\r\nab`],
    [
      'a folded header',
      `GET /authorize HTTP/1.1\r\nHost: x\r\nX-Forwarded-For:\r\n 10.0.0.1\r\nConnection: close\r\n\r\n`,
    ],
    [
      'a header with a space in its name',
      `GET /authorize HTTP/1.1\r\nHost: x\r\nX-Forwarded-For : 10.0.0.1\r\nConnection: close\r\n\r\n`,
    ],
    ['undecodable', `GET /authorize?%zz HTTP/1.1\r\nHost: x\r\n${xff}\r\n\r\n`],
  ] as const) {
    assert.doesNotMatch(await exchange(port, bytes), /^HTTP\/1\.. 2/, what);
  }
});

test('E3: an exception is never 2xx, and for a preset that needs it 403', async (t) => {
  for (const [preset, status] of [
    ['caddy', 500],
    ['envoy', 403],
  ] as const) {
    const environment = { FORWARD_AUTH_PRESET: preset };
    const service = await startForwardAuth(t, { pods: [web], rules: ONLY_OFFICE, environment });
    service.index.holders = () => {
      throw new Error('planted');
    };
    const answer = await ask(service.port, '/authorize', from('10.0.0.1'));
    assert.deepEqual([answer.status, answer.json['code']], [status, 'internal_error']);
    assert.doesNotMatch(answer.body, /planted/);
    assert.match(service.logged.join(), /planted/);
    assert.match(await service.metrics.text(), /preflights_total\{outcome="internal_error",rule=""\} 1/);
  }
});

test('E3: an age that is not known is no age that is fresh enough', async (t) => {
  const service = await startForwardAuth(t, { pods: [web], environment: { FORWARD_AUTH_DEFAULT: 'identify' } });
  service.source.age = NaN;
  assert.equal((await ask(service.port, '/authorize', from('10.0.0.1'))).status, 503);
  service.source.ageMs = () => {
    throw new Error('planted');
  };
  assert.equal((await ask(service.port, '/authorize', from('10.0.0.1'))).status, 500);
});

test('E3: with the envoy preset the query is never read, so that a caller cannot constrain himself', async (t) => {
  const rules = `
rules:
  - name: the shop
    match: { path: /cart, methods: [PUT] }
    allow: [{ serviceAccount: shop/default }]
`;
  const environment = { FORWARD_AUTH_PRESET: 'envoy' };
  const pods = [web, makePod('evil', { namespace: 'evil', podIps: ['10.0.0.2'] })];
  const { port } = await startForwardAuth(t, { pods, rules, environment });
  const put = async (path: string, ip: string): Promise<number> =>
    (await ask(port, path, { method: 'PUT', ...from(ip) })).status;
  assert.equal(await put('/authorize/cart', '10.0.0.1'), 200);
  assert.equal(await put('/authorize/cart?namespace=nonsense&x', '10.0.0.1'), 200);
  for (const path of ['/authorize/cart?namespace=evil', '/authorize?namespace=evil', '/authorize/?namespace=evil']) {
    assert.equal(await put(path, '10.0.0.2'), 403, path);
  }
  assert.equal((await ask(port, '/authorize/cart', from('10.0.0.1'))).status, 403, 'the method is the own one');
  const none = await startForwardAuth(t, { pods, environment });
  for (const path of ['/authorize/cart?namespace=evil', '/authorize?namespace=evil', '/auth?namespace=evil']) {
    const answer = await ask(none.port, path, from('10.0.0.2'));
    assert.deepEqual([answer.status, answer.json['reason']], [403, 'no-rule'], path);
  }
});

test('E3: with the envoy preset any method, with a body too, is a preflight', async (t) => {
  const environment = { FORWARD_AUTH_PRESET: 'envoy', FORWARD_AUTH_DEFAULT: 'identify' };
  const { port } = await startForwardAuth(t, { pods: [web], environment });
  for (const method of METHODS) {
    if (method === 'CONNECT') continue;
    const options = {
      method,
      ...from('10.0.0.1'),
      body: method === 'GET' || method === 'HEAD' ? '' : 'x'.repeat(1000),
    };
    assert.equal((await ask(port, '/authorize/a', options)).status, 200, method);
    assert.equal((await ask(port, '/authorize/a', { ...options, ...from('10.0.0.9') })).status, 403, method);
  }
  // The body of one is not the next request of the connection.
  const two = `POST /authorize/a HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: 10.0.0.9\r\nContent-Length: 3\r\n\r\nabcGET /health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`;
  assert.deepEqual((await exchange(port, two)).match(/HTTP\/1\.1 \d+/g), ['HTTP/1.1 403', 'HTTP/1.1 200']);
});

test('A5: a terminating pod passes until its deletion time and the slack have gone by on the wall clock', async (t) => {
  const leaving = makePod('leaving', { namespace: 'shop', podIps: ['10.0.0.1'], deletionTimestamp: NOON });
  const service = await startForwardAuth(t, { pods: [leaving], environment: { TERMINATING_SLACK: '10s' } });
  const answer = async (): Promise<unknown> => {
    const { status, body } = await ask(service.port, '/authorize?namespace=shop', from('10.0.0.1'));
    return status === 200 ? 200 : (JSON.parse(body) as Record<string, unknown>)['reason'];
  };
  assert.equal(await answer(), 200);
  service.time.wall = NOON + 10_000;
  assert.equal(await answer(), 200);
  // Not the clock of ages, which may have stood still in between.
  service.time.wall = NOON + 10_001;
  assert.equal(await answer(), 'terminating');
});

test('C5: with FORWARD_AUTH_WAIT a new pod that calls before its address is reported waits for it, and passes', async (t) => {
  const service = await startForwardAuth(t, { environment: { FORWARD_AUTH_WAIT: '2s' } });
  const answer = ask(service.port, '/authorize?namespace=shop', from('10.0.0.1'));
  await waits(service, 1);
  service.add(makePod('other', { podIps: ['10.0.0.2'] }));
  service.add(web);
  assert.equal((await answer).headers.get('x-pod-name'), 'web');
  await waits(service, 0);
});

test('C5: who waits in vain is denied with the reason, and so is who is known at once', async (t) => {
  const service = await startForwardAuth(t, { pods: [web], environment: { FORWARD_AUTH_WAIT: '1500ms' } });
  const answer = ask(service.port, '/authorize?namespace=shop', from('10.0.0.9'));
  await waits(service, 1);
  service.clock.advance(1500);
  assert.equal((await answer).json['reason'], 'no-pod');
  // These do not wait: the clock stands still.
  assert.equal((await ask(service.port, '/authorize?namespace=x', from('10.0.0.1'))).json['reason'], 'not-allowed');
  assert.equal((await ask(service.port, '/authorize?namespace=x', from('192.168.0.1'))).json['reason'], 'node');
});

test('C5: whoever may pass as he is does not wait, and what became stale meanwhile does not pass', async (t) => {
  const service = await startForwardAuth(t, { rules: ONLY_OFFICE, environment: { FORWARD_AUTH_WAIT: '2s' } });
  assert.equal((await ask(service.port, '/authorize', from('203.0.113.1'))).status, 200);
  const answer = ask(service.port, '/authorize', from('10.0.0.1'));
  await waits(service, 1);
  service.source.age = 300_001;
  service.add(web);
  assert.equal((await answer).json['reason'], 'stale');
});

test('C5: those who have gone no longer wait', async (t) => {
  const service = await startForwardAuth(t, { environment: { FORWARD_AUTH_WAIT: '2s' } });
  const { socket } = open(service.port);
  socket.write('GET /authorize?namespace=shop HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: 10.0.0.1\r\n\r\n');
  await waits(service, 1);
  socket.destroy();
  await waits(service, 0);
});

test('an audit lets everybody pass, logs what it would have denied, and tells only of certain callers', async (t) => {
  const pods = [web, makePod('twin-a', { podIps: ['10.0.0.5'] }), makePod('twin-b', { podIps: ['10.0.0.5'] })];
  const service = await startForwardAuth(t, { pods, environment: { FORWARD_AUTH_AUDIT: 'true' } });
  const cases: [string, string, string, string][] = [
    ['?namespace=other', '10.0.0.1', 'web', 'not-allowed'],
    ['', '10.0.0.5', '-', 'ambiguous'],
    ['', '10.0.0.9', '-', 'no-rule'],
    ['?nonsense', '10.0.0.1', 'web', 'invalid-query'],
    ['', 'nonsense', '-', 'invalid-address'],
  ];
  for (const [query, ip, name, reason] of cases) {
    service.logged.length = 0;
    const { status, headers } = await ask(service.port, `/authorize${query}`, from(ip));
    assert.deepEqual([status, headers.get('x-pod-name')], [200, name], reason);
    assert.ok(
      HEADERS.every((header) => headers.get(header)),
      reason,
    );
    const line = JSON.parse(service.logged[0] ?? '{}') as Record<string, unknown>;
    assert.equal(line['reason'], reason);
    assert.match(String(line['msg']), /FORWARD_AUTH_AUDIT/);
  }
  const { status: ready, json } = await ask(service.port, '/ready?verbose');
  const message = 'every preflight passes, whatever the rules say';
  assert.deepEqual(
    [ready, (json['checks'] as unknown[]).at(-1)],
    [200, { name: 'FORWARD_AUTH_AUDIT', ok: true, message }],
  );
  service.source.synced = false;
  const { status, headers } = await ask(service.port, '/authorize?namespace=shop', from('10.0.0.1'));
  assert.deepEqual([status, headers.get('x-pod-name')], [200, '-'], 'what is not synced knows nobody');
  service.index.holders = () => {
    throw new Error('planted');
  };
  service.source.synced = true;
  assert.equal((await ask(service.port, '/authorize', from('10.0.0.1'))).status, 500, 'a fault is no verdict');
});

test('FORWARD_AUTH_DEBUG tells why in a header, on one line whatever is in it', async (t) => {
  const rules = ONLY_OFFICE.replace('the office', '"the öffice"');
  const environment = { FORWARD_AUTH_DEBUG: 'true' };
  const pods = [makePod('twin-a', { podIps: ['10.0.0.5'] }), makePod('twin-b', { podIps: ['10.0.0.5'] })];
  const { port } = await startForwardAuth(t, { pods, rules, environment });
  const reason = async (ip: string): Promise<string | undefined> =>
    (await ask(port, '/authorize', from(ip))).headers.get('x-podwhois-reason');
  assert.equal(await reason('203.0.113.1'), 'allowed; rule "the %C3%B6ffice"');
  assert.match((await reason('10.0.0.5')) ?? '', /^ambiguous; .*default\/twin-a, default\/twin-b/);
  assert.equal(await reason('10.0.0.9'), 'no-pod; rule "the %C3%B6ffice"');
});

test('the labels of namespaces are asked for when rules or a constraint need them, and count for /ready with rules only', async (t) => {
  const labels = { refusal: undefined, labelsOf: (name: string) => (name === 'shop' ? { team: 'a' } : undefined) };
  const byRules = await startForwardAuth(t, { pods: [web], rules: OFFICE, namespaces: labels });
  assert.deepEqual(byRules.asked, [true]);
  assert.equal((await ask(byRules.port, '/authorize', from('10.0.0.1'))).status, 200);
  const byQuery = await startForwardAuth(t, { pods: [web], namespaces: labels });
  assert.equal((await ask(byQuery.port, '/authorize?namespace=shop', from('10.0.0.1'))).status, 200);
  assert.deepEqual(byQuery.asked, []);
  assert.equal((await ask(byQuery.port, '/authorize?namespace_selector=team=a', from('10.0.0.1'))).status, 200);
  assert.deepEqual(byQuery.asked, [undefined]);
});

test('E3: a connection that is cut in the middle of a preflight does no harm', async (t) => {
  const { port } = await startForwardAuth(t, { pods: [web] });
  for (let i = 0; i < 20; i++) {
    const socket = connect(port, '127.0.0.1');
    socket.on('error', () => undefined);
    socket.write('GET /authorize?namespace=shop HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: 10.0.0.1\r\n\r\n');
    socket.destroy();
  }
  assert.equal((await ask(port, '/authorize?namespace=shop', from('10.0.0.1'))).status, 200);
});

test('E5: no number of headers hides the last', async (t) => {
  const { port } = await startForwardAuth(t, { pods: [web] });
  const many = Array.from({ length: 2000 }, (_, i) => `a${i.toString(36)}:`);
  assert.equal((await ask(port, '/authorize?namespace=shop', from('10.0.0.1', ...many))).status, 200);
  const { status, json } = await ask(
    port,
    '/authorize?namespace=shop',
    from('10.0.0.1', ...many, 'X_Pod_Namespace: x'),
  );
  assert.deepEqual([status, json['reason']], [400, 'invalid-header']);
});
