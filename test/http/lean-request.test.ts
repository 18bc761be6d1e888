import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { IncomingHttpHeaders, IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import * as fc from 'fast-check';
import { LeanRequest, whole } from '../../src/http/lean-request.ts';
import { exchange } from './support/raw.ts';

const ESSENTIAL = ['host', 'te', 'expect', 'authorization', 'content-length', 'transfer-encoding'] as const;

/** A server that looks at each request and answers 204; its port. */
async function listen(
  t: TestContext,
  Request: typeof IncomingMessage,
  look: (request: IncomingMessage) => void,
): Promise<number> {
  const options = { IncomingMessage: Request, requireHostHeader: false, optimizeEmptyRequests: true };
  const server = createServer(options, (request, response) => {
    look(request);
    response.writeHead(204, ['connection', 'close']).end();
  });
  server.on('checkExpectation', (request, response) => server.emit('request', request, response));
  t.after(() => server.close());
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return (server.address() as AddressInfo).port;
}

test('before it hands a request over Node reads no header but the essential ones', async (t) => {
  const read = new Set<string | symbol>();
  class Watched extends LeanRequest {}
  const { get } = Object.getOwnPropertyDescriptor(LeanRequest.prototype, 'headers') as { get: () => object };
  const noted = (key: string | symbol): void => void read.add(key);
  Object.defineProperty(Watched.prototype, 'headers', {
    get(this: Watched) {
      return new Proxy(get.call(this), {
        get: (target, key) => (noted(key), Reflect.get(target, key)),
        has: (target, key) => (noted(key), Reflect.has(target, key)),
        ownKeys: (target) => (noted('all'), Reflect.ownKeys(target)),
      });
    },
  });
  const port = await listen(t, Watched, () => {});
  for (const [head, body] of [
    ['GET / HTTP/1.1', ''],
    ['GET / HTTP/1.0', ''],
    ['POST / HTTP/1.1\r\nContent-Length: 2', 'ab'],
    ['POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nTrailer: X-A', '1\r\na\r\n0\r\nX-A: b\r\n\r\n'],
    ['POST / HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 2', 'ab'],
    ['GET / HTTP/1.1\r\nExpect: wonders', ''],
    ['GET / HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: websocket', ''],
  ] as const) {
    const text = await exchange(port, Buffer.from(`${head}\r\nHost: x\r\nCookie: a=b\r\n\r\n${body}`));
    assert.match(text, /HTTP\/1\.1 204 /, head);
  }
  assert.deepEqual(
    [...read].filter((key) => !(ESSENTIAL as readonly unknown[]).includes(key)),
    [],
  );
  assert.ok(read.has('expect') && read.has('content-length'), 'or this test sees nothing');
});

test('the essential headers are as Node has them, and the whole request has all', async (t) => {
  let seen: { lean: IncomingHttpHeaders; all: IncomingHttpHeaders } | undefined;
  const port = await listen(t, LeanRequest, (request) => {
    const lean = request.headers;
    seen = { lean, all: whole(request).headers };
  });
  const name = fc.constantFrom(
    'host',
    'te',
    'expect',
    'authorization',
    'hosts',
    'expecx',
    'cookie',
    'xe',
    'x-authorizatio',
    'x',
  );
  const spelt = fc.tuple(name, fc.boolean()).map(([text, loud]) => (loud ? text.toUpperCase() : text));
  const lines = fc.array(fc.tuple(spelt, fc.constantFrom('a', 'b', '', '100-continue')), { maxLength: 8 });
  const body = fc.constantFrom(
    '',
    'Content-Length: 0',
    'Transfer-Encoding: chunked',
    'TRANSFER-ENCODING: gzip, chunked',
  );
  await fc.assert(
    fc.asyncProperty(lines, body, async (headers, framing) => {
      const text = [...headers.map(([key, value]) => `${key}: ${value}`), ...(framing ? [framing] : [])].join('\r\n');
      const end = framing.startsWith('T') ? '0\r\n\r\n' : '';
      seen = undefined;
      const answer = await exchange(port, Buffer.from(`POST / HTTP/1.1\r\n${text}${text && '\r\n'}\r\n${end}`));
      assert.ok(seen, answer);
      const { lean, all } = seen;
      assert.deepEqual(
        lean,
        Object.fromEntries(Object.entries(all).filter(([key]) => (ESSENTIAL as readonly string[]).includes(key))),
      );
      const names = new Set([
        ...headers.map(([key]) => key.toLowerCase()),
        ...(framing ? [framing.split(':')[0]!.toLowerCase()] : []),
      ]);
      assert.deepEqual(new Set(Object.keys(all)), names);
    }),
    { numRuns: 300 },
  );
});
