import assert from 'node:assert/strict';
import { PodIndex } from '../../../src/index/pod-index.ts';

import { compare, compareCommit, compareShrinkage, covers } from './compare.ts';
import type { Watched } from './compare.ts';
import { Follower } from './follower.ts';
import { List, unreadableOf } from './list.ts';
import { SliceOracle } from './oracle.ts';
import { pick, Truth } from './truth.ts';
import type { Entry } from './truth.ts';

export interface Setting {
  readonly namespaces: readonly string[];
  readonly feedCapacity: number;
  /** Container ids are asked for from the beginning. */
  readonly containers: boolean;
  /** Before the first step there are so many pods, and every slice has been listed; undefined: nothing is there yet. */
  readonly synced: number | undefined;
}

/**
 * Plays a history to an index and to the oracle and compares them after every step. A step is a number: what happens, and
 * three choices.
 */
export class History {
  readonly #truth = new Truth();
  readonly #index: PodIndex;
  readonly #slices: readonly Watched[];
  readonly #follower: Follower;
  readonly #uids = new Set<string>();

  constructor({ namespaces, feedCapacity, containers, synced }: Setting) {
    this.#index = new PodIndex({ namespaces, feedCapacity });
    this.#follower = new Follower(this.#index);
    if (containers) this.#index.byContainerId('none');
    this.#slices = (namespaces.length > 0 ? namespaces : [undefined]).map((namespace) => ({
      namespace,
      slice: this.#index.slice(namespace),
      oracle: new SliceOracle(),
      at: 0,
      taken: 0,
      seen: undefined,
      lists: [],
    }));
    if (synced === undefined) return;
    for (let n = 0; n < synced; n++) this.#truth.create(n, n >> 1, n * 13);
    for (const of of this.#slices) this.#listNow(of, false);
  }

  step(number: number): void {
    const a = (number >>> 6) & 0xff;
    const b = (number >>> 14) & 0xff;
    const c = (number >>> 22) & 0x3ff;
    this.#act(number & 0x3f, a, b, c);
    this.#compare(c % 3 === 0);
  }

  /** The last list of every slice is at the truth: now everything must be as it is there, and nothing be left when all is gone. */
  finish(): void {
    for (const of of this.#slices) this.#listNow(of, false);
    this.#compare(true);
    for (const of of this.#slices) {
      assert.equal(of.seen, this.#truth.version);
      assert.deepEqual(of.oracle.aside(), []);
    }
    while (this.#truth.selected.size > 0) this.#truth.remove(0, 0);
    for (const of of this.#slices) {
      for (let n = of.at % 3; n > 0; n--) this.#deliver(of);
      this.#listNow(of, false);
    }
    this.#compare(true);
    assert.equal(this.#index.size, 0);
    assert.deepEqual(new Set(Object.values(this.#index.leftovers)), new Set([0]), 'nothing is left over');
  }

  #compare(pull: boolean): void {
    if (this.#slices.some(({ oracle }) => oracle.floor === undefined)) return;
    for (const { pod } of this.#truth.log) this.#uids.add(pod.uid);
    compare(this.#index, this.#slices, { truth: this.#truth, uids: this.#uids });
    if (!pull) return;
    this.#follower.pull();
    assert.deepEqual(new Set(this.#follower.pods.values()), new Set(this.#index.walk()), 'the feed leads to the state');
  }

  #act(what: number, a: number, b: number, c: number): void {
    const truth = this.#truth;
    const of = pick(this.#slices, a >> 4);
    if (of === undefined) return;
    const list = pick(of.lists, a);
    if (what < 12) truth.create(a, b, c);
    else if (what < 22) truth.change(a, b, c);
    else if (what < 27) truth.remove(a, b);
    else if (what < 30) truth.relabel(a, b);
    else if (what < 44) for (let n = b % 4; n >= 0; n--) this.#deliver(of);
    else if (what < 46) this.#deliverUnreadable(of, c);
    else if (what < 47) this.#lose(of);
    else if (what < 48) this.#swap(of);
    else if (what < 50) this.#repeat(of, b);
    else if (what < 51) of.at = Math.max(0, of.at - (b % 8));
    else if (what < 54)
      of.lists = [...of.lists.slice(-2), this.#begin(of, { age: b % 6, cached: c % 4, faults: a * c })];
    else if (what < 57) for (let n = b % 4; n >= 0; n--) list?.read();
    else if (what < 61) {
      if (b % 2 === 1) this.#compareBeside(list, c);
      this.#commit(of, list, false);
    } else if (what < 62) of.lists = of.lists.filter((one) => one !== list);
    else this.#restore(a, b, c);
  }

  #deliver(of: Watched): void {
    const entry = this.#next(of);
    if (entry) this.#bringNext(of, entry);
  }

  #deliverUnreadable(of: Watched, choice: number): void {
    const entry = this.#next(of);
    if (entry === undefined) return;
    if (entry.type === 'remove') return this.#bringNext(of, entry);
    const object = unreadableOf(entry.pod, choice);
    of.slice.setAside(object);
    of.oracle.setAside(object);
    if (of.seen !== undefined && entry.version > of.seen) of.seen = undefined;
  }

  #lose(of: Watched): void {
    const entry = this.#next(of);
    if (entry && of.seen !== undefined && entry.version > of.seen) of.seen = undefined;
  }

  /** Two events the wrong way round. */
  #swap(of: Watched): void {
    const entries = [this.#next(of), this.#next(of)].filter((entry) => entry !== undefined);
    for (const entry of entries.reverse()) this.#bringNext(of, entry);
  }

  /** An old connection still brings something, or brings it twice. */
  #repeat(of: Watched, choice: number): void {
    const brought = this.#truth.log.slice(0, of.at).filter(({ pod }) => covers(of, pod));
    const entry = pick(brought, choice);
    if (entry) this.#bring(of, entry);
  }

  #next(of: Watched): Entry | undefined {
    while (of.at < this.#truth.log.length) {
      const entry = this.#truth.log[of.at++];
      if (!entry || !covers(of, entry.pod)) continue;
      of.taken = Math.max(of.taken, entry.version);
      return entry;
    }
    return undefined;
  }

  #bringNext(of: Watched, entry: Entry): void {
    this.#bring(of, entry);
    if (of.seen !== undefined) of.seen = Math.max(of.seen, entry.version);
  }

  #bring(of: Watched, { type, pod }: Entry): void {
    of.slice[type](pod);
    of.oracle[type](pod);
  }

  #begin(of: Watched, { age, cached, faults }: { age: number; cached: number; faults: number }): List {
    return new List(of, this.#truth, { version: this.#truth.version - age, cached, faults });
  }

  #listNow(of: Watched, forget: boolean): void {
    this.#commit(of, this.#begin(of, { age: 0, cached: 0, faults: 0 }), forget);
  }

  /** A list is compared with what is served while events come. */
  #compareBeside(list: List | undefined, steps: number): void {
    list?.readAll();
    for (let n = 0; n < steps % 48; n++) {
      const of = pick(this.#slices, n + steps);
      if (n % 3 === 0 && of) this.#deliver(of);
      list?.read();
    }
  }

  #commit(of: Watched, list: List | undefined, forget: boolean): void {
    if (list === undefined) return;
    list.readAll();
    of.lists = of.lists.filter((one) => one !== list);
    const { oracle } = of;
    const { version } = list;
    const before = [...this.#index.walk()];
    if (!forget) compareShrinkage(of, list);
    const isFirst = oracle.floor === undefined;
    const done = list.replacement.commit(String(version), { forget });
    if (forget) of.taken = 0;
    if (forget || oracle.floor === undefined || version >= oracle.floor) {
      if (version >= of.taken) of.seen = version;
      if (list.unreadable.length > 0) of.seen = undefined;
    }
    oracle.commit(list, forget);
    if (!isFirst) compareCommit(before, [...this.#index.walk()], done);
  }

  /** Versions go back, and it is noticed; or so much happens that it is not, and the next list is newer than what was seen last. */
  #restore(a: number, b: number, c: number): void {
    const truth = this.#truth;
    const last = truth.version;
    truth.restore(Math.max(90, last - (b % 10)));
    for (let n = c % 4; n > 0; n--) truth.change(a + n, b, c);
    const isNoticed = a % 2 === 0;
    if (!isNoticed) while (truth.version <= last) truth.create(a++, b++, c++);
    for (const of of this.#slices) {
      of.lists = [];
      of.at = truth.log.length;
      this.#listNow(of, isNoticed);
    }
  }
}
