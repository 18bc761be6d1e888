import assert from 'node:assert/strict';
import { assert as check, array, integer, nat, property, record } from 'fast-check';
import { test } from 'node:test';
import { answer } from '../src/index/answer.ts';
import type { Pod } from '../src/pod.ts';
import { makePod } from './index/make-pod.ts';
import { RecordedIndex } from './support/recorded-index.ts';

/** How many histories are played; each has up to 80 steps and is asked at every moment. */
const HISTORIES = Number(process.env['PODWHOIS_HISTORIES'] ?? 10_000) / 10;

const IPS = ['10.0.0.1', '10.0.0.2', '10.0.0.3'];
const MAX_AGE = 50;
const STALL = 6_000;

/** What was known of one address at one moment: everything. */
interface State {
  readonly kind: string;
  /** Of the one that answered. */
  readonly uid: string | undefined;
  readonly labels: string | undefined;
  readonly holders: ReadonlySet<string>;
}

/** A cluster that changes, an index that is told while the watch works, and an oracle that keeps a copy of everything ever known. */
class Play {
  readonly world = new RecordedIndex({ maxAgeMs: MAX_AGE, feedCapacity: 8, retentionMs: 1e9 });
  readonly #truth = new Map<string, Pod>();
  /** What the index said, step by step; of several at one moment the last is how it was then. */
  readonly #states: (readonly [number, ReadonlyMap<string, State>])[] = [];
  readonly #holes: { from: number; until: number }[] = [];
  #version = 1;
  #made = 0;
  #brokenSince: number | undefined;

  constructor() {
    this.world.index.slice().beginReplace().commit('1');
    this.#heard();
    this.#holes.push({ from: -Infinity, until: 0 });
  }

  step(number: number): void {
    const { world } = this;
    const kind = number % 16;
    const rest = number >>> 4;
    if (kind < 4) this.#put(this.#make(rest));
    else if (kind < 7) this.#change(rest, (pod) => ({ ...pod, labels: { app: `v${rest % 3}` } }));
    else if (kind < 9) this.#change(rest, (pod) => ({ ...pod, deletionTimestamp: 99 }));
    else if (kind === 9) this.#change(rest, (pod) => ({ ...pod, phase: 'Failed' }));
    else if (kind === 10) this.#change(rest, (pod) => ({ ...pod, podIps: [IPS[rest % 3] as string] }));
    else if (kind === 11) this.#delete(rest);
    else if (kind === 12) this.#delete(rest >> 2);
    else if (kind === 13) this.#watch(rest);
    else if (kind === 14 && this.#brokenSince === undefined) this.#burst(rest);
    else if (rest % 8 === 0) world.wall += (rest % 2 ? -1 : 1) * 5_000;
    world.pass((rest >> 3) % 4 === 0 ? 0 : rest % 7);
    if (this.#brokenSince !== undefined) world.age = world.now - this.#brokenSince;
    this.#heard();
  }

  #make(rest: number): Pod {
    const ips = rest % 5 === 0 ? [IPS[rest % 3], IPS[(rest + 1) % 3]] : [IPS[rest % 3]];
    const uid = `u${++this.#made}`;
    return makePod({ uid, name: uid, podIps: ips as string[], hostNetwork: rest % 29 === 0, labels: { app: 'v0' } });
  }

  #put(pod: Pod): void {
    const next = { ...pod, resourceVersion: String(++this.#version) };
    this.#truth.set(pod.uid, next);
    if (this.#brokenSince === undefined) this.world.index.slice().upsert(next);
  }

  #change(rest: number, change: (pod: Pod) => Pod): void {
    const pod = [...this.#truth.values()][rest % Math.max(1, this.#truth.size)];
    if (pod) this.#put(change(pod));
  }

  #delete(rest: number): void {
    const pod = [...this.#truth.values()][rest % Math.max(1, this.#truth.size)];
    if (!pod) return;
    this.#truth.delete(pod.uid);
    const last = { ...pod, resourceVersion: String(++this.#version) };
    if (this.#brokenSince === undefined) this.world.index.slice().remove(last);
  }

  /** Breaks the watch, or mends it: a list brings everything at once. */
  #watch(rest: number): void {
    const { world } = this;
    if (this.#brokenSince === undefined) {
      this.#brokenSince = world.now;
      return;
    }
    world.pass(rest % (2 * MAX_AGE));
    world.age = world.now - this.#brokenSince;
    this.#heard();
    const list = world.index.slice().beginReplace();
    for (const pod of this.#truth.values()) list.add(pod);
    list.commit(String(++this.#version));
    if (world.age > MAX_AGE) this.#hole(this.#brokenSince, world.now);
    this.#brokenSince = undefined;
    world.age = 0;
    this.#heard();
  }

  /** More changes in one turn than the feed holds. */
  #burst(rest: number): void {
    const heard = this.world.now;
    this.world.pass(1 + (rest % 3));
    for (let i = 0; i < 12; i++) {
      const one = rest >> i;
      if (one % 3 === 0) this.#delete(one);
      else if (one % 7 === 1) this.#change(one, (pod) => ({ ...pod, podIps: [IPS[one % 3] as string] }));
      else this.#put(this.#make(one));
    }
    // Deletions of nobody make no changes.
    const before = this.world.counters.overrun;
    this.#heard();
    if (this.world.counters.overrun > before) this.#hole(heard, this.world.now);
  }

  stall(): void {
    const heard = this.world.now;
    this.world.pass(STALL);
    this.world.age = 0;
    this.#heard();
    this.#hole(heard, this.world.now);
  }

  #hole(from: number, until: number): void {
    const last = this.#holes.at(-1);
    if (last && from <= last.until) last.until = until;
    else this.#holes.push({ from, until });
  }

  #heard(): void {
    const { index, recorder, now } = this.world;
    recorder.now();
    const states = new Map(
      IPS.map((ip): [string, State] => {
        const found = answer(index, ip, { partial: false, clusterCidrs: [] });
        const pod = found.kind === 'one' ? found.pod : undefined;
        const kind = found.kind === 'none' ? found.reason : found.kind;
        const holders = new Set(index.holders(ip).map(({ uid }) => uid));
        return [ip, { kind, uid: pod?.uid, labels: JSON.stringify(pod?.labels), holders }];
      }),
    );
    this.#states.push([now, states]);
  }

  /** Asks for every address at every moment of interest, and compares. */
  compare(): void {
    const end = this.world.now;
    if (this.#brokenSince !== undefined && end - this.#brokenSince > MAX_AGE) this.#hole(this.#brokenSince, Infinity);
    const moments = new Set(this.#states.flatMap(([moment]) => [moment - 1, moment, moment + 1]));
    for (const moment of moments) if (moment <= end) for (const ip of IPS) this.#compareAt(ip, moment);
  }

  #compareAt(ip: string, moment: number): void {
    const offset = this.world.wall - this.world.now;
    const then = this.world.recorder.at(ip, moment + offset);
    const where = `${ip} at ${moment}`;
    const hole = this.#holes.find(({ from, until }) => from < moment && moment < until);
    if (hole === undefined) {
      const state = this.#stateAt(ip, moment);
      const kind = then.kind === 'none' ? then.reason : then.kind;
      assert.equal(kind, state?.kind ?? 'no-pod', where);
      if (then.kind !== 'one') return;
      assert.equal(then.inferred, false, where);
      assert.equal(then.tenure.holder.uid, state?.uid, where);
      assert.equal(JSON.stringify(then.tenure.holder.labels), state?.labels, where);
      return this.#compareTenure(then.tenure, moment, offset, where);
    }
    const later = this.#states.filter(([at]) => at > moment && at <= hole.until).map(([, states]) => states.get(ip));
    const sides = [moment, hole.until].map((side) => this.#stateAt(ip, side));
    const same = [...sides, ...later].every((state) => state?.kind === 'one' && state.uid === sides[0]?.uid);
    // What an overrun feed has dropped is not known here either.
    if (then.kind === 'one') {
      assert.equal(then.inferred, true, where);
      assert.ok(
        sides.every((state) => state?.uid === then.tenure.holder.uid),
        where,
      );
    } else {
      assert.equal(then.kind, 'not-observed', where);
      assert.ok(!same || hole.from === -Infinity || hole.until === Infinity, where);
    }
  }

  #compareTenure(
    tenure: Extract<ReturnType<Play['world']['recorder']['at']>, { kind: 'one' }>['tenure'],
    moment: number,
    offset: number,
    where: string,
  ): void {
    const { ip, holder, from, until } = tenure;
    const holds = (i: number): boolean => this.#states[i]?.[1].get(ip)?.holders.has(holder.uid) === true;
    const at = this.#states.findLastIndex(([one]) => one <= moment);
    let [first, last] = [at, at];
    while (holds(first - 1)) first--;
    while (holds(last)) last++;
    const began = this.#states[first]?.[0] as number;
    const ended = this.#states[last]?.[0];
    const heardIn = (one: number): boolean => this.#holes.some((hole) => hole.from < one && one <= hole.until);
    assert.deepEqual(from, { at: began + offset, observed: !heardIn(began) }, `${where} from`);
    if (ended === undefined) return assert.equal(until, undefined, `${where} until`);
    const hole = this.#holes.find((one) => one.from < ended && ended <= one.until);
    const expected = hole ? { at: Math.max(began, hole.from), observed: false } : { at: ended, observed: true };
    assert.deepEqual(until, { at: expected.at + offset, observed: expected.observed }, `${where} until`);
  }

  #stateAt(ip: string, moment: number): State | undefined {
    return this.#states.findLast(([at]) => at <= moment)?.[1].get(ip);
  }
}

test('whatever happens, what is written down says of every moment what an oracle says that kept everything', () => {
  const seen = { histories: 0, holes: 0 };
  check(
    property(
      record({
        numbers: array(nat(0xffff_ffff), { maxLength: 80, size: 'max' }),
        stallAt: integer({ min: 0, max: 160 }),
      }),
      ({ numbers, stallAt }) => {
        const play = new Play();
        for (const [i, number] of numbers.entries()) {
          if (i === stallAt && play.world.age === 0) play.stall();
          play.step(number);
        }
        play.compare();
        seen.histories++;
        const { stale, overrun, stalled } = play.world.counters;
        if (stale > 0 && overrun + stalled > 0) seen.holes++;
      },
    ),
    { numRuns: HISTORIES },
  );
  assert.ok(seen.holes > seen.histories / 50, `holes of several kinds: ${seen.holes}`);
});
