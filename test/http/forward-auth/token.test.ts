import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { test } from 'node:test';
import { calculateJwkThumbprint, createLocalJWKSet, decodeProtectedHeader, jwtVerify } from 'jose';
import { KeyRing, OVERLAP_MS, readSigningKeys } from '../../../src/http/forward-auth/signing-keys.ts';
import { LIFE, Tokens } from '../../../src/http/forward-auth/token.ts';
import { makePod } from '../support/pods.ts';
import { newKey } from './support/keys.ts';

const IDENTITY = {
  ip: '10.0.0.1',
  headers: [],
  values: ['web-1', 'shop', 'uid-web-1', '10.0.0.1', 'worker-1', 'shop/cart', 'shop/Deployment/web'],
};
const NOON = Date.UTC(2026, 10, 25, 12);

async function tokens(pem = newKey()): Promise<{ tokens: Tokens; keys: KeyRing; clock: { wall: number } }> {
  const clock = { wall: NOON };
  const keys = new KeyRing(readSigningKeys(pem));
  const options = { keys, issuer: 'podwhois', audience: 'shop', wall: () => clock.wall };
  return { tokens: new Tokens(options), keys, clock };
}

test('a token says who calls, for whom, and for a minute', async () => {
  const { tokens: issuer, keys } = await tokens();
  const token = await issuer.of(makePod('web-1'), IDENTITY);
  const verified = await jwtVerify(token, createLocalJWKSet({ keys: [...keys.published(0).keys] }), {
    issuer: 'podwhois',
    audience: 'shop',
    currentDate: new Date(NOON),
  });
  assert.deepEqual(verified.protectedHeader, { alg: 'EdDSA', typ: 'JWT', kid: keys.first.kid });
  assert.deepEqual(verified.payload, {
    iss: 'podwhois',
    aud: 'shop',
    sub: 'pod:uid-web-1',
    iat: NOON / 1000,
    exp: NOON / 1000 + 60,
    pod: {
      name: 'web-1',
      namespace: 'shop',
      uid: 'uid-web-1',
      ip: '10.0.0.1',
      node: 'worker-1',
      service_account: 'shop/cart',
      workload: 'shop/Deployment/web',
    },
  });
});

test('a token is used again while half of its life is left, for the same record and key only', async () => {
  const { tokens: issuer, keys, clock } = await tokens();
  const pod = makePod('web-1');
  const first = await issuer.of(pod, IDENTITY);
  assert.equal(issuer.of(pod, IDENTITY), first, 'at once, without a promise');
  clock.wall += (LIFE / 2) * 1000;
  assert.equal(await issuer.of(pod, IDENTITY), first);
  clock.wall += 1000;
  const second = await issuer.of(pod, IDENTITY);
  assert.notEqual(second, first);
  clock.wall = NOON;
  assert.notEqual(await issuer.of(pod, IDENTITY), second, 'a clock that was set back: not valid yet');
  clock.wall += 1000;
  const before = await issuer.of(pod, IDENTITY);
  assert.notEqual(await issuer.of(makePod('web-1'), IDENTITY), before, 'another record');
  keys.replace(readSigningKeys(newKey()), 0);
  assert.equal(decodeProtectedHeader(await issuer.of(pod, IDENTITY)).kid, keys.first.kid);
});

test('those who ask at once share one signature', async () => {
  const { tokens: issuer } = await tokens();
  const pod = makePod('web-1');
  const both = [issuer.of(pod, IDENTITY), issuer.of(pod, IDENTITY)];
  assert.equal(both[0], both[1]);
  assert.equal(await both[0], issuer.of(pod, IDENTITY));
});

test('the first key signs, all are published by their thumbprint, and none with its private half', async () => {
  const keys = readSigningKeys(`# the new one comes later\n${newKey()}\n${newKey()}`);
  const published = new KeyRing(keys).published(0);
  assert.equal(published.keys.length, 2);
  for (const jwk of published.keys) {
    assert.deepEqual(Object.keys(jwk).sort(), ['alg', 'crv', 'kid', 'kty', 'use', 'x']);
    assert.equal(jwk.kid, await calculateJwkThumbprint(jwk));
  }
  assert.equal(published.keys[0]?.kid, keys[0].kid);
});

test('a key that left the file stays published for the overlap, and one that came back is published once', async () => {
  const [a, b] = [readSigningKeys(newKey()), readSigningKeys(newKey())];
  const ring = new KeyRing(a);
  const kids = (now: number): (string | undefined)[] => ring.published(now).keys.map(({ kid }) => kid);
  ring.replace(b, 1000);
  assert.deepEqual(kids(1000 + OVERLAP_MS - 1), [b[0].kid, a[0].kid]);
  assert.deepEqual(kids(1000 + OVERLAP_MS), [b[0].kid]);
  ring.replace(a, 2000);
  assert.deepEqual(kids(2000), [a[0].kid, b[0].kid]);
});

test('a file of keys that is wrong is refused with the reason, and without its text', async () => {
  const rsa = generateKeyPairSync('rsa', {
    modulusLength: 2048,
    publicKeyEncoding: { format: 'pem', type: 'spki' },
    privateKeyEncoding: { format: 'pem', type: 'pkcs8' },
  });
  const good = newKey();
  for (const [pem, reason] of [
    ['', /no "PRIVATE KEY"/],
    ['hunter2', /no "PRIVATE KEY"/],
    [rsa.privateKey, /block 1 is rsa, not Ed25519/],
    [`${good}${rsa.publicKey}`, /block 2 is a "PUBLIC KEY"/],
    [good.replace(/\n-----END.*/, ''), /no end/],
    ['-----BEGIN PRIVATE KEY-----\naHVudGVyMg==\n-----END PRIVATE KEY-----', /block 1 is not a private key/],
    [good + good, /a key twice/],
    [Array.from({ length: 17 }, newKey).join(''), /more than 16/],
  ] as const) {
    assert.throws(
      () => readSigningKeys(pem),
      (error: Error) => {
        assert.match(error.message, reason);
        assert.doesNotMatch(error.message, /hunter2|aHVudGVyMg|MC4C/);
        return true;
      },
    );
  }
});
