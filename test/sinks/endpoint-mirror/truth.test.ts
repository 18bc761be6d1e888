import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import * as fc from 'fast-check';
import type { EndpointSlice } from '../../../src/endpoint-slice.ts';
import { EndpointSliceIndex } from '../../../src/index/endpoint-slice-index.ts';
import { PodIndex } from '../../../src/index/pod-index.ts';
import type { Pod } from '../../../src/pod.ts';
import { groupKey } from '../../../src/sinks/postgres/mirrored-table.ts';
import type { MirrorScope } from '../../../src/sinks/endpoint-mirror/plan.ts';
import { PodDetails } from '../../../src/sinks/endpoint-mirror/pod-details.ts';
import { mirroredTable, MirrorTruth } from '../../../src/sinks/endpoint-mirror/truth.ts';
import { makePod } from '../../index/make-pod.ts';

const ALL: MirrorScope = { selector: undefined, namespaces: [], includeNotReady: false };

const slice = (name: string, version: number, change: Partial<EndpointSlice> = {}): EndpointSlice => ({
  uid: `uid-${name}`,
  namespace: 'shop',
  name,
  resourceVersion: String(version),
  labels: {},
  service: 'web',
  pods: [{ uid: 'uid-a', name: 'a', ip: '10.1.0.1', ready: true }],
  skipped: 0,
  ...change,
});

function known(slices: readonly EndpointSlice[], scope = ALL, isFresh = true) {
  const index = new EndpointSliceIndex();
  const truth = new MirrorTruth({ index, scope, isFresh: () => isFresh });
  const list = index.slice().beginReplace();
  for (const one of slices) list.add(one);
  list.commit('100');
  return { index, truth };
}

const changed = ({ truth }: { truth: MirrorTruth }): unknown => {
  const found = truth.changed();
  return found === 'all' ? 'all' : [...found].map((group) => group.split('\u0000').join('/'));
};

test('after the first list all may have changed, then what has changed, once', () => {
  const stage = known([slice('a', 1)]);
  assert.equal(changed(stage), 'all');
  assert.deepEqual(changed(stage), []);
  let woken = 0;
  const stop = stage.truth.onChange(() => woken++);
  for (const version of [101, 102]) stage.index.slice().upsert(slice('b', version, { service: 'api' }));
  stage.index.slice().remove(slice('a', 103));
  assert.deepEqual([changed(stage), woken], [['shop/api', 'shop/web'], 3]);
  stop();
  stage.index.slice().upsert(slice('b', 104, { service: 'api' }));
  assert.equal(woken, 3);
});

test('when one that could not be read is gone all may have changed: what was told of meanwhile was held back', () => {
  const stage = known([slice('a', 1)]);
  changed(stage);
  stage.index.slice().setAside({ key: 'uid-x', namespace: 'shop', name: 'x', ips: [], reason: 'why' });
  stage.index.slice().upsert(slice('a', 101, { pods: [] }));
  assert.deepEqual(changed(stage), ['shop/web']);
  assert.equal(stage.truth.mayDelete(groupKey(['shop', 'web'])), false);
  stage.index.slice().remove(slice('x', 102, { service: 'other', pods: [] }));
  assert.equal(stage.index.unreadable, 0);
  assert.equal(changed(stage), 'all');
  assert.notEqual(changed(stage), 'all');
});

test('a row is in the order of the columns, and stamped by Postgres', () => {
  const { truth } = known([slice('a', 1)]);
  const { keys, values } = mirroredTable({ schema: 'public', name: 'server', text: 'public.server' }, 'dev', {
    enriched: false,
  });
  const columns = [...keys, ...values].map(({ name }) => name);
  const [row = []] = truth.rows(groupKey(['shop', 'web']));
  assert.deepEqual(Object.fromEntries(columns.map((column, i) => [column, row[i]])), {
    namespace: 'shop',
    service: 'web',
    pod_uid: 'uid-a',
    pod_name: 'a',
    pod_ip: '10.1.0.1',
    ready: 't',
    last_seen: 'now',
  });
});

describe('with the pods', () => {
  const WEB = groupKey(['shop', 'web']);
  const isSynced = { synced: true };

  /** Two Services, the first with two pods; and these pods. */
  function enriched(pods: readonly Pod[], source: { readonly synced: boolean } = isSynced) {
    const index = new EndpointSliceIndex({ findByPod: true });
    const podIndex = new PodIndex();
    const details = new PodDetails(podIndex, source);
    const truth = new MirrorTruth({ index, scope: ALL, isFresh: () => true, details });
    const both = ['a', 'b'].map((name) => ({ uid: `uid-${name}`, name, ip: '10.1.0.1', ready: true }));
    const list = index.slice().beginReplace();
    for (const one of [slice('web', 1, { pods: both }), slice('api', 2, { service: 'api' })]) list.add(one);
    list.commit('100');
    const podList = podIndex.slice().beginReplace();
    for (const pod of pods) podList.add(pod);
    podList.commit('100');
    return { index, podIndex, truth };
  }

  const podA = (change: Partial<Pod> = {}): Pod => makePod({ uid: 'uid-a', namespace: 'shop', name: 'a', ...change });

  test('a row ends with the node and the labels, in the order of the columns; of a pod that is not known with NULLs', () => {
    const { truth } = enriched([podA({ labels: { b: '2', a: '1' } })]);
    const { keys, values } = mirroredTable({ schema: 'public', name: 'server', text: 'public.server' }, 'dev', {
      enriched: true,
    });
    const columns = [...keys, ...values].map(({ name }) => name);
    const [a = [], b = []] = truth.rows(WEB);
    const details = (row: readonly unknown[]): unknown =>
      ['node_name', 'pod_labels', 'last_seen'].map((column) => row[columns.indexOf(column)]);
    assert.deepEqual(details(a), ['node-1', '{"a":"1","b":"2"}', 'now']);
    assert.deepEqual(details(b), [null, null, 'now']);
    assert.equal(truth.count().unknown, 1);
  });

  test('a pod that comes, goes, gets labels or a node is told of by its Services; what else changes of it is not', async () => {
    const stage = enriched([podA()]);
    changed(stage);
    let woken = 0;
    stage.truth.onChange(() => woken++);
    const steps: readonly [string, () => void, unknown][] = [
      ['status', () => stage.podIndex.slice().upsert(podA({ resourceVersion: '101', ready: false })), []],
      ['labels', () => stage.podIndex.slice().upsert(podA({ resourceVersion: '102', labels: { x: '1' } })), 'both'],
      ['equal labels', () => stage.podIndex.slice().upsert(podA({ resourceVersion: '103', labels: { x: '1' } })), []],
      [
        'node',
        () => stage.podIndex.slice().upsert(podA({ resourceVersion: '104', nodeName: 'n', labels: { x: '1' } })),
        'both',
      ],
      ['gone', () => stage.podIndex.slice().remove(podA({ resourceVersion: '105' })), 'both'],
      ['back', () => stage.podIndex.slice().upsert(podA({ resourceVersion: '106', uid: 'uid-b' })), 'web'],
      ['of no Service', () => stage.podIndex.slice().upsert(makePod({ resourceVersion: '107' })), []],
    ];
    for (const [what, step, expected] of steps) {
      woken = 0;
      step();
      await Promise.resolve();
      assert.equal(woken, 1, what);
      const groups = { both: ['shop/api', 'shop/web'], web: ['shop/web'] }[String(expected)] ?? [];
      assert.deepEqual((changed(stage) as string[]).toSorted(), groups, what);
    }
  });

  test('more changes than the feed holds: all may have changed', () => {
    const stage = enriched([podA()]);
    changed(stage);
    for (let i = 0; i < 9_000; i++) stage.podIndex.slice().upsert(makePod({ resourceVersion: String(200 + i) }));
    assert.equal(changed(stage), 'all');
    assert.deepEqual(changed(stage), []);
  });

  test('before the pods were read once nothing is to be written, and they are not asked', () => {
    const source = { synced: false };
    const stage = enriched([podA()], source);
    assert.equal(stage.truth.ready, false);
    changed(stage);
    assert.equal(stage.truth.count().unknown, 0);
    source.synced = true;
    assert.deepEqual([stage.truth.ready, changed(stage)], [true, 'all']);
  });
});

test('what is not fresh is not to be written', () => assert.equal(known([], ALL, false).truth.ready, false));

test('all groups come in pieces, each once', async () => {
  const { truth } = known(Array.from({ length: 1_200 }, (_, i) => slice(`s-${i}`, 1, { service: `web-${i % 600}` })));
  const pieces: (readonly string[])[] = [];
  for await (const piece of truth.groups()) pieces.push(piece);
  assert.ok(pieces.length > 1 && pieces.every((piece) => piece.length <= 250));
  assert.equal(new Set(pieces.flat()).size, 600);
  assert.equal(pieces.flat().length, 600);
});

test('whatever there is and whatever is asked for: a row stays, goes or comes as it is written down', async () => {
  const NAMESPACES = ['shop', 'bank', 'office'];
  const place = { namespace: fc.constantFrom(...NAMESPACES), service: fc.constantFrom('web', 'api') };
  const pod = fc.record({ uid: fc.constantFrom('u1', 'u2', 'u3'), ready: fc.boolean() });
  const made = fc.array(
    fc.record({ ...place, tier: fc.constantFrom('a', 'b'), pods: fc.array(pod, { maxLength: 3 }) }),
    { maxLength: 6 },
  );
  const inTable = fc.array(fc.record({ ...place, uid: fc.constantFrom('u1', 'u2', 'u9') }), { maxLength: 8 });
  const asked = fc.record({
    isSelecting: fc.boolean(),
    namespaces: fc.subarray(['shop', 'bank']),
    includeNotReady: fc.boolean(),
    unreadable: fc.option(fc.constantFrom(...NAMESPACES), { nil: undefined }),
  });
  const property = fc.asyncProperty(made, inTable, asked, async (made, table, asked) => {
    const { isSelecting, namespaces, includeNotReady, unreadable } = asked;
    const isWatched = (namespace: string): boolean => namespaces.length === 0 || namespaces.includes(namespace);
    const selector = isSelecting ? { matches: (labels: EndpointSlice['labels']) => labels['tier'] === 'a' } : undefined;
    const index = new EndpointSliceIndex({ namespaces });
    const truth = new MirrorTruth({
      index,
      scope: { selector, namespaces, includeNotReady },
      isFresh: () => true,
    });
    // The API server tells of watched namespaces only.
    const slices = made
      .map(({ namespace, service, tier, pods }, i) =>
        slice(`s-${i}`, i + 1, {
          namespace,
          service,
          labels: { tier },
          pods: pods.map(({ uid, ready }) => ({ uid, name: uid, ip: '10.1.0.1', ready })),
        }),
      )
      .filter(({ namespace }) => isWatched(namespace));
    for (const namespace of namespaces.length === 0 ? [undefined] : namespaces) {
      const list = index.slice(namespace).beginReplace();
      for (const one of slices) if (namespace === undefined || one.namespace === namespace) list.add(one);
      list.commit('100');
    }
    if (unreadable !== undefined && isWatched(unreadable)) {
      const into = index.slice(namespaces.length === 0 ? undefined : unreadable);
      into.setAside({ key: 'x', namespace: unreadable, name: 'x', ips: [], reason: 'why' });
    }

    // What the writer makes of it, by the contract of the seam.
    const after = new Set<string>();
    const groups = new Set(table.map(({ namespace, service }) => groupKey([namespace, service])));
    for await (const piece of truth.groups()) for (const group of piece) groups.add(group);
    for (const group of groups) {
      const rows = truth.rows(group);
      for (const [namespace, service, uid] of rows) after.add(`${namespace}/${service}/${uid}`);
      if (rows.length > 0 || truth.mayDelete(group)) continue;
      for (const { namespace, service, uid } of table) {
        if (groupKey([namespace, service]) === group) after.add(`${namespace}/${service}/${uid}`);
      }
    }

    // And what is written down, row by row.
    const expected = new Set<string>();
    for (const namespace of NAMESPACES) {
      for (const service of ['web', 'api']) {
        const own = slices.filter((one) => one.namespace === namespace && one.service === service);
        const selected = own.filter(({ labels }) => !isSelecting || labels['tier'] === 'a');
        const stays = !isWatched(namespace) || unreadable === namespace || (own.length > 0 && selected.length === 0);
        for (const uid of ['u1', 'u2', 'u3', 'u9']) {
          const isThere = table.some(
            (one) => one.namespace === namespace && one.service === service && one.uid === uid,
          );
          // The newest slice that names it says whether it is ready; twice in one, ready counts.
          const last = selected.findLast(({ pods }) => pods.some((one) => one.uid === uid));
          const isReady = last?.pods.some((one) => one.uid === uid && one.ready) === true;
          const isMirrored = last !== undefined && (isReady || includeNotReady);
          if (stays ? isThere : isMirrored) expected.add(`${namespace}/${service}/${uid}`);
        }
      }
    }
    assert.deepEqual([...after].toSorted(), [...expected].toSorted());
  });
  await fc.assert(property, { numRuns: 1_500 });
});
