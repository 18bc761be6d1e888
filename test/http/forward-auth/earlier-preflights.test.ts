import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { Evaluator } from '../../../src/http/forward-auth/evaluation.ts';
import type { Evaluation } from '../../../src/http/forward-auth/evaluation.ts';
import { ClientAddresses } from '../../../src/http/forward-auth/client-address.ts';
import { Identities } from '../../../src/http/forward-auth/identity-headers.ts';
import { createPolicy } from '../../../src/http/forward-auth/policy.ts';
import type { Policy } from '../../../src/http/forward-auth/policy.ts';
import { QueryConstraints } from '../../../src/http/forward-auth/query-constraints.ts';
import { DEFAULT_IDENTITY_HEADERS, trustedProxies } from '../../../src/http/forward-auth/setting-parsers.ts';
import type { TrustedProxy } from '../../../src/http/forward-auth/trusted-proxies.ts';
import { Freshness } from '../../../src/http/freshness.ts';
import { PodIndex } from '../../../src/index/pod-index.ts';
import type { Pod } from '../../../src/pod.ts';
import { alike } from '../../index/alike.ts';
import { makePod } from '../../index/make-pod.ts';
import { FakeSource } from '../support/service.ts';
import { policyOf } from './policy-question.ts';
import { preflightOf } from './support/asking.ts';
import { SLACK, WHOLE } from './support/cluster.ts';

/** The first two have one hash, and pods have them together and alone. */
const IPS = [...alike(10), '10.0.0.1'] as const;
const CHOICES = [[IPS[0], IPS[1]], [IPS[0]], [IPS[1], IPS[2]], [IPS[2]], []];
const RULES = [
  { rules: [{ name: 'a', match: { path: '/a/**' }, allow: [{ serviceAccount: 'shop/web' }] }], default: 'identify' },
  { rules: [{ name: 'b', match: { path: '/a/**' }, allow: [{ serviceAccount: 'shop/db' }] }], default: 'deny' },
  {
    rules: [
      { name: 'c', match: { methods: ['GET'] }, allow: [{ namespaceSelector: { matchLabels: { team: 'x' } } }] },
      { name: 'd', match: {}, allow: [{ ipBlock: { cidr: '10.0.0.0/8' } }] },
    ],
  },
].map(policyOf);

/** All that a preflight's verdict depends on, and nothing that was remembered of earlier ones. */
class World {
  readonly index = new PodIndex();
  readonly source = new FakeSource();
  readonly labels: Record<string, Record<string, string>> = {};
  wall = 1_000_000;
  policy = RULES[0] as Policy;
  #version = 100;
  readonly #stored = new Map<string, Pod>();

  constructor() {
    this.index.slice().beginReplace().commit('100');
  }

  /** Mostly the same few uids: a record takes the place of another, or a name changes hands. */
  put(a: number, b: number, c: number): void {
    const namespace = c % 2 === 0 ? 'shop' : 'bank';
    const uid = `${namespace}-${a % 3}-${b % 2}`;
    const pod = makePod({
      uid,
      namespace,
      name: `p${a % 3}`,
      resourceVersion: String(++this.#version),
      podIps: CHOICES[b % CHOICES.length] ?? [],
      hostIps: c % 7 === 0 ? [IPS[2]] : [],
      hostNetwork: c % 11 === 0,
      phase: c % 5 === 0 ? 'Succeeded' : 'Running',
      deletionTimestamp: c % 3 === 0 ? this.wall : undefined,
      serviceAccount: b % 3 === 0 ? 'db' : 'web',
      labels: { app: `${c % 2}` },
      nodeName: `node-${c % 4}`,
    });
    this.#stored.set(uid, pod);
    this.index.slice().upsert(pod);
  }

  remove(a: number): void {
    const pod = [...this.#stored.values()][a % (this.#stored.size || 1)];
    if (!pod) return;
    this.#stored.delete(pod.uid);
    this.index.slice().remove(makePod({ ...pod, resourceVersion: String(++this.#version) }));
  }

  reload(which: number): void {
    this.policy = RULES[which % RULES.length] as Policy;
  }
}

function evaluatorOf(world: World, policy: () => Policy): Evaluator {
  const known = { index: world.index, view: WHOLE, terminatingSlackMs: SLACK };
  const proxies = trustedProxies(`127.0.0.1,pod:shop/web`) as readonly TrustedProxy[];
  const identityHeaders = Object.values(DEFAULT_IDENTITY_HEADERS);
  return new Evaluator({
    freshness: new Freshness(world.source, 1000),
    clients: new ClientAddresses({ ...known, proxies, preset: undefined, clientIpHeader: undefined, identityHeaders }),
    known,
    constraints: new QueryConstraints(),
    policy,
    namespaces: { refusal: undefined, labelsOf: (name) => world.labels[name] },
    identities: new Identities(DEFAULT_IDENTITY_HEADERS),
    wall: () => world.wall,
  });
}

const FOR = ['X-Forwarded-For', 'x-forwarded-for', 'X-FORWARDED-FOR', 'X_Forwarded_For'];
const QUERIES = ['', '', '', 'namespace=shop', 'label_selector=app%3D1', 'namespace_selector=team', 'namespace='];
const PATHS = ['/a/b', '/a', '/b/c', '/', '/a/../b'];

function ask(evaluator: Evaluator, [a, b, c]: readonly number[]): Evaluation {
  const at = (list: readonly string[], number = 0): string => list[number % list.length] as string;
  const headers: [string, string][] = [
    [at(FOR, a), at(IPS, b)],
    ['X-Forwarded-Uri', at(PATHS, c)],
    ['X-Forwarded-Method', at(['GET', 'POST'], c)],
  ];
  if ((a ?? 0) % 5 === 0) headers.push([at(FOR, c), at([...IPS, 'x'], c)]);
  if ((a ?? 0) % 7 === 0) headers.length = 1;
  const from = at(['127.0.0.1', '127.0.0.1', '127.0.0.1', '127.0.0.2', ...IPS], b);
  return evaluator.of(preflightOf({ from, headers: (c ?? 0) % 13 === 0 ? [] : headers }), at(QUERIES, (a ?? 0) >> 2));
}

/** Pods by their versions: they are compared by themselves. */
function said({ verdict, facts, client, caller, identity, at, ageMs }: Evaluation): object {
  const { allow, rule } = verdict;
  const why = allow ? undefined : [verdict.reason, verdict.detail];
  const who = caller?.kind === 'pod' ? [caller.ip, caller.pod.resourceVersion] : caller;
  return { allow, rule, why, who, facts, client, headers: identity?.headers, at, ageMs };
}

test('E2 A5 what earlier preflights have left behind changes no verdict and nothing that is told of the caller', () => {
  const seen = new Map<string, number>();
  const number = fc.nat(0xffff);
  const step = fc.tuple(fc.nat(11), number, number, number);
  fc.assert(
    fc.property(fc.array(step, { minLength: 30, maxLength: 150, size: 'max' }), (steps) => {
      const world = new World();
      const lasting = evaluatorOf(world, () => world.policy);
      for (const [kind, a, b, c] of steps) {
        if (kind <= 2) world.put(a, b, c);
        else if (kind === 3) world.remove(a);
        else if (kind === 4) world.wall += a % 2 === 0 ? SLACK : 1;
        else if (kind === 5) world.labels[a % 2 === 0 ? 'shop' : 'bank'] = b % 2 === 0 ? { team: 'x' } : {};
        else if (kind === 6) world.reload(a);
        else if (kind === 7) world.source.age = a % 5 === 0 ? 1001 : 250;
        const policy = createPolicy(world.policy.rules, world.policy.fallback);
        const fresh = evaluatorOf(world, () => policy);
        // Twice and thrice: answers are kept from the second time on.
        for (let i = 0; i < 3; i++) {
          const former = steps[(a + i * b) % steps.length] ?? [];
          const question = i < 2 ? [a, b, c] : former.slice(1);
          const given = ask(lasting, question);
          const expected = ask(fresh, question);
          assert.deepEqual(said(given), said(expected));
          const { verdict, caller } = given;
          if (caller?.kind === 'pod') assert.equal(caller.pod, world.index.byUid(caller.pod.uid));
          const outcome = verdict.allow ? `allow ${verdict.caller.kind}` : verdict.reason;
          seen.set(outcome, (seen.get(outcome) ?? 0) + 1);
        }
      }
    }),
    { numRuns: 40 },
  );
  for (const kind of [
    'allow pod',
    'allow outside',
    'terminating',
    'stale',
    'ambiguous',
    'host-network',
    'terminal',
    'not-allowed',
    'no-rule',
    'untrusted-proxy',
    'invalid-header',
    'unsafe-path',
    'unknown-namespace',
  ])
    // prettier-ignore
    assert.ok((seen.get(kind) ?? 0) >= 3, `${kind}: ${seen.get(kind) ?? 0}`);
});
