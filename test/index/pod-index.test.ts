import assert from 'node:assert/strict';
import { test } from 'node:test';
import { PodIndex } from '../../src/index/pod-index.ts';
import type { SliceStore } from '../../src/kubernetes/store.ts';
import type { Pod } from '../../src/pod.ts';
import { makeContainer, makePod } from './make-pod.ts';

const X = '10.0.0.1';
const Y = '10.0.0.2';

/** The next version of a pod. */
function next(pod: Pod, fields: Partial<Pod> = {}): Pod {
  return { ...pod, resourceVersion: String(Number(pod.resourceVersion) + 1), ...fields };
}

function synced(options?: ConstructorParameters<typeof PodIndex>[0]): PodIndex {
  const index = new PodIndex(options);
  for (const namespace of options?.namespaces ?? [undefined]) index.slice(namespace).beginReplace().commit('1');
  return index;
}

test('a slice of the index is the store that a reflector asks for', () => {
  const store: SliceStore<Pod> = new PodIndex().slice();
  const list = store.beginReplace();
  assert.equal(list.alike(store.beginReplace()), true);
});

test('A2 an address is released by what is stored, not by what the event says', () => {
  const index = synced();
  const pod = makePod({ podIps: [X], hostIps: [Y] });
  for (const lie of [{ podIps: [] }, { podIps: [Y] }, { podIps: [X], hostIps: [] }, { hostNetwork: true }]) {
    index.slice().upsert(next(pod));
    index.slice().remove({ ...next(next(pod)), ...lie });
    assert.deepEqual(index.holders(X), []);
    assert.deepEqual(index.holders(Y), []);
    assert.equal(index.isHostIp(Y), false);
    index.slice().beginReplace().commit('1', { forget: true });
  }
});

test('A2 all who claim an address are held, and each is released alone', () => {
  const index = synced();
  const pods = Array.from({ length: 5 }, () => makePod({ podIps: [X] }));
  for (const pod of pods) index.slice().upsert(pod);
  assert.deepEqual(new Set(index.holders(X)), new Set(pods));
  for (const [i, pod] of pods.entries()) {
    const holders = index.holders(X);
    index.slice().remove(next(pod));
    assert.equal(holders.length, pods.length - i, 'a list that was given out does not change');
    assert.deepEqual(new Set(index.holders(X)), new Set(pods.slice(i + 1)));
  }
  assert.equal(index.addresses, 0);
});

test('A2 a host IP is held as long as a pod has it, and follows the pod', () => {
  const index = synced();
  const pod = makePod();
  const hosts = (): string[] => [X, Y].filter((ip) => index.isHostIp(ip));
  index.slice().upsert(pod);
  assert.deepEqual(hosts(), []);
  const other = makePod({ hostIps: [X] });
  index.slice().upsert(other);
  for (const [version, hostIps, expected] of [
    [101, [X], [X]],
    [102, [X, Y], [X, Y]],
    [103, [Y], [X, Y]],
    [104, [], [X]],
  ] as const) {
    index.slice().upsert({ ...pod, hostIps, resourceVersion: `${version}` });
    assert.deepEqual(hosts(), expected);
  }
  index.slice().remove(next(other));
  assert.deepEqual(hosts(), []);
});

test('A2 an address that stands twice in a pod is held once', () => {
  const index = synced();
  const pod = makePod({ podIps: [X, X], hostIps: [Y, Y] });
  index.slice().upsert(pod);
  assert.deepEqual(index.holders(X), [pod]);
  index.slice().remove(next(pod));
  assert.deepEqual([index.holders(X), index.isHostIp(Y)], [[], false]);
});

test('A3 DELETED for a uid that is not known, or not any more, changes nothing and is remembered', () => {
  const index = synced();
  const stored = makePod({ uid: 'new', name: 'n', podIps: [X] });
  const old = { ...stored, uid: 'old' };
  index.slice().upsert(stored);
  const { sequence } = index.changes;
  index.slice().remove({ ...old, resourceVersion: '200' });
  assert.equal(index.changes.sequence, sequence);
  assert.deepEqual(index.holders(X), [stored]);
  index.slice().upsert({ ...old, name: 'other', resourceVersion: '200' });
  assert.equal(index.byUid('old'), undefined);
  index.slice().upsert({ ...old, name: 'other', resourceVersion: '201' });
  assert.equal(index.byUid('old')?.resourceVersion, '201', 'a higher version is the pod again');
});

test('A3 when a name carries another uid the old one goes first, and the feed says so in that order', () => {
  const index = synced();
  const old = makePod({ uid: 'old', name: 'n', podIps: [X] });
  const now = makePod({ uid: 'new', name: 'n', podIps: [Y], resourceVersion: '200' });
  index.slice().upsert(old);
  const { sequence } = index.changes;
  index.slice().upsert(now);
  assert.deepEqual(
    index.changes.since(sequence)?.map(({ type, pod }) => [type, pod.uid]),
    [
      ['deleted', 'old'],
      ['added', 'new'],
    ],
  );
  assert.equal(index.byName(now.namespace, 'n'), now);
  assert.deepEqual(index.holders(X), []);
  index.slice().upsert({ ...old, resourceVersion: '199' });
  assert.equal(index.byUid('old'), undefined);
});

test('A3 versions are compared as numbers of any length', () => {
  const index = synced();
  const pod = makePod({ podIps: [X], resourceVersion: '9' });
  index.slice().upsert(pod);
  index.slice().upsert({ ...pod, podIps: [Y], resourceVersion: '10' });
  assert.equal(index.holders(Y).length, 1);
  const [big, bigger] = ['90071992547409921', '90071992547409922'];
  index.slice().upsert({ ...pod, podIps: [X], resourceVersion: bigger });
  index.slice().upsert({ ...pod, podIps: [Y], resourceVersion: big });
  assert.equal(index.holders(X).length, 1);
});

test('A3 deletions are remembered in a bounded number, and what is dropped is still not believed', () => {
  const index = synced({ rememberedDeletions: 10 });
  const pods = Array.from({ length: 100 }, (_, i) => makePod({ resourceVersion: String(100 + i), podIps: [X] }));
  for (const pod of pods) index.slice().upsert(pod);
  for (const [i, pod] of pods.entries()) index.slice().remove({ ...pod, resourceVersion: String(300 + i) });
  assert.ok((index.leftovers['deletions'] ?? 0) <= 20, 'ten uids and ten names');
  for (const pod of pods) index.slice().upsert(pod);
  assert.equal(index.size, 0);
  const late = index.slice().beginReplace();
  for (const pod of pods) late.add(pod);
  late.commit('388');
  assert.equal(index.size, 0, 'a list older than a deletion that was dropped could bring back the dead');
  const fresh = makePod({ resourceVersion: '389' });
  index.slice().upsert({ ...fresh, resourceVersion: '389' });
  assert.equal(index.byUid(fresh.uid), undefined);
  index.slice().upsert({ ...fresh, resourceVersion: '390' });
  assert.notEqual(index.byUid(fresh.uid), undefined);
  index.slice().beginReplace().commit('400');
  assert.equal(index.leftovers['deletions'], 0);
});

test('A9 names that every object has are names like any other', () => {
  const index = synced();
  const names = ['constructor', '__proto__', 'toString', 'hasOwnProperty', 'valueOf'];
  const pods = names.map((name) => makePod({ uid: name, namespace: name, name, podIps: [name], hostIps: [name] }));
  for (const name of names) {
    assert.equal(index.byUid(name), undefined);
    assert.equal(index.byName(name, name), undefined);
    assert.equal(index.byContainerId(name), undefined);
    assert.deepEqual(index.holders(name), []);
    assert.equal(index.isHostIp(name), false);
    assert.equal(index.isUnreadable(name), false);
  }
  for (const pod of pods) index.slice().upsert(pod);
  for (const pod of pods) {
    assert.equal(index.byUid(pod.uid), pod);
    assert.equal(index.byName(pod.namespace, pod.name), pod);
    assert.deepEqual(index.holders(pod.name), [pod]);
    assert.equal(index.isHostIp(pod.name), true);
  }
  for (const pod of pods) index.slice().remove(next(pod));
  assert.equal(index.size, 0);
});

test('A10 a slice takes only what is of its namespace', () => {
  const index = new PodIndex({ namespaces: ['a', 'b', 'a'] });
  assert.throws(() => index.slice(), /no slice of all namespaces/);
  assert.throws(() => index.slice('c'), /no slice of c/);
  const pod = makePod({ namespace: 'b' });
  const slice = index.slice('a');
  assert.throws(() => slice.upsert(pod), /an object of namespace b in the slice of a/);
  assert.throws(() => slice.remove(pod));
  assert.throws(() => slice.beginReplace().add(pod));
  assert.equal(index.size, 0);
});

test('a container is found by its id, with its scheme or without, as long as one pod has it', () => {
  const index = synced();
  const id = 'a'.repeat(64);
  const pod = makePod({
    containers: [makeContainer(`containerd://${id}`), makeContainer('', { kind: 'init' }), makeContainer('bare')],
  });
  index.slice().upsert(pod);
  assert.equal(index.byContainerId(id), pod);
  assert.equal(index.byContainerId(`containerd://${id}`), pod);
  assert.equal(index.byContainerId(`cri-o://${id}`), pod);
  assert.equal(index.byContainerId('bare'), pod);
  for (const none of ['', '://', 'containerd://', 'a'.repeat(63), id.toUpperCase()]) {
    assert.equal(index.byContainerId(none), undefined, none);
  }
  const restarted = next(pod, { containers: [makeContainer(`containerd://${'b'.repeat(64)}`)] });
  index.slice().upsert(restarted);
  assert.equal(index.byContainerId(id), undefined);
  assert.equal(index.byContainerId('b'.repeat(64)), restarted);
  const thief = makePod({ containers: [makeContainer('b'.repeat(64))] });
  index.slice().upsert(thief);
  assert.equal(index.byContainerId('b'.repeat(64)), undefined, 'two say it is theirs');
  index.slice().remove(next(thief));
  assert.equal(index.byContainerId('b'.repeat(64)), restarted);
  index.slice().remove(next(restarted));
  assert.equal(index.byContainerId('b'.repeat(64)), undefined);
  assert.equal(index.leftovers['containers'], 0);
});

test('a uid that comes back under another name is in one place only', () => {
  const index = synced();
  const pod = makePod({ podIps: [X] });
  index.slice().upsert(pod);
  index.slice().upsert(next(pod, { name: 'other', namespace: 'elsewhere' }));
  assert.equal(index.size, 1);
  assert.equal(index.byName(pod.namespace, pod.name), undefined);
  assert.equal(index.byName('elsewhere', 'other')?.uid, pod.uid);
  assert.equal(index.holders(X).length, 1);
});

test('a walk goes in order of namespace, then name, and can be taken up again behind any name', () => {
  const index = synced();
  const keys = [
    ['a', 'x'],
    ['a', 'x-1'],
    ['a-b', 'a'],
    ['b', ''],
    ['b', 'B'],
    ['b', 'a'],
    ['\u{10000}', 'a'],
    ['\uffff', 'a'],
  ] as const;
  const pods = keys.map(([namespace, name]) => makePod({ namespace, name }));
  for (const pod of pods.toReversed()) index.slice().upsert(pod);
  assert.deepEqual([...index.walk()], pods);
  for (const [i, after] of pods.entries()) {
    assert.deepEqual([...index.walk({ after })], pods.slice(i + 1));
    index.slice().remove(next(after));
    assert.deepEqual([...index.walk({ after })], pods.slice(i + 1), 'also when it is gone');
  }
});

test('a walk is over once anything has changed, were it one record only', () => {
  const index = synced();
  const [a, b] = [makePod({ name: 'a' }), makePod({ name: 'b' })];
  index.slice().upsert(a);
  index.slice().upsert(b);
  const walk = index.walk();
  assert.equal(walk.next().value, a);
  index.slice().upsert(next(b));
  assert.throws(() => walk.next(), /changed during a walk/);
});

test('a walk through a namespace stays in it', () => {
  const index = synced();
  const pods = ['a', 'a-b', 'b'].flatMap((namespace) => ['x', 'y'].map((name) => makePod({ namespace, name })));
  for (const pod of pods) index.slice().upsert(pod);
  const within = (namespace: string): Pod[] => pods.filter((pod) => pod.namespace === namespace);
  for (const namespace of ['a', 'a-b', 'b', '', 'ab', 'z']) {
    assert.deepEqual([...index.walk({ namespace })], within(namespace), namespace);
  }
  assert.deepEqual([...index.walk({ namespace: 'a-b', after: { namespace: 'a', name: '' } })], within('a-b'));
  const [a] = pods;
  assert.deepEqual([...index.walk({ namespace: 'a-b', after: { namespace: 'a', name: 'zz' } })], within('a-b'));
  assert.deepEqual(
    [...index.walk({ namespace: 'a-b', after: { namespace: 'a-b', name: 'x' } })],
    within('a-b').slice(1),
  );
  assert.deepEqual([...index.walk({ namespace: 'a-b', after: { namespace: 'b', name: '' } })], []);
  assert.deepEqual([...index.walk({ namespace: 'a', ...(a && { after: a }) })], within('a').slice(1));
});

test('a walk that goes on after a change says so instead of something that was never true', () => {
  const index = synced();
  const pods = [makePod(), makePod(), makePod()];
  for (const pod of pods) index.slice().upsert(pod);
  const walk = index.walk();
  walk.next();
  index.slice().remove(next(pods[2] ?? assert.fail()));
  assert.throws(() => walk.next(), /changed during a walk/);
});
