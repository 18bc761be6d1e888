import assert from 'node:assert/strict';
import { createServer } from 'node:net';
import { once } from 'node:events';
import { test } from 'node:test';
import type { AddressInfo, Socket } from 'node:net';
import type { TestContext } from 'node:test';
import { ApiError, UnexpectedAnswer } from '../../src/kubernetes/api-error.ts';
import { ApiClient } from '../../src/kubernetes/client.ts';
import { SystemClock } from '../../src/kubernetes/clock.ts';
import { ApiListWatch } from '../../src/kubernetes/list-watch.ts';
import { json } from '../../src/kubernetes/wire/json.ts';
import { protobuf } from '../../src/kubernetes/wire/protobuf.ts';
import { keptLog } from '../support/reflector-harness.ts';
import { blackHoleProxy, scriptedServer } from '../support/scripted-server.ts';
import { bookmarkLine, line, listBody, thing, thingReader } from '../support/scripted-transport.ts';
import type { ClientOptions } from '../../src/kubernetes/client.ts';
import type { Access, Credentials } from '../../src/kubernetes/credentials.ts';

const formats = { 'application/vnd.kubernetes.protobuf': protobuf, 'application/json': json };
const never = new AbortController().signal;

function plainAccess(baseUrl: string): Access {
  return { source: 'test', baseUrl, credentials: () => Promise.resolve({ tls: undefined, headers: {} }) };
}

function clientFor(t: TestContext, access: Access | string, options: Partial<ClientOptions> = {}) {
  const { log, lines } = keptLog();
  const clock = new SystemClock();
  const client = new ApiClient({
    access: typeof access === 'string' ? plainAccess(access) : access,
    formats,
    clock,
    log,
    userAgent: 'podwhois/test',
    ...options,
  });
  t.after(() => client.close());
  t.after(() => clock.close());
  return { client, lines, clock };
}

function listWatchFor(t: TestContext, url: string, deadlines: Record<string, number> = {}) {
  const { client, clock } = clientFor(t, url);
  const resource = { path: '/api/v1/things', reader: thingReader };
  return new ApiListWatch({ transport: client, resource, clock, deadlines });
}

async function text(body: AsyncIterable<Uint8Array>): Promise<string> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of body) chunks.push(chunk);
  return Buffer.concat(chunks).toString();
}

async function refusalOf(promise: Promise<unknown>): Promise<ApiError> {
  const error: unknown = await promise.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  assert.ok(error instanceof ApiError, String(error));
  return error;
}

test('plain HTTP with a path prefix works; protobuf is asked for first, uncompressed, by our own name and without credentials', async (t) => {
  const server = await scriptedServer(t, (_request, response) => {
    response.setHeader('content-type', 'application/json').end('{"a":1}');
  });
  const { client } = clientFor(t, `${server.url}/k8s/clusters/one/`);
  const { format, body } = await client.get('/api/v1/pods?limit=1', never);
  assert.equal(format.name, 'json');
  assert.equal(await text(body), '{"a":1}');
  const { url, headers } = server.requests[0] ?? {};
  assert.equal(url, '/k8s/clusters/one/api/v1/pods?limit=1');
  assert.equal(headers?.accept, 'application/vnd.kubernetes.protobuf, application/json');
  assert.equal(headers?.['accept-encoding'], 'identity');
  assert.equal(headers?.['user-agent'], 'podwhois/test');
  assert.equal(headers?.authorization, undefined);
});

test('objects are asked for cut down to their metadata, in either format; who cannot do that is asked for whole ones', async (t) => {
  const server = await scriptedServer(t, (_request, response) => {
    response.setHeader('content-type', 'application/json').end('{}');
  });
  const { client } = clientFor(t, server.url);
  await text((await client.get('/api/v1/namespaces', never, { as: 'PartialObjectMetadataList' })).body);
  assert.deepEqual(String(server.requests[0]?.headers.accept).split(', '), [
    'application/vnd.kubernetes.protobuf;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1',
    'application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1',
    'application/vnd.kubernetes.protobuf',
    'application/json',
  ]);
});

test("the answer's content type chooses the decoder, whatever its parameters", async (t) => {
  const types = ['application/vnd.kubernetes.protobuf;stream=watch', 'Application/JSON; charset=utf-8'];
  const server = await scriptedServer(t, (_request, response) => {
    response.setHeader('content-type', types.shift() ?? '').end('x');
  });
  const { client } = clientFor(t, server.url);
  for (const expected of ['protobuf', 'json']) {
    const { format, body } = await client.get('/', never);
    assert.equal(format.name, expected);
    await text(body);
  }
});

test('an answer that is none of an API server says so: HTML of a proxy, a redirect, a compressed body', async (t) => {
  const answers = [
    [200, { 'content-type': 'text/html' }, /content type text\/html is not from a Kubernetes API server/],
    [200, {}, /content type none/],
    [302, { location: 'https://user:secret@example.com/login' }, /a redirect \(302\)/],
    [200, { 'content-type': 'application/json', 'content-encoding': 'gzip' }, /compressed/],
    [200, { 'content-type': 'constructor' }, /content type constructor/],
  ] as const;
  let at = 0;
  const server = await scriptedServer(t, (_request, response) => {
    const [status, headers] = answers[at] ?? answers[0];
    response.writeHead(status, headers).end('<html>');
  });
  const { client } = clientFor(t, server.url);
  for (const [, , message] of answers) {
    await assert.rejects(client.get('/', never), (error: unknown) => {
      assert.ok(error instanceof UnexpectedAnswer);
      assert.match(error.message, message);
      assert.doesNotMatch(error.message, /secret/);
      return true;
    });
    at++;
  }
});

test('B5 an error keeps its status, its reason and message, and Retry-After: in seconds, as a date, or from the Status', async (t) => {
  const status = (details: object): string =>
    JSON.stringify({ kind: 'Status', code: 429, reason: 'TooManyRequests', message: 'slow\ndown', details });
  const answers: [Record<string, string>, string, (ms: number) => boolean][] = [
    [{ 'retry-after': '7' }, status({ retryAfterSeconds: 3 }), (ms) => ms === 7_000],
    [{}, status({ retryAfterSeconds: 3 }), (ms) => ms === 3_000],
    [{ 'retry-after': new Date(Date.now() + 60_000).toUTCString() }, status({}), (ms) => ms > 50_000 && ms <= 60_000],
    [{ 'retry-after': 'soon' }, status({}), (ms) => ms === 0],
    [{ 'retry-after': '-5' }, status({}), (ms) => ms === 0],
  ];
  const server = await scriptedServer(t, (_request, response) => {
    const [headers, body] = answers[server.requests.length - 1] ?? [{}, ''];
    response.writeHead(429, { 'content-type': 'application/json', ...headers }).end(body);
  });
  const { client } = clientFor(t, server.url);
  for (const [, , expected] of answers) {
    const error = await refusalOf(client.get('/', never));
    assert.equal(error.status, 429);
    assert.equal(error.reason, 'TooManyRequests');
    assert.equal(error.message, '429 TooManyRequests slow down');
    assert.ok(expected(error.retryAfterMs), String(error.retryAfterMs));
  }
});

test('an error body is read up to a bound, and may be anything', async (t) => {
  const closed: Promise<unknown>[] = [];
  const server = await scriptedServer(t, (request, response) => {
    response.writeHead(500, { 'content-type': request.url === '/html' ? 'text/html' : 'application/json' });
    const more = (): void => {
      while (response.write('x'.repeat(10_000)));
    };
    response.on('drain', more);
    closed.push(once(response, 'close'));
    more();
  });
  const { client } = clientFor(t, server.url);
  for (const path of ['/html', '/json']) {
    const signal = AbortSignal.timeout(5_000);
    const error = await refusalOf(client.get(path, signal));
    assert.equal(signal.aborted, false, 'it was not the signal that ended it');
    assert.equal(error.status, 500);
    assert.equal(error.message, '500');
  }
  await Promise.all(closed);
});

test('an answer that nobody reads, and whose request is aborted, harms nobody', async (t) => {
  const server = await scriptedServer(t, (_request, response) => {
    response.setHeader('content-type', 'application/json').write('{');
  });
  const { client } = clientFor(t, server.url);
  const stop = new AbortController();
  await client.get('/', stop.signal);
  stop.abort(new Error('stop'));
  await new Promise((resolve) => setTimeout(resolve, 20)); // an error event without a listener would end the process
});

test('half-open connection behind a black hole: the deadline ends it, and the next request is answered', async (t) => {
  const server = await scriptedServer(t, (request, response) => {
    response.setHeader('content-type', 'application/json');
    if (request.url?.includes('watch')) response.write(bookmarkLine(2));
    else response.end(listBody(7, []));
  });
  const proxy = await blackHoleProxy(t, server.port);
  const listWatch = listWatchFor(t, proxy.url, { idle: 200 });
  const versions: string[] = [];
  await assert.rejects(async () => {
    for await (const [event] of listWatch.watch('1', { seconds: 30, signal: never })) {
      if (event?.type === 'BOOKMARK') versions.push(event.resourceVersion);
      proxy.setDark(true);
    }
  }, /DeadlineError: not a byte within 0.2 s/);
  assert.deepEqual(versions, ['2']);
  proxy.setDark(false);
  assert.equal(await listWatch.read(never), '7');
});

test('slow drip: one byte after the other does not keep a watch or a page alive', async (t) => {
  const server = await scriptedServer(t, (request, response) => {
    response.setHeader('content-type', 'application/json');
    const body = request.url?.includes('watch') ? line('ADDED', thing('a', 1)) : listBody(7, []);
    let at = 0;
    const drip = setInterval(() => response.write(body[at++ % body.length] ?? ''), 20);
    response.on('close', () => clearInterval(drip));
    response.write(' ');
  });
  const listWatch = listWatchFor(t, server.url, { event: 150, page: 150, answer: 150 });
  await assert.rejects(async () => {
    for await (const _ of listWatch.watch('1', { seconds: 30, signal: never }));
  }, /an event not complete/);
  await assert.rejects(async () => {
    for await (const _ of listWatch.pages(never));
  }, /no complete answer/);
  await assert.rejects(listWatch.read(never), /no complete answer/);
});

test('a reset in the middle of a watch is an error after what had come', async (t) => {
  const server = await scriptedServer(t, (_request, response) => {
    response.setHeader('content-type', 'application/json');
    response.write(line('ADDED', thing('a', 1)), () => setImmediate(() => response.socket?.resetAndDestroy()));
  });
  const listWatch = listWatchFor(t, server.url);
  const names: string[] = [];
  await assert.rejects(async () => {
    for await (const batch of listWatch.watch('1', { seconds: 30, signal: never })) {
      for (const event of batch) if (event.type === 'ADDED') names.push(event.object.name);
    }
  });
  assert.deepEqual(names, ['a']);
});

test('a server that takes connections and never shakes hands is given up', async (t) => {
  const sockets: Socket[] = [];
  const server = createServer((socket) => sockets.push(socket)).listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  const access: Access = {
    source: 'test',
    baseUrl: `https://127.0.0.1:${(server.address() as AddressInfo).port}`,
    credentials: () => Promise.resolve({ tls: {}, headers: {} }),
  };
  const { client } = clientFor(t, access, { connectTimeoutMs: 100 });
  await assert.rejects(client.get('/', never), /Connect Timeout/);
});

test('pages one after the other do not open a connection each', async (t) => {
  const server = await scriptedServer(t, (request, response) => {
    response.setHeader('content-type', 'application/json');
    const at = Number(/continue=(\d+)/.exec(request.url ?? '')?.[1] ?? 0);
    response.end(listBody(7, [], at < 19 ? String(at + 1) : ''));
  });
  const listWatch = listWatchFor(t, server.url);
  let pages = 0;
  for await (const _ of listWatch.pages(never)) pages++;
  assert.equal(pages, 20);
  assert.ok(server.connections() <= 2, `${server.connections()} connections`);
});

test('whoever stops reading a watch closes its connection', async (t) => {
  const closed = Promise.withResolvers<void>();
  const server = await scriptedServer(t, (_request, response) => {
    response.on('close', () => closed.resolve());
    response.setHeader('content-type', 'application/json');
    response.write(bookmarkLine(2));
  });
  for await (const _ of listWatchFor(t, server.url).stream(never)) break;
  await closed.promise;
});

/** Credentials that say `token-1`, `token-2`, … whenever they are asked anew. */
function countingAccess(baseUrl: string, options: { stuck?: boolean } = {}) {
  const asked: boolean[] = [];
  const access: Access = {
    source: 'test',
    baseUrl,
    credentials(renew): Promise<Credentials> {
      asked.push(renew);
      const headers = { authorization: `Bearer token-${options.stuck ? 1 : asked.length}` };
      return Promise.resolve({ tls: undefined, headers });
    },
  };
  return { access, asked };
}

test('B10 on 401 credentials are renewed and the request made again, once however many requests were refused', async (t) => {
  const server = await scriptedServer(t, (request, response) => {
    const fresh = request.headers.authorization === 'Bearer token-2';
    response.writeHead(fresh ? 200 : 401, { 'content-type': 'application/json' }).end('{}');
  });
  const { access, asked } = countingAccess(server.url);
  const { client } = clientFor(t, access);
  const answers = await Promise.all([1, 2, 3].map(() => client.get('/', never)));
  await Promise.all(answers.map(({ body }) => text(body)));
  assert.deepEqual(asked, [false, true]);
});

test('B10 credentials that stay the same are not tried twice: the 401 is told, without the token', async (t) => {
  const server = await scriptedServer(t, (_request, response) => {
    response.writeHead(401, { 'content-type': 'application/json' }).end('{}');
  });
  const { access } = countingAccess(server.url, { stuck: true });
  const { client, lines } = clientFor(t, access);
  const error = await refusalOf(client.get('/', never));
  assert.equal(error.status, 401);
  assert.equal(server.requests.length, 1);
  assert.doesNotMatch(JSON.stringify([error.message, error.stack, lines]), /token-1/);
});

test('B10 credentials are read again every minute, and the former ones do while that fails', async (t) => {
  const server = await scriptedServer(t, (_request, response) => {
    response.setHeader('content-type', 'application/json').end('{}');
  });
  const { VirtualClock } = await import('../support/virtual-clock.ts');
  const clock = new VirtualClock();
  const { access, asked } = countingAccess(server.url);
  const { client, lines } = clientFor(t, access, { clock });
  const tokenNow = async (): Promise<string | undefined> => {
    await text((await client.get('/', never)).body);
    return server.requests.at(-1)?.headers.authorization;
  };
  assert.equal(await tokenNow(), 'Bearer token-1');
  clock.freeze(59_000);
  assert.equal(await tokenNow(), 'Bearer token-1');
  clock.freeze(1_000);
  assert.equal(await tokenNow(), 'Bearer token-2');
  const credentials = access.credentials.bind(access);
  Object.assign(access, { credentials: () => Promise.reject(new Error('in the middle of a rotation')) });
  clock.freeze(60_000);
  assert.equal(await tokenNow(), 'Bearer token-2');
  assert.ok(lines.some(({ msg }) => msg === 'credentials cannot be read again'));
  Object.assign(access, { credentials });
  clock.freeze(60_000);
  assert.equal(await tokenNow(), 'Bearer token-3');
  assert.equal(asked.length, 3);
});

test('credentials that take for ever do not hold a request beyond its signal', async (t) => {
  const access: Access = { source: 'test', baseUrl: 'https://127.0.0.1:1', credentials: () => new Promise(() => {}) };
  const { client } = clientFor(t, access);
  const stop = new AbortController();
  const asking = client.get('/', stop.signal);
  stop.abort(new Error('stop'));
  await assert.rejects(asking, /stop/);
});

test('credentials that fail when nobody waits for them any more harm nobody', async (t) => {
  const failing = Promise.withResolvers<Credentials>();
  const access: Access = { source: 'test', baseUrl: 'https://127.0.0.1:1', credentials: () => failing.promise };
  const { client } = clientFor(t, access);
  await assert.rejects(client.get('/', AbortSignal.abort(new Error('stop'))), /stop/);
  failing.reject(new Error('too late'));
  await new Promise((resolve) => setImmediate(resolve)); // an unhandled rejection would fail this test
});

test('no proxy from the environment comes in between', async (t) => {
  const server = await scriptedServer(t, (_request, response) => {
    response.setHeader('content-type', 'application/json').end('{}');
  });
  const names = ['HTTP_PROXY', 'http_proxy', 'HTTPS_PROXY', 'ALL_PROXY'];
  for (const name of names) process.env[name] = 'http://127.0.0.1:1';
  t.after(() => {
    for (const name of names) delete process.env[name];
  });
  const { client } = clientFor(t, server.url);
  assert.equal(await text((await client.get('/', never)).body), '{}');
});
