import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect as connectPlain, createServer } from 'node:net';
import type { AddressInfo, Socket } from 'node:net';
import { connect } from 'node:tls';
import type { ConnectionOptions, TLSSocket } from 'node:tls';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import { promisify } from 'node:util';
import { certificate } from '../../src/http/certificate.ts';
import { Watched } from '../../src/watched-files.ts';
import { until } from '../support/until.ts';
import { selfSigned } from '../support/test-certificates.ts';
import type { Certificate } from '../support/test-certificates.ts';
import { makePod } from './support/pods.ts';
import { parseAnswer } from './support/raw.ts';
import { startService } from './support/service.ts';
import type { ServiceOptions } from './support/service.ts';

const POD = makePod('a', { podIps: ['10.0.0.1', '127.0.0.1'] });

const usable = ({ cert, key }: Certificate): ReturnType<typeof certificate> => certificate(cert, key);

async function secured(t: TestContext, options: ServiceOptions = {}) {
  const first = selfSigned(t);
  const tls = new Watched(usable(first));
  return { first, tls, ...(await startService(t, { pods: [POD], tls, ...options })) };
}

async function opened(port: number, ca: string, options: ConnectionOptions = {}): Promise<TLSSocket> {
  const socket = connect({ port, host: '127.0.0.1', ca, ...options });
  await once(socket, 'secureConnect');
  return socket;
}

/** One request on a connection that stays. */
async function ask(socket: TLSSocket, path: string) {
  socket.write(`GET ${path} HTTP/1.1\r\nHost: x\r\n\r\n`);
  const [data] = (await once(socket, 'data')) as [Buffer];
  return parseAnswer(data.toString());
}

/** However it ends: `once` would take a reset for its own failure. */
async function closed(socket: Socket): Promise<void> {
  await new Promise((resolve) => socket.once('close', resolve));
}

/** Sends bytes as they are, without TLS. */
async function plain(port: number, ...pieces: Buffer[]): Promise<{ readonly text: string; readonly ms: number }> {
  const began = performance.now();
  const socket = connectPlain(port, '127.0.0.1');
  let text = '';
  socket.on('data', (data) => (text += data.toString('latin1')));
  socket.on('error', () => {});
  for (const piece of pieces) socket.write(piece);
  await closed(socket);
  return { text, ms: performance.now() - began };
}

test('with a certificate both ports speak HTTPS, from TLS 1.2 on, and nothing else', async (t) => {
  const { first, url, port, preflightPort, server } = await secured(t, { settings: { preflightPort: 0 } });
  assert.match(url, /^https:\/\/127\.0\.0\.1:\d+$/);
  assert.equal(server.app.server.listening, true);
  for (const each of [port, preflightPort]) {
    for (const version of ['TLSv1.2', 'TLSv1.3'] as const) {
      const socket = await opened(each, first.cert, { minVersion: version, maxVersion: version });
      assert.deepEqual([socket.authorized, socket.getProtocol()], [true, version]);
      const { status, json } = await ask(socket, '/whoami');
      assert.deepEqual([status, json['name']], [200, 'a']);
      socket.destroy();
    }
    const old = { minVersion: 'TLSv1', maxVersion: 'TLSv1.1', ciphers: 'DEFAULT@SECLEVEL=0' } as const;
    await assert.rejects(opened(each, first.cert, old), /alert|protocol/i);
    const { text } = await plain(each, Buffer.from('GET /health HTTP/1.1\r\nHost: x\r\n\r\n'));
    assert.ok(!text.includes('HTTP/1.1'), text);
  }
});

test('a certificate that changes is used at once, and connections that are open go on', async (t) => {
  const { first, tls, port, preflightPort } = await secured(t, { settings: { preflightPort: 0 } });
  const [kept, keptToo] = [await opened(port, first.cert), await opened(preflightPort, first.cert)];
  const second = selfSigned(t, 'second');
  tls.set(usable(second));
  for (const each of [port, preflightPort]) {
    await assert.rejects(opened(each, first.cert), { code: 'DEPTH_ZERO_SELF_SIGNED_CERT' });
    const socket = await opened(each, second.cert, { maxVersion: 'TLSv1.2' });
    assert.equal(socket.getPeerCertificate().subject.CN, 'second');
    socket.destroy();
    // Still TLS 1.2 or newer.
    await assert.rejects(
      opened(each, second.cert, { minVersion: 'TLSv1', maxVersion: 'TLSv1.1', ciphers: 'DEFAULT@SECLEVEL=0' }),
    );
  }
  assert.equal((await ask(kept, '/pod?ip=10.0.0.1')).status, 200);
  assert.equal((await ask(keptToo, '/health')).status, 200);
});

test('a slowloris is closed in time under TLS too: before, in and after the handshake', async (t) => {
  const limits = { requestTimeout: 600, connectionsCheckingInterval: 100 };
  const { first, port } = await secured(t, { limits });
  const hello = await clientHello();
  const inTime = (way: string, ms: number): void => assert.ok(ms > 500 && ms < 2500, `${way}: ${ms} ms`);
  const handshakes = [
    ['says nothing', [] as Buffer[]],
    ['stops in the middle of its hello', [hello.subarray(0, 50)]],
    ['stops after its hello', [hello]],
  ] as const;
  const requests = ['', 'GET /health HT', 'GET /health HTTP/1.1\r\nHost: x\r\n'];
  await Promise.all([
    ...handshakes.map(async ([way, pieces]) => inTime(way, (await plain(port, ...pieces)).ms)),
    ...requests.map(async (bytes) => {
      // The server counts from the connection's beginning, and a handshake takes its time.
      const began = performance.now();
      const socket = await opened(port, first.cert);
      let text = '';
      socket.on('data', (data) => (text += data.toString()));
      socket.on('error', () => {});
      socket.write(bytes);
      const drip = setInterval(() => void (bytes.endsWith('\n') && socket.write('X-A: b\r\n')), 50);
      // What was dripped and not read any more makes it a reset, which may overtake the answer.
      await closed(socket);
      clearInterval(drip);
      inTime(bytes, performance.now() - began);
      assert.match(text, bytes === 'GET /health HT' ? /^HTTP\/1\.1 408 / : /^(HTTP\/1\.1 408 |$)/);
    }),
  ]);
  assert.equal((await ask(await opened(port, first.cert), '/health')).status, 200);
});

/** What a client sends first. */
async function clientHello(): Promise<Buffer> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const client = connect({ port: (server.address() as AddressInfo).port, host: '127.0.0.1' });
  client.on('error', () => {});
  const [socket] = (await once(server, 'connection')) as [Socket];
  const [data] = (await once(socket, 'data')) as [Buffer];
  client.destroy();
  socket.destroy();
  server.close();
  return data;
}

test('connections are counted from before the handshake, and idle ones make room', async (t) => {
  const { first, port, server } = await secured(t, { limits: { maxConnections: 3, requestTimeout: 60_000 } });
  const silent = [connectPlain(port, '127.0.0.1'), connectPlain(port, '127.0.0.1')];
  await Promise.all(silent.map(async (socket) => await once(socket, 'connect')));
  const idle = await opened(port, first.cert);
  assert.equal((await ask(idle, '/health')).status, 200);
  const dropped = once(server.app.server, 'drop');
  const gone = once(idle, 'close');
  await assert.rejects(opened(port, first.cert));
  await Promise.all([dropped, gone]);
  const next = await opened(port, first.cert);
  assert.equal((await ask(next, '/health')).status, 200);
  for (const socket of [...silent, next]) socket.destroy();
});

test('a reader that takes nothing does not keep its connection for ever under TLS', async (t) => {
  const pods = Array.from({ length: 600 }, (_, i) => makePod(`p${i}`, { annotations: { note: 'x'.repeat(30_000) } }));
  const { first, port, server } = await secured(t, {
    pods,
    limits: { socketTimeout: 300, connectionsCheckingInterval: 50 },
  });
  const socket = await opened(port, first.cert);
  socket.on('error', () => {});
  socket.pause();
  socket.write('GET /pods?by=ip HTTP/1.1\r\nHost: x\r\n\r\nGET /pods HTTP/1.1\r\nHost: x\r\n\r\n'.repeat(20));
  const connections = promisify(server.app.server.getConnections.bind(server.app.server));
  await until('its connection is closed', async () => (await connections()) === 0, { timeoutMs: 10_000 });
  socket.destroy();
});

test('both ports stop together: not ready at once, still serving, then free, also while somebody is in a handshake', async (t) => {
  const { first, port, preflightPort, server, clock } = await secured(t, {
    settings: { preflightPort: 0 },
    limits: { requestTimeout: 500, connectionsCheckingInterval: 100 },
  });
  const sockets = [await opened(port, first.cert), await opened(preflightPort, first.cert)];
  for (const each of [port, preflightPort])
    await once(
      connectPlain(each, '127.0.0.1').on('error', () => {}),
      'connect',
    );
  let closed = false;
  const closing = server.close({ delayMs: 5000 }).finally(() => (closed = true));
  for (const socket of sockets) {
    const { status, json, headers } = await ask(socket, '/ready');
    assert.deepEqual([status, json['reason'], headers.get('connection')], [503, 'shutting_down', 'close']);
  }
  for (const each of [port, preflightPort]) {
    assert.equal((await ask(await opened(each, first.cert), '/whoami')).status, 200);
  }
  assert.equal(closed, false);
  clock.advance(5000);
  await closing;
  for (const each of [port, preflightPort]) await assert.rejects(opened(each, first.cert), { code: 'ECONNREFUSED' });
});

test('a port for the preflight that is taken is named with the setting to change, and leaves nothing bound', async (t) => {
  const other = await startService(t);
  const { server } = await startService(t, { listen: false, settings: { preflightPort: other.port } });
  await assert.rejects(server.listen(), {
    code: 'EADDRINUSE',
    message: `cannot listen on 127.0.0.1, port ${other.port}: it is already in use; set PREFLIGHT_PORT or HOST`,
  });
  await server.close();
  assert.equal(server.app.server.listening, false);
});

test('a certificate and a key that do not belong together, or are none, are refused in words', (t) => {
  const [one, two] = [selfSigned(t), selfSigned(t)];
  assert.equal(certificate(one.cert + two.cert, one.key).minVersion, 'TLSv1.2');
  for (const [cert, key, message] of [
    [one.cert, two.key, 'TLS_KEY_FILE is not the key of TLS_CERT_FILE'],
    ['', one.key, 'TLS_CERT_FILE holds no certificate (PEM)'],
    [one.key, one.key, 'TLS_CERT_FILE holds no certificate (PEM)'],
    [one.cert, '', 'TLS_KEY_FILE holds no private key (PEM, without a passphrase)'],
    [one.cert, one.cert, 'TLS_KEY_FILE holds no private key (PEM, without a passphrase)'],
    [one.cert.slice(0, -100), one.key, 'TLS_CERT_FILE holds no certificate (PEM)'],
  ] as const) {
    assert.throws(() => certificate(cert, key), { message });
  }
  assert.throws(() => certificate(`${one.cert}${two.cert.slice(0, -100)}`, one.key), 'a broken chain');
});
