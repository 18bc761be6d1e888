import assert from 'node:assert/strict';
import { test } from 'node:test';
import { silence } from '../support/model-cluster.ts';
import { synced } from '../support/reflector-harness.ts';

test('C1 cut off from etcd: bookmarks and events go on, the age grows all the same', async (t) => {
  const { cluster, clock, reflector } = await synced(t);
  cluster.intercept = ({ verb, signal }) => (verb === 'read' ? silence(signal) : undefined);
  for (let n = 0; n < 10; n++) {
    await clock.advance(20_000);
    cluster.bookmark();
    cluster.put('a');
  }
  assert.ok(reflector.ageMs() >= 200_000);
});

test('C1 bookmarks only: the connection is kept, and fresh only by a read, which they let the stream reach', async (t) => {
  const { cluster, clock, reflector, metrics } = await synced(t);
  cluster.tick(); // something else in the cluster changes
  await clock.advance(31_000);
  assert.equal(metrics.consistent_reads_total.ok, 1);
  assert.equal(reflector.ageMs(), 31_000, 'read, and its version not reached');
  cluster.bookmark();
  await clock.settle();
  assert.equal(reflector.ageMs(), 1_000);
  assert.equal(cluster.requests.filter((request) => request.startsWith('watch')).length, 1);
});

test('C1 on a quiet cluster whose versions stand still every read is proof', async (t) => {
  const { clock, reflector } = await synced(t);
  for (let n = 0; n < 100; n++) {
    await clock.advance(7_000);
    assert.ok(reflector.ageMs() <= 31_000);
  }
});

test('C1 a read is sent every third of READY_MAX_STALENESS', async (t) => {
  const { clock, metrics } = await synced(t, { readyMaxStalenessMs: 9_000 });
  await clock.advance(60_100);
  assert.equal(metrics.consistent_reads_total.ok, 20);
});

test('C1 with 30 s watches whose bookmark comes 2 s before they end, the age of a busy cluster with quiet pods stays under a minute', async (t) => {
  const { cluster, clock, reflector } = await synced(t);
  let oldest = 0;
  for (let second = 1; second < 900; second++) {
    cluster.tick();
    await clock.advance(1_000);
    if (second % 30 === 28) cluster.bookmark();
    if (second % 30 === 0) cluster.closeWatches();
    oldest = Math.max(oldest, reflector.ageMs());
  }
  assert.ok(oldest < 60_000, `${oldest} ms`);
});

test('B2 watches are asked to last a third of READY_MAX_STALENESS, at least 5 s, jittered downwards', async (t) => {
  for (const [readyMaxStalenessMs, least, most] of [
    [90_000, 24, 30],
    [3_000, 5, 5],
  ] as const) {
    const { cluster, clock } = await synced(t, { readyMaxStalenessMs });
    const seconds: number[] = [];
    const watch = cluster.watch.bind(cluster);
    cluster.watch = (from, options) => {
      seconds.push(options.seconds);
      return watch(from, options);
    };
    cluster.closeWatches();
    await clock.advance(1_000);
    assert.ok(seconds.length > 0 && seconds.every((n) => n >= least && n <= most), String(seconds));
  }
});

test('B11 a frozen process notices that it slept: the age is there at once, and bytes that waited prove nothing', async (t) => {
  const { cluster, clock, reflector } = await synced(t);
  const answers: (() => void)[] = [];
  cluster.intercept = ({ verb }) =>
    verb === 'read' ? new Promise<void>((resolve) => void answers.push(resolve)) : undefined;
  await clock.advance(30_500); // a read was sent half a second ago
  clock.freeze(600_000); // SIGSTOP; its answer arrives meanwhile and waits in the socket
  assert.ok(reflector.ageMs() >= 630_000);
  answers[0]?.();
  cluster.bookmark();
  await clock.settle();
  assert.ok(reflector.ageMs() >= 600_000, 'the answer is as old as its question');
  answers[1]?.(); // the next question was due long ago, and was sent at once
  await clock.settle();
  assert.equal(reflector.ageMs(), 0);
});

test('a read that fails is tried again within 2 s, and once the API server answers, a list that waits need not wait longer', async (t) => {
  const { cluster, clock, reflector, metrics } = await synced(t);
  cluster.tick();
  cluster.compact();
  cluster.intercept = () => {
    throw new Error('ECONNREFUSED');
  };
  cluster.breakWatches();
  await clock.advance(5_000);
  const readAt: number[] = [];
  cluster.intercept = ({ verb }) => {
    if (verb === 'read') readAt.push(clock.now());
    if (verb !== 'watch') throw new Error('ECONNREFUSED');
  };
  await clock.advance(300_000);
  const pauses = readAt.slice(1).map((at, i) => at - (readAt[i] ?? 0));
  assert.ok(pauses.length > 100 && Math.max(...pauses) <= 2_000, `at the longest ${Math.max(...pauses)} ms`);
  assert.equal(metrics.relists_total.outage + metrics.relists_total.gone, 1, 'one for the outage and the 410');
  cluster.intercept = () => {};
  await clock.advance(2_000);
  assert.ok(reflector.ageMs() < 2_000, `${reflector.ageMs()} ms`);
});

test('C1 a proof that is asked for: at once where versions stand still, else by the bookmark of a short watch', async (t) => {
  const { cluster, clock, reflector } = await synced(t);
  const { signal } = new AbortController();
  const seconds: number[] = [];
  const watch = cluster.watch.bind(cluster);
  cluster.watch = (from, options) => {
    seconds.push(options.seconds);
    return watch(from, options);
  };
  await clock.advance(10_000);
  assert.equal(reflector.ageMs(), 10_000);
  await reflector.prove(signal);
  assert.equal(reflector.ageMs(), 0);
  cluster.tick(); // something else in the cluster changes
  await clock.advance(7_000);
  let proven = false;
  const proving = reflector.prove(signal).then(() => (proven = true));
  await clock.advance(1_000);
  assert.equal(proven, false);
  assert.deepEqual(seconds, [3]);
  cluster.bookmark();
  await clock.advance(100);
  await proving;
  assert.ok(reflector.ageMs() <= 1_100, `${reflector.ageMs()}`);
});

test('C1 a proof that is asked for rejects when the read fails, and waits no longer than its signal', async (t) => {
  const { cluster, clock, reflector } = await synced(t);
  cluster.tick();
  const limit = new AbortController();
  const proving = reflector.prove(limit.signal);
  await clock.advance(5_000);
  limit.abort();
  await clock.advance(100);
  await proving;
  cluster.intercept = ({ verb }) => {
    if (verb === 'read') throw new Error('refused');
  };
  await assert.rejects(reflector.prove(new AbortController().signal), /refused/);
});
