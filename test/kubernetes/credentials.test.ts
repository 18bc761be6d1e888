import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import { ApiClient } from '../../src/kubernetes/client.ts';
import { AccessError, findAccess } from '../../src/kubernetes/credentials.ts';
import { explain } from '../../src/kubernetes/api-error.ts';
import { json } from '../../src/kubernetes/wire/json.ts';
import { keptLog } from '../support/reflector-harness.ts';
import { scriptedServer } from '../support/scripted-server.ts';
import { selfSigned, temporaryDirectory } from '../support/test-certificates.ts';
import { VirtualClock } from '../support/virtual-clock.ts';
import type { Access, CredentialSettings, Surroundings } from '../../src/kubernetes/credentials.ts';

const never = new AbortController().signal;
const MISSING = '/dev/null/missing';
const nowhere: Surroundings = { env: {}, home: MISSING, serviceAccountDir: MISSING };

interface KubeConfigParts {
  readonly server?: string;
  readonly cluster?: object;
  readonly user?: object;
  readonly name?: string;
}

function kubeconfig(path: string, parts: KubeConfigParts = {}): string {
  const {
    server = 'https://cluster.example',
    cluster = {},
    user = { token: 'kubeconfig-token' },
    name = 'one',
  } = parts;
  const config = {
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [{ name, cluster: { server, ...cluster } }],
    users: [{ name, user }],
    contexts: [{ name, context: { cluster: name, user: name } }],
    'current-context': name,
  };
  writeFileSync(path, JSON.stringify(config));
  return path;
}

/** All three places that are looked at, each with a token of its own. */
function everything(t: TestContext): Required<Surroundings> & { readonly kubeconfig: string; readonly dir: string } {
  const dir = temporaryDirectory(t);
  mkdirSync(join(dir, '.kube'));
  kubeconfig(join(dir, '.kube', 'config'), { server: 'https://home.example', user: { token: 'home-token' } });
  writeFileSync(join(dir, 'token'), 'pod-token\n');
  writeFileSync(join(dir, 'ca.crt'), 'pod-ca');
  return {
    dir,
    home: dir,
    serviceAccountDir: dir,
    env: { KUBERNETES_SERVICE_HOST: '10.96.0.1', KUBERNETES_SERVICE_PORT: '6443' },
    kubeconfig: kubeconfig(join(dir, 'kubeconfig')),
  };
}

async function tokenOf(access: Access): Promise<string | undefined> {
  return (await access.credentials(false)).headers['authorization'];
}

async function refused(settings: CredentialSettings, around: Surroundings = nowhere): Promise<AccessError> {
  const error: unknown = await findAccess(settings, around).then(
    () => undefined,
    (reason: unknown) => reason,
  );
  assert.ok(error instanceof AccessError, String(error));
  return error;
}

test('the order is K8S_API_SERVER, KUBECONFIG, the service account, ~/.kube/config', async (t) => {
  const all = everything(t);
  const ways: [CredentialSettings, Surroundings, string, string | undefined][] = [
    [{ apiServer: 'http://127.0.0.1:8001', kubeconfig: all.kubeconfig }, all, 'http://127.0.0.1:8001', undefined],
    [{ kubeconfig: all.kubeconfig }, all, 'https://cluster.example', 'Bearer kubeconfig-token'],
    [{}, all, 'https://10.96.0.1:6443', 'Bearer pod-token'],
    [{}, { ...all, env: {} }, 'https://home.example', 'Bearer home-token'],
    [{}, { ...all, serviceAccountDir: MISSING }, 'https://home.example', 'Bearer home-token'],
  ];
  for (const [settings, around, url, token] of ways) {
    const access = await findAccess(settings, around);
    assert.equal(access.baseUrl, url);
    assert.equal(await tokenOf(access), token);
  }
});

test('an https K8S_API_SERVER takes credentials and CA from the next in that order', async (t) => {
  const all = everything(t);
  const access = await findAccess({ apiServer: 'https://elsewhere.example/prefix/' }, all);
  assert.equal(access.baseUrl, 'https://elsewhere.example/prefix');
  const { tls, headers } = await access.credentials(false);
  assert.equal(headers['authorization'], 'Bearer pod-token');
  assert.equal(String(tls?.ca), 'pod-ca');
  assert.equal(tls?.rejectUnauthorized, true);
});

test('a kubeconfig with a plain-HTTP server works, and gets no credentials, as from kubectl', async (t) => {
  const path = kubeconfig(join(temporaryDirectory(t), 'kubeconfig'), { server: 'http://127.0.0.1:8001' });
  const access = await findAccess({ kubeconfig: path }, nowhere);
  assert.deepEqual(await access.credentials(false), { tls: undefined, headers: {} });
});

test('where nothing is found the error names the setting', async (t) => {
  assert.equal((await refused({})).setting, 'K8S_API_SERVER');
  assert.match((await refused({ apiServer: 'https://x.example' })).message, /^KUBECONFIG: .*needs credentials/);
  assert.match((await refused({ kubeconfig: `${MISSING}/file` })).message, /^KUBECONFIG: cannot be used: no such file/);
  const dir = temporaryDirectory(t);
  const broken = join(dir, 'broken');
  writeFileSync(broken, 'users: [{token: hush-hush');
  const error = await refused({ kubeconfig: broken });
  assert.match(error.message, /KUBECONFIG: cannot be used/);
  assert.doesNotMatch(`${error.message}${error.stack}${String(error.cause)}`, /hush/);
  assert.match((await refused({ kubeconfig: dir })).message, /KUBECONFIG: cannot be used: (EISDIR|it is not valid)/);
  const empty = join(dir, 'empty');
  writeFileSync(empty, '{clusters: [{name: one}]}');
  assert.match((await refused({ kubeconfig: empty })).message, /clusters\[0\].cluster is missing/);
  writeFileSync(empty, '');
  assert.match((await refused({ kubeconfig: empty })).message, /it is not a kubeconfig/);
});

test('a context that is not there is refused with those that are; a named context is never the service account', async (t) => {
  const all = everything(t);
  const error = await refused({ kubeconfig: all.kubeconfig, context: 'two' }, all);
  assert.equal(error.setting, 'KUBERNETES_CONTEXT');
  assert.match(error.message, /no context "two", only: one/);
  const access = await findAccess({ context: 'one' }, all);
  assert.equal(access.baseUrl, 'https://home.example');
});

test('a URL with a password is refused, and the message does not repeat it', async (t) => {
  const error = await refused({ apiServer: 'https://admin:hunter2@x.example' });
  assert.equal(error.setting, 'K8S_API_SERVER');
  assert.doesNotMatch(error.message, /hunter2/);
  const path = kubeconfig(join(temporaryDirectory(t), 'kubeconfig'), { server: 'https://admin:hunter2@x.example' });
  assert.doesNotMatch((await refused({ kubeconfig: path })).message, /hunter2/);
  for (const apiServer of ['ftp://x', 'x', 'http://', 'http://x/?a=b', 'http://x/#a']) {
    assert.equal((await refused({ apiServer })).setting, 'K8S_API_SERVER', apiServer);
  }
});

test('several kubeconfigs are merged as kubectl does: missing ones are skipped, of equal names the first counts', async (t) => {
  const dir = temporaryDirectory(t);
  const first = kubeconfig(join(dir, 'first'), { server: 'https://first.example' });
  const second = kubeconfig(join(dir, 'second'), { server: 'https://second.example' });
  const third = kubeconfig(join(dir, 'third'), { server: 'https://third.example', name: 'three' });
  const paths = [MISSING, first, second, third].join(':');
  assert.equal((await findAccess({ kubeconfig: paths }, nowhere)).baseUrl, 'https://first.example');
  const access = await findAccess({ kubeconfig: paths, context: 'three' }, nowhere);
  assert.equal(access.baseUrl, 'https://third.example');
});

test("a kubeconfig's proxy-url is refused rather than ignored", async (t) => {
  const path = kubeconfig(join(temporaryDirectory(t), 'kubeconfig'), { cluster: { 'proxy-url': 'http://u:hush@p' } });
  const error = await refused({ kubeconfig: path });
  assert.match(error.message, /proxy-url/);
  assert.doesNotMatch(error.message, /hush/);
});

test('user and password, certificates, server name and skipping of verification are taken over', async (t) => {
  const path = join(temporaryDirectory(t), 'kubeconfig');
  const base64 = (text: string): string => Buffer.from(text).toString('base64');
  kubeconfig(path, {
    cluster: { 'insecure-skip-tls-verify': true, 'tls-server-name': 'inside.example' },
    user: {
      username: 'me',
      password: 'secret',
      'client-certificate-data': base64('cert'),
      'client-key-data': base64('key'),
      as: 'somebody',
    },
  });
  const { tls, headers } = await (await findAccess({ kubeconfig: path }, nowhere)).credentials(false);
  assert.deepEqual(tls, {
    cert: Buffer.from('cert'),
    key: Buffer.from('key'),
    servername: 'inside.example',
    rejectUnauthorized: false,
  });
  assert.deepEqual(headers, { 'impersonate-user': 'somebody', authorization: `Basic ${base64('me:secret')}` });
});

test('B10 a token file is read again every time, and a relative path is the kubeconfig’s', async (t) => {
  const dir = temporaryDirectory(t);
  const path = kubeconfig(join(dir, 'kubeconfig'), { user: { tokenFile: 'token', token: 'not this' } });
  writeFileSync(join(dir, 'token'), 'first\n');
  const access = await findAccess({ kubeconfig: path }, nowhere);
  assert.equal(await tokenOf(access), 'Bearer first');
  writeFileSync(join(dir, 'token'), 'second');
  assert.equal(await tokenOf(access), 'Bearer second');
});

function execUser(dir: string, script: string): object {
  const path = join(dir, 'plugin.mjs');
  writeFileSync(path, script);
  return {
    exec: { apiVersion: 'client.authentication.k8s.io/v1', command: process.execPath, args: [path], env: null },
  };
}

test('B10 an exec plugin is asked once, told what kubectl would tell it, and asked again on a 401', async (t) => {
  const dir = temporaryDirectory(t);
  const calls = join(dir, 'calls');
  const script = `
    import { appendFileSync, readFileSync } from 'node:fs';
    appendFileSync(${JSON.stringify(calls)}, '.');
    const { kind } = JSON.parse(process.env.KUBERNETES_EXEC_INFO);
    const token = kind + '-' + readFileSync(${JSON.stringify(calls)}, 'utf8').length;
    console.log(JSON.stringify({ kind, status: { token } }));`;
  const path = kubeconfig(join(dir, 'kubeconfig'), { user: execUser(dir, script) });
  const access = await findAccess({ kubeconfig: path }, nowhere);
  assert.equal(await tokenOf(access), 'Bearer ExecCredential-1');
  assert.equal(await tokenOf(access), 'Bearer ExecCredential-1');
  assert.equal((await access.credentials(true)).headers['authorization'], 'Bearer ExecCredential-2');
});

test('what an exec plugin prints when it fails is not repeated', async (t) => {
  const dir = temporaryDirectory(t);
  for (const script of ['console.log("hush-hush")', 'console.error("hush-hush"); process.exit(1)']) {
    const path = kubeconfig(join(dir, 'kubeconfig'), { user: execUser(dir, script) });
    const access = await findAccess({ kubeconfig: path }, nowhere);
    await assert.rejects(access.credentials(false), (error: unknown) => {
      assert.ok(error instanceof AccessError);
      assert.doesNotMatch(`${explain(error)}${error.stack}`, /hush/);
      assert.match(error.message, /exec plugin/);
      return true;
    });
  }
  const missing = { exec: { command: join(dir, 'no-plugin'), apiVersion: 'v1' } };
  const path = kubeconfig(join(dir, 'kubeconfig'), { user: missing });
  const access = await findAccess({ kubeconfig: path }, nowhere);
  await assert.rejects(access.credentials(false), /ENOENT .*no-plugin/);
});

function clientOf(t: TestContext, access: Access, clock = new VirtualClock()) {
  const formats = { 'application/json': json };
  const client = new ApiClient({ access, formats, clock, log: keptLog().log, userAgent: 'podwhois/test' });
  t.after(() => client.close());
  return { client, clock };
}

async function asked(client: ApiClient): Promise<void> {
  const { body } = await client.get('/', never);
  for await (const _ of body);
}

test('B10 401, rotated token: over TLS, the file is read again at once and the watch goes on', async (t) => {
  const certificate = selfSigned(t);
  const dir = temporaryDirectory(t);
  let valid = 'first';
  const server = await scriptedServer(
    t,
    (request, response) => {
      const ok = request.headers.authorization === `Bearer ${valid}`;
      response.writeHead(ok ? 200 : 401, { 'content-type': 'application/json' }).end('{}');
    },
    certificate,
  );
  writeFileSync(join(dir, 'ca.crt'), certificate.cert);
  writeFileSync(join(dir, 'token'), 'first');
  const access = await findAccess(
    { apiServer: server.url },
    { ...nowhere, serviceAccountDir: dir, env: { KUBERNETES_SERVICE_HOST: 'x' } },
  );
  const { client } = clientOf(t, access);
  await asked(client);
  valid = 'second';
  writeFileSync(join(dir, 'token'), 'second');
  await asked(client);
  assert.deepEqual(
    server.requests.map(({ headers }) => headers.authorization),
    ['Bearer first', 'Bearer first', 'Bearer second'],
  );
});

test('B10 rotated CA: within a minute a changed CA file makes a new agent', async (t) => {
  const [before, after] = [selfSigned(t, 'before'), selfSigned(t, 'after')];
  const dir = temporaryDirectory(t);
  const server = await scriptedServer(
    t,
    (_request, response) =>
      void response.setHeader('content-type', 'application/json').setHeader('connection', 'close').end('{}'),
    before,
  );
  writeFileSync(join(dir, 'ca.crt'), before.cert);
  const cluster = { 'certificate-authority': 'ca.crt' };
  const path = kubeconfig(join(dir, 'kubeconfig'), { server: server.url, cluster });
  const { client, clock } = clientOf(t, await findAccess({ kubeconfig: path }, nowhere));
  await asked(client);
  await asked(client);
  (server.server as unknown as { setSecureContext(options: object): void }).setSecureContext(after);
  await assert.rejects(asked(client), /self-signed|certificate/);
  writeFileSync(join(dir, 'ca.crt'), after.cert);
  clock.freeze(60_000);
  await asked(client);
});

test('a server whose certificate nobody vouches for is refused, whatever NODE_TLS_REJECT_UNAUTHORIZED says', async (t) => {
  const server = await scriptedServer(t, (_request, response) => void response.end(), selfSigned(t));
  const path = kubeconfig(join(temporaryDirectory(t), 'kubeconfig'), { server: server.url });
  const { client } = clientOf(t, await findAccess({ kubeconfig: path }, nowhere));
  process.env['NODE_TLS_REJECT_UNAUTHORIZED'] = '0';
  t.after(() => delete process.env['NODE_TLS_REJECT_UNAUTHORIZED']);
  await assert.rejects(asked(client), /self-signed|certificate/);
  assert.equal(server.requests.length, 0);
});
