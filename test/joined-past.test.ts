import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Piece, Stretch } from '../src/index/history/piece.ts';
import { JoinedPast } from '../src/joined-past.ts';
import type { Archive, Memory, Wanted } from '../src/joined-past.ts';
import { inEra } from '../src/resource-version.ts';
import { makePod } from './index/make-pod.ts';
import { openPiece } from './index/history/open-piece.ts';
import type { Pod } from '../src/pod.ts';
import { RecordedIndex } from './support/recorded-index.ts';

const X = '10.0.0.1';
const VIEW = { partial: false, clusterCidrs: [] };
/** When memory begins, by the wall clock. */
const BEGAN = 1_000_000;

interface Archived {
  readonly pieces: readonly Piece[];
  readonly watched: readonly Stretch[];
}

/** A process that has just begun and holds nobody at X, and an archive that gives all it has, or cannot be read. */
function stage(archived: Archived | undefined) {
  const world = new RecordedIndex();
  world.index.slice().beginReplace().commit('50');
  world.recorder.look();
  world.pass(5_000);
  let reads = 0;
  const guesses: unknown[] = [];
  const archive = {
    retentionMs: 500_000,
    recall: async (choose: (watched: readonly Stretch[]) => unknown, guess: unknown): Promise<readonly Piece[]> => {
      reads++;
      guesses.push(guess);
      if (!archived) throw new Error('it is away');
      await Promise.resolve(choose(archived.watched));
      return archived.pieces;
    },
    search: async () => await Promise.reject(new Error('it is away')),
  };
  const past = new JoinedPast({ memory: world.recorder, archive, view: VIEW, isHostIp: () => false });
  return { world, past, reads: () => reads, guesses };
}

/** Lists so many pods, and one at X, until memory knows all. */
function crowd(world: RecordedIndex, size: number): { readonly pods: readonly Pod[]; readonly sought: Pod } {
  const pods = Array.from({ length: size }, (_, i) =>
    makePod({ uid: `p${i}`, name: `p${i}`, podIps: [`10.1.${i >> 8}.${i & 255}`], resourceVersion: '40' }),
  );
  const sought = makePod({ uid: 'a', name: 'a', podIps: [X], resourceVersion: '41' });
  world.list([...pods, sought], '50');
  while (!world.recorder.isReady) world.recorder.look();
  return { pods, sought };
}

/** How many turns the event loop has made meanwhile. */
async function turnsUntil<T>(settled: T | Promise<T>): Promise<{ readonly value: T; readonly turns: number }> {
  let turns = 0;
  const count = (): void => {
    turns++;
    turn = setImmediate(count);
  };
  let turn = setImmediate(count);
  const value = await settled;
  clearImmediate(turn);
  return { value, turns };
}

/** That a held X since a version, a minute before memory began, and is not known to have lost it. */
const open = (sinceVersion: string): Piece => openPiece(X, sinceVersion, BEGAN - 60_000);

const watched = (sinceVersion: string, untilVersion: string): Stretch => ({
  from: BEGAN - 90_000,
  until: BEGAN - 30_000,
  sinceVersion,
  untilVersion,
});

test('what memory alone decides is answered at once, and the archive is not asked', () => {
  const { past, reads } = stage(undefined);
  assert.deepEqual(past.at([{ ip: X, time: BEGAN + 1_000 }]), [{ kind: 'none', reason: 'no-pod' }]);
  assert.deepEqual(past.at([{ ip: X, time: BEGAN - 4_000_000 }]), [{ kind: 'beyond-retention' }]);
  assert.equal(reads(), 0);
});

test('what ended before this process began has ended when it began, at the latest: nobody saw it', async () => {
  const { past, reads } = stage({ pieces: [open('20')], watched: [watched('10', '30')] });
  const [then] = await past.at([{ ip: X, time: BEGAN - 40_000 }]);
  assert.ok(then?.kind === 'one');
  assert.deepEqual(then.tenure.from, { at: BEGAN - 60_000, observed: true });
  assert.deepEqual(then.tenure.until, { at: BEGAN - 30_000, observed: false });
  assert.equal(reads(), 1);
  const [hole] = await past.at([{ ip: X, time: BEGAN - 10_000 }]);
  assert.ok(hole?.kind === 'not-observed');
  assert.deepEqual([hole.before?.holder.uid, hole.after], ['a', undefined]);
});

test('of one question it is guessed what will be read, of several not', async () => {
  const { past, guesses } = stage({ pieces: [open('20')], watched: [watched('10', '30')] });
  const time = BEGAN - 40_000;
  await past.at([{ ip: X, time }]);
  await past.at([time, time - 1].map((one) => ({ ip: X, time: one })));
  assert.deepEqual(guesses, [{ ip: X, from: time, until: time, neighbours: false }, undefined]);
});

test('B8 versions of before a restore of etcd are older than those of after it, however large', async () => {
  const pieces = [open(inEra('900', 1))];
  const { past } = stage({ pieces, watched: [watched(inEra('10', 1), inEra('49', 1))] });
  const later = stage({ pieces: [open(inEra('20', 1))], watched: [watched(inEra('10', 1), inEra('30', 1))] });
  const [then] = await later.past.at([{ ip: X, time: BEGAN - 40_000 }]);
  assert.ok(then?.kind === 'one');
  assert.deepEqual(then.tenure.until, { at: BEGAN - 30_000, observed: false });
  const [ahead] = await past.at([{ ip: X, time: BEGAN - 40_000 }]);
  assert.ok(
    ahead?.kind === 'one' && ahead.tenure.until === undefined,
    'memory has read an older version: it refutes nothing',
  );
});

test('an archive that cannot be read leaves what memory knows: a bound it has not seen is said as such, the rest is unavailable', async () => {
  const { past, world, reads } = stage(undefined);
  const list = world.index.slice().beginReplace();
  list.add(makePod({ uid: 'b', podIps: ['10.0.0.2'], resourceVersion: '60' }));
  list.commit('61');
  world.age = 200_000;
  world.pass(1);
  world.recorder.look();
  world.age = 0;
  world.pass(1_000);
  world.recorder.look();
  world.pass(1_000);
  const now = past.now();
  const answers = await past.at([
    { ip: '10.0.0.2', time: now },
    { ip: X, time: now },
    { ip: X, time: BEGAN - 1 },
  ]);
  assert.equal(reads(), 1);
  const [held, none, unknown] = answers;
  assert.ok(held?.kind === 'one' && !held.tenure.from.observed);
  assert.deepEqual([none, unknown], [{ kind: 'none', reason: 'no-pod' }, { kind: 'unavailable' }]);
  const search = { whose: { ip: X }, until: Infinity, after: undefined, size: 10 };
  assert.equal(await past.search({ ...search, since: BEGAN - 1 }), undefined);
  assert.notEqual(await past.search({ ...search, since: now }), undefined);
});

test('a thousand questions about one address read what is asked for once, and let others have their turn', async () => {
  const world = new RecordedIndex();
  world.index.slice().beginReplace().commit('50');
  world.recorder.look();
  const list = world.index.slice().beginReplace();
  list.add(makePod({ uid: 'a', podIps: [X], resourceVersion: '60' }));
  list.commit('61');
  world.age = 200_000;
  world.pass(1);
  world.recorder.look();
  world.age = 0;
  world.pass(1_000);
  world.recorder.look();
  world.pass(1_000);
  let wanted: Wanted | undefined;
  let reads = 0;
  const { recorder } = world;
  const memory: Memory = {
    isReady: true,
    reach: recorder.reach,
    now: () => recorder.now(),
    at: (ip, time) => recorder.at(ip, time),
    holes: (since, end) => recorder.holes(since, end),
    tenures: (ip) => recorder.tenures(ip),
    pieces: (ip, uid) => recorder.pieces(ip, uid),
    piecesOf(ip) {
      reads++;
      return recorder.piecesOf(ip);
    },
    stretches: () => recorder.stretches(),
  };
  const archive: Archive = {
    retentionMs: 500_000,
    async recall(choose) {
      wanted = choose([]);
      return await Promise.resolve([]);
    },
    search: async () => await Promise.reject(new Error('it is away')),
  };
  const past = new JoinedPast({ memory, archive, view: VIEW, isHostIp: () => false });
  const now = past.now();
  const asked = past.at(Array.from({ length: 1_000 }, (_, i) => ({ ip: X, time: now - (i % 5) })));
  const { value: answers, turns } = await turnsUntil(asked);
  assert.equal(answers.length, 1_000);
  assert.ok(answers.every((then) => then.kind === 'one'));
  assert.equal(reads, 1);
  assert.ok(turns >= 20, `${turns} turns`);
  assert.deepEqual([wanted?.windows.length, wanted?.courses], [5, [{ ip: X, uid: 'a', sinceVersion: '60' }]]);
});

test('where an address has so many intervals that one answer takes long, each has a turn of its own', async () => {
  const { world } = stage(undefined);
  const { recorder } = world;
  const memory: Memory = {
    isReady: true,
    reach: recorder.reach,
    now: () => recorder.now(),
    at: (ip, time) => {
      for (const began = performance.now(); performance.now() - began < 2;);
      return recorder.at(ip, time);
    },
    holes: () => [],
    tenures: (ip) => recorder.tenures(ip),
    pieces: (ip, uid) => recorder.pieces(ip, uid),
    piecesOf: (ip) => recorder.piecesOf(ip),
    stretches: () => [],
  };
  const past = new JoinedPast({ memory, archive: undefined, view: VIEW, isHostIp: () => false });
  for (const length of [2, 20]) {
    const asked = past.at(Array.from({ length }, () => ({ ip: X, time: BEGAN + 1_000 })));
    const { value: answers, turns } = await turnsUntil(asked);
    assert.equal(answers.length, length);
    assert.ok(turns >= length - 1, `${turns} turns`);
  }
});

test('what memory forgets while a pod is looked for ended when it did, not when memory begins', async () => {
  const world = new RecordedIndex({ maxEnded: 3 });
  const { pods } = crowd(world, 3_000);
  const gone = (last: number, version: string): void => {
    world.pass(1_000);
    world.list(pods.slice(0, last), version);
  };
  world.pass(1_000);
  world.list(pods, '60');
  const ended = world.recorder.now();
  gone(2_999, '70');
  gone(2_998, '80');
  // One more that has ended, and of what is sought memory knows no more: in the search's first pause.
  setImmediate(() => gone(2_997, '90'));
  assert.deepEqual(await endsOf(world, ended), [{ at: ended, observed: true }]);
});

test('what memory is about to forget ended when it did, not when memory begins', async () => {
  const world = new RecordedIndex({ retentionMs: 2_000 });
  world.list([makePod({ uid: 'a', name: 'a', podIps: [X], resourceVersion: '41' })], '50');
  world.pass(1_000);
  world.list([], '60');
  const ended = world.recorder.now();
  world.pass(2_001);
  assert.deepEqual(await endsOf(world, ended), [{ at: ended, observed: true }]);
});

test('what memory forgets while it is asked whether it was watching is not taken for nobody', async () => {
  const world = new RecordedIndex({ maxEnded: 2_500 });
  const { pods, sought } = crowd(world, 3_500);
  const time = world.recorder.now();
  world.pass(1_000);
  for (const [i, pod] of [sought, ...pods].entries()) {
    world.index.slice().remove({ ...pod, resourceVersion: String(60 + i) });
  }
  const archive: Archive = {
    retentionMs: 500_000,
    async recall(choose) {
      choose([]);
      return await Promise.resolve([]);
    },
    search: async () => await Promise.reject(new Error('not asked')),
  };
  const past = new JoinedPast({ memory: world.recorder, archive, view: VIEW, isHostIp: () => false });
  // Each look takes over a part of the deletions: with the first two of them memory still knows the pod.
  const [then] = await past.at([{ ip: X, time }]);
  assert.equal(then?.kind, 'not-observed');
});

/** When, by all that is known, the pod `a` lost X: another replica has heard earlier of it than memory has, and that it ended then. */
async function endsOf({ recorder: memory }: RecordedIndex, ended: number): Promise<unknown> {
  const stretch = { from: BEGAN - 2_000, until: ended + 500, sinceVersion: '30', untilVersion: '60' };
  const piece = { ...openPiece(X, '45', BEGAN - 1_000), until: ended, untilVersion: '60' };
  const archive: Archive = {
    retentionMs: 500_000,
    recall: async () => await Promise.resolve([]),
    async search({ courses }) {
      courses([stretch]);
      return await Promise.resolve({ watched: [stretch], recent: [piece], old: [] });
    },
  };
  const past = new JoinedPast({ memory, archive, view: VIEW, isHostIp: () => false });
  const search = { whose: { uid: 'a' }, since: 0, until: Infinity, after: undefined, size: 10 };
  const found = await past.search(search);
  return [...(found?.tenures ?? [])].flatMap((one) => (one ? [one.until] : []));
}
