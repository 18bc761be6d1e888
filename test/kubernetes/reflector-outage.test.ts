import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ApiError } from '../../src/kubernetes/api-error.ts';
import { synced } from '../support/reflector-harness.ts';
import type { Harness } from '../support/reflector-harness.ts';

/** Nothing of the API server answers for so long. */
async function away({ cluster, clock }: Harness, ms: number): Promise<void> {
  const { intercept } = cluster;
  cluster.intercept = () => {
    throw new Error('connect ECONNREFUSED');
  };
  await clock.advance(ms);
  cluster.intercept = intercept;
}

const lists = ({ cluster }: Harness): number => cluster.requests.filter((request) => request === 'stream').length;

test('B8 etcd restored and overtaken before our first read after it: a list after the outage shows it, and until then nothing is proof', async (t) => {
  const all = await synced(t);
  const { cluster, clock, served, reflector, metrics } = all;
  const backup = cluster.snapshot();
  cluster.put('d');
  cluster.put('a', { ready: false });
  await clock.advance(1_000);
  assert.deepEqual(served(), ['a', 'b', 'c', 'd']);
  const known = Number(reflector.resourceVersion);
  cluster.restore(backup);
  cluster.put('e'); // at a version that the former history has used as well
  cluster.version = known + 10;
  let release = (): void => {};
  const held = new Promise<void>((resolve) => (release = resolve));
  cluster.intercept = ({ verb }) => (verb === 'stream' ? held : undefined);
  await away(all, 10_000);
  await clock.advance(6_000);
  assert.equal(cluster.watches, 1);
  cluster.bookmark(); // the watch has reached every read
  await clock.settle();
  assert.equal(metrics.consistent_reads_total.backwards, 0, 'no read shows it');
  assert.ok(reflector.ageMs() >= 16_000, `${reflector.ageMs()} ms: as old as before the outage`);
  release();
  await clock.settle();
  assert.deepEqual(served(), ['a', 'b', 'c', 'e']);
  assert.ok(reflector.ageMs() < 6_000);
  assert.deepEqual([metrics.relists_total.outage, lists(all)], [1, 2]);
});

test('a connection that breaks and is back within two seconds costs no list', async (t) => {
  const all = await synced(t);
  const { cluster, clock, metrics, reflector } = all;
  for (let round = 0; round < 20; round++) {
    cluster.tick();
    cluster.bookmark();
    await clock.advance(1_000);
    cluster.breakWatches();
    await away(all, 200); // two attempts
    await clock.advance(800);
    assert.equal(cluster.watches, 1);
  }
  assert.equal(lists(all), 1);
  assert.ok(metrics.watches_total.error > 20);
  assert.ok(reflector.ageMs() < 30_000);
});

test('an outage begins with what was heard last: a silent watch that ends by its deadline has been one', async (t) => {
  const { DeadlineError } = await import('../../src/kubernetes/api-error.ts');
  const all = await synced(t);
  const { cluster, clock, metrics } = all;
  await clock.advance(29_000);
  cluster.breakWatches(new DeadlineError('not a byte within 30 s'));
  await clock.advance(300);
  assert.deepEqual([cluster.watches, metrics.relists_total.outage], [1, 1]);
});

test('an API server that ends its watches in order and is away afterwards has been away', async (t) => {
  const all = await synced(t);
  const { cluster, clock, metrics } = all;
  await clock.advance(20_000);
  cluster.closeWatches();
  await away(all, 10_000);
  await clock.advance(6_000);
  assert.deepEqual([cluster.watches, metrics.relists_total.outage], [1, 1]);
});

test('a list that was committed during the outage is the one that is needed', async (t) => {
  const all = await synced(t);
  const { cluster, clock, metrics } = all;
  cluster.intercept = ({ verb }) => {
    if (verb === 'watch') throw new ApiError(403);
  };
  cluster.breakWatches();
  await clock.advance(540_000);
  while (metrics.relists_total.periodic === 0) await clock.advance(500);
  cluster.intercept = () => {};
  await clock.advance(6_000);
  assert.deepEqual([cluster.watches, metrics.relists_total.outage], [1, 0]);
});

test('throttling is no outage, and one in the midst of an outage does not end it', async (t) => {
  const all = await synced(t);
  const { cluster, clock, metrics } = all;
  let answer: () => void = () => {
    throw new ApiError(429, { retryAfterMs: 20_000 });
  };
  cluster.intercept = ({ verb }) => (verb === 'watch' ? answer() : undefined);
  cluster.closeWatches();
  await clock.advance(10_000);
  answer = () => {};
  await clock.advance(20_000);
  assert.deepEqual([cluster.watches, metrics.relists_total.outage], [1, 0]);
  cluster.breakWatches();
  answer = () => {
    throw new Error('ECONNREFUSED');
  };
  await clock.advance(5_000);
  answer = () => {
    throw new ApiError(429, { retryAfterMs: 1_000 });
  };
  await clock.advance(6_000);
  answer = () => {};
  await clock.advance(6_000);
  assert.deepEqual([cluster.watches, metrics.relists_total.outage], [1, 1]);
});

test('after an outage large slices are listed at a random time within 5 s, as after a 410', async (t) => {
  const all = await synced(t);
  const { cluster, clock, metrics } = all;
  for (let n = 0; n <= 5_000; n++) cluster.put(`pod-${n}`);
  await clock.advance(700_000);
  const before = metrics.lists_total.ok;
  cluster.breakWatches();
  await away(all, 10_000);
  while (cluster.watches === 0) await clock.advance(100);
  await clock.advance(2_300); // random() is a half
  assert.equal(metrics.lists_total.ok, before);
  await clock.advance(300);
  assert.equal(metrics.lists_total.ok, before + 1);
});

test('once a read is answered again, a watch that waits need not wait longer, unless it was asked to', async (t) => {
  for (const [error, watches] of [
    [new Error('ECONNREFUSED'), 1],
    [new ApiError(503, { retryAfterMs: 60_000 }), 0],
  ] as const) {
    const all = await synced(t);
    const { cluster, clock } = all;
    let back = false;
    const answered = new Set<string>();
    cluster.intercept = ({ verb }) => {
      if (!back) throw error;
      if (verb === 'read') answered.add(verb);
      else if (answered.size === 0) throw error;
    };
    cluster.breakWatches();
    await clock.advance(31_000);
    back = true;
    while (answered.size === 0) await clock.advance(10);
    await clock.advance(50);
    assert.equal(cluster.watches, watches);
  }
});

test('B8 etcd restored: rebuilt a second after the first answer that was older, whichever it was, also after an outage', async (t) => {
  for (const first of ['read', 'stream'] as const) {
    const all = await synced(t);
    const { cluster, clock, served, metrics } = all;
    const backup = cluster.snapshot();
    cluster.put('d');
    await clock.advance(1_000);
    cluster.restore(backup);
    await away(all, 10_000);
    cluster.intercept = async ({ verb, signal }) => {
      if (verb === (first === 'read' ? 'stream' : 'read')) await clock.sleep(300, signal);
    };
    while (cluster.watches === 0) await clock.advance(10);
    await clock.advance(1_700);
    assert.deepEqual([served(), metrics.backwards_total.all], [['a', 'b', 'c'], 1], first);
    await all.stop();
  }
});
