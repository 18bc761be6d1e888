import assert from 'node:assert/strict';
import process from 'node:process';
import { array, assert as check, integer, nat, property, record } from 'fast-check';
import { test } from 'node:test';
import { merge, mergeWatched } from '../src/index/history/merge.ts';
import type { Knowledge } from '../src/index/history/merge.ts';
import type { Piece } from '../src/index/history/piece.ts';
import type { Pod } from '../src/pod.ts';
import { compareResourceVersions } from '../src/resource-version.ts';
import { atOnce } from '../src/index/history/steps.ts';
import { makePod } from './index/make-pod.ts';
import { RecordedIndex } from './support/recorded-index.ts';

const IPS = ['10.0.0.1', '10.0.0.2'];
const RUNS = Number(process.env['PODWHOIS_HISTORIES'] ?? 10_000) / 20;

/** That a pod held an address, from a version until a version. */
interface Hold {
  readonly key: string;
  readonly since: number;
  readonly made: number;
  until: number | undefined;
  /** Somebody heard of it while it lasted. */
  isSeen: boolean;
}

/** A process that watches, with a clock of its own: it hears what happens, or is cut off and lists again, or dies and is another one. */
class Observer {
  readonly skew: number;
  world: RecordedIndex;
  /** Has not heard what happened since. */
  isCutOff = false;
  readonly lives: Knowledge[] = [];

  constructor(skew: number) {
    this.skew = skew;
    this.world = this.#born(0);
  }

  #born(now: number): RecordedIndex {
    // Six changes at once overrun the feed.
    const world = new RecordedIndex({ feedCapacity: 6, maxAgeMs: 30 });
    world.now = now;
    world.wall = now + this.skew;
    return world;
  }

  list(pods: Iterable<Pod>, version: number): void {
    // An outage that is no hole counts as watched: what was lost and regained within it is taken for held.
    if (this.isCutOff) this.world.pass(40);
    if (this.isCutOff) this.world.age += 40;
    this.world.recorder.look();
    const list = this.world.index.slice().beginReplace();
    for (const pod of pods) list.add(pod);
    list.commit(String(version));
    this.isCutOff = false;
    this.world.age = 0;
    this.world.recorder.look();
    // Where nothing is proven after it, it is as if nobody had listed.
    this.world.pass(1);
  }

  die(now: number): void {
    this.lives.push(this.knowledge);
    this.world = this.#born(now);
    this.isCutOff = true;
    this.world.synced = false;
  }

  get knowledge(): Knowledge {
    const { recorder } = this.world;
    if (!this.world.synced) return { pieces: [], watched: [] };
    const keys = new Set(Array.from(recorder.keys(), (key) => key.join(' ')));
    const pieces = [...keys].flatMap((key) => atOnce(recorder.pieces(...(key.split(' ') as [string, string]))));
    return { pieces, watched: recorder.stretches() };
  }
}

class Play {
  readonly pods = new Map<string, Pod>();
  readonly holds: Hold[] = [];
  readonly observers: readonly Observer[];
  #version = 10;
  #now = 0;

  constructor(skews: readonly number[]) {
    this.observers = skews.map((skew) => new Observer(skew));
    for (const observer of this.observers) observer.list([], this.#version);
  }

  step(number: number): void {
    const kind = number % 16;
    const rest = number >>> 4;
    const observer = this.observers[rest % this.observers.length] as Observer;
    if (kind < 6) this.#put(`p${rest % 3}`, rest >>> 2);
    else if (kind < 9) this.#delete(`p${rest % 3}`);
    else if (kind < 11) observer.isCutOff = true;
    else if (kind === 11) observer.die(this.#now);
    else if (kind < 14) this.#list(observer);
    else this.#burst(rest);
    const passed = (rest % 5) * 4;
    this.#now += passed;
    for (const one of this.observers) {
      one.world.pass(passed);
      if (one.isCutOff) one.world.age += passed;
      one.world.recorder.look();
    }
  }

  /** More than the feed holds, in one turn of the event loop. */
  #burst(rest: number): void {
    // What began and was overrun in one millisecond was not watched at all.
    for (const { world } of this.observers) world.pass(1);
    for (let i = 0; i < 8; i++) this.#put(`p${(rest + i) % 3}`, rest >>> i);
  }

  /** All of them hear everything in the end. */
  end(): void {
    for (const observer of this.observers) this.#list(observer);
  }

  #list(observer: Observer): void {
    observer.world.synced = true;
    observer.list(this.pods.values(), this.#version);
    this.#seen([...this.pods.values()].flatMap(({ uid, podIps }) => podIps.map((ip) => `${ip} ${uid}`)));
  }

  #seen(keys: readonly string[]): void {
    for (const hold of this.holds) if (hold.until === undefined && keys.includes(hold.key)) hold.isSeen = true;
  }

  #put(uid: string, rest: number): void {
    const resourceVersion = String(++this.#version);
    const podIps = IPS.filter((_, i) => (rest >>> i) & 1);
    const pod = makePod({ uid, name: uid, podIps, resourceVersion, labels: { app: `v${(rest >>> 2) & 1}` } });
    this.#hold(uid, podIps);
    this.pods.set(uid, pod);
    this.#tell((observer) => observer.world.index.slice().upsert(pod));
  }

  #delete(uid: string): void {
    const pod = this.pods.get(uid);
    if (!pod) return;
    const resourceVersion = String(++this.#version);
    this.#hold(uid, []);
    this.pods.delete(uid);
    this.#tell((observer) => observer.world.index.slice().remove({ ...pod, resourceVersion }));
  }

  #hold(uid: string, ips: readonly string[]): void {
    for (const ip of IPS) {
      const key = `${ip} ${uid}`;
      const open = this.holds.find((hold) => hold.key === key && hold.until === undefined);
      if (open && !ips.includes(ip)) open.until = this.#version;
      if (!open && ips.includes(ip))
        this.holds.push({ key, since: this.#version, made: this.#now, until: undefined, isSeen: false });
    }
  }

  #tell(tell: (observer: Observer) => void): void {
    for (const observer of this.observers) {
      if (observer.isCutOff) continue;
      tell(observer);
      // Half of the time what comes in one turn of the event loop is heard in one.
      if (this.#version % 2) observer.world.recorder.now();
    }
    this.#seenBy();
  }

  /** An overrun feed may lose what came and went: only what its reader still finds was heard. */
  #seenBy(): void {
    for (const observer of this.observers) {
      if (observer.isCutOff || this.#version % 2 === 0) continue;
      this.#seen([...observer.world.index.walk()].flatMap(({ uid, podIps }) => podIps.map((ip) => `${ip} ${uid}`)));
    }
  }
}

const keyOf = ({ ip, holder }: Piece): string => `${ip} ${holder?.uid}`;

function both(a: Knowledge, b: Knowledge): Knowledge {
  const keys = new Set([...a.pieces, ...b.pieces].map(keyOf));
  const of = ({ pieces, watched }: Knowledge, key: string): Knowledge => ({
    pieces: pieces.filter((piece) => keyOf(piece) === key),
    watched,
  });
  return {
    pieces: [...keys].flatMap((key) => atOnce(merge(of(a, key), of(b, key)))),
    watched: mergeWatched(a.watched, b.watched),
  };
}

function compare(play: Play, pieces: readonly Piece[]): void {
  const byKey = Map.groupBy(pieces, keyOf);
  const isHeld = (key: string, version: number): boolean =>
    play.holds.some((hold) => hold.key === key && hold.since <= version && version < (hold.until ?? Infinity));
  for (const [key, own] of byKey) {
    own.sort((a, b) => compareResourceVersions(a.sinceVersion, b.sinceVersion));
    for (const [i, piece] of own.entries()) {
      const next = own[i + 1];
      assert.ok(next ? piece.until !== undefined && piece.until <= next.from : true, `${key}: overlap`);
      assert.ok(piece.until === undefined || piece.until >= piece.from, `${key}: order`);
      assert.ok(isHeld(key, Number(piece.sinceVersion)), `${key}: not held at ${piece.sinceVersion}`);
      assert.equal(piece.heldFrom, own.findLast((_, j) => j <= i && !(j > 0 && own[j - 1]?.goesOn))?.from);
      if (piece.goesOn) assert.equal(piece.untilVersion, next?.sinceVersion);
      else if (piece.untilVersion === undefined) assert.ok(isHeld(key, 1e9), `${key}: open, and gone`);
      else assert.ok(!isHeld(key, Number(piece.untilVersion)), `${key}: held at ${piece.untilVersion}`);
    }
  }
  for (const { key, since, until = Infinity, isSeen } of play.holds) {
    const own = byKey.get(key) ?? [];
    const touching = own.filter(
      ({ sinceVersion, untilVersion = Infinity }) => Number(sinceVersion) < until && since < Number(untilVersion),
    );
    // All but the last of its pieces go on in another one.
    const runs = touching.filter((piece) => !piece.goesOn || piece === touching.at(-1)).length;
    assert.equal(runs, isSeen || touching.length > 0 ? 1 : 0, `${key} since ${since}: ${runs}`);
  }
}

test('observers that are cut off, overrun and begin anew know together every hold that one of them saw, once, and none open that is gone', () => {
  let holes = 0;
  check(
    property(
      record({
        skews: array(integer({ min: -50, max: 50 }), { minLength: 1, maxLength: 3 }),
        numbers: array(nat(0xffff_ffff), { maxLength: 60, size: 'max' }),
      }),
      ({ skews, numbers }) => {
        const play = new Play(skews);
        for (const number of numbers) play.step(number);
        play.end();
        const known = play.observers.flatMap(({ lives, knowledge }) => [...lives, knowledge]);
        compare(play, known.reduce(both).pieces);
        compare(play, known.toReversed().reduce(both).pieces);
        holes += known.filter(({ watched }) => watched.length > 1).length;
      },
    ),
    { numRuns: RUNS },
  );
  assert.ok(holes > RUNS / 10, `${holes}`);
});

test('A10 slices that were listed at different versions split no hold: a stretch counts from when all have come as far as the furthest', () => {
  const X = '10.0.0.1';
  const inA = (resourceVersion: string): Pod => makePod({ uid: 'p', namespace: 'a', podIps: [X], resourceVersion });
  const began = (versions: readonly [a: string, b: string], pod: Pod): RecordedIndex => {
    const world = new RecordedIndex({ namespaces: ['a', 'b'] });
    const list = world.index.slice('a').beginReplace();
    list.add(pod);
    list.commit(versions[0]);
    world.index.slice('b').beginReplace().commit(versions[1]);
    world.recorder.look();
    world.pass(10);
    return world;
  };
  const knowledgeOf = ({ recorder }: RecordedIndex): Knowledge => ({
    pieces: atOnce(recorder.piecesOf(X)),
    watched: recorder.stretches(),
  });
  const first = began(['600', '600'], inA('500'));
  assert.equal(knowledgeOf(first).watched.length, 1);
  // The pod has got a newer record, in which nothing of this is another.
  const second = began(['4000', '3990'], inA('3995'));
  const holds = (): readonly string[] =>
    atOnce(merge(knowledgeOf(first), knowledgeOf(second))).map(({ sinceVersion, until }) => `${sinceVersion} ${until}`);
  assert.deepEqual(holds(), ['500 undefined']);
  assert.deepEqual(second.recorder.stretches(), [], 'of b it is not known how it was at 4000');
  const [soFar] = second.recorder.stretches({ soFar: true });
  assert.deepEqual([soFar?.sinceVersion, soFar?.untilVersion], ['4000', '4000']);
  second.index.slice('b').upsert(makePod({ uid: 'q', namespace: 'b', podIps: [], resourceVersion: '4001' }));
  second.index.slice('a').upsert(makePod({ uid: 'r', namespace: 'a', podIps: [], resourceVersion: '4002' }));
  second.pass(10);
  const [stretch] = second.recorder.stretches();
  assert.deepEqual([stretch?.sinceVersion, stretch?.untilVersion], ['4000', '4001']);
  assert.deepEqual(holds(), ['500 undefined']);
});
