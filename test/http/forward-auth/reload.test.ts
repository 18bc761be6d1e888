import assert from 'node:assert/strict';
import { rmSync, writeFileSync } from 'node:fs';
import { test } from 'node:test';
import { createRemoteJWKSet, decodeProtectedHeader, jwtVerify } from 'jose';
import { OVERLAP_MS } from '../../../src/http/forward-auth/signing-keys.ts';
import { makePod } from '../support/pods.ts';
import { ask } from '../support/raw.ts';
import { NOON, startForwardAuth } from './support/forward-auth.ts';
import type { ForwardAuth } from './support/forward-auth.ts';
import { newKey } from './support/keys.ts';

const web = makePod('web', { namespace: 'shop', podIps: ['10.0.0.1'] });

const rulesFor = (account: string, name = 'the shop'): string =>
  `rules:\n  - name: ${name}\n    match: {}\n    allow: [{ serviceAccount: ${account} }]\n`;

async function statusOf({ port }: ForwardAuth): Promise<number> {
  return (await ask(port, '/authorize', { headers: ['X-Forwarded-For: 10.0.0.1'] })).status;
}

/** What /ready?verbose says of the rules file. */
async function rulesRemark({ port }: ForwardAuth): Promise<unknown[]> {
  const { status, json } = await ask(port, '/ready?verbose');
  const checks = json['checks'] as { name: string; ok: boolean; message: string }[];
  const remark = checks.find(({ name }) => name === 'FORWARD_AUTH_RULES');
  return [status, remark?.ok, remark?.message];
}

const CANNOT = 'cannot be used, see the log: what it said before stays in use';

const lines = ({ logged }: ForwardAuth): Record<string, unknown>[] =>
  logged.map((line) => JSON.parse(line) as Record<string, unknown>);

test('changed rules are in force once they have been looked at, and wrong ones never', async (t) => {
  const service = await startForwardAuth(t, { pods: [web], rules: rulesFor('shop/default') });
  assert.equal(await statusOf(service), 200);
  writeFileSync(service.rulesFile, rulesFor('shop/other', 'another'));
  await service.look();
  assert.equal(await statusOf(service), 403);
  const text = await service.metrics.text();
  assert.match(text, /forward_auth_file_valid\{file="rules"\} 1/);
  assert.match(text, /forward_auth_reloads_total\{file="rules",result="ok"\} 1/);
  assert.match(text, /preflights_total\{outcome="not-allowed",rule="another"\} 1/);
  assert.doesNotMatch(text, /rule="the shop"/, 'a rule that is gone is no longer counted');

  for (const wrong of ['rules:\n  - nme: x\n', '{', '', 'default: identify\n']) {
    writeFileSync(service.rulesFile, wrong);
    service.logged.length = 0;
    await service.look();
    assert.equal(await statusOf(service), 403);
    const line = lines(service).find(({ level }) => level === 50);
    assert.match(JSON.stringify(line), /rules\.yaml:\d+:\d+: /, wrong);
    assert.match(await service.metrics.text(), /forward_auth_file_valid\{file="rules"\} 0/);
    assert.deepEqual(await rulesRemark(service), [200, false, CANNOT]);
  }
  rmSync(service.rulesFile);
  await service.look();
  assert.equal(await statusOf(service), 403);
  writeFileSync(service.rulesFile, rulesFor('shop/default'));
  await service.look();
  assert.equal(await statusOf(service), 200);
  assert.match(await service.metrics.text(), /forward_auth_file_valid\{file="rules"\} 1/);
  assert.deepEqual(await rulesRemark(service), [200, true, 'in use as it is']);
});

test('at the start and after a change it says how many rules are in force, and of wrong ones each fault by itself', async (t) => {
  const service = await startForwardAuth(t, { rules: rulesFor('shop/default') });
  const inForce = (): unknown[] =>
    lines(service).flatMap((line) => (line['msg'] === 'rules are in force' ? [[line['rules'], line['default']]] : []));
  assert.deepEqual(inForce(), [[1, 'deny']]);
  writeFileSync(service.rulesFile, 'default: identify\nrules: []\n');
  await service.look();
  writeFileSync(service.rulesFile, 'default: x\nrules:\n  - nme: "a\\n2026-11-25T10:00:00.000Z ERROR forged: line"\n');
  await service.look();
  assert.deepEqual(inForce(), [
    [1, 'deny'],
    [0, 'identify'],
  ]);
  const { reason, faults } = lines(service).find(({ level }) => level === 50) ?? {};
  assert.equal(reason, 'the rules are wrong:');
  assert.deepEqual(
    (faults as string[]).map((fault) => /rules\.yaml:(\d+):\d+: \w/.exec(fault)?.[1]),
    ['1', '3', '3', '3', '3'],
  );
});

test('rules that come to need the labels of namespaces make /ready count them, and those that no longer do, not', async (t) => {
  const namespaces = { refusal: undefined, labelsOf: () => ({ team: 'a' }) };
  const service = await startForwardAuth(t, { pods: [web], rules: rulesFor('shop/default'), namespaces });
  assert.deepEqual(service.asked, []);
  const byLabel =
    'rules:\n  - name: a\n    match: {}\n    allow: [{ namespaceSelector: { matchLabels: { team: a } } }]\n';
  writeFileSync(service.rulesFile, byLabel);
  await service.look();
  assert.deepEqual(service.asked, [true]);
  assert.equal(await statusOf(service), 200);
  writeFileSync(service.rulesFile, rulesFor('shop/default'));
  await service.look();
  assert.deepEqual(service.asked, [true, false]);
});

test('wrong at start, all files are told of at once, as wrong settings are', async (t) => {
  const rules = 'rules:\n  - name: a\n    match: {}\n    allow: []\n  - name: a\n    match: {}\n    allow: [{}]\n';
  await assert.rejects(startForwardAuth(t, { rules, keys: 'hunter2' }), (error: Error) => {
    assert.equal(error.name, 'SettingsError');
    assert.match(error.message, /FORWARD_AUTH_RULES .*\n.*rules\.yaml:4:\d+: .*\n.*rules\.yaml:5:\d+: /);
    assert.match(error.message, /FORWARD_AUTH_TOKEN_KEY_FILE .*no "PRIVATE KEY"/);
    assert.doesNotMatch(error.message, /hunter2/);
    return true;
  });
  const environment = { FORWARD_AUTH_RULES: '/nowhere/rules.yaml' };
  await assert.rejects(startForwardAuth(t, { environment }), /FORWARD_AUTH_RULES .*ENOENT/s);
});

test('a back end verifies the token by the published keys, through a change of keys', async (t) => {
  const [old, next] = [newKey(), newKey()];
  const service = await startForwardAuth(t, {
    pods: [web],
    keys: old,
    environment: { FORWARD_AUTH_DEFAULT: 'identify' },
  });
  const token = async (): Promise<string> =>
    (await ask(service.port, '/authorize', { headers: ['X-Forwarded-For: 10.0.0.1'] })).headers.get('x-pod-token') ??
    '';
  // A back end that has just started, so that nothing is verified from memory.
  const verify = async (text: string): Promise<string | undefined> => {
    const keys = createRemoteJWKSet(new URL('/.well-known/jwks.json', service.url));
    const options = {
      issuer: 'podwhois',
      audience: 'shop',
      currentDate: new Date(service.time.wall),
      algorithms: ['EdDSA'],
    };
    const { payload } = await jwtVerify(text, keys, options);
    return (payload['pod'] as Record<string, string>)['service_account'];
  };
  const first = await token();
  assert.equal(await verify(first), 'shop/default');
  writeFileSync(service.keysFile, old + next);
  await service.look();
  assert.equal(decodeProtectedHeader(await token()).kid, decodeProtectedHeader(first).kid, 'the first one signs');
  writeFileSync(service.keysFile, next + old);
  await service.look();
  const second = await token();
  assert.notEqual(decodeProtectedHeader(second).kid, decodeProtectedHeader(first).kid);
  writeFileSync(service.keysFile, next);
  await service.look();
  assert.equal(await verify(first), 'shop/default', 'it was signed with a key that has left the file');
  assert.equal(await verify(second), 'shop/default');
  writeFileSync(service.keysFile, 'broken');
  await service.look();
  assert.equal(await verify(await token()), 'shop/default');
  assert.match(await service.metrics.text(), /forward_auth_file_valid\{file="keys"\} 0/);
  assert.doesNotMatch(service.logged.join(''), /PRIVATE KEY-|MC4CAQ/);
  service.clock.advance(OVERLAP_MS);
  await assert.rejects(verify(first), { code: 'ERR_JWKS_NO_MATCHING_KEY' });
  service.time.wall = NOON + 60_000;
  await assert.rejects(verify(second), { code: 'ERR_JWT_EXPIRED' });
});

test('E3: a token that cannot be signed lets nobody pass, and counts as nothing else', async (t) => {
  const service = await startForwardAuth(t, {
    pods: [web],
    keys: newKey(),
    environment: { FORWARD_AUTH_DEFAULT: 'identify' },
  });
  service.time.wall = NaN;
  assert.equal(await statusOf(service), 500);
  assert.match(await service.metrics.text(), /preflights_total\{outcome="internal_error",rule=""\} 1/);
  assert.doesNotMatch(await service.metrics.text(), /outcome="allowed"/);
  service.time.wall = NOON;
  assert.equal(await statusOf(service), 200);
  assert.match(await service.metrics.text(), /preflights_total\{outcome="allowed",rule=""\} 1/);
});

test('a caller that is no pod gets no token, and the header is there all the same', async (t) => {
  const rules = 'rules:\n  - name: office\n    match: {}\n    allow: [{ ipBlock: { cidr: 203.0.113.0/24 } }]\n';
  const { port } = await startForwardAuth(t, { rules, keys: newKey() });
  const { status, headers } = await ask(port, '/authorize', { headers: ['X-Forwarded-For: 203.0.113.1'] });
  assert.deepEqual([status, headers.get('x-pod-token')], [200, '-']);
});
