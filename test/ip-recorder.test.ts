import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import type { Pod } from '../src/pod.ts';
import { inEra } from '../src/resource-version.ts';
import { atOnce } from '../src/index/history/steps.ts';
import { makePod } from './index/make-pod.ts';
import { RecordedIndex } from './support/recorded-index.ts';
import { until } from './support/until.ts';

const X = '10.0.0.1';

function started(options?: ConstructorParameters<typeof RecordedIndex>[0]): RecordedIndex {
  const world = new RecordedIndex(options);
  world.index.slice().beginReplace().commit('1');
  world.recorder.now();
  return world;
}

/** Who had X so long ago: `a`, `(a)` when inferred, else why nobody. */
function agoOf(world: RecordedIndex, ms: number): string {
  const then = world.recorder.at(X, world.recorder.now() - ms);
  if (then.kind === 'one') return then.inferred ? `(${then.tenure.holder.uid})` : then.tenure.holder.uid;
  return then.kind === 'none' ? then.reason : then.kind;
}

/** Time passes as it does in a process that runs; the index ages by so much of it. */
function live(world: RecordedIndex, ms: number, ageing = 0): void {
  for (let passed = 0; passed < ms; passed += 4_000) {
    world.pass(4_000);
    world.age += 4_000 * ageing;
    world.recorder.look();
  }
}

const holder = (uid: string): Pod => makePod({ uid, name: uid, podIps: [X], resourceVersion: '10' });

test('nothing is read, and nothing known, before everything in view was read once', () => {
  const world = new RecordedIndex();
  world.synced = false;
  world.recorder.now();
  assert.equal(world.recorder.isReady, false);
  assert.equal(agoOf(world, 0), 'not-observed');
  const list = world.index.slice().beginReplace();
  list.add(holder('a'));
  list.commit('20');
  world.synced = true;
  world.pass(10);
  assert.equal(agoOf(world, 0), 'a');
  assert.equal(world.recorder.isReady, true);
  world.pass(5);
  const then = world.recorder.at(X, world.wall);
  assert.deepEqual(then.kind === 'one' && then.tenure.from, { at: world.wall - 5, observed: false });
});

test('changes are written down when they are heard, by the one who asks or by the feed', async () => {
  const world = started();
  const stop = new AbortController();
  const slept: (() => void)[] = [];
  const recording = new RecordedIndex({
    clock: {
      now: () => world.now,
      wall: () => world.wall,
      sleep: async (_ms, signal) =>
        await new Promise<void>((resolve) => {
          slept.push(resolve);
          signal.addEventListener('abort', () => resolve());
        }),
    },
  });
  recording.index.slice().beginReplace().commit('1');
  const running = recording.recorder.run(stop.signal);
  world.pass(100);
  recording.index.slice().upsert(holder('a'));
  await turn();
  world.pass(50);
  recording.index.slice().remove({ ...holder('a'), resourceVersion: '11' });
  await turn();
  world.pass(50);
  assert.deepEqual(
    [201, 101, 100, 99, 51, 50, 49].map((ago) => agoOf(recording, ago)),
    ['not-observed', 'no-pod', 'a', 'a', 'a', 'no-pod', 'no-pod'],
  );
  stop.abort();
  await running;
});

test('a wall clock put back takes what was written down with it; put forward it changes nothing', () => {
  const world = started();
  world.pass(1_000);
  world.index.slice().upsert(holder('a'));
  world.recorder.now();
  world.pass(1_000);
  const heldFrom = (): number => {
    const then = world.recorder.at(X, world.recorder.now());
    return then.kind === 'one' ? then.tenure.from.at : NaN;
  };
  assert.equal(heldFrom(), world.wall - 1_000);
  world.wall -= 3_600_000;
  assert.equal(heldFrom(), world.wall - 1_000);
  assert.equal(agoOf(world, 1_001), 'no-pod');
  // Clock.now() goes with it when the wall clock jumps forward.
  world.pass(4_000);
  assert.equal(heldFrom(), world.wall - 5_000);
  world.wall += 60;
  assert.equal(heldFrom(), world.wall - 5_060, 'a little is slewing, and answers stay as they were');
});

test('past the age that the reflector proves nobody was watching, until it is fresh again', () => {
  const world = started();
  live(world, 200_000);
  world.index.slice().upsert(holder('a'));
  live(world, 100_000);
  world.age = 90_000;
  assert.equal(agoOf(world, 0), 'a');
  live(world, 88_000, 1);
  assert.equal(world.counters.stale, 1, 'one hole is counted once');
  assert.equal(agoOf(world, 0), 'not-observed');
  world.index.slice().upsert({ ...holder('a'), resourceVersion: '12', labels: { app: 'b' } });
  world.pass(100);
  world.age = 5;
  assert.equal(agoOf(world, 0), 'a');
  assert.equal(agoOf(world, 50_000), '(a)');
});

test('B11 a process that stood still was not watching, until something later than that is proven', () => {
  const world = started();
  world.index.slice().upsert(holder('a'));
  live(world, 4_000);
  world.pass(60_000);
  world.age = 60_000;
  assert.equal(agoOf(world, 30_000), 'not-observed');
  assert.equal(world.counters.stalled, 1);
  live(world, 12_000, 1);
  assert.equal(agoOf(world, 1_000), 'not-observed', 'what waited in the socket comes late');
  world.age = 11_000;
  assert.equal(agoOf(world, 0), 'a');
  assert.equal(agoOf(world, 30_000), '(a)');
});

test('more changes at once than the feed holds are a hole, and everything is compared, in pieces', async () => {
  const world = started({ feedCapacity: 4 });
  const slice = world.index.slice();
  slice.upsert(holder('a'));
  live(world, 8_000);
  world.pass(1_000);
  const pods = Array.from({ length: 5_000 }, (_, i) =>
    makePod({ name: `p-${10_000 + i}`, podIps: [`ip-${i}`], resourceVersion: '20' }),
  );
  for (const pod of pods) slice.upsert(pod);
  slice.remove({ ...holder('a'), resourceVersion: '30' });
  world.recorder.now();
  assert.equal(world.counters.overrun, 1);
  assert.ok(world.recorder.intervals < 2_000, 'a piece of it');
  slice.upsert(makePod({ uid: 'late', podIps: ['ip-late'], resourceVersion: '40' }));
  slice.remove({ ...(pods[0] as Pod), resourceVersion: '41' });
  world.pass(10);
  await until('it is so', () => agoOf(world, 0) === 'no-pod');
  assert.equal(world.recorder.intervals, 5_002, 'the ones there are, and the two that have ended');
  assert.equal(agoOf(world, 500), 'not-observed');
  const then = world.recorder.at(X, world.wall - 1_010);
  assert.deepEqual(then.kind === 'one' && then.tenure.until, { at: world.wall - 1_010, observed: false });
});

test('many changes are taken over in pieces, and none is lost', async () => {
  const world = started();
  world.pass(10);
  const pods = Array.from({ length: 4_000 }, (_, i) => makePod({ podIps: [`ip-${i}`], resourceVersion: '20' }));
  for (const pod of pods) world.index.slice().upsert(pod);
  world.recorder.now();
  assert.equal(world.recorder.intervals, 1_024);
  await until('it is so', () => world.recorder.intervals === 4_000);
  assert.equal(world.counters.overrun, 0);
});

test('B6 an address that an unreadable object may hold was nobody’s for sure', () => {
  const world = started();
  world.index.slice().upsert(holder('a'));
  world.recorder.look();
  world.pass(1_000);
  world.recorder.look();
  world.pass(1_000);
  world.index.slice().setAside({ key: 'k', namespace: 'x', name: 'y', ips: [X], reason: 'garbage' });
  world.recorder.look();
  world.pass(1_000);
  world.recorder.look();
  assert.deepEqual(
    [agoOf(world, 500), agoOf(world, 1_500), agoOf(world, 2_500)],
    ['not-observed', 'not-observed', 'a'],
  );
  world.index.slice().setAside({ key: 'uid-b', namespace: 'default', name: 'a', ips: [], reason: 'garbage' });
  world.recorder.look();
  assert.equal(agoOf(world, 0), 'not-observed', 'by its name it may be the pod that has it');
});

test('what ended longer ago than the retention is forgotten; what lasts is not', () => {
  const world = started({ retentionMs: 60_000 });
  world.index.slice().upsert(makePod({ podIps: ['10.0.0.2'] }));
  world.index.slice().upsert(holder('a'));
  world.recorder.now();
  world.pass(1_000);
  world.index.slice().remove({ ...holder('a'), resourceVersion: '11' });
  world.recorder.now();
  live(world, 64_000);
  assert.equal(world.recorder.intervals, 1);
  assert.equal(agoOf(world, 60_000), 'no-pod');
  assert.equal(agoOf(world, 60_001), 'beyond-retention');
  assert.equal(world.recorder.depthMs, 60_000);
});

test('what goes wrong while it is written down does not end the process, and begins again', async () => {
  const world = started();
  let isBroken = true;
  const pod = holder('a');
  const poison = {
    ...pod,
    get podIps(): readonly string[] {
      if (isBroken && new Error().stack?.includes('ip-history')) throw new Error('a mistake');
      return [X];
    },
  };
  const stop = new AbortController();
  const running = world.recorder.run(stop.signal);
  world.index.slice().upsert(poison);
  await until('it is so', () => world.errors.length > 0);
  isBroken = false;
  world.pass(1);
  assert.equal(agoOf(world, 0), 'a');
  stop.abort();
  await running;
});

test('pieces and stretches are told by the wall clock as it is now, and watched is no more than what is proven', () => {
  const world = started();
  world.pass(1_000);
  world.index.slice().upsert(holder('a'));
  world.pass(1_000);
  world.age = 700;
  world.recorder.look();
  const keys = [...world.recorder.keys()];
  assert.deepEqual(keys, [[X, 'a']]);
  world.wall += 60_000;
  world.recorder.look();
  const [piece, ...others] = atOnce(world.recorder.pieces(X, 'a'));
  assert.equal(others.length, 0);
  assert.deepEqual(
    [piece?.from, piece?.heldFrom, piece?.until, piece?.sinceVersion, piece?.untilVersion],
    [world.wall, world.wall, undefined, '10', undefined],
  );
  const began = world.wall - 2_000;
  assert.deepEqual(world.recorder.stretches(), [
    { from: began, until: world.wall - 700, sinceVersion: '1', untilVersion: '10' },
  ]);
});

test('what has been dropped is not called watched: stretches begin where the last of it ended', () => {
  const world = started({ maxEnded: 1 });
  for (const [i, uid] of ['a', 'b', 'c'].entries()) {
    const pod = { ...holder(uid), resourceVersion: `${10 + 2 * i}` };
    world.pass(10);
    world.index.slice().upsert(pod);
    world.recorder.now();
    world.index.slice().remove({ ...pod, resourceVersion: `${11 + 2 * i}` });
    world.recorder.now();
  }
  world.pass(10);
  assert.deepEqual(
    ['a', 'b', 'c'].map((uid) => atOnce(world.recorder.pieces(X, uid)).map(({ untilVersion }) => untilVersion)),
    [[], [], ['15']],
  );
  world.recorder.look();
  const at = world.wall;
  assert.deepEqual(world.recorder.stretches(), [{ from: at - 20, until: at, sinceVersion: '13', untilVersion: '15' }]);
});

test('whoever listens is told which pod at which address has another history, an unreadable object too', () => {
  const world = started();
  const told: string[] = [];
  const stop = world.recorder.onChange((ip, uid) => void told.push(`${ip} ${uid}`));
  const pod = holder('a');
  world.index.slice().upsert(pod);
  world.recorder.now();
  world.pass(5);
  world.index.slice().upsert({ ...pod, resourceVersion: '11', ready: false });
  world.recorder.now();
  assert.deepEqual(told.splice(0), [`${X} a`]);
  world.index.slice().upsert({ ...pod, resourceVersion: '12', labels: { app: 'other' } });
  world.recorder.now();
  assert.deepEqual(told.splice(0), [`${X} a`]);
  world.index.slice().setAside({ key: '?', namespace: undefined, name: undefined, ips: [X], reason: '' });
  world.recorder.look();
  assert.deepEqual(told.splice(0), [`${X} `]);
  world.index.slice().remove({ ...pod, resourceVersion: '13' });
  world.recorder.now();
  assert.deepEqual(told.splice(0), [`${X} a`]);
  stop();
  world.index.slice().upsert({ ...holder('b'), resourceVersion: '14' });
  world.recorder.now();
  assert.deepEqual(told, []);
});

test('B8 after a restore of etcd what is heard comes after all that was known before', () => {
  const world = started();
  world.index.slice().upsert({ ...holder('a'), resourceVersion: '900' });
  world.recorder.now();
  world.pass(10);
  world.index.slice().beginReplace().commit('500', { forget: true });
  world.recorder.now();
  const [piece] = atOnce(world.recorder.pieces(X, 'a'));
  assert.deepEqual([piece?.sinceVersion, piece?.untilVersion], ['900', inEra('500', 1)]);
  assert.equal(world.recorder.stretches()[0]?.untilVersion, inEra('500', 1));
});
