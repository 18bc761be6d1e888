import assert from 'node:assert/strict';
import { test } from 'node:test';
import { assert as check, property, string, stringMatching } from 'fast-check';
import { bareLength, bareName, hasBareName } from '../../../src/http/forward-auth/header-names.ts';
import { PRESET_NAMES, presetOf } from '../../../src/http/forward-auth/presets.ts';
import type { PresetName } from '../../../src/http/forward-auth/presets.ts';
import { AT } from './support/cluster.ts';
import { clientOf } from './support/asking.ts';
import type { Sent } from './support/asking.ts';

/** `host method uri` as a trusted proxy tells them, `-` for what it does not; or the reason of the denial. */
function told(preset: PresetName | undefined, sent: Partial<Sent>): string {
  const { headers = [], ...request } = sent;
  const client = clientOf(
    { trusted: AT.caddy, preset },
    { from: AT.caddy, headers: [[presetOf(preset).client, AT.web], ...headers], ...request },
  );
  if ('allow' in client) return client.reason;
  assert.equal(client.ip, AT.web);
  const { host = '-', method = '-', uri = '-' } = client.facts;
  return `${host} ${method} ${uri}`;
}

const FORWARDED = [
  ['Host', 'podwhois:8080'],
  ['X-Forwarded-Host', 'shop.example:8443'],
  ['X-Forwarded-Method', 'POST'],
  ['X-Forwarded-Uri', '/fn/a?b=c'],
  ['X-Original-URI', '/forged'],
  ['X-Original-Method', 'PUT'],
] as const;

for (const preset of [undefined, 'caddy', 'traefik'] as const) {
  test(`E7 ${preset ?? 'no preset'}: host, method and URI are those of X-Forwarded-*`, () => {
    assert.equal(told(preset, { headers: FORWARDED }), 'shop.example:8443 POST /fn/a?b=c');
    assert.equal(told(preset, { headers: [['x-forwarded-uri', '/a']] }), '- - /a');
    assert.equal(told(preset, { headers: [['X-Forwarded-Host', '']] }), '- - -');
    assert.equal(told(preset, {}), '- - -');
  });
}

test('E7 nginx: host, method and URI as its page has them sent', () => {
  const headers = [
    ['Host', 'shop.example'],
    ['X-Original-Method', 'POST'],
    ['X-Original-URI', '/fn/a?b=c'],
    ['X-Forwarded-Host', 'forged'],
    ['X-Forwarded-Uri', '/forged'],
    ['X-Forwarded-Method', 'GET'],
  ] as const;
  assert.equal(told('nginx', { headers }), 'shop.example POST /fn/a?b=c');
  assert.equal(told('nginx', { headers: [['Host', 'a']] }), 'a - -');
});

test('E7 ingress-nginx: the URI is taken out of X-Original-URL; the host in it is what the caller wrote', () => {
  const table: readonly (readonly [string, string])[] = [
    ['http://shop.example/fn/a?b=c', '- POST /fn/a?b=c'],
    ['https://shop.example:8443/', '- POST /'],
    ['http://[fd00::1]:80/a', '- POST /a'],
    ['http://a_b.example./a', '- POST /a'],
    ['http://a//b/../c', '- POST //b/../c'],
    ['http://a/http://b/c', '- POST /http://b/c'],
    ['http:///c', '- POST /c'],
    ['', '- POST -'],
    // nginx lets all of these pass in a Host header. The first is also what it makes of `GET http://a?b/c HTTP/1.1`, whose path is `/`.
    ['http://a?b/c', 'invalid-header'],
    ['http://a#b/c', 'invalid-header'],
    ['http://u:p@a/c', 'invalid-header'],
    ['http://a\\b/c', 'invalid-header'],
    ['http://a%2f/c', 'invalid-header'],
    ['http://a,b/c', 'invalid-header'],
    ['http://a"b/c', 'invalid-header'],
    ['/c', 'invalid-header'],
    ['a/c', 'invalid-header'],
    ['http://a', 'invalid-header'],
    ['http:/a/b', 'invalid-header'],
    ['HTTP://a/b', 'invalid-header'],
    ['ftp://a/b', 'invalid-header'],
    [' http://a/b', 'invalid-header'],
  ];
  for (const [url, expected] of table) {
    const headers = [
      ['X-Original-URL', url],
      ['X-Original-Method', 'POST'],
      ['X-Original-URI', '/forged'],
      ['Host', 'auth'],
    ] as const;
    assert.equal(told('ingress-nginx', { headers }), expected, url);
  }
  assert.equal(told('ingress-nginx', {}), '- - -');
});

test("E7 Envoy: the request's own method and host, and its path behind /authorize", () => {
  const table: readonly (readonly [string, string])[] = [
    ['/authorize/fn/a?b=c', '/fn/a?b=c'],
    ['/authorize/', '/'],
    ['/authorize', '-'],
    ['/authorize//fn', '//fn'],
    ['/authorize/authorize/x', '/authorize/x'],
    ['/authorize*', '*'],
    ['/authorize?x=/y', '?x=/y'],
    ['/auth/x', '-'],
    ['/AUTHORIZE/x', '-'],
    ['http://podwhois/authorize/x', '-'],
  ];
  for (const [url, uri] of table) {
    const headers = [
      ['Host', 'shop.example'],
      ['X-Forwarded-Uri', '/forged'],
      ['X-Original-Method', 'PUT'],
    ] as const;
    assert.equal(told('envoy', { headers, method: 'DELETE', url }), `shop.example DELETE ${uri}`, url);
  }
});

test('E7 what one preset believes, another does not read', () => {
  for (const preset of PRESET_NAMES) {
    for (const other of PRESET_NAMES) {
      const { host, method, uri } = presetOf(other);
      const own = Object.values(presetOf(preset));
      const foreign = [host, method, uri].filter((name) => name !== undefined && !own.includes(name)) as string[];
      const plain = told(preset, { url: '/auth' });
      assert.equal(
        told(preset, { url: '/auth', headers: foreign.map((name) => [name, 'http://forged/'] as const) }),
        plain,
      );
    }
  }
});

test('E2 nginx and Envoy understand nothing but 403 as a denial', () => {
  assert.deepEqual(
    PRESET_NAMES.filter((name) => presetOf(name).only403),
    ['nginx', 'ingress-nginx', 'envoy'],
  );
  assert.equal(presetOf(undefined).only403, false);
});

test('E5 two names are alike when the same letters and digits are left, without their case', () => {
  const name = stringMatching(/^[-_.!#$%&'*+^`|~XxFfOoRrAaZz019]{0,12}$/);
  check(
    property(name, name, (one, other) => {
      assert.equal(hasBareName(one, bareName(other)), bareName(one) === bareName(other), `${one} ${other}`);
      assert.ok(hasBareName(one, bareName(one)));
      assert.equal(bareLength(one), bareName(one).length);
    }),
    { numRuns: 5_000 },
  );
  check(
    property(string(), (text) =>
      assert.equal(
        hasBareName(text, 'xforwardedfor'),
        text.toLowerCase().replace(/[^a-z0-9]/g, '') === 'xforwardedfor',
      ),
    ),
  );
});
