import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { NamespaceIndex } from '../../src/index/namespace-index.ts';
import type { SliceStore } from '../../src/kubernetes/store.ts';
import type { Namespace } from '../../src/namespace.ts';
import type { Unreadable } from '../../src/pod.ts';

const namespace = (name: string, version: number, team: string, uid = `uid-${name}`): Namespace => ({
  uid,
  namespace: '',
  name,
  resourceVersion: String(version),
  labels: { team },
});

const unreadable = ({ uid: key, name }: Pick<Namespace, 'uid' | 'name'>): Unreadable => ({
  key,
  namespace: '',
  name,
  ips: [],
  reason: 'scripted',
});

/** Synced at version 10 with these. */
function synced(...listed: readonly Namespace[]): NamespaceIndex {
  const index = new NamespaceIndex();
  const list = index.slice.beginReplace();
  for (const one of listed) list.add(one);
  list.commit('10');
  return index;
}

const team = (index: NamespaceIndex, name = 'shop'): string | undefined => index.of(name)?.['team'];

test('its slice is the store that a reflector asks for', () => {
  const store: SliceStore<Namespace> = new NamespaceIndex().slice;
  assert.equal(store.beginReplace().alike(store.beginReplace()), true);
});

test('labels are those of the newest version, and of a name that nobody has there are none', () => {
  const index = synced(namespace('shop', 5, 'a'));
  assert.deepEqual([team(index), index.of('constructor'), index.size], ['a', undefined, 1]);
  index.slice.upsert(namespace('shop', 12, 'b'));
  index.slice.upsert(namespace('shop', 11, 'old'));
  assert.equal(team(index), 'b');
  index.slice.remove(namespace('shop', 13, 'b'));
  assert.deepEqual([team(index), index.size], [undefined, 0]);
});

test('A3 a namespace made anew has its own labels, whatever is still heard of the former one', () => {
  const index = synced(namespace('shop', 5, 'a', 'first'));
  index.slice.upsert(namespace('shop', 20, 'b', 'second'));
  assert.deepEqual([team(index), index.size], ['b', 1]);
  index.slice.upsert(namespace('shop', 15, 'late', 'first'));
  index.slice.remove(namespace('shop', 16, 'a', 'first'));
  assert.equal(team(index), 'b');
  index.slice.remove(namespace('shop', 21, 'b', 'second'));
  index.slice.upsert(namespace('shop', 17, 'late', 'first'));
  assert.equal(team(index), undefined);
});

test('A8 a list replaces everything in one step, and supersedes what was heard of before it', () => {
  const index = synced(namespace('shop', 5, 'a'), namespace('gone', 6, 'a'));
  const list = index.slice.beginReplace();
  list.add(namespace('shop', 30, 'b'));
  list.add(namespace('new', 31, 'c'));
  assert.deepEqual([team(index), team(index, 'gone'), team(index, 'new')], ['a', 'a', undefined]);
  assert.deepEqual(list.commit('40'), { added: 1, modified: 1, deleted: 1 });
  assert.deepEqual([team(index), team(index, 'gone'), team(index, 'new')], ['b', undefined, 'c']);
  index.slice.upsert(namespace('gone', 39, 'a'));
  assert.equal(team(index, 'gone'), undefined);
});

test('B6 of a namespace that cannot be read the labels are not known, by its uid or by its name, until it is read again', () => {
  for (const object of [unreadable({ uid: 'uid-shop', name: 'shop' }), unreadable({ uid: '/shop', name: 'shop' })]) {
    const index = synced(namespace('shop', 5, 'a'), namespace('other', 6, 'a'));
    index.slice.setAside(object);
    assert.deepEqual([team(index), team(index, 'other')], [undefined, 'a']);
    index.slice.upsert(namespace('shop', 20, 'b'));
    assert.equal(team(index), 'b');
    const list = index.slice.beginReplace();
    list.addUnreadable(object);
    list.add(namespace('other', 6, 'a'));
    list.commit('30');
    assert.deepEqual([team(index), team(index, 'other')], [undefined, 'a']);
    index.slice.upsert(namespace('shop', 31, 'c'));
    assert.equal(team(index), 'c');
  }
});

test('B6 one whose name cannot be read either keeps no labels beyond the list that could not read it', () => {
  const index = synced(namespace('shop', 5, 'a'));
  const list = index.slice.beginReplace();
  list.addUnreadable({ key: 'digest', namespace: '', name: undefined, ips: [], reason: 'scripted' });
  list.commit('20');
  assert.equal(team(index), undefined);
});

test('B8 after a rebuild the list alone is true', () => {
  const index = synced(namespace('shop', 5, 'a'));
  index.slice.upsert(namespace('shop', 50, 'b'));
  const list = index.slice.beginReplace();
  list.add(namespace('shop', 4, 'a'));
  list.commit('9', { forget: true });
  assert.equal(team(index), 'a');
});

/** What is told of the namespaces: the next event, one that cannot be read, one told before; a list is begun, or committed. */
const step = fc.tuple(
  fc.constantFrom('happens', 'happens', 'told', 'told', 'unreadable', 'again', 'begin', 'commit'),
  fc.nat(1000),
);

interface Entry {
  readonly type: 'upsert' | 'remove';
  readonly object: Namespace;
}

const NAMES = ['a', 'b', '__proto__'];

test('G whatever is told, in parts, twice, late, or of lists, the labels are those of the newest version told', () => {
  const property = fc.property(fc.array(step, { maxLength: 60, size: 'max' }), (steps) => {
    const index = synced();
    const log: Entry[] = [];
    const heard: Entry[] = [];
    const living = new Map<string, Namespace>();
    const lists: { readonly list: ReturnType<typeof index.slice.beginReplace>; version: number; told: number }[] = [];
    /** Names whose newest event could not be read, with how many events had been told then. */
    const aside = new Map<string, number>();
    let [version, told, floor, known] = [10, 0, 10, 10];
    for (const [what, n] of steps) {
      const name = NAMES[n % 3] ?? '';
      const next = log[told];
      if (what === 'happens') {
        const before = living.get(name);
        version++;
        const type = before && n % 4 === 0 ? 'remove' : 'upsert';
        const object = namespace(name, version, `${version}`, before?.uid ?? `uid-${version}`);
        if (type === 'remove') living.delete(name);
        else living.set(name, object);
        log.push({ type, object });
      } else if (what === 'told' && next) {
        index.slice[next.type](next.object);
        heard.push(next);
        told++;
        if (Number(next.object.resourceVersion) > floor) aside.delete(next.object.name);
        known = Math.max(known, Number(next.object.resourceVersion));
      } else if (what === 'unreadable' && next && Number(next.object.resourceVersion) > floor) {
        index.slice.setAside(unreadable(next.object));
        told++;
        aside.set(next.object.name, told);
        known = Math.max(known, Number(next.object.resourceVersion));
      } else if (what === 'again' && heard.length > 0) {
        const { type, object } = heard[n % heard.length] ?? assert.fail();
        index.slice[type](object);
      } else if (what === 'begin') {
        const list = index.slice.beginReplace();
        for (const object of living.values()) list.add(object);
        lists.push({ list, version, told });
      } else if (what === 'commit' && lists.length > 0) {
        const [taken] = lists.splice(n % lists.length, 1);
        taken?.list.commit(String(taken.version));
        if (taken && taken.version >= floor) {
          floor = taken.version;
          known = Math.max(known, floor);
          for (const [one, since] of aside) if (since <= taken.told) aside.delete(one);
        }
      }
      for (const one of NAMES) {
        const last = log.findLast(({ object }) => object.name === one && Number(object.resourceVersion) <= known);
        const expected = last?.type === 'upsert' && !aside.has(one) ? last.object.labels['team'] : undefined;
        assert.equal(team(index, one), expected, one);
      }
    }
  });
  fc.assert(property, { numRuns: 3000 });
});
