import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ApiError } from '../../src/kubernetes/api-error.ts';
import { silence } from '../support/model-cluster.ts';
import { harness, synced } from '../support/reflector-harness.ts';

test('never synced: the age is infinite, nothing is served, and it goes on trying', async (t) => {
  const { start, cluster, clock, reflector, store } = harness(t);
  cluster.put('a');
  cluster.intercept = ({ signal }) => silence(signal);
  await start();
  await clock.advance(60_000);
  assert.equal(reflector.synced, false);
  assert.equal(reflector.ageMs(), Infinity);
  assert.equal(store.objects.size, 0);
  cluster.intercept = () => {};
  assert.equal(reflector.resourceVersion, '');
});

test('B1 the first sync is one streamed list with the version unset, and the watch goes on from its bookmark', async (t) => {
  const { cluster, served, reflector } = await synced(t);
  assert.deepEqual(served(), ['a', 'b', 'c']);
  assert.deepEqual(cluster.requests, ['stream', 'watch 103']);
  assert.equal(reflector.synced, true);
  assert.equal(reflector.resourceVersion, '103');
  assert.equal(reflector.ageMs(), 0);
});

test('C4 an empty cluster is synced', async (t) => {
  const { start, reflector } = harness(t);
  await start();
  assert.equal(reflector.synced, true);
  assert.equal(reflector.ageMs(), 0);
});

test('a watch brings what is added, changed and deleted', async (t) => {
  const { cluster, clock, served, store, metrics } = await synced(t);
  cluster.put('d');
  cluster.put('a', { ready: false });
  cluster.delete('b');
  await clock.settle();
  assert.deepEqual(served(), ['a', 'c', 'd']);
  assert.equal(store.objects.get('uid-a')?.ready, false);
  assert.deepEqual(metrics.watch_events_total, { added: 1, modified: 1, deleted: 1, bookmark: 0, error: 0 });
});

test('B3 clean close every second for a minute: reconnected at once from the last version, blind under 100 ms, nothing logged', async (t) => {
  const { cluster, clock, served, metrics, lines } = await synced(t);
  for (let second = 0; second < 60; second++) {
    await clock.advance(1_000);
    cluster.closeWatches();
    cluster.put(`pod-${second}`); // while nobody watches
    await clock.advance(99);
    assert.ok(served().includes(`pod-${second}`), `after ${second} s`);
    assert.equal(cluster.requests.at(-1), `watch ${cluster.version - 1}`);
  }
  assert.equal(metrics.watches_total.clean, 60);
  assert.equal(metrics.watches_total.error, 0);
  assert.equal(lines.filter(({ level }) => level > 30).length, 0);
  assert.equal(cluster.requests.filter((request) => request === 'stream').length, 1);
});

test('B3 a server that closes every watch at once is not asked in a tight loop', async (t) => {
  const { cluster, clock } = await synced(t);
  cluster.intercept = ({ verb }) => {
    if (verb === 'watch') queueMicrotask(() => setImmediate(() => cluster.closeWatches()));
  };
  cluster.closeWatches();
  await clock.advance(60_000);
  const watches = cluster.requests.filter((request) => request.startsWith('watch')).length;
  assert.ok(watches > 10 && watches < 40, `${watches} watches in a minute`);
  cluster.intercept = () => {};
  cluster.put('d');
  await clock.advance(5_000);
  assert.equal(cluster.watches, 1);
});

test('B3 nor is one that ends every watch after one new bookmark: twenty times a second at most, and blind under 100 ms', async (t) => {
  const { cluster, clock, served } = await synced(t);
  cluster.intercept = ({ verb }) => {
    if (verb !== 'watch') return;
    void clock.sleep(2, new AbortController().signal).then(() => {
      cluster.tick();
      cluster.bookmark();
      cluster.closeWatches();
    });
  };
  cluster.closeWatches();
  await clock.advance(10_000);
  const watches = cluster.requests.filter((request) => request.startsWith('watch')).length;
  assert.ok(watches > 150 && watches <= 205, `${watches} watches in ten seconds`);
  cluster.put('d');
  await clock.advance(99);
  assert.ok(served().includes('d'));
});

test('B4 410 as an HTTP status is answered by a list at once, without back-off the first time', async (t) => {
  const { cluster, clock, served, metrics } = await synced(t);
  cluster.intercept = ({ verb, from }) => {
    if (verb === 'watch' && from === '103') throw new ApiError(410, { reason: 'Gone' });
  };
  cluster.closeWatches();
  cluster.put('d');
  await clock.advance(60); // the first pause after a watch that brought nothing
  assert.deepEqual(served(), ['a', 'b', 'c', 'd']);
  assert.deepEqual(cluster.requests.slice(2), ['watch 103', 'stream', 'watch 104']);
  assert.equal(metrics.relists_total.gone, 1);
  assert.equal(metrics.watches_total.gone, 1);
});

test('B4 410 in the stream, as from an API server that restarts when no pod changed: listed at once, fresh at once', async (t) => {
  const { cluster, clock, reflector, metrics } = await synced(t);
  await clock.advance(20_000);
  cluster.compact();
  cluster.tick();
  cluster.compact();
  cluster.closeWatches();
  await clock.settle();
  assert.equal(metrics.relists_total.gone, 1);
  assert.equal(reflector.ageMs(), 0);
  assert.equal(cluster.watches, 1);
});

test('B4 "too large resource version", as 504, needs a list too', async (t) => {
  const { cluster, clock, metrics } = await synced(t);
  let first = true;
  cluster.intercept = ({ verb }) => {
    if (verb !== 'watch' || !first) return;
    first = false;
    throw new ApiError(504, { reason: 'Timeout', message: 'Too large resource version: 103, current: 5' });
  };
  await clock.advance(1_000);
  cluster.closeWatches();
  await clock.settle();
  assert.equal(metrics.relists_total.gone, 1);
  assert.equal(cluster.requests.filter((request) => request === 'stream').length, 2);
});

test('B4 a watch that is gone again right after every list backs off to one list in 30 s', async (t) => {
  const { cluster, clock, metrics } = await synced(t);
  cluster.intercept = ({ verb }) => {
    if (verb === 'watch') throw new ApiError(410);
  };
  await clock.advance(1_000);
  cluster.closeWatches();
  await clock.advance(300_000);
  assert.ok(metrics.relists_total.gone > 8 && metrics.relists_total.gone < 25, `${metrics.relists_total.gone} lists`);
});

test('B4 large slices are listed again at a random time within 5 s', async (t) => {
  const { start, cluster, clock, metrics } = harness(t);
  for (let n = 0; n <= 5_000; n++) cluster.put(`pod-${n}`);
  await start();
  await clock.advance(1_000);
  cluster.tick();
  cluster.compact();
  cluster.closeWatches();
  await clock.advance(2_400); // random() is a half
  assert.equal(metrics.lists_total.ok, 1);
  await clock.advance(200);
  assert.equal(metrics.lists_total.ok, 2);
});

test('API server restarts: served from what is known, the age grows, the watch is retried and not the list; fresh within 6 s of its return', async (t) => {
  const { cluster, clock, served, reflector } = await synced(t);
  cluster.intercept = () => {
    throw new Error('connect ECONNREFUSED');
  };
  cluster.breakWatches();
  await clock.advance(120_000);
  assert.deepEqual(served(), ['a', 'b', 'c']);
  assert.ok(reflector.ageMs() >= 120_000);
  assert.match(reflector.problem ?? '', /ECONNREFUSED/);
  assert.equal(cluster.requests.filter((request) => request === 'stream').length, 1);
  cluster.intercept = () => {};
  cluster.tick();
  cluster.compact(); // what it does when it starts
  await clock.advance(6_000);
  assert.ok(reflector.ageMs() < 6_000);
  assert.equal(reflector.problem, undefined);
});

test('B5 500/503/504 on a watch: retried with a back-off of at most 5 s, for ever, and reset by success', async (t) => {
  const { cluster, clock, metrics } = await synced(t);
  const statuses = [500, 503, 504];
  const failing = ({ verb }: { verb: string }): void => {
    if (verb === 'watch') throw new ApiError(statuses[metrics.watches_total.error % 3] ?? 500);
  };
  cluster.intercept = failing;
  await clock.advance(1_000);
  cluster.closeWatches();
  await clock.advance(600_000);
  const perMinute = metrics.watches_total.error / 10;
  assert.ok(perMinute >= 12 && perMinute < 20, `${perMinute} a minute`);
  cluster.intercept = () => {};
  await clock.advance(5_000);
  assert.equal(cluster.watches, 1);
  cluster.bookmark();
  await clock.settle();
  const before = metrics.watches_total.error;
  cluster.intercept = failing;
  cluster.breakWatches();
  await clock.advance(1_000);
  assert.ok(metrics.watches_total.error - before >= 3, 'the back-off began anew');
  assert.equal(metrics.relists_total.gone + metrics.relists_total.error + metrics.relists_total.corrupt, 0);
});

test('B5 500/503/504 on the list: retried with a back-off of at most 30 s, never the end', async (t) => {
  const { start, cluster, clock, metrics, reflector } = harness(t);
  cluster.put('a');
  cluster.intercept = () => {
    throw new ApiError(503);
  };
  await start();
  await clock.advance(600_000);
  assert.ok(metrics.lists_total.error >= 22 && metrics.lists_total.error < 40, `${metrics.lists_total.error} lists`);
  cluster.intercept = () => {};
  await clock.advance(30_000);
  assert.equal(reflector.synced, true);
});

test('B5 429 with Retry-After is honoured, by the watch as by the list, and is no reason for a list', async (t) => {
  const { start, cluster, clock, metrics } = harness(t);
  const at: number[] = [];
  cluster.intercept = () => {
    at.push(clock.now());
    if (at.length <= 2) throw new ApiError(429, { retryAfterMs: 40_000 });
  };
  await start();
  await clock.advance(100_000);
  const gaps = at.slice(1, 3).map((time, index) => time - (at[index] ?? 0));
  for (const gap of gaps) assert.ok(gap >= 40_000 && gap <= 44_001, `${gap} ms`);

  at.length = 0;
  cluster.intercept = ({ verb }) => {
    if (verb !== 'watch') return;
    at.push(clock.now());
    if (at.length === 1) throw new ApiError(429, { retryAfterMs: 20_000 });
  };
  cluster.closeWatches();
  await clock.advance(30_000);
  assert.ok((at[1] ?? 0) - (at[0] ?? 0) >= 20_000);
  assert.deepEqual(metrics.relists_total, {
    start: 1,
    periodic: 0,
    gone: 0,
    corrupt: 0,
    backwards: 0,
    outage: 0,
    error: 0,
  });
});

test('B5 401 does not end it', async (t) => {
  const { start, cluster, clock, reflector } = harness(t);
  cluster.intercept = () => {
    throw new ApiError(401, { reason: 'Unauthorized' });
  };
  await start();
  await clock.advance(300_000);
  cluster.intercept = () => {};
  await clock.advance(30_000);
  assert.equal(reflector.synced, true);
});

test('B5 403 on list: tried for ever, and the log names the missing verb, once a minute', async (t) => {
  const { start, cluster, clock, reflector, lines } = harness(t);
  cluster.intercept = () => {
    throw new ApiError(403, { reason: 'Forbidden', message: 'pods is forbidden' });
  };
  await start();
  await clock.advance(600_000);
  assert.match(reflector.problem ?? '', /not allowed to list pods at cluster scope.*"list" must be granted/);
  const said = lines.filter(({ msg }) => msg === 'not allowed to list');
  assert.ok(said.length >= 9 && said.length <= 11, `${said.length} lines`);
  assert.equal(said[0]?.['verb'], 'list');
  assert.ok(Number(said[1]?.['times']) > 1);
  cluster.intercept = () => {};
  await clock.advance(30_000);
  assert.equal(reflector.synced, true);
  assert.equal(reflector.problem, undefined);
});

test('B5 403: list allowed but watch denied: synced by pages, then not fresh past the limit, and the log names the verb', async (t) => {
  const { start, cluster, clock, reflector, lines } = harness(t);
  for (const name of ['a', 'b', 'c', 'd']) cluster.put(name);
  cluster.intercept = ({ verb }) => {
    if (verb === 'watch' || verb === 'stream') throw new ApiError(403, { reason: 'Forbidden' });
  };
  await start();
  assert.equal(reflector.synced, true);
  cluster.put('e');
  await clock.advance(120_000);
  assert.ok(reflector.ageMs() > 90_000, 'reads go on, but nothing reaches their versions');
  assert.match(reflector.problem ?? '', /not allowed to watch pods at cluster scope.*"watch"/);
  assert.ok(lines.some(({ msg, verb }) => msg === 'not allowed to watch' && verb === 'watch'));
});

test('half-open connection, silence: a watch that ends by its idle deadline is resumed from the last version', async (t) => {
  const { DeadlineError } = await import('../../src/kubernetes/api-error.ts');
  const { cluster, clock, served, metrics } = await synced(t);
  cluster.breakWatches(new DeadlineError('not a byte within 150 s'));
  cluster.put('d');
  await clock.advance(5_000);
  assert.equal(metrics.watches_total.idle, 1);
  assert.deepEqual(served(), ['a', 'b', 'c', 'd']);
  assert.ok(cluster.requests.includes('watch 103'));
});

test('in-stream ERROR: other than 410 closes the watch and backs off, without a list', async (t) => {
  const { cluster, clock, metrics, served } = await synced(t);
  await clock.advance(1_000);
  cluster.send({
    type: 'ERROR',
    status: { code: 500, reason: 'InternalError', message: 'etcd', retryAfterSeconds: 3 },
  });
  cluster.put('d');
  await clock.advance(2_900);
  assert.equal(cluster.watches, 0);
  await clock.advance(500);
  assert.equal(cluster.watches, 1);
  assert.deepEqual(served(), ['a', 'b', 'c', 'd']);
  assert.equal(metrics.watches_total.error, 1);
  assert.equal(metrics.relists_total.gone, 0);
});

test('duplicates, reordering, replay: what is older than what is served changes nothing', async (t) => {
  const { cluster, clock, store } = await synced(t);
  const old = store.objects.get('uid-a');
  cluster.put('a', { ready: false });
  await clock.settle();
  assert.ok(old);
  cluster.send({ type: 'MODIFIED', object: old }, { type: 'ADDED', object: old }, { type: 'DELETED', object: old });
  await clock.settle();
  assert.equal(store.objects.get('uid-a')?.ready, false);
});

test('B1 a server that refuses sendInitialEvents is listed in pages, and for an hour at once', async (t) => {
  const { start, cluster, clock, served } = harness(t);
  for (const name of ['a', 'b', 'c', 'd']) cluster.put(name);
  cluster.streams = 'refused';
  await start();
  assert.deepEqual(served(), ['a', 'b', 'c', 'd']);
  assert.deepEqual(cluster.requests, ['stream', 'pages', 'pages 3', 'watch 104'].map(fromZero));
  await clock.advance(3_500_000);
  const streams = cluster.requests.filter((request) => request === 'stream').length;
  assert.equal(streams, 1);
  await clock.advance(1_200_000);
  assert.equal(cluster.requests.filter((request) => request === 'stream').length, 2);
});

const fromZero = (request: string): string => (request === 'pages' ? 'pages 0' : request);

test('B1 a list whose version is compacted between two pages begins anew at once', async (t) => {
  const { start, cluster, served } = harness(t);
  for (const name of ['a', 'b', 'c', 'd']) cluster.put(name);
  cluster.streams = 'refused';
  let failed = false;
  cluster.intercept = ({ verb, from }) => {
    if (verb !== 'pages' || from === '0' || failed) return;
    failed = true;
    cluster.delete('a');
    throw new ApiError(410, { reason: 'Expired' });
  };
  await start();
  assert.deepEqual(served(), ['b', 'c', 'd']);
});

test('B1 a list whose version is always compacted between two pages backs off', async (t) => {
  const { start, cluster, clock, metrics } = harness(t);
  for (const name of ['a', 'b', 'c', 'd']) cluster.put(name);
  cluster.streams = 'refused';
  cluster.intercept = ({ verb, from }) => {
    if (verb === 'pages' && from !== '0') throw new ApiError(410, { reason: 'Expired' });
  };
  await start();
  await clock.advance(300_000);
  assert.ok(metrics.lists_total.error < 25, `${metrics.lists_total.error} lists`);
});

test('A8 a list that fails half way leaves what is served as it was', async (t) => {
  const { cluster, clock, served } = await synced(t);
  cluster.streams = 'refused';
  for (const name of ['d', 'e', 'f']) cluster.put(name);
  cluster.intercept = ({ verb, from }) => {
    if (verb === 'pages' && from !== '0') throw new Error('reset');
  };
  await clock.advance(900_000);
  assert.deepEqual(served(), ['a', 'b', 'c', 'd', 'e', 'f']);
});

test('SIGTERM in the middle of a sync: it ends at once, and nothing half is visible', async (t) => {
  const { start, stop, cluster, clock, store, reflector } = harness(t);
  for (const name of ['a', 'b', 'c', 'd']) cluster.put(name);
  cluster.streams = 'refused';
  cluster.intercept = ({ from, signal }) => (from === '3' ? silence(signal) : undefined);
  await start();
  await stop();
  assert.equal(store.objects.size, 0);
  assert.equal(reflector.synced, false);
  assert.equal(clock.sleepers, 0);
});

test('an aborted reflector leaves no sleeper and no watch, whatever it was doing', async (t) => {
  for (const wait of [0, 1_000, 31_000, 61_000, 601_000]) {
    const { stop, cluster, clock } = await synced(t);
    await clock.advance(wait);
    await stop();
    assert.equal(clock.sleepers, 0);
    assert.equal(cluster.watches, 0);
  }
});

test('B5 a mistake in a loop itself does not end it', async (t) => {
  const { VirtualClock } = await import('../support/virtual-clock.ts');
  let mistaken = false;
  const random = (): number => {
    if (mistaken) throw new Error('a mistake');
    return 0.5;
  };
  const { cluster, clock, served, lines, reflector } = await synced(t, { clock: new VirtualClock(random) });
  mistaken = true;
  cluster.breakWatches();
  cluster.put('d');
  await clock.advance(700_000);
  assert.ok(lines.some(({ msg }) => msg.includes('begins again')));
  mistaken = false;
  await clock.advance(10_000);
  assert.deepEqual(served(), ['a', 'b', 'c', 'd']);
  assert.ok(reflector.ageMs() < 31_000);
  cluster.loseNextEvent = true;
  cluster.put('e');
  await clock.advance(700_000);
  assert.ok(served().includes('e'), 'and the periodic list goes on');
});

test('B5 a Retry-After of a year on a consistent read does not end them: the next comes at the usual pace', async (t) => {
  const { cluster, clock, reflector } = await synced(t);
  let refused = 0;
  cluster.intercept = ({ verb }) => {
    if (verb !== 'read' || refused > 0) return;
    refused++;
    throw new ApiError(429, { retryAfterMs: 999_999_000 });
  };
  await clock.advance(90_000);
  assert.equal(refused, 1);
  assert.ok(reflector.ageMs() < 60_000, `${reflector.ageMs()} ms`);
});
