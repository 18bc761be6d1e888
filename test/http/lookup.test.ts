import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseCidr } from '../../src/index/ip-address.ts';
import { until } from '../support/until.ts';
import { changed, makePod } from './support/pods.ts';
import { EventReader } from './support/events.ts';
import { ask, exchange, parseAnswer } from './support/raw.ts';
import { startService } from './support/service.ts';

const view = (partial: boolean, ...cidrs: string[]) => ({
  partial,
  clusterCidrs: cidrs.map((cidr) => parseCidr(cidr)).filter((cidr) => cidr !== undefined),
});

test('a lookup by address answers the pod', async (t) => {
  const { port } = await startService(t, { pods: [makePod('a', { podIps: ['10.0.0.1', 'fd00::1'] })] });
  for (const ip of ['10.0.0.1', 'fd00::1', 'FD00:0::0001', '::ffff:10.0.0.1', 'fd00%3A%3A1']) {
    const answer = await ask(port, `/pod?ip=${ip}`);
    assert.equal(answer.status, 200, ip);
    assert.equal(answer.json['name'], 'a');
    assert.equal(answer.headers.get('content-type'), 'application/json; charset=utf-8');
  }
});

test('D1 what is not an address in its plain form is a 400 and never a 404', async (t) => {
  const { port } = await startService(t, { pods: [makePod('a', { podIps: ['10.0.0.1'] })] });
  const wrong = [
    '',
    'x',
    '010.0.0.1',
    '10.0.0.01',
    '10.0.0',
    '167772161',
    '0x0a000001',
    '10.0.0.1.',
    '10.0.0.1:80',
    '1e1.0.0.1',
    '[fd00::1]',
    'fe80::1%25eth0',
    'fe80::1%eth0',
    '10.0.0.1%20',
    '%2010.0.0.1',
    '10.0.0.1+',
    ':::',
    'fd00::1::',
    '٣.0.0.1',
    '%D9%A3.0.0.1',
    '10.0.0.1%00',
    '0'.repeat(46),
    '1'.repeat(4000),
    '::ffff:010.0.0.1',
    '10.0.0.1/32',
  ];
  for (const ip of wrong) {
    const answer = await ask(port, `/pod?ip=${Buffer.from(ip).toString('latin1')}`);
    assert.equal(answer.status, 400, ip);
    assert.ok(['invalid_ip', 'invalid_request'].includes(String(answer.json['code'])), ip);
  }
});

test('a miss says why, in a closed list of reasons', async (t) => {
  const { port } = await startService(t, {
    view: view(false, '10.0.0.0/8'),
    pods: [
      makePod('host', { podIps: ['10.1.0.1'], hostNetwork: true, hostIps: ['10.1.0.1'] }),
      makePod('done', { podIps: ['10.0.0.2'], phase: 'Succeeded', hostIps: ['10.1.0.9'] }),
    ],
  });
  const reasons: Record<string, string> = {
    '10.0.0.99': 'no-pod',
    '10.1.0.1': 'host-network',
    '10.1.0.9': 'node',
    '10.0.0.2': 'terminal',
    '192.0.2.1': 'outside-cluster-cidr',
  };
  for (const [ip, reason] of Object.entries(reasons)) {
    const { status, json } = await ask(port, `/pod?ip=${ip}`);
    assert.deepEqual([status, json['code'], json['reason']], [404, 'pod_not_found', reason], ip);
  }
});

test('A4 an ambiguous address is a 409 that names the candidates by reference only', async (t) => {
  const pods = ['a', 'b'].map((name) => makePod(name, { podIps: ['10.0.0.1'], labels: { secret: 'label' } }));
  const { port } = await startService(t, { pods });
  const { status, json, body } = await ask(port, '/pod?ip=10.0.0.1');
  assert.equal(status, 409);
  assert.equal(json['code'], 'ambiguous');
  assert.deepEqual(json['candidates'], [
    { namespace: 'default', name: 'a', uid: 'uid-a' },
    { namespace: 'default', name: 'b', uid: 'uid-b' },
  ]);
  assert.ok(!body.includes('secret'));
});

test('A4 a thousand claimants make no endless answer', async (t) => {
  const pods = Array.from({ length: 1000 }, (_, i) => makePod(`p${i}`, { podIps: ['10.0.0.1'] }));
  const { port } = await startService(t, { pods });
  const { json } = await ask(port, '/pod?ip=10.0.0.1');
  assert.equal((json['candidates'] as unknown[]).length, 100);
  assert.match(String(json['message']), /^1000 pods/);
});

test('A5 a terminating pod that is alone answers, and says so', async (t) => {
  const { port } = await startService(t, { pods: [makePod('a', { podIps: ['10.0.0.1'], deletionTimestamp: 1 })] });
  assert.equal((await ask(port, '/pod?ip=10.0.0.1')).json['terminating'], true);
});

test('A10 with a partial view every list and batch says so, one without a pod too', async (t) => {
  const { port, url } = await startService(t, { view: view(true), pods: [makePod('a', { podIps: ['10.0.0.1'] })] });
  const none = ['/pods?namespace=none', '/pods?limit=1', '/pods?by=ip', '/pods?by=ip&namespace=none'];
  for (const path of none) assert.equal((await ask(port, path)).json['view'], 'partial', path);
  const batch = (await ask(port, '/pods/lookup', post({ ips: ['10.0.0.2'] }))).json;
  assert.deepEqual(batch, {
    results: [{ ip: '10.0.0.2', status: 404, code: 'pod_not_found', reason: 'not-in-view' }],
    view: 'partial',
  });
  const reader = await EventReader.open(`${url}/pods/stream?namespace=none`);
  assert.deepEqual((await reader.next())?.data, { resumed: false, view: 'partial' });
  reader.close();
});

test('A10 with a partial view a miss is not-in-view and every pod says so', async (t) => {
  const { port } = await startService(t, { view: view(true), pods: [makePod('a', { podIps: ['10.0.0.1'] })] });
  assert.equal((await ask(port, '/pod?ip=10.0.0.1')).json['view'], 'partial');
  assert.equal((await ask(port, '/pod?ip=10.0.0.2')).json['reason'], 'not-in-view');
  assert.equal((await ask(port, '/pod?uid=nobody')).json['reason'], 'not-in-view');
});

test('uid, name and container find every pod, finished and host-network ones too', async (t) => {
  const container = { name: 'x', image: 'i', ready: false, restarts: 0 };
  const { port } = await startService(t, {
    pods: [
      makePod('done', {
        phase: 'Failed',
        podIps: ['10.0.0.1'],
        containers: [
          { ...container, kind: 'init', id: 'containerd://aaaa' },
          { ...container, kind: 'ephemeral', id: 'cri-o://bbbb' },
        ],
      }),
      makePod('host', { namespace: 'kube-system', hostNetwork: true, podIps: ['192.168.0.1'], containers: [] }),
    ],
  });
  const found: Record<string, string> = {
    'uid=uid-done': 'done',
    'uid=uid-host': 'host',
    'namespace=kube-system&name=host': 'host',
    'container_id=containerd://aaaa': 'done',
    'container_id=aaaa': 'done',
    'container_id=cri-o%3A%2F%2Fbbbb': 'done',
  };
  for (const [question, name] of Object.entries(found)) {
    const { status, json } = await ask(port, `/pod?${question}`);
    assert.deepEqual([status, json['name']], [200, name], question);
  }
  for (const question of [
    'uid=x',
    'namespace=default&name=host',
    'container_id=cccc',
    'namespace=constructor&name=x',
  ]) {
    const { status, json } = await ask(port, `/pod?${question}`);
    assert.deepEqual([status, json['reason']], [404, 'no-pod'], question);
  }
});

test('exactly one question, each parameter once, nothing unknown', async (t) => {
  const { port } = await startService(t, { pods: [makePod('a', { podIps: ['10.0.0.1'] })] });
  const wrong: Record<string, RegExp> = {
    '': /exactly one question/,
    'ip=10.0.0.1&uid=x': /exactly one question/,
    'ip=10.0.0.1&namespace=x&name=y': /exactly one question/,
    'uid=x&container_id=y': /exactly one question/,
    'namespace=x': /belong together/,
    'name=x': /belong together/,
    'ip=10.0.0.1&ip=10.0.0.1': /ip: given more than once/,
    'ip=10.0.0.1&IP=10.0.0.1': /unknown parameter "IP"/,
    'ip[]=10.0.0.1': /unknown parameter "ip\[\]"/,
    'ip=10.0.0.1&__proto__=x': /unknown parameter "__proto__"/,
    'ip=10.0.0.1&constructor=x': /unknown parameter "constructor"/,
    'uid=': /uid/,
    'uid=a%20b': /uid/,
    'uid=a%0d%0aX-Evil:%201': /uid/,
    'namespace=a%00&name=b': /namespace/,
    [`uid=${'x'.repeat(300)}`]: /uid/,
    'uid=x&wait=1s': /only with ip/,
    'ip=10.0.0.1&wait=3s': /wait: .*at most 2s/,
    'ip=10.0.0.1&wait=1': /wait: expected a duration/,
    'ip=10.0.0.1&wait=-1s': /wait/,
    'ip=10.0.0.1&wait=': /wait/,
    'ip=10.0.0.1&wait=1s&wait=1s': /more than once/,
    'ip=10.0.0.1&max_staleness=6m': /max_staleness: .*at most 5m/,
    'ip=10.0.0.1&max_staleness=soon': /max_staleness/,
  };
  for (const [query, message] of Object.entries(wrong)) {
    const { status, json } = await ask(port, `/pod?${query}`);
    assert.equal(status, 400, query);
    assert.equal(json['code'], 'invalid_request', query);
    assert.match(String(json['message']), message, query);
  }
});

test('C2 never synced: 503 with Retry-After, not ready, alive', async (t) => {
  const { port, source, metrics } = await startService(t);
  source.synced = false;
  for (const path of ['/pod?ip=10.0.0.1', '/pod?uid=x', '/whoami', '/pods', '/pods?by=ip', '/pods/stream']) {
    const answer = await ask(port, path);
    assert.deepEqual([answer.status, answer.json['code']], [503, 'not_synced'], path);
    assert.equal(answer.headers.get('retry-after'), '1', path);
    assert.equal(answer.headers.get('x-podwhois-age'), 'Infinity');
    assert.equal(answer.headers.get('x-podwhois-resource-version'), '0');
  }
  assert.equal((await ask(port, '/pods/lookup', post({ ips: [] }))).json['code'], 'not_synced');
  assert.equal((await ask(port, '/pod?ip=x')).status, 400, 'what is wrong stays wrong');
  assert.equal((await ask(port, '/ready')).status, 503);
  assert.equal((await ask(port, '/health')).status, 200);
  assert.equal(metrics.counters.lookups_total.not_synced, 3);
});

test('C3 past the hard limit lookups say 503, and the caller may ask for less', async (t) => {
  const { port, source } = await startService(t, { pods: [makePod('a', { podIps: ['10.0.0.1'] })] });
  source.age = 299_999;
  assert.equal((await ask(port, '/pod?ip=10.0.0.1')).status, 200);
  assert.equal((await ask(port, '/pod?ip=10.0.0.1&max_staleness=5m')).status, 200);
  for (const path of [
    '/pod?ip=10.0.0.1&max_staleness=1m',
    '/pod?ip=10.9.9.9&max_staleness=1m',
    '/pod?uid=x&max_staleness=0',
  ]) {
    assert.deepEqual([(await ask(port, path)).status, (await ask(port, path)).json['code']], [503, 'stale'], path);
  }
  source.age = 300_001;
  for (const path of ['/pod?ip=10.0.0.1', '/pod?ip=10.9.9.9', '/whoami', '/pods', '/pods/stream']) {
    const answer = await ask(port, path);
    assert.deepEqual(
      [answer.status, answer.json['code'], answer.headers.get('retry-after')],
      [503, 'stale', '1'],
      path,
    );
  }
  source.age = NaN;
  assert.equal((await ask(port, '/pod?ip=10.0.0.1')).status, 503, 'an age that is none proves nothing');
});

test('C1 every answer carries its age and version, and may not be stored', async (t) => {
  const { port, source } = await startService(t, { pods: [makePod('a', { podIps: ['10.0.0.1'] })] });
  source.age = 1234.5678;
  source.resourceVersion = '98765432109876543210';
  const paths = [
    '/pod?ip=10.0.0.1',
    '/pod?ip=10.0.0.2',
    '/pod?ip=x',
    '/pod',
    '/pods',
    '/pods?by=ip',
    '/health',
    '/ready',
  ];
  for (const path of [
    ...paths,
    '/metrics',
    '/openapi.json',
    '/nothing',
    '/pod?%zz',
    '/whoami',
    '/pods?label_selector=(',
  ]) {
    for (const method of ['GET', 'HEAD', 'DELETE', 'OPTIONS']) {
      const { headers, status } = await ask(port, path, { method });
      assert.equal(headers.get('x-podwhois-age'), '1.235', `${method} ${path} ${status}`);
      assert.equal(headers.get('x-podwhois-resource-version'), '98765432109876543210', path);
      assert.equal(headers.get('cache-control'), 'no-store', path);
    }
  }
  source.resourceVersion = '1\r\nX-Evil: 1';
  assert.equal((await ask(port, '/pod?ip=10.0.0.1')).headers.get('x-podwhois-resource-version'), '0');
});

test('HEAD answers what GET answers, without the body', async (t) => {
  const { port } = await startService(t, { pods: [makePod('a', { podIps: ['10.0.0.1'] })] });
  for (const path of [
    '/pod?ip=10.0.0.1',
    '/pod?ip=10.0.0.2',
    '/pod?uid=uid-a',
    '/pods',
    '/health',
    '/whoami',
    '/openapi.json',
  ]) {
    const [get, head] = [await ask(port, path), await ask(port, path, { method: 'HEAD' })];
    assert.equal(head.status, get.status, path);
    assert.equal(head.body, '');
    assert.equal(head.headers.get('content-length'), String(Buffer.byteLength(get.body)), path);
  }
});

test('B6 addresses of an object that cannot be read are 503 unreadable, the rest is served', async (t) => {
  const { port, index } = await startService(t, {
    pods: [makePod('a', { podIps: ['10.0.0.1'] }), makePod('b', { podIps: ['10.0.0.2'] })],
  });
  index.slice().setAside({ key: 'uid-b', namespace: 'default', name: 'b', ips: ['10.0.0.3'], reason: 'made up' });
  for (const path of ['/pod?ip=10.0.0.3', '/pod?ip=10.0.0.2', '/pod?uid=uid-b', '/pod?namespace=default&name=b']) {
    const answer = await ask(port, path);
    assert.deepEqual([answer.status, answer.json['code']], [503, 'unreadable'], path);
    assert.equal(answer.headers.get('retry-after'), '1');
    assert.ok(!answer.body.includes('made up'));
  }
  assert.equal((await ask(port, '/pod?ip=10.0.0.1')).status, 200);
});

test('whoami answers the pod that has the peer address, mapped or not', async (t) => {
  const { port } = await startService(t, { pods: [makePod('a', { podIps: ['127.0.0.1'] })], settings: { host: '::' } });
  const answer = await ask(port, '/whoami', { headers: ['X-Forwarded-For: 10.0.0.9', 'Forwarded: for=10.0.0.9'] });
  assert.deepEqual([answer.status, answer.json['name']], [200, 'a']);
  assert.equal((await ask(port, '/whoami?ip=10.0.0.9')).status, 400);
});

const post = (body: unknown) => ({
  method: 'POST',
  headers: ['Content-Type: application/json'],
  body: typeof body === 'string' ? body : JSON.stringify(body),
});

test('a batch answers each address, in order', async (t) => {
  const { port, metrics } = await startService(t, {
    pods: [
      makePod('a', { podIps: ['10.0.0.1'] }),
      makePod('b', { podIps: ['10.0.0.2'] }),
      makePod('c', { podIps: ['10.0.0.2'] }),
    ],
  });
  const ips = ['10.0.0.2', '10.0.0.1', 'x"\u0000', '10.0.0.9', '10.0.0.1', '::ffff:10.0.0.1'];
  const { status, json } = await ask(port, '/pods/lookup', post({ ips }));
  assert.equal(status, 200);
  const pod = (await ask(port, '/pod?ip=10.0.0.1')).json;
  assert.deepEqual(json['results'], [
    {
      ip: '10.0.0.2',
      status: 409,
      code: 'ambiguous',
      candidates: (await ask(port, '/pod?ip=10.0.0.2')).json['candidates'],
    },
    { ip: '10.0.0.1', status: 200, pod },
    { ip: 'x"\u0000', status: 400, code: 'invalid_ip' },
    { ip: '10.0.0.9', status: 404, code: 'pod_not_found', reason: 'no-pod' },
    { ip: '10.0.0.1', status: 200, pod },
    { ip: '::ffff:10.0.0.1', status: 200, pod },
  ]);
  assert.equal(metrics.counters.lookups_total.found, 4);
  assert.equal(metrics.counters.lookups_total.invalid, 1);
});

test('a batch may come without a content type, as kubectl create --raw sends it', async (t) => {
  const { port } = await startService(t, { pods: [makePod('a', { podIps: ['10.0.0.1'] })] });
  const answer = await ask(port, '/pods/lookup', { method: 'POST', body: '{"ips":["10.0.0.1"]}' });
  assert.equal(answer.status, 200);
  const [row] = answer.json['results'] as { pod: { name: string } }[];
  assert.equal(row?.pod.name, 'a');
});

test('a batch is bounded, and a wrong one says what is wrong', async (t) => {
  const { port } = await startService(t);
  const ips = Array.from({ length: 1000 }, (_, i) => `fd00:1234:5678:9abc:def0:1234:5678:${i.toString(16)}`);
  const { status, json } = await ask(port, '/pods/lookup', post({ ips }));
  assert.deepEqual([status, (json['results'] as unknown[]).length], [200, 1000]);
  assert.deepEqual((await ask(port, '/pods/lookup', post({ ips: [] }))).json, { results: [] });

  const wrong: [unknown, number, string][] = [
    [{ ips: [...ips, '::'] }, 400, 'invalid_request'],
    [{ ips: [1] }, 400, 'invalid_request'],
    [{ ips: Array.from({ length: 40_000 }, () => 1) }, 400, 'invalid_request'],
    [{ ips: '10.0.0.1' }, 400, 'invalid_request'],
    [{ ips: [], more: 1 }, 400, 'invalid_request'],
    [{}, 400, 'invalid_request'],
    [null, 400, 'invalid_request'],
    [[], 400, 'invalid_request'],
    ['', 400, 'invalid_request'],
    ['{"ips":[', 400, 'invalid_request'],
    ['{"ips":[],"__proto__":{}}', 400, 'invalid_request'],
    ['{"ips":[],"constructor":{"prototype":{}}}', 400, 'invalid_request'],
    ['['.repeat(90_000), 400, 'invalid_request'],
    [{ ips: ['x'.repeat(200_000)] }, 413, 'body_too_large'],
  ];
  for (const [body, expected, code] of wrong) {
    const answer = await ask(port, '/pods/lookup', post(body));
    const shown = JSON.stringify(body).slice(0, 40);
    assert.deepEqual([answer.status, answer.json['code']], [expected, code], shown);
    assert.ok(answer.body.length < 400, shown);
  }
  for (const headers of [
    [],
    ['Content-Type: application/json'],
    ['Content-Length: 0'],
    ['Transfer-Encoding: chunked'],
  ]) {
    const end = headers[0]?.startsWith('Transfer') ? '0\r\n\r\n' : '';
    const head = ['POST /pods/lookup HTTP/1.1', 'Host: x', 'Connection: close', ...headers].join('\r\n');
    const answer = parseAnswer(await exchange(port, `${head}\r\n\r\n${end}`));
    assert.equal(answer.status, 400, headers[0]);
  }
  for (const type of ['text/plain', 'application/x-www-form-urlencoded', 'application/jsonx', 'json', '']) {
    const answer = await ask(port, '/pods/lookup', { ...post('{"ips":[]}'), headers: [`Content-Type: ${type}`] });
    assert.deepEqual([answer.status, answer.json['code']], [415, 'unsupported_media_type'], type);
  }
});

test('each question that is answered is counted once, by its outcome', async (t) => {
  const a = makePod('a', { podIps: ['10.0.0.1'] });
  const { port, metrics, add } = await startService(t, { pods: [a] });
  await ask(port, '/pod?ip=10.0.0.1');
  await ask(port, '/pod?ip=10.0.0.1&max_staleness=5m');
  await ask(port, '/pod?ip=10.0.0.2');
  await ask(port, '/pod?ip=x');
  await ask(port, '/pod?uid=uid-a');
  add(changed(a, { phase: 'Failed' }));
  await ask(port, '/pod?ip=10.0.0.1');
  const { found, invalid, terminal, 'no-pod': none } = metrics.counters.lookups_total;
  assert.deepEqual([found, none, invalid, terminal], [3, 1, 1, 1]);
});

test('B6 while an object cannot be read, a uid or container that nobody has may be its own: 503, not 404', async (t) => {
  const { port, index } = await startService(t, { pods: [makePod('a', { podIps: ['10.0.0.1'] })] });
  for (const question of ['uid=nobodys', 'container_id=nobodys']) {
    assert.equal((await ask(port, `/pod?${question}`)).status, 404, question);
  }
  index.slice().setAside({ key: 'digest', namespace: 'default', name: 'b', ips: [], reason: 'made up' });
  for (const question of ['uid=nobodys', 'container_id=nobodys']) {
    assert.equal((await ask(port, `/pod?${question}`)).json['code'], 'unreadable', question);
  }
  assert.equal((await ask(port, '/pod?namespace=default&name=c')).status, 404);
});

test('a batch of fat pods is bounded in bytes: what is left is to be asked for again', async (t) => {
  const labels = { fat: 'x'.repeat(1000) };
  const { port } = await startService(t, {
    pods: [makePod('a', { podIps: ['10.0.0.1'], labels })],
    limits: { maxBatchBytes: 10_000 },
  });
  const { json } = await ask(port, '/pods/lookup', post({ ips: Array.from({ length: 30 }, () => '10.0.0.1') }));
  const results = json['results'] as { status: number; code?: string }[];
  assert.equal(results.length, 30);
  const found = results.filter(({ status }) => status === 200).length;
  assert.ok(found >= 5 && found <= 10, `${found}`);
  assert.deepEqual(results.at(-1), { ip: '10.0.0.1', status: 503, code: 'overloaded' });
});

test('requests are logged at debug only, with what was answered', async (t) => {
  const quiet = await startService(t);
  await ask(quiet.port, '/pod?ip=10.0.0.1');
  await ask(quiet.port, '/nothing');
  assert.deepEqual(quiet.logged, []);
  const { port, logged } = await startService(t, { logLevel: 'debug' });
  await ask(port, '/pod?ip=10.0.0.1');
  await ask(port, '/nothing?x=1');
  await until('two lines', () => logged.length === 2, { everyMs: 5 });
  const lines = logged.map((line) => JSON.parse(line) as Record<string, unknown>);
  assert.deepEqual(
    lines.map(({ msg, method, url, peer, status }) => ({ msg, method, url, peer, status })),
    [
      { msg: 'answered', method: 'GET', url: '/pod?ip=10.0.0.1', peer: '127.0.0.1', status: 404 },
      { msg: 'answered', method: 'GET', url: '/nothing?x=1', peer: '127.0.0.1', status: 404 },
    ],
  );
});
