import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ApiError } from '../../src/kubernetes/api-error.ts';
import { WireError } from '../../src/kubernetes/wire/format.ts';
import { MemoryStore } from '../support/memory-store.ts';
import { podOf, silence } from '../support/model-cluster.ts';
import { harness, synced } from '../support/reflector-harness.ts';
import type { Pod } from '../../src/pod.ts';

test('B7 lost event: the periodic list repairs it, beside the running watch, and drift is counted', async (t) => {
  const { cluster, clock, served, metrics, lines } = await synced(t);
  cluster.loseNextEvent = true;
  cluster.delete('b');
  cluster.put('d');
  await clock.advance(660_000 + 2_000);
  assert.deepEqual(served(), ['a', 'c', 'd']);
  assert.deepEqual(metrics.drift_total, { added: 0, modified: 0, deleted: 1 });
  assert.equal(metrics.relists_total.periodic, 1);
  assert.equal(cluster.requests.filter((request) => request.startsWith('watch')).length, 1);
  assert.ok(lines.some(({ msg }) => msg.includes('repaired')));
});

test('B7 what a watch is about to bring is no drift', async (t) => {
  const { cluster, clock, served, metrics } = await synced(t);
  let late = false;
  cluster.intercept = ({ verb }) => {
    if (verb !== 'stream' || late) return;
    late = true;
    cluster.loseNextEvent = true; // this watch gets it later than the list
    const pod = cluster.put('d');
    void clock.sleep(500, new AbortController().signal).then(() => cluster.send({ type: 'ADDED', object: pod }));
  };
  await clock.advance(700_000);
  assert.deepEqual(served(), ['a', 'b', 'c', 'd']);
  assert.equal(metrics.relists_total.periodic, 1);
  assert.deepEqual(metrics.drift_total, { added: 0, modified: 0, deleted: 0 });
});

test('B7 what a list finds while no watch is open is no drift', async (t) => {
  const { cluster, clock, served, metrics } = await synced(t);
  cluster.intercept = ({ verb, signal }) => (verb === 'watch' ? silence(signal) : undefined);
  cluster.breakWatches();
  cluster.put('d');
  await clock.advance(700_000);
  assert.deepEqual(served(), ['a', 'b', 'c', 'd']);
  assert.deepEqual(metrics.drift_total, { added: 0, modified: 0, deleted: 0 });
});

test('B7 the interval is jittered by a tenth', async (t) => {
  for (const [random, at] of [
    [0, 540_000],
    [0.999, 660_000],
  ] as const) {
    const { VirtualClock } = await import('../support/virtual-clock.ts');
    const { clock, metrics } = await synced(t, { clock: new VirtualClock(() => random) });
    await clock.advance(at - 1_000);
    assert.equal(metrics.relists_total.periodic, 0);
    await clock.advance(2_000);
    assert.equal(metrics.relists_total.periodic, 1);
  }
});

test('a list that ends while the watch is reconnecting: the watch goes on from the list', async (t) => {
  const { cluster, clock, served } = await synced(t);
  cluster.intercept = ({ verb, signal }) => (verb === 'watch' ? silence(signal) : undefined);
  await clock.advance(400_000);
  cluster.breakWatches();
  cluster.put('d');
  await clock.advance(400_000);
  assert.deepEqual(served(), ['a', 'b', 'c', 'd'], 'from the list');
  cluster.intercept = () => {};
  await clock.advance(1);
  cluster.requests.length = 0;
  cluster.put('e');
  await clock.advance(200_000);
});

test('a 410 while the periodic list is under way: that list will do', async (t) => {
  const { cluster, clock, served, metrics } = await synced(t);
  let release = (): void => {};
  const held = new Promise<void>((resolve) => (release = resolve));
  let holding = true;
  cluster.intercept = ({ verb }) => (verb === 'stream' && holding ? held : undefined);
  await clock.advance(620_000);
  assert.equal(metrics.relists_total.periodic, 1);
  cluster.tick();
  cluster.compact();
  cluster.closeWatches();
  await clock.advance(1_000);
  assert.equal(cluster.watches, 0);
  cluster.put('d');
  holding = false;
  release();
  await clock.settle();
  assert.equal(metrics.relists_total.gone, 0);
  assert.deepEqual(served(), ['a', 'b', 'c', 'd']);
  assert.equal(cluster.watches, 1);
});

test('B6 a corrupt line or frame closes the watch and lists again', async (t) => {
  const { cluster, clock, served, metrics } = await synced(t);
  cluster.breakWatches(new WireError('not JSON'));
  cluster.loseNextEvent = true;
  cluster.put('d');
  await clock.settle();
  assert.deepEqual(served(), ['a', 'b', 'c', 'd']);
  assert.equal(metrics.watches_total.corrupt, 1);
  assert.equal(metrics.relists_total.corrupt, 1);
});

test('B6 one object that cannot be read, again and again: closed and listed once, then set aside, the rest served', async (t) => {
  const { cluster, clock, served, store, metrics, lines } = await synced(t);
  cluster.unreadable.add('bad');
  cluster.put('bad', { podIps: ['10.0.0.9'] });
  cluster.put('d'); // behind it, in the same stream
  await clock.advance(2_000);
  assert.deepEqual(served(), ['a', 'b', 'c', 'd']);
  assert.deepEqual(store.aside.get('uid-bad')?.ips, ['10.0.0.9']);
  assert.equal(metrics.relists_total.corrupt, 1);
  const said = lines.find(({ msg }) => msg.includes('set aside'));
  assert.equal(said?.['name'], 'bad');
  for (let n = 0; n < 50; n++) cluster.put('bad', { podIps: [`10.0.0.${n}`] });
  cluster.put('e');
  await clock.settle();
  assert.equal(metrics.relists_total.corrupt, 1, 'what is known to be unreadable costs no list');
  assert.deepEqual(store.aside.get('uid-bad')?.ips, ['10.0.0.49']);
  assert.deepEqual(served(), ['a', 'b', 'c', 'd', 'e']);
});

test('B6 what was set aside and is deleted, unreadably, goes with a list beside the watch', async (t) => {
  const { cluster, clock, store, metrics } = await synced(t);
  cluster.unreadable.add('bad');
  cluster.put('bad');
  await clock.advance(2_000);
  assert.equal(store.aside.size, 1);
  cluster.delete('bad');
  await clock.advance(2_000);
  assert.equal(store.aside.size, 0);
  assert.equal(metrics.relists_total.corrupt, 2);
  assert.equal(metrics.watches_total.corrupt, 1);
});

test('B6 an object that can be read again is served again', async (t) => {
  const { cluster, clock, store, served } = await synced(t);
  cluster.unreadable.add('bad');
  cluster.put('bad');
  await clock.advance(2_000);
  cluster.unreadable.delete('bad');
  cluster.put('bad');
  await clock.settle();
  assert.equal(store.aside.size, 0);
  assert.ok(served().includes('bad'));
});

test('B6 objects that cannot be read in the first list: listed twice, then set aside', async (t) => {
  const { start, cluster, clock, served, store, metrics } = harness(t);
  for (const name of ['a', 'bad', 'worse']) cluster.put(name);
  cluster.unreadable.add('bad').add('worse');
  await start();
  assert.equal(metrics.lists_total.ok, 0);
  await clock.advance(1_500);
  assert.deepEqual(served(), ['a']);
  assert.equal(store.aside.size, 2);
  assert.deepEqual(metrics.lists_total, { ok: 1, error: 1, older: 0, shrunken: 0 });
});

test('B6 objects that fail under another name in every list are set aside in the third', async (t) => {
  const { start, cluster, clock, reflector, metrics } = harness(t);
  cluster.put('a');
  cluster.listed = () => {
    const name = `bad-${metrics.unreadable_total.all}`;
    cluster.unreadable.add(name);
    return { version: 101, pods: [podOf('a', 101), podOf(name, 101)] };
  };
  await start();
  await clock.advance(10_000);
  assert.equal(reflector.synced, true);
  assert.equal(metrics.lists_total.error, 2);
});

/** Will not take pods called "bad". */
class PickyStore extends MemoryStore<Pod> {
  override upsert(pod: Pod): void {
    if (pod.name === 'bad') throw new Error('picky');
    super.upsert(pod);
  }

  override beginReplace(): ReturnType<MemoryStore<Pod>['beginReplace']> {
    const replacement = super.beginReplace();
    const add = replacement.add.bind(replacement);
    replacement.add = (pod) => {
      if (pod.name === 'bad') throw new Error('picky');
      add(pod);
    };
    return replacement;
  }
}

test('B6 an exception in the store: listed again, then that object is set aside with its addresses, never the batch behind it', async (t) => {
  const store = new PickyStore();
  const { cluster, clock, metrics } = await synced(t, { store });
  const bad = podOf('bad', 104, { podIps: ['10.0.0.9'] });
  cluster.pods.set('bad', bad);
  cluster.version = 105;
  cluster.pods.set('d', podOf('d', 105));
  cluster.send({ type: 'ADDED', object: bad }, { type: 'ADDED', object: podOf('d', 105) });
  await clock.advance(3_000);
  assert.deepEqual([...store.objects.keys()].sort(), ['uid-a', 'uid-b', 'uid-c', 'uid-d']);
  assert.deepEqual(store.aside.get('uid-bad')?.ips, ['10.0.0.9']);
  assert.equal(metrics.relists_total.error, 1);
});

test('C1 what stands behind an unreadable object in a batch does not make the store as new as itself', async (t) => {
  const { cluster, clock, reflector, served } = await synced(t);
  cluster.tick();
  await clock.advance(30_500);
  assert.ok(reflector.ageMs() >= 30_000, 'a read waits for version 104');
  cluster.intercept = ({ signal }) => silence(signal);
  const unreadable = { key: 'x', namespace: undefined, name: undefined, ips: [], reason: '' };
  cluster.send(
    { type: 'UNREADABLE', eventType: 'DELETED', object: unreadable },
    { type: 'ADDED', object: podOf('d', 105) },
  );
  await clock.settle();
  assert.ok(served().includes('d'));
  assert.ok(reflector.ageMs() >= 30_000);
});

test('B6 the batch behind an unreadable object is applied before the list comes', async (t) => {
  const { cluster, clock, served } = await synced(t);
  cluster.intercept = ({ verb, signal }) => (verb === 'stream' ? silence(signal) : undefined);
  const unreadable = { key: 'x', namespace: undefined, name: undefined, ips: [], reason: '' };
  cluster.send(
    { type: 'UNREADABLE', eventType: 'ADDED', object: unreadable },
    { type: 'ADDED', object: podOf('d', 105) },
  );
  await clock.settle();
  assert.deepEqual(served(), ['a', 'b', 'c', 'd']);
});

test('B9 an empty or shrunken list is not believed until a second one, a second later, says the same', async (t) => {
  const { cluster, clock, served, metrics, reflector } = await synced(t);
  await clock.advance(550_000);
  const at: number[] = [];
  cluster.intercept = ({ verb }) => void (verb === 'stream' && at.push(clock.now()));
  cluster.listed = () => ({ version: cluster.version, pods: [] });
  for (let n = 0; n < 500 && metrics.lists_total.shrunken === 0; n++) await clock.advance(500);
  const age = reflector.ageMs();
  await clock.advance(400);
  assert.deepEqual(served(), ['a', 'b', 'c']);
  assert.ok(reflector.ageMs() >= age + 400, 'nothing is proof meanwhile');
  await clock.advance(2_000);
  assert.deepEqual(served(), []);
  assert.ok((at[1] ?? 0) - (at[0] ?? 0) >= 1_000);
  assert.equal(metrics.lists_total.shrunken, 1);
  assert.ok(reflector.ageMs() < 2_000);
});

test('B9 a list that lost more than half is dropped when the next one is whole', async (t) => {
  const { cluster, clock, served, metrics } = await synced(t);
  for (const name of ['d', 'e']) cluster.put(name);
  let lists = 0;
  cluster.intercept = ({ verb }) => {
    if (verb === 'stream') lists++;
    cluster.listed = lists === 1 ? () => ({ version: cluster.version, pods: [podOf('a', 101)] }) : undefined;
  };
  cluster.tick();
  cluster.compact();
  cluster.closeWatches();
  await clock.advance(5_000);
  assert.deepEqual(served(), ['a', 'b', 'c', 'd', 'e']);
  assert.equal(metrics.lists_total.shrunken, 1);
  assert.equal(lists, 2);
});

test('B9 two shrunken lists that contradict each other are both dropped', async (t) => {
  const { cluster, clock, served, metrics } = await synced(t);
  for (const name of ['d', 'e', 'f']) cluster.put(name);
  let lists = 0;
  cluster.intercept = ({ verb }) => {
    if (verb === 'stream') lists++;
    const only = lists % 2 === 0 ? 'a' : 'b';
    cluster.listed = verb === 'stream' ? () => ({ version: cluster.version, pods: [podOf(only, 101)] }) : undefined;
  };
  cluster.tick();
  cluster.compact();
  cluster.closeWatches();
  await clock.advance(60_000);
  assert.equal(served().length, 6);
  assert.ok(metrics.lists_total.shrunken > 3);
});

test('B9 four pods of four may go at once only when two lists say so, two of five are believed', async (t) => {
  const { cluster, clock, metrics } = await synced(t);
  for (const name of ['d', 'e']) cluster.put(name);
  await clock.settle();
  cluster.breakWatches(new ApiError(410));
  for (const name of ['a', 'b']) cluster.delete(name);
  await clock.settle();
  assert.equal(metrics.lists_total.shrunken, 0);
  assert.equal(metrics.lists_total.ok, 2);
});

test('B9 consistent reads prove nothing while a shrunken list waits for its confirmation', async (t) => {
  const { cluster, clock, reflector, metrics } = await synced(t);
  cluster.intercept = ({ verb }) => {
    if (verb === 'stream' && metrics.lists_total.shrunken > 0) throw new ApiError(500);
    if (verb === 'pages') throw new ApiError(500);
    cluster.listed = verb === 'stream' ? () => ({ version: cluster.version, pods: [] }) : undefined;
  };
  cluster.breakWatches(new WireError('corrupt'));
  await clock.advance(120_000);
  assert.equal(metrics.lists_total.shrunken, 1);
  assert.ok(metrics.consistent_reads_total.ok > 2);
  assert.equal(reflector.resourceVersion, String(cluster.version), 'of the very version that is served');
  assert.ok(reflector.ageMs() >= 120_000);
});

test('a lagging replica of the API server: lists older than the last seen version are refused', async (t) => {
  const { cluster, clock, served, metrics } = await synced(t);
  for (const name of ['d', 'e']) cluster.put(name);
  await clock.settle();
  let lists = 0;
  cluster.intercept = ({ verb }) => {
    if (verb === 'stream' || verb === 'pages') lists++;
    cluster.listed =
      lists === 1 ? () => ({ version: 103, pods: [podOf('a', 101), podOf('b', 102), podOf('c', 103)] }) : undefined;
  };
  cluster.tick();
  cluster.compact();
  cluster.closeWatches();
  await clock.advance(5_000);
  assert.deepEqual(served(), ['a', 'b', 'c', 'd', 'e']);
  assert.equal(metrics.lists_total.older, 1);
  assert.equal(metrics.backwards_total.all, 0);
});

test('B8 etcd restored, versions go back: detected by a consistent read, confirmed a second later, rebuilt, loud', async (t) => {
  const { cluster, clock, served, metrics, lines, reflector } = await synced(t);
  const backup = cluster.snapshot();
  for (const name of ['d', 'e']) cluster.put(name);
  cluster.delete('a');
  await clock.advance(10_000);
  assert.deepEqual(served(), ['b', 'c', 'd', 'e']);
  cluster.restore(backup);
  await clock.advance(8_000);
  assert.deepEqual(served(), ['a', 'b', 'c']);
  assert.equal(metrics.backwards_total.all, 1);
  assert.equal(metrics.relists_total.backwards, 1);
  assert.equal(reflector.resourceVersion, '103');
  assert.ok(lines.some(({ level, msg }) => level === 50 && msg.includes('older state')));
  cluster.put('f');
  await clock.settle();
  assert.deepEqual(served(), ['a', 'b', 'c', 'f'], 'and the watch goes on from there');
});

test('B8 etcd restored without any connection breaking is seen by the next periodic read', async (t) => {
  const { cluster, clock, served, metrics } = await synced(t);
  const backup = cluster.snapshot();
  cluster.put('d');
  await clock.advance(1_000);
  cluster.breakWatches = () => {}; // the API server's own connection to etcd, and ours to it, survive
  cluster.restore(backup);
  await clock.advance(35_000);
  assert.deepEqual(served(), ['a', 'b', 'c']);
  assert.equal(metrics.backwards_total.all, 1);
  cluster.put('e');
  await clock.settle();
  assert.deepEqual(served(), ['a', 'b', 'c', 'e'], 'the watch from the future was cut');
});

test('B8 a read that is older once is answered by a list a second later, and until then nothing is proof', async (t) => {
  const { cluster, clock, served, metrics, reflector } = await synced(t);
  let reads = 0;
  cluster.intercept = ({ verb }) => {
    if (verb === 'read') reads++;
    cluster.listed = verb === 'read' && reads === 1 ? () => ({ version: 50, pods: [] }) : undefined;
  };
  await clock.advance(30_500);
  assert.equal(metrics.consistent_reads_total.backwards, 1);
  assert.equal(metrics.lists_total.ok, 1);
  assert.ok(reflector.ageMs() >= 30_000);
  await clock.advance(1_000);
  assert.equal(metrics.lists_total.ok, 2);
  assert.ok(reflector.ageMs() < 1_000);
  assert.deepEqual(served(), ['a', 'b', 'c']);
  assert.equal(metrics.backwards_total.all, 0);
});

test('B8 etcd restored, and its API server has written past the old versions a second later: what is gone does not stay', async (t) => {
  const { cluster, clock, served, reflector, metrics } = await synced(t);
  const backup = cluster.snapshot();
  cluster.put('d');
  cluster.put('a', { ready: false });
  await clock.advance(1_000);
  cluster.restore(backup);
  cluster.intercept = ({ verb }) => {
    if (verb === 'read') cluster.intercept = () => {};
    else if (cluster.version < 110 && metrics.consistent_reads_total.backwards > 0) cluster.version = 110;
  };
  await clock.advance(1_100);
  if (served().includes('d')) assert.ok(reflector.ageMs() >= 1_000, 'not called fresh');
  await clock.advance(3_000);
  assert.deepEqual(served(), ['a', 'b', 'c']);
});

test('B8 a rebuild that takes longer than the time between two reads is not begun anew by each of them', async (t) => {
  const { cluster, clock, served, metrics } = await synced(t);
  const backup = cluster.snapshot();
  for (const name of ['d', 'e']) cluster.put(name);
  await clock.advance(1_000);
  cluster.restore(backup);
  cluster.whileStreaming = (signal) => clock.sleep(100_000, signal);
  await clock.advance(220_000);
  assert.deepEqual(served(), ['a', 'b', 'c']);
  assert.ok(metrics.consistent_reads_total.backwards > 3);
  assert.equal(metrics.backwards_total.all, 1);
});

test('B6 while lists back off each new unreadable object is set aside at once, the rest is watched on, and nothing is proof', async (t) => {
  const { cluster, clock, served, store, metrics, reflector } = await synced(t);
  for (let n = 0; n < 20; n++) cluster.unreadable.add(`bad-${n}`);
  cluster.put('bad-0');
  await clock.advance(2_000);
  cluster.put('bad-1');
  cluster.put('d');
  await clock.settle();
  assert.deepEqual(served(), ['a', 'b', 'c', 'd']);
  assert.equal(store.aside.size, 2);
  assert.equal(metrics.watches_total.corrupt, 1);
  const age = reflector.ageMs();
  const reads = metrics.consistent_reads_total.ok;
  cluster.breakWatches(); // after which a consistent read is made
  await clock.advance(400);
  assert.equal(metrics.consistent_reads_total.ok, reads + 1);
  assert.ok(reflector.ageMs() >= age + 400);
  await clock.advance(2_000);
  assert.ok(reflector.ageMs() < 2_000);
  for (let n = 2; n < 20; n++) {
    cluster.put(`bad-${n}`);
    await clock.advance(3_000);
  }
  await clock.advance(35_000);
  assert.equal(store.aside.size, 20);
  assert.equal(metrics.watches_total.corrupt, 1);
  assert.ok(metrics.relists_total.corrupt < 9, `${metrics.relists_total.corrupt} lists`);
});

test('B6 a rollout of objects that cannot be read does not keep a list from its end, and costs few lists', async (t) => {
  const { cluster, clock, store, metrics } = await synced(t);
  for (let n = 0; n < 50; n++) cluster.unreadable.add(`bad-${n}`).add(`bad-${n + 1}`);
  for (let n = 0; n < 50; n++) cluster.put(`bad-${n}`);
  await clock.advance(10_000);
  assert.equal(store.aside.size, 50);
  const lists = metrics.lists_total.ok;
  cluster.whileStreaming = (signal) => clock.sleep(5_000, signal);
  for (let n = 0; n < 50; n++) {
    cluster.delete(`bad-${n}`);
    await clock.advance(1_000);
  }
  await clock.advance(40_000);
  assert.equal(store.aside.size, 0);
  assert.ok(metrics.lists_total.ok - lists < 10, `${metrics.lists_total.ok - lists} lists`);
});

test('B8 B9 etcd restored to next to nothing: that, too, must be said twice', async (t) => {
  const { cluster, clock, served, metrics } = await synced(t);
  for (const name of ['d', 'e', 'f']) cluster.put(name);
  await clock.advance(1_000);
  let lists = 0;
  cluster.intercept = ({ verb }) => void (verb === 'stream' && lists++);
  cluster.restore({ version: 50, pods: new Map([['a', podOf('a', 50)]]), log: [] });
  for (let n = 0; n < 500 && metrics.lists_total.shrunken === 0; n++) await clock.advance(100);
  assert.equal(served().length, 6);
  await clock.advance(3_000);
  assert.deepEqual(served(), ['a']);
  assert.equal(lists, 2);
});

test('B8 found while a periodic list is under way: that list, of the former history, is dropped', async (t) => {
  const { cluster, clock, served, metrics } = await synced(t);
  const backup = cluster.snapshot();
  cluster.put('d');
  await clock.advance(590_000);
  const former = cluster.snapshot();
  let release = (): void => {};
  const held = new Promise<void>((resolve) => (release = resolve));
  let lists = 0;
  cluster.intercept = async ({ verb, signal }) => {
    if (verb !== 'stream' || ++lists > 1) return;
    await Promise.race([held, silence(signal)]);
    cluster.listed = () => ({ version: former.version, pods: former.pods.values() });
  };
  await clock.advance(60_000);
  assert.equal(metrics.relists_total.periodic, 1);
  assert.equal(lists, 1);
  cluster.restore(backup);
  await clock.advance(40_000);
  release();
  await clock.advance(10_000);
  assert.deepEqual(served(), ['a', 'b', 'c']);
  assert.equal(metrics.backwards_total.all, 1);
});

test('B8 after every reconnect that followed an error a consistent read is made, after a clean one none', async (t) => {
  const { cluster, clock, metrics } = await synced(t);
  const reads = (): number => metrics.consistent_reads_total.ok;
  await clock.advance(1_000);
  cluster.closeWatches();
  await clock.advance(5_000);
  assert.equal(reads(), 0);
  cluster.breakWatches();
  await clock.advance(5_000);
  assert.equal(reads(), 1);
});

test('B6 the addresses of an object that cannot be read are nobody’s at once, also while no list can be had', async (t) => {
  const { cluster, clock, store } = await synced(t);
  cluster.intercept = ({ verb }) => {
    if (verb === 'stream' || verb === 'pages') throw new ApiError(503);
  };
  cluster.unreadable.add('bad');
  cluster.put('bad', { podIps: ['10.0.0.9'] });
  await clock.settle();
  assert.deepEqual(store.aside.get('uid-bad')?.ips, ['10.0.0.9']);
});
