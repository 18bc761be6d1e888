import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import type { EndpointSlice } from '../../../src/endpoint-slice.ts';
import { EndpointSliceIndex } from '../../../src/index/endpoint-slice-index.ts';
import { groupKey } from '../../../src/sinks/postgres/mirrored-table.ts';
import type { MirrorScope } from '../../../src/sinks/endpoint-mirror/plan.ts';
import { mirroredTable, MirrorTruth } from '../../../src/sinks/endpoint-mirror/truth.ts';

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
  stage.truth.requeue();
  assert.deepEqual([changed(stage), woken], ['all', 3]);
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
  const { keys, values } = mirroredTable({ schema: 'public', name: 'server', text: 'public.server' }, 'dev');
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
