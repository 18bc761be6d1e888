import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import { Agent, request } from 'undici';
import { createLog } from '../src/log.ts';
import { startService } from '../src/service.ts';
import { readCoreSettings } from '../src/settings.ts';
import { startSimulator } from '../src/simulator/simulator.ts';
import { podwhois } from './support/cli.ts';
import { MountedSecret } from './support/mounted-secret.ts';
import { selfSigned, temporaryDirectory } from './support/test-certificates.ts';
import { until } from './support/until.ts';

const IP = '10.200.0.1';
const TOKEN = 'a-token-that-is-long-enough';

/** The whole service with tokens and TLS, from files as Kubernetes mounts them. */
async function secured(t: TestContext) {
  const simulator = await startSimulator({ pods: 10 });
  t.after(() => simulator.close());
  simulator.cluster.createPod({ namespace: 'demo', name: 'a', ips: [IP] });
  const pair = selfSigned(t);
  const dir = temporaryDirectory(t);
  const mounted = new MountedSecret(dir, { 'tls.crt': pair.cert, 'tls.key': pair.key, tokens: `# all\n${TOKEN}\n` });
  let logged = '';
  const log = createLog({ level: 'info', format: 'json' }, { write: (line) => (logged += line) });
  const environment = {
    K8S_API_SERVER: simulator.url,
    HOST: '127.0.0.1',
    PORT: '0',
    PREFLIGHT_PORT: '0',
    LOOKUP_TOKEN_FILE: mounted.path('tokens'),
    TLS_CERT_FILE: mounted.path('tls.crt'),
    TLS_KEY_FILE: mounted.path('tls.key'),
  };
  const service = await startService(readCoreSettings({ flags: {}, environment }), { log });
  t.after(() => service.close());
  await until('synced', () => service.source.synced, { everyMs: 5 });
  /** The status of a request on a connection of its own that trusts this CA only; or why there was none. */
  const ask = async (path: string, ca: string, token = TOKEN, base = service.url): Promise<number | string> => {
    const agent = new Agent({ connect: { ca } });
    const headers = { authorization: `Bearer ${token}` };
    try {
      const { statusCode, body } = await request(base + path, { dispatcher: agent, headers });
      await body.dump();
      return statusCode;
    } catch (error) {
      return String((error as NodeJS.ErrnoException).code);
    } finally {
      await agent.destroy();
    }
  };
  const errors = (): number => logged.split('\n').filter((line) => line.includes('"level":"error"')).length;
  return { dir, service, mounted, pair, ask, errors, logged: () => logged };
}

const SELF_SIGNED = 'DEPTH_ZERO_SELF_SIGNED_CERT';

test('certificate and tokens are taken from the mounted files as they change; what is wrong keeps the old, loudly', async (t) => {
  const { service, mounted, pair, ask, errors } = await secured(t);
  const path = `/pod?ip=${IP}`;
  const valid = async (): Promise<string[]> =>
    [...(await service.metrics.text()).matchAll(/^podwhois_file_valid\{file="(\w+)"\} (\d)$/gm)].map(
      ([, file, value]) => `${file} ${value}`,
    );
  assert.deepEqual(await valid(), ['tokens 1', 'tls 1']);
  const verboseReady = async (ca: string) => {
    const agent = new Agent({ connect: { ca } });
    const { statusCode: status, body } = await request(`${service.url}/ready?verbose`, { dispatcher: agent });
    const { checks } = (await body.json()) as { checks: { name: string; ok: boolean; message: string }[] };
    await agent.destroy();
    return { status, checks };
  };
  assert.deepEqual([await ask(path, pair.cert), await ask(path, pair.cert, 'another-token-than-that')], [200, 401]);
  assert.equal(await ask('/whoami', pair.cert, '', service.preflightUrl), 404);
  assert.equal(await ask('/health', pair.cert, '', service.preflightUrl), 200);

  const next = selfSigned(t, 'next');
  mounted.swap({ 'tls.crt': next.cert, 'tls.key': next.key, tokens: 'the-next-token-of-all\n' });
  await until('the new certificate', async () => (await ask('/health', next.cert)) === 200);
  await until('the new token', async () => (await ask(path, next.cert, 'the-next-token-of-all')) === 200);
  assert.deepEqual([await ask('/health', pair.cert), await ask(path, next.cert)], [SELF_SIGNED, 401]);
  assert.equal(await ask('/health', next.cert, '', service.preflightUrl), 200);
  assert.equal(errors(), 0);

  mounted.swap({ 'tls.crt': pair.cert, 'tls.key': next.key, tokens: 'short' });
  await until('both are complained of', () => errors() === 2);
  assert.deepEqual(await valid(), [`tokens 0`, `tls 0`]);
  const verbose = await verboseReady(next.cert);
  assert.equal(verbose.status, 200, 'what was read before serves on');
  const message = 'cannot be used, see the log: what it said before stays in use';
  assert.deepEqual(verbose.checks.slice(2), [
    { name: 'LOOKUP_TOKEN_FILE', ok: false, message },
    { name: 'TLS_CERT_FILE and TLS_KEY_FILE', ok: false, message },
  ]);
  assert.deepEqual(
    [await ask(path, next.cert, 'the-next-token-of-all'), await ask(path, next.cert, 'short')],
    [200, 401],
  );
  mounted.swap({ 'tls.crt': pair.cert, 'tls.key': pair.key, tokens: TOKEN });
  await until('all is well', async () => (await valid()).join() === 'tokens 1,tls 1');
  assert.deepEqual(
    (await verboseReady(pair.cert)).checks.slice(2).map(({ ok }) => ok),
    [true, true],
  );
});

test('lookup sends the token, and verifies the certificate; healthcheck asks its own service over TLS', async (t) => {
  const { dir, service, mounted, pair, logged } = await secured(t);
  const ca = join(dir, 'ca.pem');
  writeFileSync(ca, pair.cert);
  const asking = { PODWHOIS_URL: service.url, NODE_EXTRA_CA_CERTS: ca };
  const lookup = async (environment: Record<string, string>, ...ips: string[]) =>
    await podwhois(['lookup', '-o', 'json', ...ips], { environment });
  for (const ips of [[IP], [IP, IP]]) {
    const { code, stdout, stderr } = await lookup({ ...asking, PODWHOIS_TOKEN_FILE: mounted.path('tokens') }, ...ips);
    assert.deepEqual([code, stderr, stdout.includes('"name": "a"')], [0, '', true]);
    const none = await lookup(asking, ...ips);
    assert.deepEqual([none.code, none.stdout], [2, '']);
    assert.match(none.stderr, /wants a token: set --token-file or PODWHOIS_TOKEN_FILE/);
  }
  const system = { PODWHOIS_URL: service.url, SSL_CERT_FILE: ca, PODWHOIS_TOKEN_FILE: mounted.path('tokens') };
  assert.equal((await lookup(system, IP)).code, 0, 'a CA that is installed in the system');
  writeFileSync(join(dir, 'other'), 'another-token-than-that');
  const wrong = await lookup({ ...asking, PODWHOIS_TOKEN_FILE: join(dir, 'other') }, IP);
  assert.match(wrong.stderr, /does not accept the token/);
  const nowhere = await lookup({ ...asking, PODWHOIS_TOKEN_FILE: join(dir, 'nowhere') }, IP);
  assert.deepEqual([nowhere.code, /PODWHOIS_TOKEN_FILE.*ENOENT/.test(nowhere.stderr)], [2, true]);
  const stranger = await lookup({ PODWHOIS_URL: service.url, PODWHOIS_TOKEN_FILE: mounted.path('tokens') }, IP);
  assert.deepEqual([stranger.code, /SELF_SIGNED_CERT\); set NODE_EXTRA_CA_CERTS/.test(stranger.stderr)], [2, true]);
  const plain = await lookup({ ...asking, PODWHOIS_URL: service.url.replace('https:', 'http:') }, IP);
  assert.deepEqual([plain.code, /without an answer; .* with https:/.test(plain.stderr)], [2, true]);

  const environment = { HOST: '127.0.0.1', PORT: new URL(service.url).port };
  const tls = { ...environment, TLS_CERT_FILE: mounted.path('tls.crt') };
  assert.deepEqual(await podwhois(['healthcheck', '--ready'], { environment: tls }), {
    code: 0,
    stdout: '',
    stderr: '',
  });
  assert.equal((await podwhois(['healthcheck'], { environment })).code, 1, 'plain HTTP is not answered');
  assert.ok(!logged().includes(TOKEN));
});

test('files that cannot be used end the start together, with what is wrong and exit code 2', async (t) => {
  const dir = temporaryDirectory(t);
  const [one, two] = [selfSigned(t), selfSigned(t)];
  const file = (name: string, text: string): string => {
    writeFileSync(join(dir, name), text);
    return join(dir, name);
  };
  const { code, stderr } = await podwhois(['serve'], {
    environment: {
      K8S_API_SERVER: 'http://127.0.0.1:1',
      PORT: '0',
      LOOKUP_TOKEN_FILE: file('tokens', '# none yet\n'),
      TLS_CERT_FILE: file('cert', one.cert),
      TLS_KEY_FILE: file('key', two.key),
    },
  });
  assert.equal(code, 2);
  assert.match(stderr, /2 settings are wrong:\n {2}LOOKUP_TOKEN_FILE \(.*tokens\) cannot be used: there is no token/);
  assert.match(stderr, /\n {2}TLS_CERT_FILE and TLS_KEY_FILE .*: TLS_KEY_FILE is not the key of TLS_CERT_FILE\n/);
});
