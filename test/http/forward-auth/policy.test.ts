import assert from 'node:assert/strict';
import { test } from 'node:test';
import { withoutRules } from '../../../src/http/forward-auth/policy.ts';
import type { Trace } from '../../../src/http/forward-auth/policy.ts';
import type { RequestFacts } from '../../../src/http/forward-auth/verdict.ts';
import { allowing, ask, namespacesOf, outcome, outsider, podCaller, policyOf } from './policy-question.ts';

const web = podCaller({ namespace: 'shop', labels: { app: 'web' }, serviceAccount: 'web' });
const nobody = outsider('192.0.2.1', 'node');
const facts = { host: 'a.internal', method: 'GET', uri: '/admin/x?y' };

const admin = { name: 'admin', match: { path: '/admin/**' }, allow: [{ serviceAccount: 'ops/admin' }] };
const others = { name: 'others', match: {}, allow: [{ namespaceSelector: {} }, { ipBlock: { cidr: '192.0.2.0/24' } }] };
const namespaces = namespacesOf({ shop: {} });

test('E6 the first rule whose match fits decides, also when a later one would let in', () => {
  const policy = policyOf({ rules: [admin, others] });
  assert.deepEqual(ask({ policy, caller: web, facts, namespaces }), {
    allow: false,
    reason: 'not-allowed',
    rule: 'admin',
  });
  const elsewhere = ask({ policy, caller: web, facts: { uri: '/x' }, namespaces });
  assert.deepEqual(elsewhere, { allow: true, caller: web, rule: 'others' });
  const turned = policyOf({ rules: [others, admin] });
  assert.equal(outcome({ policy: turned, caller: web, facts, namespaces }), 'allow');
});

test('E6 a request that fits no rule gets the default of the file', () => {
  const only = [{ ...admin }];
  const at = { uri: '/elsewhere' };
  assert.equal(outcome({ policy: policyOf({ rules: only }), caller: web, facts: at }), 'no-rule');
  assert.equal(outcome({ policy: policyOf({ rules: only, default: 'deny' }), caller: nobody, facts: at }), 'no-rule');
  const identify = policyOf({ rules: only, default: 'identify' });
  assert.deepEqual(ask({ policy: identify, caller: web, facts: at }), { allow: true, caller: web, rule: undefined });
  assert.equal(outcome({ policy: identify, caller: nobody, facts: at }), 'node');
  assert.equal(outcome({ policy: identify, caller: web, facts }), 'not-allowed', 'a rule that fits still decides');
});

test('E6 without a file constraints decide alone, and without both nobody passes unless identify says so', () => {
  assert.equal(outcome({ policy: withoutRules('deny'), caller: web }), 'no-rule');
  assert.equal(outcome({ policy: withoutRules('deny'), caller: nobody }), 'no-rule');
  assert.equal(outcome({ policy: withoutRules('identify'), caller: web }), 'allow');
  assert.equal(outcome({ policy: withoutRules('identify'), caller: nobody }), 'node');
  for (const fallback of ['deny', 'identify'] as const) {
    const policy = withoutRules(fallback);
    assert.equal(outcome({ policy, caller: web, query: 'namespace=shop' }), 'allow');
    assert.equal(outcome({ policy, caller: web, query: 'namespace=bank' }), 'not-allowed');
    assert.equal(outcome({ policy, caller: nobody, query: 'namespace=shop' }), 'node');
  }
});

test('E6 constraints and rules must both let in', () => {
  const policy = allowing([{ serviceAccount: 'shop/web' }]);
  const other = podCaller({ namespace: 'shop', serviceAccount: 'db' });
  assert.equal(outcome({ policy, caller: web, query: 'namespace=shop' }), 'allow');
  assert.equal(outcome({ policy, caller: web, query: 'namespace=bank' }), 'not-allowed');
  assert.equal(outcome({ policy, caller: other, query: 'namespace=shop' }), 'not-allowed');
  const block = allowing([{ ipBlock: { cidr: '192.0.2.0/24' } }]);
  assert.equal(outcome({ policy: block, caller: nobody }), 'allow');
  assert.equal(outcome({ policy: block, caller: nobody, query: 'namespace=shop' }), 'node', 'a constraint needs a pod');
});

test("E6 a query that is the held-back request's own is the caller's, and denies", () => {
  const policy = withoutRules('deny');
  const at = (uri: string | undefined, query: string): string =>
    outcome({ policy, caller: web, facts: { uri }, query });
  assert.equal(at('/x?namespace=shop', 'namespace=shop'), 'caller-query');
  assert.equal(at('//broken?namespace=shop', 'namespace=shop'), 'caller-query');
  assert.equal(at('/x?a?b', 'a?b'), 'caller-query', 'even when it makes no sense');
  assert.equal(at('/x?namespace=bank', 'namespace=shop'), 'allow');
  assert.equal(at('/x', 'namespace=shop'), 'allow');
  assert.equal(at(undefined, 'namespace=shop'), 'allow');
  assert.equal(at('/x?', ''), 'no-rule');
});

test('E6 a fact that a rule needs and nobody said denies, instead of leading to a laxer rule', () => {
  const lax = { name: 'lax', match: {}, allow: [{ namespaceSelector: {} }] };
  const cases = [
    [{ path: '/x' }, { host: 'h', method: 'GET' }, 'unknown path'],
    [{ host: 'other' }, { method: 'GET', uri: '/x' }, 'unknown host'],
    [{ methods: ['POST'] }, { host: 'h', uri: '/x' }, 'unknown method'],
    // Also when another part does not fit: that a fact is missing shows at once, not with some requests.
    [{ host: 'other', path: '/x' }, { host: 'h' }, 'unknown path'],
    [{ methods: ['POST'], host: 'other' }, { method: 'GET' }, 'unknown host'],
    [{ host: 'other', path: '/elsewhere/**' }, { method: 'GET', uri: '/x' }, 'unknown host'],
    [{ methods: ['POST'], path: '/elsewhere/**' }, { uri: '/x' }, 'unknown method'],
    // What is said, and is no host or method, is not said.
    [{ host: 'other' }, { host: '' }, 'unknown host'],
    [{ host: 'other' }, { host: 'a, b' }, 'unknown host'],
    [{ methods: ['POST'] }, { method: 'GET POST' }, 'unknown method'],
    [{ methods: ['POST'] }, { method: '' }, 'unknown method'],
  ] as const;
  for (const [match, said, detail] of cases) {
    const policy = policyOf({ rules: [{ ...admin, match }, lax] });
    const verdict = ask({ policy, caller: web, facts: said, namespaces });
    assert.deepEqual(
      verdict,
      { allow: false, reason: 'unknown-request', rule: 'admin', detail },
      JSON.stringify(match),
    );
  }
  assert.equal(outcome({ policy: policyOf({ rules: [lax, admin] }), caller: web, namespaces }), 'allow');
});

test('E6 a path with two readings denies where a rule asks for the path, and only there', () => {
  const uri = '/public/..;/admin';
  const policy = policyOf({ rules: [{ ...admin, match: { path: '/admin/**', methods: ['POST'] } }, others] });
  const verdict = ask({ policy, caller: web, facts: { uri, method: 'POST' }, namespaces });
  assert.deepEqual(verdict, { allow: false, reason: 'unsafe-path', rule: 'admin', detail: 'unsafe path' });
  assert.equal(outcome({ policy, caller: web, facts: { uri, method: 'GET' }, namespaces }), 'allow');
  assert.equal(outcome({ policy: allowing([{ serviceAccount: 'shop/web' }]), caller: web, facts: { uri } }), 'allow');
});

test('E6 hosts are compared without port, case and the dot at the end; a star stands for labels', () => {
  const fits = (host: string, said: string): boolean =>
    outcome({
      policy: allowing([{ serviceAccount: 'shop/web' }], { match: { host } }),
      caller: web,
      facts: { host: said },
    }) === 'allow';
  for (const said of ['a.example', 'A.EXAMPLE', 'a.example:8080', 'a.example.', 'a.example.:80', 'a.example:']) {
    assert.ok(fits('a.example', said), said);
    assert.ok(fits('A.Example', said), said);
    assert.ok(fits('*.example', said), said);
  }
  for (const said of [
    'b.example',
    'a.example.org',
    'xa.example',
    'a.examples',
    '.example',
    'example',
    'a.example..',
    'a.example:80:80',
    'a.example:x',
    'a.example@b',
    'u@a.example',
    ' a.example',
    'a.example/',
    'a..example',
    '[::1]',
    '[::1]:80',
    'a.ex\u00e4mple',
    '\u212a.example',
    'a.example:123456',
    `${'a.'.repeat(200)}example`,
  ]) {
    assert.ok(!fits('a.example', said), said);
  }
  assert.ok(fits('*.example', 'a.b.example') && fits('10.0.0.1', '10.0.0.1:80') && fits('a_b', 'A_B'));
  for (const said of ['example', '.example', 'aexample', 'example:80', '*.example', '-', 'a.example.com'])
    assert.ok(!fits('*.example', said), said);
});

test('E6 methods are compared without case, and GET is HEAD too', () => {
  const fits = (methods: readonly string[], method: string): boolean =>
    outcome({
      policy: allowing([{ serviceAccount: 'shop/web' }], { match: { methods } }),
      caller: web,
      facts: { method },
    }) === 'allow';
  assert.ok(
    fits(['GET'], 'GET') && fits(['GET'], 'HEAD') && fits(['GET'], 'get') && fits(['POST', 'M-SEARCH'], 'm-search'),
  );
  assert.ok(
    !fits(['GET'], 'POST') && !fits(['HEAD'], 'GET') && !fits(['POST'], 'POSTS') && !fits(['POST'], 'PO\u017fT'),
  );
});

test('E6 the trace says which rules were looked at, and why they are not it', () => {
  const trace: Trace = { rules: [] };
  const policy = policyOf({
    rules: [
      { name: 'posts', match: { methods: ['POST'] }, allow: [{ namespaceSelector: {} }] },
      { name: 'elsewhere', match: { host: 'b.internal' }, allow: [{ namespaceSelector: {} }] },
      { name: 'root', match: { path: '/' }, allow: [{ namespaceSelector: {} }] },
      {
        name: 'it',
        match: { path: '/admin/**' },
        namespace: 'shop',
        allow: [{ ipBlock: { cidr: '::/0' } }, { serviceAccount: 'a/b' }, { podSelector: {} }, { workload: 'a/B/c' }],
      },
      others,
    ],
  });
  assert.equal(ask({ policy, caller: web, facts, trace }).allow, true);
  assert.deepEqual(
    trace.rules.map(({ rule, mismatch, peers }) => [rule, mismatch, peers]),
    [['posts', 'methods', []], ['elsewhere', 'host', []], ['root', 'path', []], ['it', undefined, ['ipBlock', 'serviceAccount', undefined]]],
  ); // prettier-ignore
  const unsafe: Trace = { rules: [] };
  ask({ policy, caller: web, facts: { ...facts, uri: '//x' }, trace: unsafe });
  assert.deepEqual(unsafe.rules.at(-1), { rule: 'root', line: 1, mismatch: 'unsafe path', peers: [] });
  const constrained: Trace = { rules: [] };
  ask({ policy, caller: web, facts, query: 'namespace=shop&node=n', trace: constrained });
  assert.deepEqual(constrained, { rules: [], constraints: 'node' });
});

test('the policy knows whether it needs the labels of namespaces', () => {
  assert.equal(allowing([{ namespaceSelector: {} }]).needsNamespaces, true);
  assert.equal(allowing([{ podSelector: {} }], { namespace: 'x' }).needsNamespaces, false);
  assert.equal(withoutRules('identify').needsNamespaces, false);
});

test('which rules were looked at for one request says nothing of another that differs in method, host or first segment', () => {
  const policy = policyOf({
    rules: [
      { name: 'posts', match: { methods: ['POST'] }, allow: [{ serviceAccount: 'a/b' }] },
      { name: 'host', match: { host: '*.internal' }, allow: [{ serviceAccount: 'a/b' }] },
      { name: 'path', match: { path: '/admin/**' }, allow: [{ serviceAccount: 'a/b' }] },
      { name: 'others', match: {}, allow: [{ namespaceSelector: {} }] },
    ],
  });
  const requests: [string, Partial<RequestFacts>][] = [
    ['others', { method: 'GET', host: 'a.example', uri: '/x' }],
    ['posts', { method: 'POST', host: 'a.example', uri: '/x' }],
    ['host', { method: 'GET', host: 'a.internal', uri: '/x' }],
    ['path', { method: 'GET', host: 'a.example', uri: '/admin' }],
  ];
  for (const [rule, facts] of [...requests, ...requests.toReversed()]) {
    assert.equal(ask({ policy, caller: web, facts, namespaces: namespacesOf({ shop: {} }) }).rule, rule);
  }
});

test('whatever callers ask for, what is kept of it is bounded', () => {
  const policy = policyOf({ rules: [{ name: 'one', match: { path: '/x' }, allow: [{ serviceAccount: 'a/b' }] }] });
  const slots = policy.found.length;
  for (let i = 0; i < 5_000; i++) ask({ policy, caller: web, facts: { method: 'GET', host: 'a', uri: `/${i}` } });
  ask({ policy, caller: web, facts: { method: 'GET', host: 'a', uri: `/${'a'.repeat(5000)}` } });
  assert.equal(policy.found.length, slots);
  const kept = policy.found.filter((one) => one !== undefined);
  assert.ok(kept.length > slots / 2, 'what is asked for is kept');
  assert.ok(kept.every(({ first }) => first.length <= 128));
});
