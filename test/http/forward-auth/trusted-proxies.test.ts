import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseTrustedProxy, ProxyTrust } from '../../../src/http/forward-auth/trusted-proxies.ts';
import type { TrustedProxy } from '../../../src/http/forward-auth/trusted-proxies.ts';
import type { View } from '../../../src/index/answer.ts';
import { parseCidr } from '../../../src/index/ip-address.ts';
import type { Cidr } from '../../../src/index/ip-address.ts';
import { AT, NOW, SLACK, smallCluster, WHOLE } from './support/cluster.ts';

const index = smallCluster();

function trustedOf(entries: string, view: View = WHOLE, now = NOW): readonly string[] {
  const proxies = entries.split(',').map((entry) => parseTrustedProxy(entry) as TrustedProxy);
  assert.ok(proxies.every((proxy) => typeof proxy !== 'string'));
  const trust = new ProxyTrust(proxies, { index, view, terminatingSlackMs: SLACK });
  return Object.entries(AT)
    .filter(([, ip]) => trust.has(ip, now))
    .map(([name]) => name);
}

const TABLE: readonly (readonly [string, readonly (keyof typeof AT)[]])[] = [
  // Exactly this address, whoever has it.
  [AT.office, ['office']],
  [AT.vault, ['vault']],
  [`${AT.vault}/32`, ['vault']],
  [`::ffff:${AT.vault}`, ['vault']],
  [AT.twins, ['twins']],
  ['FD00:42:0::2', ['caddy6']],
  // A network: never a pod, nor what may be one.
  ['127.42.0.0/16', ['free']],
  ['127.0.0.0/8', ['hostNetwork', 'node', 'free', 'office']],
  ['127.42.1.10/31', []],
  ['127.42.1.8/31', []],
  ['127.168.0.0/24', ['hostNetwork', 'node']],
  ['127.113.0.0/24', ['office']],
  ['2001:db8::/32', ['office6']],
  ['fd00:42::/32', []],
  ['0.0.0.0/1', ['hostNetwork', 'node', 'free', 'office']],
  // Pods of a service account, in every family; not the one that should be gone, nor one on its node's network.
  ['pod:ingress/caddy', ['caddy', 'caddy6']],
  ['pod:shop/web', ['web', 'web6', 'leaving', 'claimed']],
  ['pod:bank/vault', ['vault']],
  ['pod:system/caddy', []],
  ['pod:ingress/web', []],
  ['pod:shop/caddy', []],
  ['pod:ingress/caddy,127.42.0.0/16,127.113.0.7', ['caddy', 'caddy6', 'free', 'office']],
];

for (const [entries, expected] of TABLE) {
  test(`E1 TRUSTED_PROXIES=${entries} trusts ${expected.join(', ') || 'nobody'}`, () => {
    assert.deepEqual(trustedOf(entries), expected);
  });
}

test('E1 with part of the pods in view a network trusts only what is known to be a node', () => {
  const partly: View = { partial: true, clusterCidrs: [] };
  assert.deepEqual(trustedOf('127.42.0.0/16,127.113.0.0/24,127.168.0.0/24', partly), ['hostNetwork', 'node']);
});

test('E1 a network outside of CLUSTER_CIDR trusts what is in it, but a pod that says it has such an address', () => {
  const view: View = { partial: false, clusterCidrs: [parseCidr('127.42.0.0/16') as Cidr] };
  assert.deepEqual(trustedOf('127.113.0.0/24,127.168.0.0/24', view), ['hostNetwork', 'node', 'office']);
  // Nor is that pod believed to be one of its service account.
  assert.deepEqual(trustedOf('pod:shop/web', view), ['web', 'leaving']);
});

test('E1 A5 a proxy that should be gone is no proxy any more', () => {
  assert.deepEqual(trustedOf('pod:shop/web', WHOLE, NOW + 1), ['web', 'web6', 'claimed']);
});
