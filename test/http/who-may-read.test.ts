import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LookupTokens, tokensIn } from '../../src/http/lookup-tokens.ts';
import type { HttpPlug } from '../../src/http/plug.ts';
import { Watched } from '../../src/watched-files.ts';
import { makePod } from './support/pods.ts';
import { ask, exchange } from './support/raw.ts';
import { startService } from './support/service.ts';

const POD = makePod('a', { podIps: ['10.0.0.1', '127.0.0.1'] });
const TOKEN = 'first-token-of-the-file';
const OTHER = 'c2Vjb25kIHRva2Vu/+._~==';
const FILE = `# people\n${TOKEN}\n\n  ${OTHER}\r\n# the end`;
const bearer = (token: string): string[] => [`Authorization: Bearer ${token}`];

const OPEN = ['/whoami', '/health', '/healthz', '/livez', '/ready', '/readyz', '/ready?verbose', 'http://x/whoami'];
/** Everything else: also what is not there, and an open path that is spelt in another way. */
const GUARDED = [
  '/pod?ip=10.0.0.1',
  '/pod?ip=10.0.0.1&',
  '/pod?%69p=10.0.0.1',
  'http://x/pod?ip=10.0.0.1',
  'http://x?/whoami',
  '/pods',
  '/pods?by=ip',
  '/pods/stream',
  '/metrics',
  '/openapi.json',
  '/nothing',
  '/',
  '*',
  '//whoami',
  '/whoami/',
  '/whoami;a',
  '/whoami/../pods',
  '/WHOAMI',
  '/%77hoami',
  '/health%3F/pods',
  '/pods?/whoami',
  '/pods#/health',
];

/** Takes /door and /door/*, in front of the router. */
const plug: HttpPlug = () => ({
  front(request, response) {
    if (!/^\/door\b/.test(request.url ?? '')) return false;
    response.end('open');
    return true;
  },
  isOpen: (path) => path === '/door' || path.startsWith('/door/'),
});

test('with LOOKUP_TOKEN_FILE whoever reads pods needs one of its tokens; probes, /whoami and the preflight do not', async (t) => {
  const tokens = new Watched(new LookupTokens(FILE));
  const { port } = await startService(t, { pods: [POD], tokens, plugs: [plug] });
  for (const path of [...OPEN, '/door', '/door/a/b?c=d']) assert.equal((await ask(port, path)).status, 200, path);
  for (const path of [...GUARDED, '/doors']) {
    const { status, headers, json } = await ask(port, path);
    assert.deepEqual([status, json['code'], headers.get('www-authenticate')], [401, 'unauthorized', 'Bearer'], path);
    assert.equal(headers.get('x-podwhois-age'), '0.250');
    for (const method of ['HEAD', 'POST', 'OPTIONS', 'DELETE']) {
      assert.equal((await ask(port, path, { method })).status, 401, `${method} ${path}`);
    }
  }
  const batch = { method: 'POST', headers: ['Content-Type: application/json'], body: '{"ips":["10.0.0.1"]}' };
  assert.equal((await ask(port, '/pods/lookup', batch)).status, 401);
  for (const token of [TOKEN, OTHER]) {
    for (const path of ['/pod?ip=10.0.0.1', '/pod?ip=10.0.0.1&', '/pods', '/metrics', '/openapi.json']) {
      assert.equal((await ask(port, path, { headers: bearer(token) })).status, 200, path);
    }
    const headers = [...batch.headers, ...bearer(token)];
    assert.equal((await ask(port, '/pods/lookup', { ...batch, headers })).status, 200);
    assert.equal((await ask(port, '/nothing', { headers: bearer(token) })).status, 404);
  }
});

test('whoever cannot say whether a path is open answers 500, and ends nothing', async (t) => {
  const broken: HttpPlug = () => ({
    isOpen(path) {
      if (path === '/broken') throw new Error('planted');
      return false;
    },
  });
  const tokens = new Watched(new LookupTokens(FILE));
  const { port, preflightPort } = await startService(t, { tokens, settings: { preflightPort: 0 }, plugs: [broken] });
  for (const each of [port, preflightPort]) {
    const { status, body } = await ask(each, '/broken');
    assert.deepEqual([status, body.includes('planted')], [500, false]);
    assert.equal((await ask(each, '/health')).status, 200);
  }
});

test('a token is accepted whole, as a bearer token, and not otherwise', async (t) => {
  const tokens = new Watched(new LookupTokens(FILE));
  const { port } = await startService(t, { pods: [POD], tokens });
  const status = async (...headers: string[]): Promise<number> =>
    (await ask(port, '/pod?ip=10.0.0.1', { headers })).status;
  for (const right of [`bearer ${TOKEN}`, `BEARER  ${TOKEN} `]) {
    assert.equal(await status(`Authorization: ${right}`), 200, right);
  }
  for (const wrong of [
    '',
    'Bearer',
    'Bearer ',
    TOKEN,
    `Basic ${TOKEN}`,
    `Bearer${TOKEN}`,
    `Bearer ${TOKEN.slice(0, -1)}`,
    `Bearer ${TOKEN}x`,
    `Bearer ${TOKEN.toUpperCase()}`,
    `Bearer ${TOKEN} ${OTHER}`,
    `Bearer ${TOKEN},${OTHER}`,
    'Bearer # people',
    `Bearer ${'a'.repeat(8000)}`,
  ]) {
    assert.equal(await status(`Authorization: ${wrong}`), 401, wrong);
  }
  assert.equal(await status('Authorization: Bearer nobody-has-this-one', ...bearer(TOKEN)), 401, 'the first counts');
  assert.equal(await status(`X-Authorization: Bearer ${TOKEN}`), 401);
  assert.equal((await ask(port, `/pod?ip=10.0.0.1&access_token=${TOKEN}`)).status, 401);
});

test('tokens that were replaced no longer count, on connections that are open too', async (t) => {
  const tokens = new Watched(new LookupTokens(FILE));
  const { port } = await startService(t, { pods: [POD], tokens });
  assert.equal((await ask(port, '/pods', { headers: bearer(TOKEN) })).status, 200);
  tokens.set(new LookupTokens('another-token-from-now-on'));
  assert.equal((await ask(port, '/pods', { headers: bearer(TOKEN) })).status, 401);
  assert.equal((await ask(port, '/pods', { headers: bearer('another-token-from-now-on') })).status, 200);
});

test('a refused request leaves the connection usable, whatever body came with it', async (t) => {
  const { port } = await startService(t, { pods: [POD], tokens: new Watched(new LookupTokens(FILE)) });
  const body = '{"ips":["10.0.0.1"]}';
  const text = await exchange(
    port,
    `POST /pods/lookup HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
    'GET /pods HTTP/1.1\r\nHost: x\r\n\r\n',
    'GET /health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n',
  );
  assert.deepEqual(
    [...text.matchAll(/HTTP\/1\.1 (\d{3})/g)].map(([, status]) => status),
    ['401', '401', '200'],
  );
});

test('without LOOKUP_TOKEN_FILE everybody may read, and a token changes nothing', async (t) => {
  const { port } = await startService(t, { pods: [POD] });
  assert.equal((await ask(port, '/pods')).status, 200);
  assert.equal((await ask(port, '/pod?ip=10.0.0.1', { headers: bearer('x') })).status, 200);
});

test('a file of tokens: comments, white space, and what is wrong with it without showing any of it', () => {
  assert.deepEqual(tokensIn(FILE), [TOKEN, OTHER]);
  const secret = 'this is no token';
  for (const [text, pattern] of [
    ['', /there is no token in it/],
    ['# only\n\n# comments', /there is no token in it/],
    [`${TOKEN}\n${secret}`, /^line 2 is not a bearer token/],
    ['Bearer abcdefghijklmnopqrst', /^line 1 is not/],
    ['abcdefghijklmnopqrst\u00e9', /^line 1 is not/],
    ['fifteen-letters', /the token in line 1 is shorter than 16 characters/],
    [Array.from({ length: 101 }, (_, i) => `${TOKEN}${i}`).join('\n'), /more than 100 tokens/],
  ] as const) {
    assert.throws(
      () => new LookupTokens(text),
      (error: Error) => pattern.test(error.message) && !error.message.includes(secret),
      text,
    );
  }
});

test('PREFLIGHT_PORT carries what needs no token, and everything else there is a 404', async (t) => {
  for (const tokens of [undefined, new Watched(new LookupTokens(FILE))]) {
    const settings = { preflightPort: 0 };
    const { port, preflightPort } = await startService(t, { pods: [POD], tokens, settings, plugs: [plug] });
    for (const path of [...OPEN, '/door', '/door/a/b?c=d']) {
      assert.equal((await ask(preflightPort, path)).status, 200, path);
      assert.equal((await ask(port, path)).status, 200, path);
    }
    assert.equal((await ask(preflightPort, '/whoami')).json['name'], 'a');
    for (const path of [...GUARDED, '/doors']) {
      for (const headers of [[], bearer(TOKEN)]) {
        const { status, json } = await ask(preflightPort, path, { headers });
        assert.deepEqual([status, json['code']], [404, 'route_not_found'], path);
      }
    }
    assert.equal((await ask(preflightPort, '/whoami', { method: 'POST' })).status, 405);
    assert.equal((await ask(port, '/pods', { headers: bearer(TOKEN) })).status, 200);
  }
});
