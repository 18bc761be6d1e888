import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ERRORS } from '../../../src/errors.ts';
import { PRESET_NAMES } from '../../../src/http/forward-auth/presets.ts';
import type { PresetName } from '../../../src/http/forward-auth/presets.ts';
import { DENIALS } from '../../../src/http/forward-auth/verdict.ts';
import type { DenyReason } from '../../../src/http/forward-auth/verdict.ts';
import { makePod } from '../support/pods.ts';
import { ask } from '../support/raw.ts';
import { NOON, startForwardAuth } from './support/forward-auth.ts';
import type { ForwardAuth, Options } from './support/forward-auth.ts';
import { preflightOf } from './support/proxies.ts';
import type { Held } from './support/proxies.ts';

/** A request that is denied for one reason, and would pass without what is said here. */
interface Case extends Held, Pick<Options, 'environment' | 'limits'> {
  readonly enter?: (service: ForwardAuth) => void;
  /** The presets under which it cannot come about. */
  readonly except?: readonly PresetName[];
}

const SECRET_RULE = 'secret rule';

const RULES = `
rules:
  - name: ${SECRET_RULE}
    match: { path: /shop/** }
    allow: [{ serviceAccount: shop/cart }]
  - name: by labels
    match: { path: /labels }
    allow: [{ namespaceSelector: {} }]
`;

const SHOP = { namespace: 'shop', serviceAccount: 'cart' };

const PODS = [
  makePod('web', { ...SHOP, podIps: ['10.0.0.1'] }),
  makePod('stranger', { namespace: 'other', podIps: ['10.0.0.2'] }),
  makePod('agent', { ...SHOP, podIps: ['10.0.0.3'], hostNetwork: true, hostIps: ['10.0.0.9'] }),
  makePod('job', { ...SHOP, podIps: ['10.0.0.4'], phase: 'Succeeded' }),
  makePod('twin-a', { ...SHOP, podIps: ['10.0.0.5'] }),
  makePod('twin-b', { ...SHOP, podIps: ['10.0.0.5'] }),
  makePod('late', { ...SHOP, podIps: ['10.0.0.6'], deletionTimestamp: NOON - 30_001 }),
  makePod('far', { ...SHOP, podIps: ['11.0.0.1'] }),
  makePod('odd', { ...SHOP, podIps: ['10.0.0.7'], nodeName: 'n'.repeat(1025) }),
];

const CASES: Readonly<Record<DenyReason, Case>> = {
  'untrusted-proxy': { environment: { TRUSTED_PROXIES: '192.0.2.1' } },
  'missing-header': { client: undefined },
  'invalid-address': { client: '10.0.0.1:80' },
  'invalid-header': { headers: ['X_Forwarded_For: 10.0.0.1', 'X_Real_IP: 10.0.0.1'] },
  'invalid-query': { query: 'namespaces=shop', except: ['envoy'] },
  'caller-query': { query: 'namespace=shop', uri: '/shop/a?namespace=shop', except: ['envoy'] },
  'unsafe-path': { uri: '/shop/../admin' },
  'unknown-request': { uri: undefined },
  'no-pod': { client: '10.0.9.9' },
  'host-network': { client: '10.0.0.3' },
  node: { client: '192.168.0.1' },
  terminal: { client: '10.0.0.4' },
  'outside-cluster-cidr': { client: '11.0.0.1', environment: { CLUSTER_CIDR: '10.0.0.0/8' } },
  'not-in-view': { client: '10.0.9.9', environment: { NAMESPACE: 'shop', FORWARD_AUTH_PARTIAL_VIEW: 'true' } },
  ambiguous: { client: '10.0.0.5' },
  terminating: { client: '10.0.0.6' },
  'no-rule': { uri: '/elsewhere' },
  'not-allowed': { client: '10.0.0.2' },
  unsendable: { client: '10.0.0.7' },
  'unknown-namespace': { uri: '/labels' },
  not_synced: { enter: ({ source }) => (source.synced = false) },
  stale: { enter: ({ source }) => (source.age = 300_001) },
  unreadable: {
    enter: ({ index }) =>
      index.slice().setAside({ key: 'k', namespace: 'a', name: 'b', ips: ['10.0.0.1'], reason: 'planted' }),
  },
  overloaded: { client: '10.0.9.9', environment: { FORWARD_AUTH_WAIT: '1s' }, limits: { maxWaiters: 0 } },
};

const NAMESPACES = { refusal: undefined, labelsOf: () => undefined };

const FINE: Held = { client: '10.0.0.1', host: 'shop.example', method: 'POST', uri: '/shop/cart?a=b' };

const start = async (
  t: Parameters<typeof startForwardAuth>[0],
  preset: PresetName | undefined,
  more: Case,
): Promise<ForwardAuth> =>
  await startForwardAuth(t, {
    rules: RULES,
    pods: PODS,
    namespaces: NAMESPACES,
    limits: more.limits ?? {},
    environment: { ...(preset && { FORWARD_AUTH_PRESET: preset }), ...more.environment },
  });

for (const preset of [undefined, ...PRESET_NAMES]) {
  test(`E2: with the preset ${preset ?? 'unset'} each reason has its status, and only what is allowed is 2xx`, async (t) => {
    for (const [reason, more] of Object.entries(CASES) as [DenyReason, Case][]) {
      if (preset && more.except?.includes(preset)) continue;
      const service = await start(t, preset, more);
      more.enter?.(service);
      const { method, path, headers } = preflightOf(preset, { ...FINE, ...more });
      const answer = await ask(service.port, path, { method, headers });
      const { code, meaning } = DENIALS[reason];
      const only403 = preset === 'nginx' || preset === 'ingress-nginx' || preset === 'envoy';
      const status = only403 ? 403 : ERRORS[code].status;
      assert.equal(answer.status, status, `${reason}: ${answer.body}`);
      assert.deepEqual(
        { ...answer.json, error: '' },
        { statusCode: status, code, error: '', message: meaning, reason },
      );
      assert.equal(answer.headers.get('retry-after'), status === 503 ? '1' : undefined, reason);
      assert.equal(answer.headers.get('cache-control'), 'no-store');
      assert.ok(answer.headers.has('x-podwhois-age'));
      assert.doesNotMatch(answer.head + answer.body, /secret rule|twin|x-pod-name|x-podwhois-reason/i, reason);
      const [, line] = service.logged.map((text) => JSON.parse(text) as Record<string, unknown>);
      assert.deepEqual([line?.['msg'], line?.['reason']], ['denied', reason]);
      const counted = await service.metrics.text();
      assert.match(counted, new RegExp(`^podwhois_preflights_total\\{outcome="${reason}",rule="[\\w ]*"\\} 1$`, 'm'));
      // Broken off here, so that hundreds of servers are not open at once.
      await service.server.close();
    }
  });

  test(`E2: with the preset ${preset ?? 'unset'} the same request passes when nothing is wrong`, async (t) => {
    const { port } = await start(t, preset, {});
    const { method, path, headers } = preflightOf(preset, FINE);
    const answer = await ask(port, path, { method, headers });
    assert.equal(answer.status, 200, answer.body);
    assert.equal(answer.headers.get('x-pod-name'), 'web');
  });
}
