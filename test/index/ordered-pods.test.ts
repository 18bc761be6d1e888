import assert from 'node:assert/strict';
import { test } from 'node:test';
import { array, assert as check, constantFrom, integer, property, tuple } from 'fast-check';
import { compareNames, OrderedPods } from '../../src/index/ordered-pods.ts';
import type { Pod } from '../../src/pod.ts';
import { makePod } from './make-pod.ts';

const named = (namespace: string, name: string): Pod => makePod({ namespace, name });
const key = ({ namespace, name }: Pod): string => `${namespace}\0${name}`;

/** With the list that its owner keeps: every pod has a place in it while it is inserted. */
class Ordered {
  readonly #list: (Pod | undefined)[] = [];
  readonly order = new OrderedPods(this.#list);

  insert(pod: Pod): Pod | undefined {
    this.#list.push(pod);
    return this.order.insert(this.#list.length - 1);
  }

  replace(pod: Pod): void {
    const old = this.order.find(pod) ?? assert.fail();
    this.#list[this.#list.indexOf(old)] = pod;
    this.order.replaced();
  }
}

function allOf({ order }: Ordered): Pod[] {
  const all: Pod[] = [];
  order.each(undefined, (pod) => all.push(pod));
  return all;
}

/** More than fit into three arrays. */
const MANY = 2_000;

const orders: Readonly<Record<string, (i: number) => number>> = {
  'in order': (i) => i,
  'in reverse': (i) => MANY - i,
  'in no order': (i) => (i * 7919) % MANY,
  'from the middle outwards': (i) => (i % 2 === 0 ? MANY / 2 + i / 2 : MANY / 2 - (i + 1) / 2),
  'in two interleaved runs': (i) => (i % 2) * MANY + i,
};

for (const [how, order] of Object.entries(orders)) {
  test(`pods that come ${how} are found, walked and taken out again`, () => {
    const pods = new Ordered();
    const expected = Array.from({ length: MANY }, (_, i) => named('n', String(order(i)).padStart(5, '0')));
    for (const pod of expected) assert.equal(pods.insert(pod), undefined);
    const sorted = expected.toSorted(compareNames);
    assert.deepEqual(allOf(pods), sorted);
    assert.deepEqual([...pods.order.walk(undefined)], sorted);
    for (const pod of expected) {
      assert.equal(pods.order.find({ namespace: 'n', name: pod.name }), pod);
      assert.equal(pods.insert({ ...pod }), pod, 'one pod a name');
    }
    assert.equal(pods.order.size, MANY);
    assert.ok(
      pods.order.arrays > MANY / 512 && pods.order.arrays < MANY / 128,
      'arrays are neither too long nor too short',
    );
    for (const pod of expected.slice(0, MANY - 3)) pods.order.delete(pod);
    assert.deepEqual(allOf(pods), expected.slice(MANY - 3).toSorted(compareNames));
    for (const pod of expected) pods.order.delete(pod);
    assert.deepEqual([pods.order.size, allOf(pods), pods.order.find(expected[0] ?? assert.fail())], [0, [], undefined]);
    assert.equal(pods.insert(named('n', 'x')), undefined);
    assert.equal(pods.order.size, 1);
  });
}

test('a namespace lies in the middle of others, over several arrays', () => {
  const pods = new Ordered();
  const all = ['a', 'a-b', 'b', 'ba'].flatMap((namespace) =>
    Array.from({ length: 700 }, (_, i) => named(namespace, String(i).padStart(4, '0'))),
  );
  // As an API server sends them: by the text of namespace/name, in which a-b comes before a.
  for (const pod of all.toSorted((x, y) => (`${x.namespace}/${x.name}` < `${y.namespace}/${y.name}` ? -1 : 1))) {
    pods.insert(pod);
  }
  assert.deepEqual(allOf(pods), all);
  for (const namespace of ['a', 'a-b', 'b', 'ba', '', 'aa', 'c']) {
    const seen: Pod[] = [];
    pods.order.each(namespace, (pod) => seen.push(pod));
    assert.deepEqual(
      seen,
      all.filter((pod) => pod.namespace === namespace),
      namespace,
    );
  }
  for (const after of [all[0], all[511], all[512], all[1399], all[2799]]) {
    assert.deepEqual([...pods.order.walk(after)], all.slice(all.indexOf(after ?? assert.fail()) + 1));
  }
});

test('what is replaced is in the place of the old one, and a walk that was under way ends', () => {
  const pods = new Ordered();
  const old = named('n', 'x');
  pods.insert(old);
  const now = { ...old, resourceVersion: '200' };
  const walk = pods.order.walk(undefined);
  assert.equal(walk.next().value, old);
  pods.replace(now);
  assert.equal(pods.order.find(old), now);
  assert.throws(() => walk.next(), /changed/);
});

test('whatever is put in and taken out, it is what a sorted array holds', () => {
  const step = tuple(constantFrom('insert', 'insert', 'delete', 'replace'), integer({ min: 0, max: 40 }));
  check(
    property(array(step, { maxLength: 100, size: 'max' }), integer({ min: 0, max: 1200 }), (steps, filled) => {
      const pods = new Ordered();
      const oracle = new Map<string, Pod>();
      const put = (pod: Pod): void => {
        const there = oracle.get(key(pod));
        assert.equal(pods.insert(pod), there);
        if (there === undefined) oracle.set(key(pod), pod);
      };
      for (let i = 0; i < filled; i++) put(named('m', String(i).padStart(4, '0')));
      for (const [what, number] of steps) {
        const namespace = number % 3 === 0 ? 'a' : number % 3 === 1 ? 'm' : 'z';
        const pod = named(namespace, String(number * 30).padStart(4, '0'));
        if (what === 'insert') put(pod);
        else if (what === 'delete') {
          pods.order.delete(pod);
          oracle.delete(key(pod));
        } else if (oracle.has(key(pod))) {
          pods.replace(pod);
          oracle.set(key(pod), pod);
        }
        assert.equal(pods.order.find(pod), oracle.get(key(pod)));
      }
      assert.equal(pods.order.size, oracle.size);
      assert.deepEqual(allOf(pods), [...oracle.values()].toSorted(compareNames));
    }),
    { numRuns: 200 },
  );
});

test('survivors of deletions do not each keep an array', () => {
  const pods = new Ordered();
  const all = Array.from({ length: 50_000 }, (_, i) => named('n', String(i).padStart(6, '0')));
  for (const pod of all) pods.insert(pod);
  for (const [i, pod] of all.entries()) if (i % 500 !== 0) pods.order.delete(pod);
  assert.equal(pods.order.size, 100);
  assert.ok(pods.order.arrays <= 3, `${pods.order.arrays} arrays`);
});
