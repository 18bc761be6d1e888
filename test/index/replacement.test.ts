import assert from 'node:assert/strict';
import { test } from 'node:test';
import { PodIndex } from '../../src/index/pod-index.ts';
import type { Pod } from '../../src/pod.ts';
import { makePod } from './make-pod.ts';
import { permutations } from './orderings.ts';

const X = '10.0.0.1';

type Slice = ReturnType<PodIndex['slice']>;

function listed(slice: Slice, pods: readonly Pod[]): ReturnType<Slice['beginReplace']> {
  const list = slice.beginReplace();
  for (const pod of pods) list.add(pod);
  return list;
}

const uids = (index: PodIndex): string[] => [...index.walk()].map(({ uid }) => uid).sort();

const at = (pod: Pod, version: number, fields: Partial<Pod> = {}): Pod => ({
  ...pod,
  resourceVersion: String(version),
  ...fields,
});

test('A8 a list shows nothing before it is committed, and everything at once then', () => {
  const index = new PodIndex();
  const [a, b, c] = [makePod({ podIps: [X] }), makePod(), makePod()];
  listed(index.slice(), [a, b]).commit('200');
  const list = index.slice().beginReplace();
  for (const pod of [at(a, 150), c]) {
    list.add(pod);
    assert.deepEqual([uids(index), index.byUid(a.uid)], [[a.uid, b.uid].sort(), a]);
  }
  assert.deepEqual(list.commit('300'), { added: 1, modified: 1, deleted: 1 });
  assert.deepEqual(uids(index), [a.uid, c.uid].sort());
  assert.equal(index.byUid(a.uid)?.resourceVersion, '150');
});

test('A8 what a list differs in is found aside, step by step, and what comes meanwhile is not missed', () => {
  const index = new PodIndex();
  const slice = index.slice();
  const [same, gone, changed] = [makePod({ uid: 'u0' }), makePod({ uid: 'u1' }), makePod({ uid: 'u2' })];
  const [late, fresh, moved] = [makePod({ uid: 'u3' }), makePod({ uid: 'u4' }), makePod({ uid: 'u5' })];
  listed(slice, [same, gone, changed, late, moved]).commit('200');
  const list = listed(slice, [same, at(changed, 210), fresh, moved, at(late, 100)]);
  let steps = 0;
  for (const _ of list.compare(1)) {
    if (steps++ === 7) slice.remove(at(late, 290));
  }
  assert.ok(steps > 8);
  slice.upsert(at(moved, 310));
  assert.deepEqual(list.shrinkage('300'), { total: 4, lost: 1 });
  assert.deepEqual(list.commit('300'), { added: 2, modified: 1, deleted: 1 });
  assert.deepEqual(uids(index), ['u0', 'u2', 'u3', 'u4', 'u5']);
  assert.equal(index.byUid('u5')?.resourceVersion, '310');
});

test('A8 of a list that is given up nothing is kept for what comes after', () => {
  const index = new PodIndex();
  const slice = index.slice();
  const pods = Array.from({ length: 4 }, () => makePod());
  listed(slice, pods).commit('200');
  const grow = (version: number): number => {
    for (let i = 0; i < 3; i++) slice.upsert(at(makePod(), version + i));
    return slice.suspects;
  };
  const refused = listed(slice, pods);
  for (const _ of refused.compare());
  assert.equal(grow(210), 3);
  slice.beginReplace();
  assert.equal(grow(220), 0);
  const superseded = listed(slice, pods);
  for (const _ of superseded.compare());
  assert.ok(grow(230) > 0);
  assert.deepEqual(superseded.commit('100'), { added: 0, modified: 0, deleted: 0 });
  assert.equal(grow(240), 0);
  assert.deepEqual(refused.commit('300'), { added: 0, modified: 0, deleted: 12 }, 'it is compared anew');
});

test('A8 a list that goes on after it was compared is compared anew', () => {
  const index = new PodIndex();
  const [a, b, c] = [makePod(), makePod(), makePod()];
  listed(index.slice(), [a, b]).commit('200');
  const list = listed(index.slice(), [a, b]);
  for (const _ of list.compare());
  list.add(c);
  list.remove(b);
  assert.deepEqual(list.commit('300'), { added: 1, modified: 0, deleted: 1 });
  assert.deepEqual(uids(index), [a.uid, c.uid].sort());
});

test('A8 a relist that fails half way leaves the old index whole', () => {
  const index = new PodIndex();
  const pods = [makePod(), makePod()];
  listed(index.slice(), pods).commit('200');
  listed(index.slice(), [makePod()]);
  assert.deepEqual(uids(index), pods.map(({ uid }) => uid).sort());
  listed(index.slice(), pods).commit('201');
  assert.equal(index.size, 2);
});

test('A8 a pod that is as it was keeps its record, and the feed says nothing of it', () => {
  const index = new PodIndex();
  const pods = [makePod(), makePod()];
  listed(index.slice(), pods).commit('200');
  const { sequence } = index.changes;
  const done = listed(
    index.slice(),
    pods.map((pod) => ({ ...pod, labels: { ...pod.labels } })),
  ).commit('300');
  assert.deepEqual(done, { added: 0, modified: 0, deleted: 0 });
  for (const pod of pods) assert.equal(index.byUid(pod.uid), pod);
  assert.equal(index.changes.sequence, sequence);
});

test('A8 of a pod that is as it was a list keeps the stored record, and not a second one', () => {
  const index = new PodIndex();
  const pod = makePod();
  listed(index.slice(), [pod]).commit('200');
  assert.equal(listed(index.slice(), [{ ...pod }]).get(pod.uid), pod);
});

test('A8 what list and watch both bring is news once', () => {
  const index = new PodIndex();
  const pod = makePod();
  listed(index.slice(), []).commit('50');
  const list = listed(index.slice(), [pod]);
  index.slice().upsert({ ...pod });
  const stored = index.byUid(pod.uid);
  assert.deepEqual(list.commit('200'), { added: 0, modified: 0, deleted: 0 });
  assert.equal(index.byUid(pod.uid), stored);
});

test('A8 the deletions that a list implies are told before what it adds', () => {
  const index = new PodIndex();
  const [old, stays] = [makePod({ name: 'n' }), makePod()];
  listed(index.slice(), [old, stays]).commit('200');
  const { sequence } = index.changes;
  const [now, changed] = [makePod({ name: 'n', resourceVersion: '250' }), at(stays, 240)];
  listed(index.slice(), [now, changed]).commit('300');
  assert.deepEqual(
    index.changes.since(sequence)?.map(({ type, pod, previous, version }) => [type, pod, previous, version]),
    [
      ['deleted', old, old, '300'],
      ['modified', changed, stays, '240'],
      ['added', now, undefined, '250'],
    ],
  );
});

test('A8 what is newer than the list stays, and what was deleted since stays deleted', () => {
  const index = new PodIndex();
  const [a, b, c, d] = [makePod(), makePod(), makePod(), makePod()];
  listed(index.slice(), [a, b]).commit('200');
  const list = listed(index.slice(), [a, b, c]);
  index.slice().upsert(at(a, 310));
  index.slice().remove(at(b, 320));
  index.slice().remove(at(c, 330));
  index.slice().upsert(at(d, 340));
  assert.deepEqual(list.commit('300'), { added: 0, modified: 0, deleted: 0 });
  assert.deepEqual(uids(index), [a.uid, d.uid].sort());
  assert.equal(index.byUid(a.uid)?.resourceVersion, '310');
});

test('A8 a deletion of version 1000 is newer than a list of version 200', () => {
  const index = new PodIndex();
  const pod = makePod({ resourceVersion: '150' });
  listed(index.slice(), [pod]).commit('160');
  const list = listed(index.slice(), [pod]);
  index.slice().remove(at(pod, 1000));
  list.commit('200');
  assert.equal(index.size, 0);
});

test('A8 events at or below the version of the list are history', () => {
  const index = new PodIndex();
  const [a, b] = [makePod({ podIps: [X] }), makePod()];
  listed(index.slice(), [a]).commit('300');
  index.slice().remove(at(a, 300));
  index.slice().upsert(at(a, 299, { podIps: [] }));
  index.slice().upsert(at(b, 300));
  assert.deepEqual([index.byUid(a.uid), index.size], [a, 1]);
  index.slice().upsert(at(b, 301));
  assert.equal(index.size, 2);
});

test('A8 a list older than the one committed last changes nothing: its dead are not remembered any more', () => {
  const index = new PodIndex();
  const [a, b] = [makePod(), makePod()];
  listed(index.slice(), [a, b]).commit('200');
  const late = listed(index.slice(), [a, b]);
  index.slice().remove(at(b, 250));
  listed(index.slice(), [a]).commit('300');
  assert.deepEqual(late.commit('240'), { added: 0, modified: 0, deleted: 0 });
  assert.deepEqual(uids(index), [a.uid]);
});

test('A8 a pod the index never saw, in a list older than one of its name that has been and gone, stays away', () => {
  const index = new PodIndex();
  listed(index.slice(), []).commit('200');
  const old = makePod({ uid: 'old', name: 'n', resourceVersion: '210', podIps: [X] });
  const list = listed(index.slice(), [old]);
  index.slice().upsert({ ...old, uid: 'new', resourceVersion: '230' });
  index.slice().remove({ ...old, uid: 'new', resourceVersion: '240' });
  list.commit('220');
  assert.equal(index.size, 0);
});

test('A8 of two pods of one name the higher version decides, in whatever order a list holds them', () => {
  for (const [first, second] of permutations([110, 120])) {
    for (const wasSynced of [false, true]) {
      const index = new PodIndex();
      if (wasSynced) listed(index.slice(), []).commit('1');
      const pods = [first, second].map((version) =>
        makePod({ uid: `${version}`, name: 'n', resourceVersion: `${version}` }),
      );
      listed(index.slice(), pods).commit('200');
      assert.deepEqual(uids(index), ['120']);
      assert.equal(index.byName('default', 'n')?.uid, '120');
    }
  }
});

test('A8 a streamed list takes changes and deletions until it is at its end', () => {
  for (const wasSynced of [false, true]) {
    const index = new PodIndex();
    if (wasSynced) listed(index.slice(), [makePod({ resourceVersion: '1' })]).commit('1');
    const [a, b] = [makePod({ podIps: [X] }), makePod({ name: 'n', podIps: [X] })];
    const list = listed(index.slice(), [a, b]);
    list.add(at(a, 110));
    list.add(at(a, 105));
    list.remove(at(b, 120));
    list.remove(makePod());
    const again = makePod({ name: 'n', resourceVersion: '130' });
    list.add(again);
    assert.equal(list.size, 2);
    assert.deepEqual(list.commit('200'), { added: 2, modified: 0, deleted: wasSynced ? 1 : 0 });
    assert.deepEqual(uids(index), [a.uid, again.uid].sort());
    assert.equal(index.byUid(a.uid)?.resourceVersion, '110');
    assert.equal(index.holders(X).length, 1);
  }
});

test('A8 a first list that was given up leaves nothing behind', () => {
  const index = new PodIndex();
  listed(index.slice(), [makePod({ podIps: [X] }), makePod({ resourceVersion: '900' })]);
  const pod = makePod({ podIps: [X] });
  assert.deepEqual(listed(index.slice(), [pod]).commit('200'), { added: 1, modified: 0, deleted: 0 });
  assert.deepEqual(uids(index), [pod.uid]);
  assert.deepEqual(index.holders(X), [pod]);
});

test('A10 a first list of a slice that was given up leaves nothing behind, and others alone', () => {
  const index = new PodIndex({ namespaces: ['a', 'b'] });
  const [a, b] = [makePod({ namespace: 'a', podIps: [X] }), makePod({ namespace: 'b', podIps: [X] })];
  listed(index.slice('a'), [a]).commit('200');
  listed(index.slice('b'), [makePod({ namespace: 'b', podIps: [X] })]);
  listed(index.slice('b'), [b]).commit('200');
  assert.deepEqual(uids(index), [a.uid, b.uid].sort());
  assert.deepEqual(new Set(index.holders(X)), new Set([a, b]));
});

test('A8 of two first lists at once each may be committed, before or after the other', () => {
  const [a, b, c] = [makePod({ podIps: [X] }), makePod({ podIps: [X] }), makePod()];
  for (const [first, second] of permutations([0, 1])) {
    const index = new PodIndex();
    const lists = [index.slice().beginReplace(), index.slice().beginReplace()];
    lists[0]?.add(a);
    lists[1]?.add(b);
    lists[0]?.add(at(c, 110));
    lists[1]?.add(at(c, 120));
    lists[first ?? 0]?.commit('200');
    assert.deepEqual(uids(index), [[a, b][first ?? 0]?.uid ?? '', c.uid].sort());
    lists[second ?? 0]?.commit('300');
    assert.deepEqual(uids(index), [[a, b][second ?? 0]?.uid ?? '', c.uid].sort());
    assert.equal(index.byUid(c.uid)?.resourceVersion, second === 0 ? '110' : '120');
    assert.equal(index.holders(X).length, 1);
  }
});

test('A8 events before the first list count beside it', () => {
  const index = new PodIndex();
  const [a, b, c, d] = [makePod(), makePod(), makePod(), makePod()];
  const list = listed(index.slice(), [a, b]);
  index.slice().upsert(c);
  index.slice().upsert(at(d, 310));
  list.add(c);
  index.slice().remove(at(b, 320));
  index.slice().upsert(at(a, 330));
  list.commit('300');
  assert.deepEqual(uids(index), [a.uid, c.uid, d.uid].sort());
  assert.equal(index.byUid(a.uid)?.resourceVersion, '330');
});

test('A8 an event before the first list is not lost when that list is given up', () => {
  const index = new PodIndex();
  const pod = makePod();
  index.slice().upsert(pod);
  listed(index.slice(), [{ ...pod }]);
  listed(index.slice(), []).commit('90');
  assert.deepEqual(uids(index), [pod.uid]);
});

test('a list is committed once', () => {
  const list = new PodIndex().slice().beginReplace();
  list.commit('200');
  for (const again of [() => list.commit('300'), () => list.add(makePod()), () => list.remove(makePod())]) {
    assert.throws(again, /has been committed/);
  }
});

test('A10 a list replaces its own slice and no other, and each slice has its own floor', () => {
  const index = new PodIndex({ namespaces: ['a', 'b'] });
  const [a, b] = [makePod({ namespace: 'a' }), makePod({ namespace: 'b' })];
  listed(index.slice('a'), [a]).commit('500');
  listed(index.slice('b'), [b]).commit('200');
  assert.deepEqual(uids(index), [a.uid, b.uid].sort());
  index.slice('b').upsert(at(b, 300));
  assert.equal(index.byUid(b.uid)?.resourceVersion, '300');
  assert.deepEqual(listed(index.slice('a'), []).shrinkage('600'), { total: 1, lost: 1 });
  listed(index.slice('a'), []).commit('600');
  assert.deepEqual(uids(index), [b.uid]);
});

test('A10 a slice that is not yet synced does not disturb one that is', () => {
  const index = new PodIndex({ namespaces: ['a', 'b'] });
  const [a, b] = [makePod({ namespace: 'a', podIps: [X] }), makePod({ namespace: 'b', podIps: [X] })];
  const first = listed(index.slice('b'), [b]);
  listed(index.slice('a'), [a]).commit('200');
  listed(index.slice('a'), [a]).commit('300');
  first.commit('200');
  assert.deepEqual(uids(index), [a.uid, b.uid].sort());
  assert.equal(index.holders(X).length, 2);
});

test('B7 a relist repairs what lost events left behind, and says how much', () => {
  const index = new PodIndex();
  const [a, b, c] = [makePod(), makePod(), makePod()];
  listed(index.slice(), [a, b]).commit('200');
  assert.deepEqual(listed(index.slice(), [at(a, 210), c]).commit('300'), { added: 1, modified: 1, deleted: 1 });
  assert.deepEqual(uids(index), [a.uid, c.uid].sort());
});

test('B8 after versions went backwards the list alone is the truth, and counting begins anew', () => {
  const index = new PodIndex();
  const [a, b, c, d] = [makePod({ podIps: [X] }), makePod(), makePod(), makePod()];
  listed(index.slice(), [a, b, c]).commit('500');
  index.slice().upsert(at(a, 600));
  index.slice().remove(at(c, 610));
  index.slice().upsert(at(d, 620));
  const list = listed(index.slice(), [at(a, 90), c]);
  assert.deepEqual(list.commit('200', { forget: true }), { added: 1, modified: 1, deleted: 2 });
  assert.deepEqual(uids(index), [a.uid, c.uid].sort());
  assert.equal(index.byUid(a.uid)?.resourceVersion, '90');
  index.slice().upsert(at(a, 201));
  index.slice().upsert(at(d, 202));
  assert.equal(index.byUid(a.uid)?.resourceVersion, '201');
  assert.notEqual(index.byUid(d.uid), undefined);
});

test('B8 a version given out twice does not hide that the pod is another one now', () => {
  const pod = makePod({ podIps: [X] });
  const now = { ...pod, podIps: ['10.0.0.2'] };
  for (const options of [{ forget: true }, {}]) {
    const index = new PodIndex();
    listed(index.slice(), [pod]).commit('500');
    listed(index.slice(), [now]).commit(options.forget ? '200' : '600', options);
    assert.deepEqual(index.byUid(pod.uid), now);
    assert.deepEqual(index.holders(X), []);
  }
});

test('B8 when it went unnoticed, a newer list is right also about pods whose versions went back', () => {
  const index = new PodIndex();
  const pod = makePod({ podIps: [X], resourceVersion: '490' });
  listed(index.slice(), [pod]).commit('500');
  listed(index.slice(), [at(pod, 90)]).commit('600');
  assert.equal(index.byUid(pod.uid)?.resourceVersion, '90');
});

test('B9 an empty or shrunken list is measured: what would be lost, but for what is newer or cannot be read', () => {
  const index = new PodIndex();
  const pods = Array.from({ length: 10 }, (_, i) => makePod({ uid: `u${i}`, name: `n${i}` }));
  assert.deepEqual(listed(index.slice(), []).shrinkage('200'), { total: 0, lost: 0 });
  const first = listed(index.slice(), pods);
  assert.deepEqual(first.shrinkage('200'), { total: 0, lost: 0 }, 'nothing is served yet');
  first.commit('200');
  assert.deepEqual(listed(index.slice(), []).shrinkage('300'), { total: 10, lost: 10 });
  assert.deepEqual(listed(index.slice(), pods.slice(0, 4)).shrinkage('300'), { total: 10, lost: 6 });
  assert.deepEqual(listed(index.slice(), [makePod()]).shrinkage('300'), { total: 10, lost: 10 });
  for (const pod of pods.slice(0, 3)) index.slice().upsert(at(pod, 310));
  assert.deepEqual(listed(index.slice(), []).shrinkage('300'), { total: 10, lost: 7 });
  const list = listed(index.slice(), []);
  list.addUnreadable({ key: 'u8', namespace: undefined, name: undefined, ips: [], reason: '' });
  list.addUnreadable({ key: 'default/n9', namespace: 'default', name: 'n9', ips: [], reason: '' });
  assert.deepEqual(list.shrinkage('300'), { total: 10, lost: 5 });
});

test('B9 two lists are alike when neither is without more than half of the other', () => {
  const slice = new PodIndex().slice();
  const pods = Array.from({ length: 8 }, (_, i) => makePod({ uid: `u${i}` }));
  const rows: readonly (readonly [number, number, number, number, boolean])[] = [
    [0, 0, 0, 0, true],
    [0, 8, 0, 8, true],
    [0, 8, 0, 4, true],
    [0, 8, 0, 3, false],
    [0, 4, 2, 6, true],
    [0, 4, 3, 7, false],
    [0, 1, 0, 0, false],
    [0, 2, 0, 1, true],
  ];
  for (const [a, b, c, d, expected] of rows) {
    const one = listed(slice, pods.slice(a, b));
    const other = listed(slice, pods.slice(c, d));
    assert.equal(one.alike(other), expected, `${a}-${b} ${c}-${d}`);
    assert.equal(other.alike(one), expected);
  }
  const unread = slice.beginReplace();
  for (const { uid } of pods)
    unread.addUnreadable({ key: uid, namespace: undefined, name: undefined, ips: [], reason: '' });
  assert.equal(unread.alike(listed(slice, pods)), true, 'an object that cannot be read is there');
  assert.equal(unread.size, 0);
});
