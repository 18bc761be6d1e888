import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { test } from 'node:test';
import { authorityOf, healthcheck } from '../../src/commands/healthcheck.ts';
import { podwhois } from '../support/cli.ts';

async function listening(answer: RequestListener, host = '127.0.0.1'): Promise<AsyncDisposable & { port: number }> {
  const server = createServer(answer);
  server.listen(0, host);
  await once(server, 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}

test('healthcheck asks /health, with --ready /ready, and its exit code says the answer', async () => {
  await using server = await listening((request, response) => {
    response.writeHead(request.url === '/health' ? 200 : 503).end('{"status":"not \u001b[31mready"}');
  });
  const environment = { PORT: String(server.port) };
  assert.deepEqual(await podwhois(['healthcheck'], { environment }), { code: 0, stdout: '', stderr: '' });
  assert.deepEqual(await podwhois(['healthcheck', '--ready'], { environment }), {
    code: 1,
    stdout: '',
    stderr: `podwhois: http://127.0.0.1:${server.port}/ready answers 503: {"status":"not \\u001b[31mready"}\n`,
  });
});

test('healthcheck looks where the service listens: HOST and PORT, an address of its own too', async () => {
  await using server = await listening((_request, response) => response.end('{}'), '127.0.0.2');
  const environment = { PORT: String(server.port) };
  assert.equal((await podwhois(['healthcheck'], { environment })).code, 1);
  assert.equal((await podwhois(['healthcheck'], { environment: { ...environment, HOST: '127.0.0.2' } })).code, 0);
  assert.equal(authorityOf(undefined, 8080), '127.0.0.1:8080');
  assert.equal(authorityOf('0.0.0.0', 8080), '127.0.0.1:8080');
  assert.equal(authorityOf('::', 8080), '[::1]:8080');
  assert.equal(authorityOf('0:0:0:0:0:0:0:0', 8080), '[::1]:8080');
  assert.equal(authorityOf('fd00::1', 80), '[fd00::1]:80');
  assert.equal(authorityOf('localhost', 80), 'localhost:80');
});

test('nothing there, or nothing said, is not well', async () => {
  const complaints: string[] = [];
  const check = async (port: number): Promise<number> =>
    await healthcheck({
      host: undefined,
      port,
      ready: false,
      complain: (text) => complaints.push(text),
      timeoutMs: 200,
    });
  const closed = await listening(() => {});
  await closed[Symbol.asyncDispose]();
  assert.equal(await check(closed.port), 1);
  await using silent = await listening(() => {});
  assert.equal(await check(silent.port), 1);
  await using unending = await listening((_request, response) => response.writeHead(503).write('x'));
  assert.equal(await check(unending.port), 1);
  assert.equal(complaints.length, 3);
  for (const complaint of complaints) assert.match(complaint, /\/health does not answer: ./);
});

test('healthcheck reads only the settings it needs', async () => {
  const { code, stderr } = await podwhois(['healthcheck'], {
    environment: { PORT: 'tcp://10.0.0.1:80', LOG_LEVEL: 'loud' },
  });
  assert.equal(code, 2);
  assert.match(stderr, /A setting is wrong:\n {2}PORT/);
});
