import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ChangeRing } from '../../src/index/change-feed.ts';
import { PodIndex } from '../../src/index/pod-index.ts';
import { makePod } from './make-pod.ts';

const pod = makePod();
const ring = (capacity: number): ChangeRing => new ChangeRing(capacity, (error) => assert.fail(String(error)));
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

test('a feed gives what came after a sequence, the oldest first', () => {
  const feed = ring(4);
  assert.deepEqual(feed.since(0), []);
  feed.push('added', pod, undefined, '100');
  feed.push('modified', pod, pod, '100');
  assert.deepEqual(feed.since(0), [
    { sequence: 1, type: 'added', pod, previous: undefined, version: '100' },
    { sequence: 2, type: 'modified', pod, previous: pod, version: '100' },
  ]);
  assert.deepEqual(
    feed.since(1)?.map(({ sequence }) => sequence),
    [2],
  );
  assert.deepEqual(feed.since(2), []);
});

test('a feed holds as many changes as it may, and says so of those that it does not hold any more', () => {
  for (const capacity of [1, 2, 3, 7]) {
    const feed = ring(capacity);
    for (let pushed = 1; pushed <= 20; pushed++) {
      feed.push('added', pod, undefined, '100');
      const oldest = Math.max(0, pushed - capacity);
      for (let from = 0; from <= pushed; from++) {
        const expected = from < oldest ? undefined : Array.from({ length: pushed - from }, (_, i) => from + i + 1);
        assert.deepEqual(
          feed.since(from)?.map(({ sequence }) => sequence),
          expected,
          `${capacity} ${pushed} ${from}`,
        );
      }
    }
    assert.equal(feed.size, capacity);
  }
});

test('a sequence that never was gets no changes', () => {
  const feed = ring(4);
  feed.push('added', pod, undefined, '100');
  for (const never of [2, -1, 0.5, Number.NaN, Infinity, -Infinity, 2 ** 60, '0' as unknown as number]) {
    assert.equal(feed.since(never), undefined, String(never));
  }
});

test('a feed of no changes, or of half a change, is refused', () => {
  for (const capacity of [0, -1, 1.5, Number.NaN, Infinity]) assert.throws(() => ring(capacity), RangeError);
});

test('after a restart all must take a snapshot, and then the feed goes on', () => {
  const feed = ring(4);
  feed.push('added', pod, undefined, '100');
  feed.restart();
  const { sequence } = feed;
  for (let from = 0; from < sequence; from++) assert.equal(feed.since(from), undefined);
  assert.deepEqual(feed.since(sequence), []);
  feed.push('deleted', pod, pod, '100');
  assert.deepEqual(
    feed.since(sequence)?.map(({ type }) => type),
    ['deleted'],
  );
});

test('listeners are woken once for a burst, after it', async () => {
  const feed = ring(4);
  let woken = 0;
  const stop = feed.onChange(() => woken++);
  for (let i = 0; i < 10; i++) feed.push('added', pod, undefined, '100');
  assert.equal(woken, 0);
  await turn();
  assert.equal(woken, 1);
  feed.push('added', pod, undefined, '100');
  feed.restart();
  await turn();
  assert.equal(woken, 2);
  feed.push('added', pod, undefined, '100');
  stop();
  stop();
  feed.push('added', pod, undefined, '100');
  await turn();
  assert.equal(woken, 2, 'not woken any more, not even by the burst before');
});

test('one function that listens twice is two listeners', async () => {
  const feed = ring(4);
  let woken = 0;
  const wake = (): void => void woken++;
  const stop = feed.onChange(wake);
  feed.onChange(wake);
  feed.push('added', pod, undefined, '100');
  await turn();
  stop();
  feed.push('added', pod, undefined, '100');
  await turn();
  assert.equal(woken, 3);
});

test('a listener that throws hurts neither the index nor the other listeners', async () => {
  const errors: unknown[] = [];
  const index = new PodIndex({ onListenerError: (error) => errors.push(error) });
  index.slice().beginReplace().commit('1');
  let woken = 0;
  const boom = new Error('boom');
  index.changes.onChange(() => {
    throw boom;
  });
  index.changes.onChange(() => woken++);
  index.slice().upsert(pod);
  await turn();
  index.slice().upsert({ ...pod, resourceVersion: '200' });
  await turn();
  assert.deepEqual([errors, woken, index.byUid(pod.uid)?.resourceVersion], [[boom, boom], 2, '200']);
});

test('a listener may leave, come and change the index while it is woken', async () => {
  const index = new PodIndex();
  index.slice().beginReplace().commit('1');
  const seen: string[] = [];
  const stopLast = { stop: (): void => {} };
  const again = (): void => {
    seen.push('again');
    stop();
    if (seen.length < 5) stop = index.changes.onChange(again);
    if (seen.length < 3) index.slice().upsert({ ...pod, resourceVersion: `${200 + seen.length}` });
    stopLast.stop();
  };
  let stop = index.changes.onChange(again);
  stopLast.stop = index.changes.onChange(() => seen.push('last'));
  index.slice().upsert(pod);
  await turn();
  assert.deepEqual(seen, ['again', 'again', 'again']);
});

test('a first sync makes no changes but ends all that were there; a later list tells what it changed', () => {
  const index = new PodIndex();
  const before = index.changes.sequence;
  const list = index.slice().beginReplace();
  list.add(pod);
  assert.equal(index.changes.sequence, before);
  list.commit('200');
  assert.equal(index.changes.since(before), undefined);
  const { sequence } = index.changes;
  assert.deepEqual(index.changes.since(sequence), []);
  index.slice().beginReplace().commit('300');
  assert.deepEqual(index.changes.since(sequence), [
    { sequence: sequence + 1, type: 'deleted', pod, previous: pod, version: '300' },
  ]);
});

test('a reader who is far behind costs the index nothing', () => {
  const index = new PodIndex({ feedCapacity: 8 });
  index.slice().beginReplace().commit('1');
  const { sequence } = index.changes;
  for (let version = 101; version < 1101; version++) index.slice().upsert({ ...pod, resourceVersion: `${version}` });
  assert.equal(index.changes.since(sequence), undefined);
  assert.equal(index.changes.since(index.changes.sequence - 8)?.length, 8);
});

test('a feed of fat labels holds fewer changes: memory is bounded in characters, not only in changes', () => {
  const feed = ring(8192);
  for (let i = 0; i < 300; i++) {
    feed.push('modified', makePod({ labels: { fat: `${i}`.padEnd(1024 * 1024, 'x') } }), undefined, '100');
  }
  assert.ok(feed.size > 30 && feed.size <= 64, `${feed.size}`);
  assert.equal(feed.since(feed.sequence - feed.size)?.length, feed.size);
  assert.equal(feed.since(feed.sequence - feed.size - 1), undefined);
});
