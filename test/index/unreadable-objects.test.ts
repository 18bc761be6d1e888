import assert from 'node:assert/strict';
import { test } from 'node:test';
import { answer } from '../../src/index/answer.ts';
import { PodIndex } from '../../src/index/pod-index.ts';
import type { Pod, Unreadable } from '../../src/pod.ts';
import { makePod } from './make-pod.ts';

const [X, Y, Z] = ['10.0.0.1', '10.0.0.2', 'fd00::1'];

const known = makePod({ uid: 'u', name: 'n', podIps: [X] });
const whole = { partial: false, clusterCidrs: [] };

/** What can be salvaged of a pod: by its uid, by its name only, or by nothing that is known. */
const byUid: Unreadable = { key: 'u', namespace: 'default', name: 'n', ips: [Y], reason: 'made up' };
const byBareUid: Unreadable = { ...byUid, namespace: undefined, name: undefined };
const byName: Unreadable = { ...byUid, key: 'default/n' };
const byDigest: Unreadable = { ...byBareUid, key: 'sha256' };

function synced(...pods: readonly Pod[]): PodIndex {
  const index = new PodIndex();
  list(index, pods, []).commit('200');
  return index;
}

function list(index: PodIndex, pods: readonly Pod[], objects: readonly Unreadable[]) {
  const replacement = index.slice().beginReplace();
  for (const pod of pods) replacement.add(pod);
  for (const object of objects) replacement.addUnreadable(object);
  return replacement;
}

const at = (version: number, fields: Partial<Pod> = {}): Pod => ({
  ...known,
  resourceVersion: `${version}`,
  ...fields,
});

/** One by one; all at once they are the same. */
function unreadableIps(index: PodIndex): string[] {
  const ips = [X, Y, Z].filter((ip) => index.isUnreadable(ip));
  assert.deepEqual([...index.unreadableIps()].toSorted(), ips);
  return ips;
}

test('B6 of an object of one pod’s uid and another’s name the addresses of both are unreadable', () => {
  const other = makePod({ uid: 'other', name: 'other', podIps: [Z] });
  const index = synced(known, other);
  index.slice().setAside({ ...byUid, name: 'other' });
  assert.deepEqual(unreadableIps(index), [X, Y, Z]);
});

test('B6 what was set aside and is read late is no longer set aside, also when its name is another one’s, or that one has gone too', () => {
  for (const isGone of [false, true]) {
    const index = synced(known);
    index.slice().setAside(byBareUid);
    const successor = makePod({ uid: 'successor', name: 'n', resourceVersion: '220' });
    index.slice().upsert(successor);
    if (isGone) index.slice().remove({ ...successor, resourceVersion: '230' });
    assert.deepEqual(unreadableIps(index), [Y]);
    index.slice().upsert(at(210));
    assert.deepEqual([unreadableIps(index), index.unreadable, index.byUid('u')], [[], 0, undefined]);
  }
});

for (const object of [byUid, byBareUid, byName]) {
  const how = `known by ${object.key}${object.name ? '' : ' alone'}`;

  test(`B6 an object that cannot be read, ${how}: its addresses, and those it had, are unreadable`, () => {
    const index = synced(known, makePod({ podIps: [Z] }));
    index.slice().setAside(object);
    assert.deepEqual(unreadableIps(index), [X, Y]);
    for (const ip of [X, Y]) assert.deepEqual(answer(index, ip, whole), { kind: 'unreadable' });
    assert.equal(answer(index, Z, whole).kind, 'one', 'the rest is served');
    assert.equal(index.unreadable, 1);
    assert.equal(index.isSetAside(known), true);
    assert.equal(index.byUid('u'), known, 'what was last known of it is not deleted');
    assert.equal(index.changes.since(index.changes.sequence)?.length, 0);
  });

  test(`B6 an object that cannot be read, ${how}, is set aside until it is read again`, () => {
    const index = synced(known);
    index.slice().setAside(object);
    index.slice().upsert(at(210, { podIps: [Z] }));
    assert.deepEqual([unreadableIps(index), index.unreadable, index.isSetAside(known)], [[], 0, false]);
    assert.equal(answer(index, Z, whole).kind, 'one');
  });

  test(`B6 an object that cannot be read, ${how}, is set aside until it is removed`, () => {
    const index = synced(known);
    index.slice().setAside(object);
    index.slice().remove(at(210));
    assert.deepEqual([unreadableIps(index), index.unreadable, index.size], [[], 0, 0]);
  });

  test(`B6 an object that cannot be read, ${how}, is not read by what is older`, () => {
    const index = synced(known);
    index.slice().upsert(at(250, { uid: 'other', name: 'other' }));
    index.slice().setAside(object);
    index.slice().upsert(at(240, { podIps: [Z] }));
    assert.deepEqual(unreadableIps(index), [Y, Z], 'what it had then is as uncertain');
    index.slice().remove(at(245));
    assert.equal(index.unreadable, 1);
    index.slice().upsert(at(260));
    assert.equal(index.unreadable, 0);
  });

  test(`B6 an object that cannot be read in a list, ${how}, keeps what is known of it, until a list is without it`, () => {
    const index = synced(known);
    const { sequence } = index.changes;
    assert.deepEqual(list(index, [], [object]).commit('300'), { added: 0, modified: 0, deleted: 0 });
    assert.deepEqual([index.byUid('u'), unreadableIps(index)], [known, [X, Y]]);
    list(index, [], [object]).commit('310');
    assert.deepEqual([index.byUid('u'), unreadableIps(index), index.unreadable], [known, [X, Y], 1]);
    assert.equal(index.changes.sequence, sequence);
    list(index, [], []).commit('320');
    assert.deepEqual([index.size, unreadableIps(index), index.unreadable], [0, [], 0]);
  });

  test(`B6 an object that cannot be read in a list, ${how}, is not set aside when the watch has read it since`, () => {
    const index = synced(known);
    const late = list(index, [], [object]);
    index.slice().upsert(at(310));
    late.commit('300');
    assert.deepEqual([index.unreadable, unreadableIps(index)], [0, []]);
    const later = list(index, [], [object]);
    index.slice().remove(at(410));
    later.commit('400');
    assert.deepEqual([index.unreadable, unreadableIps(index)], [0, []]);
  });
}

test('who follows what cannot be read is woken when it is other objects, names or addresses, not when the same is said again', async () => {
  const index = synced(known);
  const slice = index.slice();
  let wakes = 0;
  index.changes.onChange(() => wakes++);
  const changesBy = async (step: () => void): Promise<boolean> => {
    const before = [index.unreadableChanges, wakes] as const;
    step();
    await Promise.resolve();
    const changed = index.unreadableChanges !== before[0];
    assert.equal(wakes, before[1] + Number(changed));
    return changed;
  };
  const again = { ...byUid, ips: [...byUid.ips], reason: 'another' };
  assert.equal(await changesBy(() => slice.setAside(byUid)), true);
  assert.equal(await changesBy(() => slice.setAside(again)), false);
  assert.equal(await changesBy(() => list(index, [], [again]).commit('300')), false);
  assert.equal(await changesBy(() => slice.setAside({ ...byUid, ips: [Y, Z] })), true);
  assert.equal(await changesBy(() => slice.setAside({ ...byUid, ips: [] })), false, 'what was salvaged before counts');
  assert.equal(await changesBy(() => slice.setAside({ ...byBareUid, ips: [Y, Z] })), true);
  assert.equal(await changesBy(() => slice.setAside(byDigest)), true);
  assert.equal(await changesBy(() => list(index, [known], []).commit('310')), true);
});

test('B6 of an object whose name and uid cannot be read the addresses are unreadable until a list is without it', () => {
  const index = synced(known);
  index.slice().setAside(byDigest);
  index.slice().upsert(at(210));
  index.slice().remove(at(220));
  assert.deepEqual(unreadableIps(index), [Y]);
  list(index, [], []).commit('300');
  assert.deepEqual([unreadableIps(index), index.unreadable], [[], 0]);
});

test('B6 when the same object is set aside again, what is salvaged now counts, unless it is nothing', () => {
  const index = synced();
  index.slice().setAside(byUid);
  index.slice().setAside({ ...byUid, ips: [] });
  assert.deepEqual([unreadableIps(index), index.unreadable], [[Y], 1]);
  index.slice().setAside({ ...byUid, ips: [Z] });
  assert.deepEqual([unreadableIps(index), index.unreadable], [[Z], 1]);
  list(index, [], [{ ...byUid, ips: [] }]).commit('300');
  assert.deepEqual(unreadableIps(index), [Z]);
});

test('B6 an address of two objects is unreadable until both are read', () => {
  const index = synced();
  index.slice().setAside(byUid);
  index.slice().setAside({ ...byBareUid, key: 'v' });
  index.slice().upsert(at(210));
  assert.equal(index.isUnreadable(Y), true);
  index.slice().upsert(at(220, { uid: 'v', name: 'm' }));
  assert.equal(index.isUnreadable(Y), false);
});

test('B6 the deletion of another uid of its name says nothing of an object; the next pod of its name does', () => {
  const index = synced(known);
  index.slice().setAside({ ...byUid, key: 'next' });
  index.slice().remove(at(210));
  assert.deepEqual([index.size, unreadableIps(index)], [0, [Y]], 'what it had is nobody’s now');
  index.slice().upsert(at(220, { uid: 'after next' }));
  assert.equal(index.unreadable, 0);
});

test('B6 a list that was asked for before an object was set aside cannot say that it is well again', () => {
  const index = synced(known);
  const asked = list(index, [at(250)], []);
  index.slice().setAside(byUid);
  asked.commit('300');
  assert.deepEqual(unreadableIps(index), [X, Y]);
  list(index, [at(310)], []).commit('320');
  assert.deepEqual(unreadableIps(index), []);
});

test('B6 a list older than what the watch had brought before an object cannot say that it is well again', () => {
  const index = synced(known);
  index.slice().upsert(at(400, { uid: 'other', name: 'other' }));
  index.slice().setAside(byUid);
  list(index, [at(250)], []).commit('300');
  assert.deepEqual(unreadableIps(index), [X, Y]);
});

test('B6 in a streamed list the last word on an object counts', () => {
  const index = synced();
  const read = list(index, [], [byUid]);
  read.add(at(210));
  read.commit('300');
  assert.equal(index.unreadable, 0);
  const unread = list(index, [at(310)], [byName]);
  unread.commit('400');
  assert.deepEqual([index.byUid('u')?.resourceVersion, unreadableIps(index)], ['310', [X, Y]]);
  const gone = list(index, [], [byUid]);
  gone.remove(at(410));
  gone.commit('500');
  assert.deepEqual([index.size, index.unreadable], [0, 0]);
});

test('B8 after versions went backwards only what the new list could not read is set aside', () => {
  const index = synced(known);
  index.slice().upsert(at(900));
  index.slice().setAside(byUid);
  index.slice().setAside(byDigest);
  list(index, [], [{ ...byUid, ips: [Z] }]).commit('100', { forget: true });
  assert.deepEqual([unreadableIps(index), index.unreadable, index.size], [[Z], 1, 0]);
  index.slice().upsert(at(101));
  assert.deepEqual([index.unreadable, index.size], [0, 1]);
  index.slice().setAside(byUid);
  index.slice().upsert(at(102));
  assert.equal(index.unreadable, 0, 'versions of before do not count');
});

test('A10 a list of one slice says nothing of the objects of another', () => {
  const index = new PodIndex({ namespaces: ['default', 'b'] });
  for (const namespace of ['default', 'b']) index.slice(namespace).beginReplace().commit('200');
  index.slice('b').setAside(byDigest);
  index.slice('default').setAside(byUid);
  index.slice('default').setAside(byName);
  index.slice('default').beginReplace().commit('300');
  assert.equal(index.isUnreadable(Y), true);
  index.slice('b').beginReplace().commit('300');
  assert.equal(index.isUnreadable(Y), false);
});

test('whether a pod is set aside can be asked by uid, by name, or by what is known of it', () => {
  const index = synced(known);
  assert.equal(index.isSetAside({ uid: 'u' }), false);
  index.slice().setAside(byName);
  for (const [reference, expected] of [
    [{ uid: 'u' }, false],
    [{ namespace: 'default', name: 'n' }, true],
    [{ namespace: 'default', name: 'm' }, false],
    [{ namespace: 'default' }, false],
    [{ name: 'n' }, false],
    [{}, false],
    [known, true],
  ] as const) {
    assert.equal(index.isSetAside(reference), expected);
  }
});
