import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  array,
  assert as check,
  constant,
  constantFrom,
  dictionary,
  oneof,
  option,
  shuffledSubarray,
  tuple,
  property,
  record,
  uniqueArray,
} from 'fast-check';
import type { Arbitrary } from 'fast-check';
import { withoutRules } from '../../../src/http/forward-auth/policy.ts';
import type { Trace } from '../../../src/http/forward-auth/policy.ts';
import type { Caller, NamespaceLabels } from '../../../src/http/forward-auth/verdict.ts';
import { makePod } from '../../index/make-pod.ts';
import { naiveOutcome, segmentsOf } from './naive-policy.ts';
import type { PlainConstraints, PlainPeer, PlainRule, PlainRules, Selector } from './naive-policy.ts';
import { ask, podCaller, policyOf } from './policy-question.ts';

// Few of each, so that they meet.
const namespaceName = constantFrom('a', 'b', 'c');
const key = constantFrom('app', 'tier', 'x.io/y', 'constructor');
const value = constantFrom('', 'web', 'db');
const labels = dictionary(key, value, { maxKeys: 3 });
const maybe = <T>(arbitrary: Arbitrary<T>): Arbitrary<T | undefined> => option(arbitrary, { nil: undefined, freq: 9 });

const expression = oneof(
  record({ key, operator: constantFrom('In', 'NotIn'), values: array(value, { minLength: 1, maxLength: 2 }) }),
  record({ key, operator: constantFrom('Exists', 'DoesNotExist') }),
);
const selector: Arbitrary<Selector> = record(
  { matchLabels: labels, matchExpressions: array(expression, { maxLength: 2 }) },
  { requiredKeys: [] },
);
const account = constantFrom('a/web', 'b/web', 'a/default');
const workload = constantFrom('a/Deployment/web', 'a/Pod/bare', 'b/Deployment/web', 'c/Job/x');

const block = constantFrom(
  { cidr: '192.0.2.0/24', except: ['192.0.2.128/25', '192.0.2.7/32'] },
  { cidr: '192.0.2.0/24' },
  { cidr: '0.0.0.0/0', except: ['192.0.0.0/8'] },
  { cidr: '2001:db8::/32' },
  { cidr: '::/0' },
  { cidr: '10.0.0.0/8' },
);
const podPeer: Arbitrary<PlainPeer> = record(
  {
    podSelector: selector,
    namespaceSelector: selector,
    serviceAccount: account,
    workload,
    pod: constant({ sameNamespaceAs: '{ns}' }),
  },
  { requiredKeys: [] },
).filter((peer) => Object.keys(peer).length > 0);
const peer: Arbitrary<PlainPeer> = oneof(record({ ipBlock: block }), podPeer, podPeer);

const match = record(
  {
    path: constantFrom('/', '/**', '/fn/**', '/fn/{ns}/**', '/{ns}', '/fn/*', '/*/a', '/Fn/A'),
    host: constantFrom('a.internal', '*.internal', 'B.example'),
    methods: uniqueArray(constantFrom('GET', 'POST', 'HEAD', 'DELETE'), { minLength: 1 }),
  },
  { requiredKeys: [] },
);

/** What the loader refuses is mended here: captures nobody compares, a namespace that is missing or means nothing. */
function mended(rule: Omit<PlainRule, 'name'>, number: number): PlainRule {
  const captures = rule.match.path?.includes('{ns}') ?? false;
  let allow = rule.allow.map((peer): PlainPeer => {
    const { pod: _, ...rest } = peer;
    if (captures || !peer.pod) return peer;
    return Object.keys(rest).length > 0 ? rest : { serviceAccount: 'a/web' };
  });
  if (captures && !allow.some((peer) => peer.pod)) allow = [...allow, { pod: { sameNamespaceAs: '{ns}' } }];
  const isAlone = allow.some((peer) => peer.podSelector && Object.keys(peer).length === 1);
  const { namespace, ...others } = rule;
  return { ...others, allow, name: `rule ${number}`, ...(isAlone && { namespace: namespace ?? 'a' }) };
}

const rules: Arbitrary<PlainRules> = record(
  {
    rules: array(record({ match, allow: array(peer, { minLength: 1, maxLength: 3 }), namespace: namespaceName }), {
      maxLength: 5,
    }).map((all) => all.map(mended)),
    default: constantFrom('deny' as const, 'identify' as const),
  },
  { requiredKeys: ['rules'] },
);

const written = selector.filter((one) => textOf(one) !== '');
const everyKind = record({
  namespace: array(namespaceName, { minLength: 1, maxLength: 2 }),
  service_account: array(account, { minLength: 1, maxLength: 2 }),
  workload: array(workload, { minLength: 1, maxLength: 2 }),
  node: array(constantFrom('node-1', 'node-2'), { minLength: 1, maxLength: 2 }),
  label_selector: array(written, { minLength: 1, maxLength: 2 }),
  namespace_selector: array(written, { minLength: 1, maxLength: 2 }),
});
const kinds = ['namespace', 'service_account', 'workload', 'node', 'label_selector', 'namespace_selector'] as const;
const someKinds = tuple(everyKind, shuffledSubarray([...kinds], { minLength: 1, maxLength: 2 })).map(
  ([all, some]): PlainConstraints => Object.fromEntries(some.map((kind) => [kind, all[kind]])),
);
const constraints = oneof(
  { arbitrary: constant<PlainConstraints>({}), weight: 2 },
  { arbitrary: someKinds, weight: 1 },
);

/** The selector as kubectl takes it. */
function textOf({ matchLabels = {}, matchExpressions = [] }: Selector): string {
  const written = { In: 'in', NotIn: 'notin', Exists: '', DoesNotExist: '!' } as Readonly<Record<string, string>>;
  return [
    ...Object.entries(matchLabels).map(([key, value]) => `${key}==${value}`),
    ...matchExpressions.map(({ key, operator, values }) =>
      values ? `${key} ${written[operator]} (${values.join(',')})` : `${written[operator]}${key}`,
    ),
  ].join(',');
}

const queryOf = (plain: PlainConstraints): string =>
  Object.entries(plain)
    .flatMap(([kind, values]) =>
      (values as (string | Selector)[]).map(
        (value) => [kind, typeof value === 'string' ? value : textOf(value)] as const,
      ),
    )
    .map(([kind, value]) => `${kind}=${encodeURIComponent(value)}`)
    .join('&');

const segment = constantFrom(
  'fn',
  'FN',
  'a',
  'b',
  'A',
  '%61',
  '%41',
  '',
  'x',
  'a;p=1',
  '..',
  '.',
  '%2e',
  '..;',
  'a%2fb',
  'x%00',
  ';',
  'b\\',
  'c%3b',
  'a%2561',
);
const plainSegment = constantFrom('fn', 'Fn', 'a', 'b', 'c', 'A');
const uri = oneof(
  array(plainSegment, { maxLength: 3 }).map((parts) => `/${parts.join('/')}`),
  array(segment, { maxLength: 4 }).map((parts) => `/${parts.join('/')}`),
  array(plainSegment, { maxLength: 3 }).map((parts) => `/${parts.join('/')}/?x=/../#`),
  constantFrom('http://a.internal/fn', '*', ''),
);
const facts = record({
  host: maybe(constantFrom('a.internal', 'A.internal:80', 'x.y.internal.', 'internal', 'b.example', 'ainternal')),
  method: maybe(constantFrom('GET', 'HEAD', 'POST', 'get', 'DELETE', 'PATCH')),
  uri: maybe(uri),
});

const caller: Arbitrary<Caller> = oneof(
  record({
    namespace: namespaceName,
    name: constantFrom('bare', 'web-1'),
    labels,
    serviceAccount: constantFrom('web', 'default', ''),
    nodeName: constantFrom('node-1', 'node-2'),
    workload: maybe(
      record({
        kind: constantFrom('Deployment', 'Job'),
        name: constantFrom('web', 'x'),
        source: constant('owner' as const),
      }),
    ),
  }).map((fields): Caller => ({ kind: 'pod', ip: '192.0.2.1', pod: makePod(fields) })),
  record({
    kind: constant('outside' as const),
    ip: constantFrom('192.0.2.1', '192.0.2.7', '192.0.2.200', '10.9.8.7', '2001:db8::5', 'fd00::1', '193.1.1.1'),
    reason: constantFrom('no-pod' as const, 'node' as const, 'host-network' as const),
  }),
);

const namespaces: Arbitrary<NamespaceLabels> = record({
  refusal: constantFrom(undefined, undefined, undefined, 'stale' as const, 'not_synced' as const),
  known: dictionary(namespaceName, labels, { maxKeys: 2 }),
}).map(({ refusal, known }) => ({
  refusal,
  labelsOf: (name) => (Object.hasOwn(known, name) ? known[name] : undefined),
}));

test('E6 random rules, constraints, requests and callers get the verdict of a naive evaluator', () => {
  const seen = new Map<string, number>();
  check(
    property(maybe(rules), constraints, facts, caller, namespaces, (file, plain, facts, caller, namespaces) => {
      const policy = file ? policyOf(file) : withoutRules('deny');
      const verdict = ask({ policy, caller, facts, query: queryOf(plain), namespaces });
      const outcome = `${verdict.allow ? 'allow' : verdict.reason} ${verdict.rule ?? ''}`.trim();
      const trace: Trace = { rules: [] };
      assert.deepEqual(
        ask({ policy, caller, facts, query: queryOf(plain), namespaces, trace }),
        verdict,
        'with a trace',
      );
      assert.equal(outcome, naiveOutcome(file, plain, facts, caller, namespaces));
      if (verdict.allow) assert.equal(verdict.caller, caller);
      const kind = verdict.allow ? `allow ${caller.kind}` : verdict.reason;
      seen.set(kind, (seen.get(kind) ?? 0) + 1);
    }),
    { numRuns: 4000 },
  );
  // The random questions reach every kind of verdict, and often.
  const kinds = ['allow pod', 'allow outside', 'not-allowed', 'no-rule', 'no-pod', 'node', 'host-network', 'unknown-request', 'unsafe-path', 'unknown-namespace', 'stale', 'not_synced']; // prettier-ignore
  for (const kind of kinds) assert.ok((seen.get(kind) ?? 0) >= 3, `${kind}: ${seen.get(kind) ?? 0}`);
});

test('E6 the naive path split denies what is denied, so that the comparison says something', () => {
  assert.deepEqual(segmentsOf('/a//B;x/%61?y'), ['a', 'b', 'a']);
  for (const uri of ['/a/..', '//a', 'a', '/a%2fb', '/;']) assert.equal(segmentsOf(uri), undefined, uri);
});

test('E6 what was found for one request serves no request of another method, host or path', () => {
  // Of these hosts and methods, and of several of these segments, the slot is the same.
  const host = constantFrom('a.b1', 'a.b2', 'a.b3', undefined);
  const method = constantFrom('GET', 'PUT', undefined);
  const first = constantFrom('aah', 'aahnv', 'bcg', 'cab', 'aba', 'bbh', 'gfg', 'abb', 'cfh', 'gfd');
  const match = record(
    {
      host: constantFrom('a.b1', 'a.b2', '*.b3'),
      methods: constantFrom(['GET'], ['PUT']),
      path: oneof(first, constantFrom('*', '**')).map((segment) => `/${segment}`),
    },
    { requiredKeys: [] },
  );
  const uri = oneof(first, constantFrom('', 'aah/b', 'aahb', 'aa', '/', 'a'.repeat(300))).map((path) => `/${path}`);
  const request = record({ host, method, uri: maybe(uri) });
  const caller = podCaller({ namespace: 'shop' });
  check(
    property(array(match, { maxLength: 8 }), array(request, { minLength: 50, maxLength: 200 }), (matches, requests) => {
      const allow = [{ serviceAccount: 'shop/nobody' }];
      const policy = policyOf({ rules: matches.map((match, i) => ({ name: `${i}`, match, allow })) });
      for (const facts of [...requests, ...requests.toReversed()]) {
        const traced = ask({ policy, caller, facts, trace: { rules: [] } });
        assert.deepEqual(ask({ policy, caller, facts }), traced);
      }
    }),
    { numRuns: 100 },
  );
});
