import assert from 'node:assert/strict';
import { connect } from 'node:net';
import { text } from 'node:stream/consumers';
import { test } from 'node:test';
import * as fc from 'fast-check';
import type { Caller, RequestFacts } from '../../../src/http/forward-auth/verdict.ts';
import { makePod, strings } from '../support/pods.ts';
import { ask, parseAnswer } from '../support/raw.ts';
import { naiveOutcome } from './naive-policy.ts';
import type { PlainRules } from './naive-policy.ts';
import { AT, NOW, PODS, WHOLE } from './support/cluster.ts';
import { startForwardAuth } from './support/forward-auth.ts';
import { oracle } from './support/oracle.ts';
import { overSocket, spoofCases } from './support/spoof-matrix.ts';
import type { SpoofCase } from './support/spoof-matrix.ts';

/** Settings that the service can be started with as they are. */
const isPlain = ({ settings: { view = WHOLE, identityHeaders, trusted } }: SpoofCase): boolean =>
  view === WHOLE && identityHeaders === undefined && trusted !== undefined;

test('E1 E2 E5 E8 a sample of the spoof matrix through the whole service: 200 only for whom the oracle names', async (t) => {
  const groups = new Map<string, SpoofCase[]>();
  for (const one of spoofCases()) {
    if (!isPlain(one) || !overSocket(one)) continue;
    const key = JSON.stringify(one.settings);
    groups.set(key, [...(groups.get(key) ?? []), one]);
  }
  const seen = { allowed: 0, denied: 0 };
  for (const cases of [...groups.values()].filter((_, i) => i % 2 === 0)) {
    const { trusted = '', preset, clientIpHeader } = cases[0]?.settings ?? {};
    const service = await startForwardAuth(t, {
      pods: Object.values(PODS),
      environment: {
        TRUSTED_PROXIES: trusted,
        FORWARD_AUTH_DEFAULT: 'identify',
        ...(preset && { FORWARD_AUTH_PRESET: preset }),
        ...(clientIpHeader !== undefined && { CLIENT_IP_HEADER: clientIpHeader }),
      },
    });
    service.time.wall = NOW;
    service.index.slice().setAside({ key: 'x', namespace: 'shop', name: 'x', ips: [AT.unreadable], reason: 'made up' });
    for (const one of cases.filter((_, i) => i % 29 === 0)) {
      const socket = overSocket(one);
      if (!socket) continue;
      const connection = connect({ port: service.port, host: '127.0.0.1', localAddress: socket.from });
      connection.write(socket.bytes);
      const answer = parseAnswer(await text(connection));
      // `10.0.0.1 → shop/web-1 [host method uri]`, `10.0.0.1 → denied ambiguous [...]`, `missing-header`.
      const who = oracle(one.settings, one.sent)
        .replace(/^.* → /, '')
        .replace(/ \[.*$/, '')
        .replace(/^denied /, '');
      const name = `${one.name}: ${JSON.stringify([one.settings, one.sent])} ${answer.head}`;
      if (who.includes('/')) {
        assert.equal(answer.status, 200, name);
        assert.equal(`${answer.headers.get('x-pod-namespace')}/${answer.headers.get('x-pod-name')}`, who, name);
        seen.allowed++;
      } else {
        assert.ok(answer.status >= 400, name);
        assert.equal(answer.json['reason'], who, name);
        seen.denied++;
      }
    }
    await service.server.close();
  }
  assert.ok(seen.allowed >= 20 && seen.denied >= 100, JSON.stringify(seen));
});

const FILE: PlainRules = {
  rules: [
    { name: 'public', match: { path: '/public/**' }, allow: [{ ipBlock: { cidr: '203.0.113.0/24', except: ['203.0.113.66/32'] } }, { workload: 'shop/Deployment/web' }] }, // prettier-ignore
    { name: 'own', match: { path: '/fn/{ns}/**', methods: ['GET', 'POST'] }, allow: [{ pod: { sameNamespaceAs: '{ns}' } }] }, // prettier-ignore
    { name: 'metrics', match: { host: '*.internal', path: '/metrics' }, allow: [{ namespaceSelector: { matchLabels: { team: 'a' } }, podSelector: { matchLabels: { app: 'web' } } }] }, // prettier-ignore
    { name: 'not b', match: { path: '/*/b' }, allow: [{ namespaceSelector: { matchExpressions: [{ key: 'team', operator: 'NotIn', values: ['b'] }] } }] }, // prettier-ignore
  ],
};

const LABELS: Readonly<Record<string, Readonly<Record<string, string>>>> = { shop: { team: 'a' }, bank: { team: 'b' } };
const NAMESPACES = { refusal: undefined, labelsOf: (name: string) => LABELS[name] };

test('E2 E6 random requests: 2xx exactly when the naive evaluator allows, by the rule that it names', async (t) => {
  const pods = [
    makePod('web', { namespace: 'shop', podIps: ['10.0.0.1'], labels: strings({ app: 'web' }) }),
    makePod('bare', { namespace: 'bank', podIps: ['10.0.0.2'], labels: strings({}), workload: undefined }),
    makePod('new', { namespace: 'unheard-of', podIps: ['10.0.0.3'], labels: strings({ app: 'web' }) }),
  ];
  const rules = JSON.stringify(FILE);
  const service = await startForwardAuth(t, {
    pods,
    rules,
    namespaces: NAMESPACES,
    environment: { FORWARD_AUTH_DEBUG: 'true' },
  });
  const callers: Readonly<Record<string, Caller>> = {
    ...Object.fromEntries(pods.map((pod) => [pod.podIps[0], { kind: 'pod', ip: pod.podIps[0] ?? '', pod }])),
    ...Object.fromEntries(
      ['203.0.113.7', '203.0.113.66', '10.0.0.9'].map((ip) => [ip, { kind: 'outside', ip, reason: 'no-pod' }]),
    ),
  };
  const part = fc.constantFrom('fn', 'FN', 'shop', 'bank', 'Shop', 'public', 'metrics', 'b', '', '.', '..', '%2e%2e', '..;x', 'a;p', 'a%2fb', '%61', 'x'); // prettier-ignore
  const uri = fc.array(part, { minLength: 1, maxLength: 4 }).map((parts) => `/${parts.join('/')}`);
  const maybe = <T>(arbitrary: fc.Arbitrary<T>): fc.Arbitrary<T | undefined> =>
    fc.option(arbitrary, { nil: undefined, freq: 9 });
  const request = fc.record({
    ip: fc.constantFrom(...Object.keys(callers)),
    host: maybe(fc.constantFrom('a.internal', 'A.INTERNAL:80', 'internal', 'x.example')),
    method: maybe(fc.constantFrom('GET', 'POST', 'HEAD', 'DELETE', 'get')),
    uri: maybe(uri),
    query: fc.constantFrom('', '', '', 'namespace=shop', 'namespace=bank&namespace=shop', 'node=worker-1'),
  });
  const constraintsOf = (query: string): Record<string, string[]> => {
    const plain: Record<string, string[]> = {};
    for (const [kind, value] of new URLSearchParams(query)) (plain[kind] ??= []).push(value);
    return plain;
  };
  const outcomes = new Map<string, number>();
  await fc.assert(
    fc.asyncProperty(request, async ({ ip, query, ...facts }) => {
      const caller = callers[ip] as Caller;
      const { host, method, uri: path } = facts satisfies RequestFacts;
      const headers = [`X-Forwarded-For: ${ip}`];
      if (host !== undefined) headers.push(`X-Forwarded-Host: ${host}`);
      if (method !== undefined) headers.push(`X-Forwarded-Method: ${method}`);
      if (path !== undefined) headers.push(`X-Forwarded-Uri: ${path}`);
      const answer = await ask(service.port, `/authorize${query && `?${query}`}`, { headers });
      const naive = naiveOutcome(FILE, constraintsOf(query), facts, caller, NAMESPACES);
      const [said = '', ...rule] = naive.split(' ');
      outcomes.set(said, (outcomes.get(said) ?? 0) + 1);
      if (said !== 'allow') {
        assert.ok(answer.status >= 400, naive);
        assert.equal(answer.json['reason'], said);
        return;
      }
      assert.equal(answer.status, 200, naive);
      assert.equal(answer.headers.get('x-pod-name'), caller.kind === 'pod' ? caller.pod.name : '-');
      assert.equal(answer.headers.get('x-podwhois-reason'), `allowed; rule ${JSON.stringify(rule.join(' '))}`);
    }),
    { numRuns: 1000 },
  );
  for (const kind of ['allow', 'not-allowed', 'no-rule', 'no-pod', 'unsafe-path', 'unknown-request']) {
    assert.ok((outcomes.get(kind) ?? 0) > 5, `${kind}: ${outcomes.get(kind)}`);
  }
});
