import assert from 'node:assert/strict';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { test } from 'node:test';
import { ERROR_CODES } from '../../src/errors.ts';
import type { ErrorCode } from '../../src/errors.ts';
import { makePod } from './support/pods.ts';
import { ask, exchange, open, parseAnswer } from './support/raw.ts';
import { startService } from './support/service.ts';

const POD = makePod('a', { podIps: ['10.0.0.1'] });

/** The answers on one connection, in order; each has a Content-Length. */
function answersIn(text: string): number[] {
  return [...text.matchAll(/HTTP\/1\.1 (\d{3}) /g)].map(([, status]) => Number(status));
}

test('a slowloris is closed within 6 s, whichever way it is slow', async (t) => {
  const { port } = await startService(t, { pods: [POD] });
  const ways: [string, string][] = [
    ['says nothing', ''],
    ['begins a request line', 'GET /pod?ip'],
    ['sends a header at a time', 'GET /health HTTP/1.1\r\nHost: x\r\n'],
    [
      'holds back the body',
      'POST /pods/lookup HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{',
    ],
    [
      'sends endless chunks',
      'POST /pods/lookup HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n',
    ],
    ['is slow the second time', 'GET /health HTTP/1.1\r\nHost: x\r\n\r\nGET /health HTTP/1.1\r\n'],
  ];
  await Promise.all(
    ways.map(async ([way, bytes]) => {
      const connection = open(port);
      await once(connection.socket, 'connect');
      const began = performance.now();
      connection.socket.write(bytes);
      const drip = setInterval(() => {
        if (way.includes('header')) connection.socket.write('X-A: b\r\n');
        if (way.includes('chunks')) connection.socket.write('1\r\n \r\n');
      }, 200);
      await connection.closed;
      clearInterval(drip);
      const ms = performance.now() - began;
      assert.ok(ms > 3000 && ms < 6000, `${way}: ${ms} ms`);
      if (bytes !== '') assert.equal(answersIn(connection.received).at(-1), 408, way);
    }),
  );
  assert.equal((await ask(port, '/pod?ip=10.0.0.1')).status, 200);
});

test('an idle connection that has been answered may stay', async (t) => {
  const { port } = await startService(t, {
    pods: [POD],
    limits: { requestTimeout: 300, connectionsCheckingInterval: 50 },
  });
  const connection = open(port);
  for (let i = 0; i < 2; i++) {
    connection.socket.write('GET /health HTTP/1.1\r\nHost: x\r\n\r\n');
    await once(connection.socket, 'data');
    await sleep(600);
  }
  assert.equal(connection.socket.destroyed, false);
  assert.deepEqual(answersIn(connection.received), [200, 200]);
  connection.socket.destroy();
});

test('headers and URLs are bounded, and say so in the shape of all errors', async (t) => {
  const { port } = await startService(t, { pods: [POD] });
  const long = await ask(port, `/pods?label_selector=${'a'.repeat(9000)}`);
  assert.deepEqual([long.status, long.json['code']], [414, 'url_too_long']);
  for (const headers of [[`X-A: ${'a'.repeat(20_000)}`], Array.from({ length: 3000 }, (_, i) => `X-${i}: aaaa`)]) {
    const big = await ask(port, '/health', { headers });
    assert.deepEqual([big.status, big.json['code']], [431, 'headers_too_large']);
    assert.equal(big.headers.get('x-podwhois-age'), '0.250');
    assert.equal(big.headers.get('cache-control'), 'no-store');
    assert.equal(big.headers.get('connection'), 'close');
  }
  assert.equal((await ask(port, `/pod?ip=${'1'.repeat(16_000)}`)).status, 414);
});

test('what is not HTTP is refused in the shape of all errors and closed', async (t) => {
  const { port } = await startService(t, { pods: [POD] });
  const wrong = [
    'nonsense\r\n\r\n',
    '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03',
    'GET /health HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
    'GET /health HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n',
    'GET /health HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n',
    'GET /health HTTP/1.1\r\nHost: x\r\nX-A: a\0b\r\n\r\n',
    'GET /health HTTP/1.1\r\nHost: x\r\n X-Folded: y\r\n\r\n',
    'GET /health HTTP/1.1\r\nHost: x\r\nX A: y\r\n\r\n',
    'GET /hea lth HTTP/1.1\r\nHost: x\r\n\r\n',
    'GET /health HTTP/9.9\r\nHost: x\r\n\r\n',
    'GET /pod?ip=10.0.0.1\r\nX-Evil: 1 HTTP/1.1\r\nHost: x\r\n\r\n',
    'GET /health\r\n\r\n',
    'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n',
  ];
  for (const bytes of wrong) {
    const text = await exchange(port, Buffer.from(bytes, 'latin1'));
    const { status, json, headers } = parseAnswer(text);
    assert.deepEqual([status, json['code']], [400, 'invalid_request'], bytes);
    assert.deepEqual([headers.get('connection'), headers.get('x-podwhois-age')], ['close', '0.250'], bytes);
    assert.ok(!/HPE|parse error|node:/i.test(text), text);
  }
  assert.equal((await ask(port, '/pod?ip=10.0.0.1')).status, 200);
});

test('methods, targets and paths that are not there: 404, 405 with Allow, 400', async (t) => {
  const { port } = await startService(t, { pods: [POD] });
  const get = 'GET, HEAD, OPTIONS';
  const cases: [string, string, number, string | undefined][] = [
    ['POST', '/pod?ip=10.0.0.1', 405, get],
    ['PUT', '/pods', 405, get],
    ['DELETE', '/pods/stream', 405, get],
    ['GET', '/pods/lookup', 405, 'OPTIONS, POST'],
    ['HEAD', '/pods/lookup', 405, 'OPTIONS, POST'],
    ['PROPFIND', '/health', 405, get],
    ['TRACE', '/health', 405, get],
    ['OPTIONS', '/pod', 204, get],
    ['OPTIONS', '/pods/lookup', 204, 'OPTIONS, POST'],
    ['OPTIONS', '*', 404, undefined],
    ['POST', '/p%6Fd', 405, get],
    ['GET', '/p%6Fd?ip=10.0.0.1', 200, undefined],
    ['GET', 'http://elsewhere:80/pod?ip=10.0.0.1', 200, undefined],
    ['PUT', 'http://elsewhere:80/pod?ip=10.0.0.1', 405, get],
    ['GET', 'http://elsewhere', 404, undefined],
    ['GET', 'http://', 400, undefined],
    ['GET', 'HTTPS://', 400, undefined],
    ['GET', 'http:///health', 400, undefined],
    ['GET', 'http://?ip=10.0.0.1', 400, undefined],
    ['GET', 'http://[/health', 400, undefined],
    ['GET', 'http://:80/health', 400, undefined],
    ['GET', 'http://x:99999/health', 400, undefined],
    ['PUT', 'http://@/health', 400, undefined],
    ['GET', '/', 404, undefined],
    ['GET', '//', 404, undefined],
    ['GET', '//pod?ip=10.0.0.1', 404, undefined],
    ['GET', '/pod/?ip=10.0.0.1', 404, undefined],
    ['GET', '/POD?ip=10.0.0.1', 404, undefined],
    ['GET', '/pods/../pod?ip=10.0.0.1', 404, undefined],
    ['GET', '/constructor', 404, undefined],
    ['GET', '/__proto__', 404, undefined],
    ['GET', '/pod%00?ip=10.0.0.1', 404, undefined],
    ['GET', '/pod%2f', 404, undefined],
    ['GET', '/%', 400, undefined],
    ['GET', '/pod?ip=%', 400, undefined],
    ['GET', '/pod?ip=10.0.0.1&%ff', 400, undefined],
    ['GET', '/pod?ip=%c3%28', 400, undefined],
    ['GET', '/pod;x?ip=10.0.0.1', 404, undefined],
    ['GET', '/pod#?ip=10.0.0.1', 400, undefined],
    ['GET', '/pod?ip=10.0.0.1#x', 400, undefined],
    ['GET', '?ip=10.0.0.1', 400, undefined],
    ['GET', 'pod?ip=10.0.0.1', 400, undefined],
  ];
  for (const [method, target, status, allow] of cases) {
    const answer = await ask(port, target, { method });
    assert.equal(answer.status, status, `${method} ${target}`);
    assert.equal(answer.headers.get('allow'), allow, `${method} ${target}`);
    assert.equal(answer.headers.get('x-podwhois-age'), '0.250', target);
    if (status < 400 || method === 'HEAD') continue;
    assert.equal(answer.json['statusCode'], status, target);
    assert.ok(ERROR_CODES.includes(answer.json['code'] as ErrorCode), target);
  }
  const form = await ask(port, '/pod', {
    method: 'POST',
    headers: ['Content-Type: text/x'],
    body: 'x'.repeat(300_000),
  });
  assert.equal(form.status, 405, 'the method is judged before the body');
  const connect = parseAnswer(await exchange(port, 'CONNECT 10.0.0.1:80 HTTP/1.1\r\nHost: x\r\n\r\n'));
  assert.deepEqual([connect.status, connect.json['code']], [405, 'method_not_allowed']);
});

test('a missing Host is refused, HTTP/1.0 needs none', async (t) => {
  const { port } = await startService(t, { pods: [POD] });
  for (const path of ['/pod?ip=10.0.0.1', '/pod?%69p=10.0.0.1', '/health']) {
    const without = parseAnswer(await exchange(port, `GET ${path} HTTP/1.1\r\nConnection: close\r\n\r\n`));
    assert.deepEqual([without.status, without.json['code']], [400, 'invalid_request'], path);
    const old = await exchange(port, `GET ${path} HTTP/1.0\r\n\r\n`);
    assert.match(old, /^HTTP\/1\.1 200 /, path);
    assert.match(old, /^Connection: close\r$/m, path);
  }
});

test('pipelined requests are answered in order, also behind one that waits', async (t) => {
  const service = await startService(t, { pods: [POD, makePod('b', { podIps: ['10.0.0.2'] })] });
  const connection = open(service.port);
  const line = (target: string): string => `GET ${target} HTTP/1.1\r\nHost: x\r\n\r\n`;
  const targets = ['/pod?ip=10.0.0.9&wait=2s', '/pod?ip=10.0.0.1', '/pods?limit=1', '/pod?ip=x', '/pod?ip=10.0.0.2'];
  connection.socket.write(targets.map(line).join(''));
  while (service.clock.sleepers < 2) await sleep(5);
  await ask(service.port, '/health');
  assert.equal(connection.received, '', 'nothing overtakes the first');
  service.add(makePod('late', { podIps: ['10.0.0.9'] }));
  while (answersIn(connection.received).length < 5) await once(connection.socket, 'data');
  assert.deepEqual(answersIn(connection.received), [200, 200, 200, 400, 200]);
  const names = [...connection.received.matchAll(/"name":"(late|a|b)","namespace"/g)].map(([, name]) => name);
  assert.deepEqual(names, ['late', 'a', 'a', 'b']);
  connection.socket.destroy();
});

test('garbage behind a good request does not spoil its answer', async (t) => {
  const { port } = await startService(t, { pods: [POD] });
  const text = await exchange(port, 'GET /pod?ip=10.0.0.1 HTTP/1.1\r\nHost: x\r\n\r\n\0\0\0garbage\r\n\r\n');
  const { status, json } = parseAnswer(text.slice(0, text.indexOf('}HTTP') + 1 || undefined));
  assert.deepEqual([status, json['name']], [200, 'a']);
});

test('Expect and Upgrade change nothing', async (t) => {
  const { port } = await startService(t, { pods: [POD] });
  const upgrade = ['Connection: close, Upgrade, HTTP2-Settings', 'Upgrade: h2c', 'HTTP2-Settings: AAMAAABkAARAAAAA'];
  for (const headers of [upgrade, ['Upgrade: websocket'], ['Expect: 200-ok']]) {
    assert.equal((await ask(port, '/pod?ip=10.0.0.1', { headers })).status, 200, headers[0]);
  }
  const text = await exchange(
    port,
    'POST /pods/lookup HTTP/1.1\r\nHost: x\r\nConnection: close\r\nExpect: 100-continue\r\nContent-Type: application/json\r\nContent-Length: 10\r\n\r\n',
    '{"ips":[]}',
  );
  assert.deepEqual(answersIn(text), [100, 200]);
});

test('what a caller sends cannot become a header, and answers stay small', async (t) => {
  const { port } = await startService(t, { pods: [POD] });
  const payloads = [
    '%0d%0aX-Evil:%201',
    '%22%7D',
    '%E2%80%A8',
    '%00',
    '<script>'.replace('<', '%3C').replace('>', '%3E'),
  ];
  for (const payload of payloads) {
    for (const path of [
      `/pod?ip=${payload}`,
      `/pod?uid=${payload}`,
      `/pod?${payload}=1`,
      `/pods?label_selector=${payload}`,
      `/${payload}`,
    ]) {
      const answer = await ask(port, path);
      assert.ok(answer.status >= 400 && answer.status < 500, `${path} ${answer.status}`);
      assert.ok(!answer.head.includes('Evil'), path);
      assert.equal(typeof answer.json['code'], 'string');
      assert.ok(answer.body.length < 400, path);
      assert.match(String(answer.headers.get('content-type')), /^application\/json/);
    }
  }
});

test('no message of an internal error leaves the process', async (t) => {
  const { port, index, source, logged } = await startService(t, { pods: [POD] });
  const secret = 'secret-in-the-message';
  t.mock.method(index, 'byUid', () => {
    throw new Error(secret);
  });
  t.mock.method(index, 'holders', () => {
    throw Object.assign(new Error(secret), { statusCode: 400, code: secret });
  });
  for (const path of [
    '/pod?uid=x',
    '/pod?ip=10.0.0.1',
    '/pod?%69p=10.0.0.1',
    '/whoami',
    '/pods?ip=10.0.0.1',
    '/pods/stream?ip=10.0.0.1',
  ]) {
    const text = path.includes('stream') ? '' : (await ask(port, path)).head + (await ask(port, path)).body;
    assert.ok(!text.includes(secret), path);
    if (text !== '') assert.match(text, /^HTTP\/1\.1 500 [^]*"code":"internal_error"/, path);
  }
  assert.ok(
    logged.some((line) => line.includes(secret)),
    'the log says it',
  );
  t.mock.method(source, 'ageMs', () => {
    throw new Error(secret);
  });
  for (const path of ['/pod?ip=10.0.0.1', '/pod?%69p=10.0.0.1', '/health', '/nothing', '/%']) {
    const text = await exchange(port, `GET ${path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`);
    assert.ok(!text.includes(secret), path);
    assert.match(text, path.startsWith('/pod') || path === '/%' ? /^HTTP\/1\.1 500 / : /^HTTP\/1\.1 \d{3} /, path);
  }
  t.mock.reset();
  assert.equal((await ask(port, '/pod?ip=10.0.0.1')).status, 200, 'and the process lives');
});

test('connections are bounded, and those that nobody uses make room', async (t) => {
  const { port } = await startService(t, { limits: { maxConnections: 3 } });
  const kept = [open(port), open(port), open(port)];
  for (const { socket } of kept) {
    socket.write('GET /health HTTP/1.1\r\nHost: x\r\n\r\n');
    await once(socket, 'data');
  }
  const refused = open(port);
  await refused.closed;
  assert.equal(refused.received, '');
  assert.equal((await ask(port, '/health')).status, 200);
  await Promise.all(kept.map(({ closed }) => closed));
});

for (const before of ['nothing', 'an answer']) {
  test(`a reader that has taken ${before} and takes nothing more does not keep its connection for ever`, async (t) => {
    const pods = Array.from({ length: 600 }, (_, i) => makePod(`p${i}`, { annotations: { note: 'x'.repeat(30_000) } }));
    const { port } = await startService(t, { pods, limits: { socketTimeout: 300, connectionsCheckingInterval: 50 } });
    const connection = open(port);
    if (before !== 'nothing') {
      connection.socket.write('GET /health HTTP/1.1\r\nHost: x\r\n\r\n');
      await once(connection.socket, 'data');
    }
    connection.socket.pause();
    connection.socket.write(
      'GET /pods?by=ip HTTP/1.1\r\nHost: x\r\n\r\nGET /pods HTTP/1.1\r\nHost: x\r\n\r\n'.repeat(20),
    );
    await sleep(1000);
    connection.socket.resume();
    await connection.closed;
  });
}

test('CONNECT that is reset at once ends nothing but its own connection', async (t) => {
  const { port } = await startService(t, { pods: [POD] });
  for (let i = 0; i < 30; i++) {
    const { socket } = open(port);
    socket.on('error', () => {});
    await once(socket, 'connect');
    socket.write('CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n');
    if (i % 2 === 0) await once(socket, 'data');
    socket.resetAndDestroy();
  }
  assert.equal((await ask(port, '/pod?ip=10.0.0.1')).status, 200);
});
