import assert from 'node:assert/strict';
import { test } from 'node:test';
import { allowing, namespacesOf, outcome, outsider, podCaller } from './policy-question.ts';
import type { Asked } from './policy-question.ts';

/** What NetworkPolicy's documentation says of peers, each by name. */

const namespaces = namespacesOf({ shop: { team: 'a' }, bank: { team: 'b', vault: '' }, bare: {} });

const can = (allow: readonly object[], caller: Asked['caller'], rule: object = {}): string =>
  outcome({ policy: allowing(allow, rule), caller, namespaces });

const web = podCaller({ namespace: 'shop', labels: { app: 'web', tier: 'front' }, serviceAccount: 'web' });
const plain = podCaller({ namespace: 'bare', labels: {} });
const teller = podCaller({ namespace: 'bank', labels: { app: 'teller' } });

test("E6 an empty podSelector selects every pod of the rule's namespace, and no other", () => {
  const empty = [{ podSelector: {} }];
  assert.equal(can(empty, web, { namespace: 'shop' }), 'allow');
  assert.equal(can(empty, plain, { namespace: 'bare' }), 'allow');
  assert.equal(can(empty, teller, { namespace: 'shop' }), 'not-allowed');
});

test("E6 a missing namespaceSelector means the rule's own namespace, not all", () => {
  const peer = [{ podSelector: { matchLabels: { app: 'web' } } }];
  assert.equal(can(peer, web, { namespace: 'shop' }), 'allow');
  assert.equal(
    can(peer, podCaller({ namespace: 'bank', labels: { app: 'web' } }), { namespace: 'shop' }),
    'not-allowed',
  );
});

test('E6 an empty namespaceSelector selects all namespaces', () => {
  for (const caller of [web, plain, teller]) assert.equal(can([{ namespaceSelector: {} }], caller), 'allow');
});

test('E6 a missing podSelector means all pods of the namespaces selected', () => {
  const peer = [{ namespaceSelector: { matchLabels: { team: 'a' } } }];
  assert.deepEqual([web, plain, teller].map((caller) => can(peer, caller)), ['allow', 'not-allowed', 'not-allowed']); // prettier-ignore
});

test('E6 namespaceSelector and podSelector in one peer must both hold', () => {
  const peer = [{ namespaceSelector: { matchLabels: { team: 'a' } }, podSelector: { matchLabels: { app: 'web' } } }];
  assert.equal(can(peer, web), 'allow');
  assert.equal(can(peer, podCaller({ namespace: 'shop', labels: { app: 'db' } })), 'not-allowed');
  assert.equal(can(peer, podCaller({ namespace: 'bank', labels: { app: 'web' } })), 'not-allowed');
});

test('E6 two peers are two ways in: either will do', () => {
  const peers = [
    { namespaceSelector: { matchLabels: { team: 'b' } } },
    { podSelector: { matchLabels: { app: 'web' } } },
  ];
  const rule = { namespace: 'shop' };
  assert.equal(can(peers, web, rule), 'allow');
  assert.equal(can(peers, teller, rule), 'allow');
  assert.equal(can(peers, podCaller({ namespace: 'shop', labels: { app: 'db' } }), rule), 'not-allowed');
});

test('E6 an ipBlock is the addresses of cidr but for those of except', () => {
  const peer = [{ ipBlock: { cidr: '203.0.113.0/24', except: ['203.0.113.64/26', '203.0.113.7/32'] } }];
  for (const ip of ['203.0.113.0', '203.0.113.6', '203.0.113.8', '203.0.113.63', '203.0.113.128', '203.0.113.255']) {
    assert.equal(can(peer, outsider(ip)), 'allow', ip);
  }
  for (const ip of [
    '203.0.112.255',
    '203.0.114.0',
    '203.0.113.7',
    '203.0.113.64',
    '203.0.113.127',
    '2001:db8::1',
    '::cb00:7101',
  ]) {
    assert.equal(can(peer, outsider(ip)), 'no-pod', ip);
  }
});

test('E6 an IPv6 ipBlock, and a mapped one, which is an IPv4 one', () => {
  const six = [{ ipBlock: { cidr: '2001:db8::/32', except: ['2001:db8:1::/48'] } }];
  assert.equal(can(six, outsider('2001:db8::1')), 'allow');
  assert.equal(can(six, outsider('2001:db8:1::1')), 'no-pod');
  assert.equal(can(six, outsider('2001:db9::1')), 'no-pod');
  assert.equal(can([{ ipBlock: { cidr: '::/0' } }], outsider('10.0.0.1')), 'no-pod');
  assert.equal(can([{ ipBlock: { cidr: '::ffff:192.0.2.0/120' } }], outsider('192.0.2.9')), 'allow');
});

test('E6 an ipBlock never matches a pod, whatever its address', () => {
  const everything = [{ ipBlock: { cidr: '0.0.0.0/0' } }, { ipBlock: { cidr: '::/0' } }];
  assert.equal(can(everything, web), 'not-allowed');
  assert.equal(can(everything, { ...web, ip: '2001:db8::1' }), 'not-allowed');
});

test('E6 who is no pod passes by an ipBlock only, and otherwise is told what it is', () => {
  for (const reason of ['no-pod', 'node', 'host-network'] as const) {
    const caller = outsider('192.0.2.1', reason);
    assert.equal(can([{ namespaceSelector: {} }], caller), reason);
    assert.equal(can([{ podSelector: {} }], caller, { namespace: 'shop' }), reason);
    assert.equal(can([{ serviceAccount: 'shop/web' }], caller), reason);
    assert.equal(can([{ ipBlock: { cidr: '192.0.2.0/24' } }], caller), 'allow');
  }
});

const expressions: Readonly<Record<string, readonly [object, readonly (readonly [Record<string, string>, boolean])[]]>> = {
  'In holds for one of the values, and not where the key is absent': [
    { key: 'app', operator: 'In', values: ['web', 'api'] },
    [[{ app: 'web' }, true], [{ app: 'api' }, true], [{ app: 'db' }, false], [{ app: '' }, false], [{}, false], [{ App: 'web' }, false]],
  ],
  'In with an empty value holds for the empty label, not for the absent one': [
    { key: 'app', operator: 'In', values: [''] },
    [[{ app: '' }, true], [{}, false], [{ app: 'web' }, false]],
  ],
  'NotIn holds for any other value, and where the key is absent': [
    { key: 'app', operator: 'NotIn', values: ['web', 'api'] },
    [[{ app: 'db' }, true], [{ app: '' }, true], [{}, true], [{ app: 'web' }, false], [{ app: 'api' }, false]],
  ],
  'Exists holds for any value, and not where the key is absent': [
    { key: 'app', operator: 'Exists' },
    [[{ app: 'web' }, true], [{ app: '' }, true], [{}, false], [{ other: 'app' }, false]],
  ],
  'DoesNotExist holds only where the key is absent': [
    { key: 'app', operator: 'DoesNotExist', values: [] },
    [[{}, true], [{ other: 'app' }, true], [{ app: 'web' }, false], [{ app: '' }, false]],
  ],
  'keys that every JavaScript object answers to are absent unless they are there': [
    { key: 'constructor', operator: 'Exists' },
    [[{}, false], [{ constructor: 'x' }, true]],
  ],
}; // prettier-ignore

for (const [name, [expression, cases]] of Object.entries(expressions)) {
  test(`E6 matchExpressions: ${name}`, () => {
    for (const [labels, holds] of cases) {
      const byPod = allowing([{ podSelector: { matchExpressions: [expression] } }], { namespace: 'x' });
      const caller = podCaller({ namespace: 'x', labels });
      assert.equal(outcome({ policy: byPod, caller }), holds ? 'allow' : 'not-allowed', JSON.stringify(labels));
      const byNamespace = allowing([{ namespaceSelector: { matchExpressions: [expression] } }]);
      const asked = { policy: byNamespace, caller, namespaces: namespacesOf({ x: labels }) };
      assert.equal(outcome(asked), holds ? 'allow' : 'not-allowed', JSON.stringify(labels));
    }
  });
}

test('E6 all of matchLabels and matchExpressions must hold', () => {
  const selector = {
    matchLabels: { app: 'web', tier: 'front' },
    matchExpressions: [
      { key: 'old', operator: 'DoesNotExist' },
      { key: 'zone', operator: 'NotIn', values: ['c'] },
    ],
  };
  const allowed = (labels: Record<string, string>): boolean =>
    can([{ podSelector: selector }], podCaller({ namespace: 'x', labels }), { namespace: 'x' }) === 'allow';
  assert.ok(allowed({ app: 'web', tier: 'front' }));
  assert.ok(allowed({ app: 'web', tier: 'front', zone: 'a' }));
  assert.ok(!allowed({ app: 'web' }));
  assert.ok(!allowed({ app: 'web', tier: 'front', zone: 'c' }));
  assert.ok(!allowed({ app: 'web', tier: 'front', old: '' }));
});

test('E6 an empty label value is a value', () => {
  assert.equal(can([{ namespaceSelector: { matchLabels: { vault: '' } } }], teller), 'allow');
  assert.equal(can([{ namespaceSelector: { matchLabels: { vault: '' } } }], plain), 'not-allowed');
});

test('E6 a namespace that is unknown satisfies nothing, not even NotIn, DoesNotExist and the empty selector', () => {
  const caller = podCaller({ namespace: 'gone' });
  for (const selector of [
    {},
    { matchExpressions: [{ key: 'team', operator: 'NotIn', values: ['a'] }] },
    { matchExpressions: [{ key: 'team', operator: 'DoesNotExist' }] },
  ]) {
    const policy = allowing([{ namespaceSelector: selector }]);
    assert.equal(outcome({ policy, caller, namespaces }), 'unknown-namespace');
    assert.equal(outcome({ policy, caller, namespaces: namespacesOf({ gone: {} }, 'stale') }), 'stale');
    assert.equal(outcome({ policy, caller, namespaces: namespacesOf({ gone: {} }, 'not_synced') }), 'not_synced');
    assert.equal(outcome({ policy, caller, namespaces: namespacesOf({ gone: {} }) }), 'allow');
  }
});

test('E6 labels that cannot be told matter only to a pod that fits otherwise, and no other peer lets in', () => {
  const stale = namespacesOf({ shop: {} }, 'stale');
  const selective = { namespaceSelector: { matchLabels: { team: 'a' } }, podSelector: { matchLabels: { app: 'web' } } };
  const either = allowing([selective, { serviceAccount: 'bank/teller' }]);
  assert.equal(outcome({ policy: either, caller: web, namespaces: stale }), 'stale');
  assert.equal(outcome({ policy: either, caller: plain, namespaces: stale }), 'not-allowed');
  const byAccount = podCaller({ namespace: 'bank', serviceAccount: 'teller', labels: { app: 'web' } });
  assert.equal(outcome({ policy: either, caller: byAccount, namespaces: stale }), 'allow');
});

test("E6 a service account is namespace and name; both must be the pod's", () => {
  const peer = [{ serviceAccount: 'shop/web' }];
  assert.equal(can(peer, web), 'allow');
  assert.equal(can(peer, podCaller({ namespace: 'bank', serviceAccount: 'web' })), 'not-allowed');
  assert.equal(can(peer, podCaller({ namespace: 'shop', serviceAccount: 'default' })), 'not-allowed');
  assert.equal(can(peer, podCaller({ namespace: 'shop', serviceAccount: '' })), 'not-allowed');
});

test('E6 a workload is namespace, kind and name; a bare pod is its own, and nobody else is', () => {
  const peer = [{ workload: 'shop/Deployment/web' }];
  const of = (namespace: string, kind: string, name: string): Asked['caller'] =>
    podCaller({ namespace, name: 'x', workload: { kind, name, source: 'owner' } });
  assert.equal(can(peer, of('shop', 'Deployment', 'web')), 'allow');
  assert.equal(can(peer, of('bank', 'Deployment', 'web')), 'not-allowed');
  assert.equal(can(peer, of('shop', 'StatefulSet', 'web')), 'not-allowed');
  assert.equal(can(peer, of('shop', 'Deployment', 'web2')), 'not-allowed');
  assert.equal(can(peer, podCaller({ namespace: 'shop', name: 'web' })), 'not-allowed');
  const bare = [{ workload: 'shop/Pod/x' }];
  assert.equal(can(bare, podCaller({ namespace: 'shop', name: 'x' })), 'allow');
  assert.equal(can(bare, podCaller({ namespace: 'shop', name: 'y' })), 'not-allowed');
  const claims = podCaller({ namespace: 'shop', name: 'y', workload: { kind: 'Pod', name: 'x', source: 'owner' } });
  assert.equal(can(bare, claims), 'not-allowed', 'an owner that says it is a Pod');
  assert.equal(can([{ workload: 'shop/Pod/y' }], claims), 'allow', 'and the pod is still itself');
});

test('E6 sameNamespaceAs compares the segment that the path captured', () => {
  const policy = allowing([{ pod: { sameNamespaceAs: '{namespace}' }, podSelector: { matchLabels: { app: 'web' } } }], {
    match: { path: '/fn/*/{namespace}/**' },
  });
  const at = (uri: string, caller = web): string => outcome({ policy, caller, facts: { uri } });
  assert.equal(at('/fn/v1/shop/x'), 'allow');
  assert.equal(at('/FN/v1/SHOP'), 'allow');
  assert.equal(at('/fn/v1/%73hop'), 'allow');
  assert.equal(at('/fn/v1/bank/x'), 'not-allowed');
  assert.equal(at('/fn/shop/bank'), 'not-allowed');
  assert.equal(at('/fn/v1/bank/shop'), 'not-allowed');
  assert.equal(at('/fn/v1/bank/../shop'), 'unsafe-path');
  assert.equal(at('/fn/v1/shop/x', podCaller({ namespace: 'shop' })), 'not-allowed');
});

test('E6 a podSelector beside what names a namespace needs no namespace of the rule', () => {
  const peer = [{ serviceAccount: 'shop/web', podSelector: { matchLabels: { app: 'web' } } }];
  assert.equal(can(peer, web), 'allow');
  assert.equal(can(peer, podCaller({ namespace: 'shop', serviceAccount: 'web' })), 'not-allowed');
});
