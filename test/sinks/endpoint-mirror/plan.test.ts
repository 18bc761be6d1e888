import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import * as fc from 'fast-check';
import type { EndpointSlice, PodEndpoint } from '../../../src/endpoint-slice.ts';
import { parseLabelSelector } from '../../../src/label-selector.ts';
import { planService, standing } from '../../../src/sinks/endpoint-mirror/plan.ts';
import type { MirrorScope } from '../../../src/sinks/endpoint-mirror/plan.ts';

const ALL: MirrorScope = { selector: undefined, namespaces: [], includeNotReady: false };
const EVEN_NOT_READY: MirrorScope = { ...ALL, includeNotReady: true };

function selecting(text: string): MirrorScope {
  const { selector } = parseLabelSelector(text);
  assert.ok(selector);
  return { ...ALL, selector };
}

const pod = (name: string, ip: string, ready = true): PodEndpoint => ({ uid: `uid-${name}`, name, ip, ready });

let versions = 0;
const slice = (pods: readonly PodEndpoint[], change: Partial<EndpointSlice> = {}): EndpointSlice => {
  versions++;
  return {
    uid: `slice-${versions}`,
    namespace: 'shop',
    name: `web-${versions}`,
    resourceVersion: String(versions),
    labels: { 'kubernetes.io/service-name': 'web' },
    service: 'web',
    pods,
    skipped: 0,
    ...change,
  };
};

/** `name ip`, and `!` behind one that is not ready. */
const rows = (slices: readonly EndpointSlice[], scope = ALL): string => {
  const shown = planService(slices, scope).rows.map(({ name, ip, ready }) => `${name} ${ip}${ready ? '' : '!'}`);
  assert.deepEqual(planService(slices.toReversed(), scope), planService(slices, scope), 'the order says nothing');
  return shown.join(', ');
};

describe('the rows of a Service', () => {
  test('its ready pods, from all of its slices', () => {
    const slices = [slice([pod('a', '10.1.0.1'), pod('b', '10.1.0.2', false)]), slice([pod('c', '10.1.0.3')])];
    assert.equal(rows(slices), 'a 10.1.0.1, c 10.1.0.3');
    assert.equal(rows(slices, EVEN_NOT_READY), 'a 10.1.0.1, b 10.1.0.2!, c 10.1.0.3');
    assert.equal(rows([]), '');
  });

  test('one pod in slices of both families: the IPv4 one, whichever is newer', () => {
    const four = [pod('a', '10.1.0.1')];
    const six = [pod('a', 'fd00::1')];
    assert.equal(rows([slice(four), slice(six)]), 'a 10.1.0.1');
    assert.equal(rows([slice(six), slice(four)]), 'a 10.1.0.1');
    assert.equal(rows([slice(six)]), 'a fd00::1');
  });

  test("and its readiness is that one's: for a moment the slices of the families say different things", () => {
    const slices = [slice([pod('a', '10.1.0.1', false)]), slice([pod('a', 'fd00::1')])];
    assert.equal(rows(slices), '');
    assert.equal(rows(slices, EVEN_NOT_READY), 'a 10.1.0.1!');
  });

  test('one pod in several slices: one row, by the slice that was written last', () => {
    const before = slice([pod('a', '10.1.0.1')]);
    const after = slice([pod('a', '10.1.0.1', false)]);
    assert.equal(rows([before, after]), '');
    assert.equal(rows([after, slice([pod('a', '10.1.0.1')])]), 'a 10.1.0.1');
    const [ten, nine] = [{ resourceVersion: '10' }, { resourceVersion: '9' }];
    assert.equal(rows([slice([pod('a', '10.1.0.1')], ten), slice([pod('a', '10.1.0.2')], nine)]), 'a 10.1.0.1');
  });

  test('twice in one slice: the ready one, then the lower address', () => {
    assert.equal(rows([slice([pod('a', '10.1.0.1', false), pod('a', '10.1.0.2')])]), 'a 10.1.0.2');
    assert.equal(rows([slice([pod('a', '10.1.0.2'), pod('a', '10.1.0.1')])]), 'a 10.1.0.1');
  });

  test('a pod that was made anew under its name has a row of its own', () => {
    const old = { ...pod('a', '10.1.0.1'), uid: 'uid-old' };
    assert.equal(rows([slice([old, pod('a', '10.1.0.9')])]), 'a 10.1.0.9, a 10.1.0.1');
    assert.equal(rows([slice([pod('a', '10.1.0.9')])]), 'a 10.1.0.9');
  });

  test('two pods with one address, as after an address was given on, are two rows', () => {
    assert.equal(rows([slice([pod('a', '10.1.0.1'), pod('b', '10.1.0.1')])]), 'a 10.1.0.1, b 10.1.0.1');
  });

  test('of the selected slices only', () => {
    const slices = [
      slice([pod('a', '10.1.0.1')], { labels: { tier: 'a' } }),
      slice([pod('a', '10.1.0.9', false), pod('b', '10.1.0.2')], { labels: { tier: 'b' } }),
    ];
    assert.equal(rows(slices, selecting('tier=a')), 'a 10.1.0.1');
    assert.equal(rows(slices, selecting('tier notin (a)')), 'b 10.1.0.2');
    assert.equal(rows(slices, selecting('tier=c')), '');
  });

  test('endpoints that are no pods are counted, of the selected slices', () => {
    const slices = [slice([], { skipped: 2 }), slice([pod('a', '10.1.0.1')], { skipped: 1, labels: { tier: 'a' } })];
    assert.equal(planService(slices, ALL).skipped, 3);
    assert.equal(planService(slices, selecting('tier')).skipped, 1);
  });
});

describe('what may be pruned', () => {
  const selected = slice([], { labels: { tier: 'a' } });
  const other = slice([], { labels: { tier: 'b' } });
  const of = (slices: readonly EndpointSlice[], scope: MirrorScope, namespace = 'shop'): string =>
    standing(namespace, slices, scope);

  test('without a selector or namespaces: everything that is not there', () => {
    assert.equal(of([selected, other], ALL), 'ours');
    assert.equal(of([], ALL), 'gone');
  });

  test('with a selector: rows of a Service none of whose slices it selects stay, until it has no slices left', () => {
    const scope = selecting('tier=a');
    assert.equal(of([selected, other], scope), 'ours');
    assert.equal(of([other], scope), 'foreign');
    assert.equal(of([], scope), 'gone');
  });

  test('with namespaces: rows of the others stay; of those nobody knows which slices they have', () => {
    const scope = { ...ALL, namespaces: ['shop', 'bank'] };
    assert.equal(of([], scope, 'bank'), 'gone');
    assert.equal(of([selected], scope), 'ours');
    assert.equal(of([], scope, 'office'), 'foreign');
  });
});

describe('whatever the slices', () => {
  const endpoint = fc.record({
    uid: fc.constantFrom('u1', 'u2', 'u3', 'u4'),
    name: fc.constantFrom('a', 'b'),
    ip: fc.constantFrom('10.1.0.1', '10.1.0.2', 'fd00::1', 'fd00::2'),
    ready: fc.boolean(),
  });
  const some = fc.uniqueArray(
    fc.record({
      version: fc.integer({ min: 1, max: 12 }),
      tier: fc.constantFrom('a', 'b'),
      pods: fc.array(endpoint, { maxLength: 5 }),
    }),
    // No two objects have one version.
    { maxLength: 5, selector: ({ version }) => version },
  );

  /** By passes: of all endpoints of a pod only those are left that no other is better than. */
  function naive(
    slices: readonly EndpointSlice[],
    isSelected: (one: EndpointSlice) => boolean,
    all: boolean,
  ): string[] {
    const endpoints = slices
      .filter(isSelected)
      .flatMap(({ pods, resourceVersion }) => pods.map((one) => ({ ...one, version: Number(resourceVersion) })));
    return [...new Set(endpoints.map(({ uid }) => uid))].toSorted().flatMap((uid) => {
      let left = endpoints.filter((one) => one.uid === uid);
      const keep = (isBetter: (one: (typeof left)[number]) => boolean): void => {
        if (left.some(isBetter)) left = left.filter(isBetter);
      };
      keep(({ ip }) => /^[0-9.]+$/.test(ip));
      const newest = Math.max(...left.map(({ version }) => version));
      keep(({ version }) => version === newest);
      keep(({ ready }) => ready);
      const [lowest] = left.map(({ ip }) => ip).toSorted();
      const row = left.find(({ ip }) => ip === lowest);
      return row && (row.ready || all) ? [`${uid} ${row.ip} ${row.ready}`] : [];
    });
  }

  test('the rows are those of a naive evaluator', () => {
    const property = fc.property(some, fc.boolean(), fc.constantFrom('', 'tier=a', '!tier'), (made, all, text) => {
      const slices = made.map(({ version, tier, pods }) =>
        slice(pods, { resourceVersion: String(version), labels: { tier } }),
      );
      const scope = { ...(text === '' ? ALL : selecting(text)), includeNotReady: all };
      const isSelected = ({ labels }: EndpointSlice): boolean =>
        text === '' || (text === 'tier=a' && labels['tier'] === 'a');
      const planned = planService(slices, scope).rows.map(({ uid, ip, ready }) => `${uid} ${ip} ${ready}`);
      assert.deepEqual(planned, naive(slices, isSelected, all));
    });
    fc.assert(property, { numRuns: 2000 });
  });
});
