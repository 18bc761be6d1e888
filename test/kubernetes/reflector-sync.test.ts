import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ApiError, DeadlineError } from '../../src/kubernetes/api-error.ts';
import { podOf, silence } from '../support/model-cluster.ts';
import { harness } from '../support/reflector-harness.ts';
import type { Batch } from '../../src/kubernetes/list-watch.ts';
import type { Pod } from '../../src/pod.ts';

test('B1 what changes and goes while a streamed list is sent is in the list as it is at its end', async (t) => {
  const { start, cluster, served, store } = harness(t);
  for (const name of ['a', 'b', 'c']) cluster.put(name);
  cluster.whileStreaming = () => {
    cluster.put('a', { ready: false });
    cluster.delete('b');
    cluster.put('d');
    cluster.whileStreaming = () => {};
  };
  await start();
  assert.deepEqual(served(), ['a', 'c', 'd']);
  assert.equal(store.objects.get('uid-a')?.ready, false);
  assert.deepEqual(cluster.requests, ['stream', 'watch 106']);
});

test('B1 no half list is visible while a streamed list is sent', async (t) => {
  const { start, cluster, clock, served, reflector } = harness(t);
  for (const name of ['a', 'b', 'c']) cluster.put(name);
  cluster.whileStreaming = (signal) => clock.sleep(5_000, signal);
  await start();
  assert.deepEqual(served(), []);
  assert.equal(reflector.synced, false);
  await clock.advance(5_000);
  assert.deepEqual(served(), ['a', 'b', 'c']);
  assert.equal(reflector.ageMs(), 5_000, 'as old as its sending');
});

test('B1 a server that ignores sendInitialEvents says nothing more: pages at once, and then for an hour', async (t) => {
  const { start, cluster, clock, served } = harness(t);
  for (const name of ['a', 'b', 'c']) cluster.put(name);
  cluster.streams = 'ignored';
  const stream = cluster.stream.bind(cluster);
  cluster.stream = (signal) => endedBy(stream, signal, clock.sleep(10_000, signal));
  await start();
  assert.deepEqual(served(), []);
  await clock.advance(10_000);
  assert.deepEqual(served(), ['a', 'b', 'c']);
  await clock.advance(1_200_000);
  assert.equal(cluster.requests.filter((request) => request === 'stream').length, 1);
});

/** As the deadlines of `ApiListWatch` end a stream on which nothing comes. */
async function* endedBy(
  stream: (signal: AbortSignal) => AsyncIterable<Batch<Pod>>,
  outer: AbortSignal,
  time: Promise<void>,
): AsyncIterable<Batch<Pod>> {
  const limit = new AbortController();
  void time.then(() => limit.abort(outer.aborted ? outer.reason : new DeadlineError('not a byte within 10 s')));
  yield* stream(limit.signal);
}

test('B1 a server that ignores sendInitialEvents and whose pods keep changing is found out too', async (t) => {
  const { start, cluster, clock, served } = harness(t);
  for (const name of ['a', 'b', 'c']) cluster.put(name);
  cluster.stream = async function* (signal): AsyncIterable<Batch<Pod>> {
    cluster.requests.push('stream');
    for (const pod of cluster.pods.values()) yield [{ type: 'ADDED', object: pod }];
    for (;;) {
      await clock.sleep(1_000, signal);
      signal.throwIfAborted();
      yield [{ type: 'MODIFIED', object: podOf('a', ++cluster.version) }];
    }
  };
  await start();
  await clock.advance(15_000);
  assert.deepEqual(served(), ['a', 'b', 'c']);
  assert.ok(cluster.requests.includes('pages 0'));
});

test('B1 a streamed list that breaks is followed by one in pages, and the next one is streamed again', async (t) => {
  const { start, cluster, clock, served } = harness(t);
  for (const name of ['a', 'b', 'c']) cluster.put(name);
  let failed = false;
  cluster.intercept = ({ verb }) => {
    if (verb !== 'stream' || failed) return;
    failed = true;
    throw new ApiError(500);
  };
  await start();
  await clock.advance(1_000);
  assert.deepEqual(served(), ['a', 'b', 'c']);
  assert.deepEqual(cluster.requests.slice(0, 3), ['stream', 'pages 0', 'watch 103']);
  await clock.advance(605_000);
  assert.equal(cluster.requests.filter((request) => request === 'stream').length, 2);
  assert.equal(cluster.requests.filter((request) => request === 'pages 0').length, 1);
});

test('B1 every list and read is consistent: none ever names a version', async (t) => {
  const { start, cluster, clock } = harness(t);
  const versions: string[] = [];
  cluster.intercept = ({ verb, from }) => void (verb !== 'watch' && verb !== 'pages' && versions.push(from));
  await start();
  await clock.advance(700_000);
  assert.ok(versions.length > 20 && versions.every((version) => version === ''));
});

test('a stop while a streamed list is sent ends it, and its connection', async (t) => {
  const { start, stop, cluster, clock, reflector } = harness(t);
  cluster.put('a');
  cluster.whileStreaming = silence;
  await start();
  await stop();
  assert.equal(reflector.synced, false);
  assert.equal(clock.sleepers, 0);
});
