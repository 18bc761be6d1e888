import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { EndpointSlice } from '../../src/endpoint-slice.ts';
import { EndpointSliceIndex } from '../../src/index/endpoint-slice-index.ts';

const slice = (name: string, version: number, change: Partial<EndpointSlice> = {}): EndpointSlice => ({
  uid: `uid-${name}`,
  namespace: 'shop',
  name,
  resourceVersion: String(version),
  labels: { 'kubernetes.io/service-name': change.service ?? 'web' },
  service: 'web',
  pods: [],
  skipped: 0,
  ...change,
});

const unreadable = (name: string | undefined, namespace: string | undefined) => ({
  key: `uid-${name}`,
  namespace,
  name,
  ips: [],
  reason: 'why',
});

function synced(...slices: readonly EndpointSlice[]): { readonly index: EndpointSliceIndex; readonly told: string[] } {
  const told: string[] = [];
  const index = new EndpointSliceIndex();
  index.onChange((service) => void told.push(service ? `${service.namespace}/${service.name}` : 'all'));
  const list = index.slice().beginReplace();
  for (const one of slices) list.add(one);
  list.commit('10');
  assert.deepEqual(told, ['all']);
  told.length = 0;
  return { index, told };
}

const namesOf = (index: EndpointSliceIndex, name: string): string =>
  index
    .of({ namespace: 'shop', name })
    .map((one) => one.name)
    .toSorted()
    .join(' ');

describe('the slices of a Service', () => {
  test('come and go with their events, and each change names its Service', () => {
    const { index, told } = synced(slice('a', 1), slice('b', 2), slice('c', 3, { service: 'api' }));
    assert.equal(namesOf(index, 'web'), 'a b');
    index.slice().upsert(slice('d', 11));
    index.slice().remove(slice('a', 12));
    assert.equal(namesOf(index, 'web'), 'b d');
    assert.equal(namesOf(index, 'api'), 'c');
    assert.deepEqual(told, ['shop/web', 'shop/web']);
    assert.equal(index.size, 3);
  });

  test('one that goes over to another Service is told of to both, and is of one', () => {
    const { index, told } = synced(slice('a', 1));
    index.slice().upsert(slice('a', 11, { service: 'api' }));
    assert.deepEqual(told, ['shop/api', 'shop/web']);
    assert.deepEqual([namesOf(index, 'web'), namesOf(index, 'api')], ['', 'a']);
  });

  test('one of no Service is kept and told of to nobody', () => {
    const { index, told } = synced(slice('a', 1, { service: '' }));
    index.slice().upsert(slice('a', 11, { service: '' }));
    assert.deepEqual([told, [...index.services()], index.size], [[], [], 1]);
  });

  test('a Service is named by its namespace, too, and each once', () => {
    const { index } = synced(slice('a', 1), slice('b', 2), slice('c', 3, { namespace: 'bank' }));
    const services = [...index.services()].map(({ namespace, name }) => `${namespace}/${name}`);
    assert.deepEqual(services.toSorted(), ['bank/web', 'shop/web']);
    assert.equal(namesOf(index, 'web'), 'a b');
  });

  test('they are found by the pods in them, where that is asked for', () => {
    const pods = (...uids: readonly string[]) => uids.map((uid) => ({ uid, name: uid, ip: '10.1.0.1', ready: true }));
    const index = new EndpointSliceIndex({ findByPod: true });
    const list = index.slice().beginReplace();
    list.add(slice('a', 1, { pods: pods('p', 'q') }));
    list.add(slice('b', 2, { pods: pods('q'), service: 'api' }));
    list.commit('10');
    const of = (uid: string): string[] =>
      index
        .servicesOf(uid)
        .map(({ namespace, name }) => `${namespace}/${name}`)
        .toSorted();
    assert.deepEqual([of('p'), of('q'), of('r')], [['shop/web'], ['shop/api', 'shop/web'], []]);
    index.slice().upsert(slice('a', 11, { pods: pods('r', 'q') }));
    assert.deepEqual([of('p'), of('q'), of('r')], [[], ['shop/api', 'shop/web'], ['shop/web']]);
    index.slice().remove(slice('a', 12));
    assert.deepEqual([of('q'), of('r')], [['shop/api'], []]);
    index.slice().beginReplace().commit('20');
    assert.deepEqual(of('q'), []);
    assert.deepEqual(synced(slice('a', 1, { pods: pods('p') })).index.servicesOf('p'), []);
  });

  test('A3 made anew under its name, it is another one', () => {
    const { index } = synced(slice('a', 1));
    index.slice().upsert(slice('a', 11, { uid: 'uid-new' }));
    assert.deepEqual(
      index.of({ namespace: 'shop', name: 'web' }).map(({ uid }) => uid),
      ['uid-new'],
    );
    index.slice().remove(slice('a', 12));
    assert.equal(namesOf(index, 'web'), 'a');
  });

  test('A8 a list says which there are, and tells of what it changed only', () => {
    const { index, told } = synced(slice('a', 1), slice('b', 2, { service: 'api' }), slice('c', 3, { service: 'db' }));
    const list = index.slice().beginReplace();
    list.add(slice('a', 1));
    list.add(slice('b', 15, { service: 'api', skipped: 1 }));
    assert.deepEqual(list.commit('20'), { added: 0, modified: 1, deleted: 1 });
    assert.deepEqual(told.toSorted(), ['shop/api', 'shop/db']);
  });

  test('B8 versions given out anew: a record of the same version that says something else is another', () => {
    const pods = [{ uid: 'p', name: 'p', ip: '10.1.0.1', ready: true }];
    for (const change of [{ pods }, { skipped: 1 }, { labels: { 'kubernetes.io/service-name': 'web', tier: 'b' } }]) {
      const { index, told } = synced(slice('a', 5));
      const list = index.slice().beginReplace();
      list.add(slice('a', 5, change));
      list.commit('7', { forget: true });
      assert.deepEqual(told, ['shop/web'], JSON.stringify(change));
      assert.deepEqual(index.of({ namespace: 'shop', name: 'web' })[0], slice('a', 5, change));
    }
  });

  test('A10 a list of one namespace leaves the others alone', () => {
    const index = new EndpointSliceIndex({ namespaces: ['shop', 'bank'] });
    for (const namespace of ['shop', 'bank']) {
      const list = index.slice(namespace).beginReplace();
      list.add(slice(`of-${namespace}`, 1, { namespace }));
      list.commit('10');
    }
    index.slice('bank').beginReplace().commit('20');
    assert.equal(namesOf(index, 'web'), 'of-shop');
    assert.equal(index.size, 1);
    assert.throws(() => index.slice('bank').upsert(slice('a', 21)), /namespace shop in the slice of bank/);
    assert.throws(() => index.slice('nowhere'), /no slice of nowhere/);
  });
});

describe('B6 EndpointSlices that cannot be read', () => {
  test('B6 what was last known stays, and its namespace is unsure until it can be read, or is gone', () => {
    const { index } = synced(slice('a', 1));
    index.slice().setAside(unreadable('a', 'shop'));
    assert.equal(namesOf(index, 'web'), 'a');
    assert.deepEqual([index.isUnsure('shop'), index.isUnsure('bank'), index.unreadable], [true, false, 1]);
    index.slice().upsert(slice('a', 11));
    assert.equal(index.isUnsure('shop'), false);
    index.slice().setAside(unreadable('a', 'shop'));
    index.slice().remove(slice('a', 12));
    assert.deepEqual([index.isUnsure('shop'), namesOf(index, 'web')], [false, '']);
  });

  test('B6 one of which not even the namespace is known may be of any', () => {
    const { index } = synced();
    index.slice().setAside(unreadable(undefined, undefined));
    assert.deepEqual([index.isUnsure('shop'), index.isUnsure('bank')], [true, true]);
  });
});
