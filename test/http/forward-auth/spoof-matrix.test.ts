import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { connect } from 'node:net';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { test } from 'node:test';
import { array, assert as check, constantFrom, oneof, property, record, stringMatching, tuple } from 'fast-check';
import { callerOf } from '../../../src/http/forward-auth/caller.ts';
import type { ClientAddresses, PreflightRequest } from '../../../src/http/forward-auth/client-address.ts';
import { PRESET_NAMES, presetOf } from '../../../src/http/forward-auth/presets.ts';
import { addressesFor, preflightOf } from './support/asking.ts';
import type { Sent, Settings } from './support/asking.ts';
import { AT, NOW, SLACK, smallCluster, WHOLE } from './support/cluster.ts';
import { oracle } from './support/oracle.ts';
import { overSocket, spoofCases } from './support/spoof-matrix.ts';

const index = smallCluster();
const made = new Map<string, ClientAddresses>();

const told = (settings: Settings, sent: Sent): string => decided(settings, preflightOf(sent));

/** As the oracle says it. */
function decided(settings: Settings, preflight: PreflightRequest): string {
  const key = JSON.stringify([
    settings.trusted,
    settings.preset,
    settings.clientIpHeader,
    settings.identityHeaders,
    settings.view,
  ]);
  const addresses = made.get(key) ?? addressesFor(settings, index);
  made.set(key, addresses);
  const client = addresses.of(preflight, NOW);
  if ('allow' in client) return client.reason;
  const found = callerOf(client.ip, { index, view: settings.view ?? WHOLE, terminatingSlackMs: SLACK }, NOW);
  const { host = '-', method = '-', uri = '-' } = client.facts;
  const who =
    'allow' in found
      ? `denied ${found.reason}`
      : found.kind === 'pod'
        ? `${found.pod.namespace}/${found.pod.name}`
        : found.reason;
  return `${client.ip} → ${who} [${host} ${method} ${uri}]`;
}

/** Writing down what was asked takes longer than asking. */
function same(actual: string, expected: string, name: string, asked: object): void {
  if (actual !== expected) assert.equal(actual, expected, `${name}: ${JSON.stringify(asked)}`);
}

const cases = [...spoofCases()];

test('E1 E5 E8 the spoof matrix: every case is decided as the rules say', () => {
  const outcomes = new Map<string, number>();
  for (const { name, settings, sent } of cases) {
    const expected = oracle(settings, sent);
    same(told(settings, sent), expected, name, { settings, sent });
    const kind = expected.replace(/^.* → /, '').replace(/ \[.*$/, '');
    outcomes.set(kind, (outcomes.get(kind) ?? 0) + 1);
  }
  assert.ok(cases.length >= 2_000);
  // It is a matrix of something: all that can be decided here is.
  const kinds =
    'untrusted-proxy missing-header invalid-address invalid-header shop/web-1 bank/vault-1 shop/web-2 ingress/caddy-1 no-pod node host-network';
  const denied = 'ambiguous terminating terminal unreadable not-in-view outside-cluster-cidr';
  for (const kind of [...kinds.split(' '), ...denied.split(' ').map((reason) => `denied ${reason}`)]) {
    assert.ok((outcomes.get(kind) ?? 0) >= 10, `${kind}: ${outcomes.get(kind)}`);
  }
});

test('E1 behind a proxy that tells the real address nothing that the caller forges changes who he is', () => {
  let compared = 0;
  for (const { name, settings, sent, honest } of cases) {
    if (honest === undefined) continue;
    const without = told(settings, honest);
    const client = /^(\S+) → /.exec(without)?.[1];
    // A trusted address may say who is to the left of it.
    if (client === undefined || client === AT.vault) continue;
    const forged = told(settings, sent);
    if (forged === 'invalid-header') continue;
    compared++;
    same(forged, without, name, { settings, sent });
  }
  assert.ok(compared >= 2_000, `${compared}`);
});

test('E1 E5 what comes over a real socket is decided like what was sent', async (t) => {
  let asked: (typeof cases)[number] | undefined;
  const server = createServer((request, response) => {
    assert.ok(asked);
    response.end(decided(asked.settings, request));
  });
  t.after(() => server.close());
  // On ::, where there is IPv6, every IPv4 peer is a mapped one.
  await new Promise<void>((resolve) => server.listen(0, resolve));
  const { port } = server.address() as AddressInfo;
  let sent = 0;
  for (const [i, one] of cases.entries()) {
    const socket = i % 101 === 0 ? overSocket(one) : undefined;
    if (socket === undefined) continue;
    asked = one;
    sent++;
    const connection = connect({ port, host: '127.0.0.1', localAddress: socket.from });
    connection.write(socket.bytes);
    const answer = await text(connection);
    assert.equal(answer.split('\r\n\r\n')[1], told(one.settings, one.sent), one.name);
  }
  assert.ok(sent >= 200, `${sent}`);
});

/** Texts that HTTP lets stand in a header. */
const value = oneof(
  constantFrom<string>(...Object.values(AT)),
  constantFrom(`${AT.vault}, ${AT.web}`, `::ffff:${AT.vault}`, `[${AT.web6}]:80`, '', ',', ' , ', `for="${AT.vault}"`),
  stringMatching(/^[\t\x20-\x7e\x80-\xff]{0,40}$/),
  array(constantFrom<string>(...Object.values(AT), '', 'x', ' '), { maxLength: 30 }).map((parts) => parts.join(',')),
);
const name = oneof(
  constantFrom(
    'X-Forwarded-For',
    'x-forwarded-for',
    'X-FORWARDED-FOR',
    'X_Forwarded_For',
    'X-Real-IP',
    'x-real-ip',
    'X_Real_IP',
  ),
  constantFrom(
    'Forwarded',
    'Host',
    'X-Forwarded-Host',
    'X-Forwarded-Uri',
    'X-Original-URL',
    'X-Original-URI',
    'X-Original-Method',
  ),
  stringMatching(/^[-_.A-Za-z0-9!#$%&'*+^`|~]{1,24}$/),
);
const headers = array(tuple(name, value), { maxLength: 8 });
const settings = record({
  trusted: constantFrom(AT.caddy, 'pod:ingress/caddy', `127.42.0.0/16,${AT.caddy}`, 'fd00::/8,pod:ingress/caddy'),
  preset: constantFrom(undefined, ...PRESET_NAMES),
  clientIpHeader: constantFrom(undefined, undefined, 'X-Forwarded-For', 'X-Real-IP', 'X-Client'),
});

test('E1 E8 no header makes a caller who is not trusted anybody but himself, or a denial', () => {
  check(
    property(
      settings,
      constantFrom(AT.web, AT.vault, AT.web6, `::ffff:${AT.web}`, AT.office, AT.twins),
      headers,
      (set, from, sent) => {
        const client = addressesFor(set, index).of(preflightOf({ from, headers: sent, url: '/authorize/x' }), NOW);
        if ('allow' in client) return;
        assert.equal(client.ip, from.replace('::ffff:', ''));
        assert.deepEqual(client.facts, { host: undefined, method: undefined, uri: undefined });
      },
    ),
    { numRuns: 10_000 },
  );
});

test('E1 nothing to the left of the address that a trusted proxy appended changes who the caller is', () => {
  const real = constantFrom(AT.web, AT.vault, AT.web6, AT.twins, AT.gone, AT.done, AT.office);
  check(
    property(settings, real, array(value, { maxLength: 4 }), value, (set, ip, lines, left) => {
      const header = set.clientIpHeader ?? presetOf(set.preset).client;
      const as = (...values: string[]): string =>
        told({ ...set, view: WHOLE }, { from: AT.caddy, headers: values.map((one) => [header, one]) });
      const alone = as(ip);
      assert.ok(alone.startsWith(`${ip} → `), alone);
      assert.equal(as(...lines, ip), alone);
      assert.equal(as(...lines, `${left},${ip}`), alone);
      assert.equal(as(...lines, `${left}, ${ip} `), alone);
      assert.equal(as(...lines, left, `${ip},\t${AT.caddy}`), alone);
    }),
    { numRuns: 5_000 },
  );
});
