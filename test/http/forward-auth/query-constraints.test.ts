import assert from 'node:assert/strict';
import { test } from 'node:test';
import { assert as check, constantFrom, array, property, string } from 'fast-check';
import { withoutRules } from '../../../src/http/forward-auth/policy.ts';
import { parseConstraints, QueryConstraints } from '../../../src/http/forward-auth/query-constraints.ts';
import { ask, namespacesOf, outcome, podCaller } from './policy-question.ts';

const policy = withoutRules('deny');
const namespaces = namespacesOf({ shop: { team: 'a' }, bank: {} });
const caller = podCaller({
  namespace: 'shop',
  name: 'web-1',
  labels: { app: 'web', tier: '' },
  serviceAccount: 'web',
  nodeName: 'node-1',
  workload: { kind: 'Deployment', name: 'web', source: 'owner' },
});

test('E6 each kind of constraint, any of its values, all of the kinds', () => {
  const holds = [
    'namespace=shop',
    'namespace=bank&namespace=shop',
    'service_account=shop/web',
    'service_account=shop%2Fweb',
    'workload=shop/Deployment/web',
    'workload=shop/Deployment/db&workload=shop/Deployment/web',
    'node=node-1',
    'label_selector=app=web',
    'label_selector=app%3Dweb%2Ctier',
    'label_selector=app+in+(web,db)',
    'label_selector=app%20notin%20(db)&namespace=shop',
    'label_selector=app=db&label_selector=app=web',
    'label_selector=%21gone',
    'namespace_selector=team=a',
    'namespace_selector=team%21=b',
    'namespace=shop&node=node-1&service_account=shop/web&workload=shop/Deployment/web&label_selector=tier&namespace_selector=team',
  ];
  const fails: Readonly<Record<string, string>> = {
    'namespace=bank': 'namespace',
    'service_account=bank/web': 'service_account',
    'service_account=shop/db': 'service_account',
    'workload=shop/StatefulSet/web': 'workload',
    'workload=shop/Pod/web-1': 'workload',
    'node=node-2': 'node',
    'label_selector=app=web,gone': 'label_selector',
    'label_selector=app%21=web': 'label_selector',
    'namespace_selector=team=b': 'namespace_selector',
    'namespace=shop&node=node-2': 'node',
    'namespace=bank&namespace_selector=team=a': 'namespace',
  };
  for (const query of holds) assert.equal(outcome({ policy, caller, query, namespaces }), 'allow', query);
  for (const [query, kind] of Object.entries(fails)) {
    const verdict = ask({ policy, caller, query, namespaces });
    assert.deepEqual(verdict, { allow: false, reason: 'not-allowed', detail: `constraint: ${kind}` }, query);
  }
});

test('E6 a namespace whose labels cannot be told satisfies no namespace_selector, and denies with that reason', () => {
  const at = (query: string, namespaces: Parameters<typeof ask>[0]['namespaces']): string =>
    outcome({ policy, caller, query, namespaces });
  for (const query of [
    'namespace_selector=team!=b',
    'namespace_selector=!gone',
    'namespace_selector=team=z&namespace_selector=!x',
  ]) {
    assert.equal(at(query, namespacesOf({})), 'unknown-namespace');
    assert.equal(at(query, namespacesOf({ shop: {} }, 'stale')), 'stale');
    assert.equal(at(query, namespacesOf({ shop: {} }, 'not_synced')), 'not_synced');
    assert.equal(at(query, undefined), 'not_synced');
    assert.equal(at(query, namespacesOf({ shop: {} })), 'allow');
    assert.equal(at(`${query}&namespace=bank`, undefined), 'not-allowed', 'what fails for certain needs no labels');
  }
  assert.equal(at('namespace=shop', undefined), 'allow');
});

test('a query that is not wholly understood denies, and says why', () => {
  const wrong: Readonly<Record<string, RegExp>> = {
    'namespaces=shop': /^"namespaces" is no constraint; there are namespace, service_account, workload, node, label_selector, namespace_selector$/,
    'Namespace=shop': /^"Namespace" is no constraint/,
    'constructor=x': /^"constructor" is no constraint/,
    'namespace': /^"namespace" is no constraint/,
    'namespace=': /^namespace is empty$/,
    'label_selector=+': /^label_selector is empty$/, // which would select everything
    'label_selector=%20%09': /^label_selector is empty$/,
    'namespace=shop&': /^"" is no constraint/,
    '&namespace=shop': /^"" is no constraint/,
    'namespace=shop&&node=a': /^"" is no constraint/,
    '=shop': /^"=shop" is no constraint/,
    '%6eamespace=shop': /^"%6eamespace" is no constraint/,
    'namespace=shop;node=a': /^namespace is "shop;node=a": must be the name of a namespace/,
    'namespace=shop,bank': /^namespace is "shop,bank"/,
    'namespace=Shop': /^namespace is "Shop"/,
    'namespace=*': /^namespace is "\*"/,
    'namespace=shop#x': /^namespace is "shop#x"/,
    'namespace=%': /^namespace is not percent-encoded UTF-8$/,
    'namespace=%ff': /^namespace is not percent-encoded UTF-8$/,
    'service_account=web': /^service_account is "web": must be namespace\/name/,
    'service_account=shop/': /^service_account is "shop\/"/,
    'workload=shop/web': /^workload is "shop\/web": must be namespace\/Kind\/name/,
    'node=A': /^node is "A": must be the name of a node/,
    'label_selector=a in b': /^label_selector is "a in b": must be a label selector \(at character 6: found "b", expected "\("\)$/,
    'namespace_selector=-a': /^namespace_selector is "-a": must be a label selector/,
    'ip=10.0.0.1': /^"ip" is no constraint/,
    '?namespace=shop': /^"\?namespace" is no constraint/,
    '\u0000=x': /^"\\u0000" is no constraint/,
  }; // prettier-ignore
  for (const [query, expected] of Object.entries(wrong)) {
    const verdict = ask({ policy: withoutRules('identify'), caller, query, namespaces });
    assert.ok(!verdict.allow && verdict.reason === 'invalid-query', query);
    assert.match(verdict.detail ?? '', expected, query);
  }
});

test('no query passes that does not constrain', () => {
  const piece = constantFrom(
    'namespace',
    'node',
    'label_selector',
    '=',
    '&',
    'a',
    '%',
    '%20',
    ',',
    '!',
    '?',
    '#',
    ';',
    '+',
  );
  const stranger = podCaller({ namespace: 'elsewhere', nodeName: 'elsewhere', labels: {}, serviceAccount: 'x' });
  const tests = (query: string): void => {
    const set = parseConstraints(query);
    if (query === '') return;
    assert.ok(set.error !== undefined || set.kinds.length > 0, query);
    for (const { tests } of set.kinds) assert.ok(tests.length > 0);
    if (!query.includes('!') && !query.includes('notin'))
      assert.notEqual(outcome({ policy, caller: stranger, query }), 'allow', query);
  };
  check(
    property(array(piece, { maxLength: 10 }), (pieces) => tests(pieces.join(''))),
    { numRuns: 2000 },
  );
  check(property(string({ unit: 'binary' }), tests));
});

test('a query is read once, and only so many are kept', () => {
  const cache = new QueryConstraints();
  const first = cache.of('namespace=shop');
  assert.equal(cache.of('namespace=shop'), first);
  assert.equal(cache.of('nonsense'), cache.of('nonsense'));
  for (let i = 0; i < 300; i++) cache.of(`namespace=n${i}`);
  assert.equal(cache.of('namespace=shop'), first);
  for (let i = 0; i < 12; i++) cache.of(`namespace=n${i}${'&namespace=other'.repeat(500)}`);
  assert.notEqual(cache.of('namespace=shop'), first);
  assert.deepEqual(cache.of('namespace=shop').kinds.length, 1);
});
