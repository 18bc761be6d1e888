import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { HashTable, hashOf } from '../../src/index/hash-table.ts';
import { LiveSet } from '../../src/index/live-set.ts';
import { makePod } from './make-pod.ts';

setFlagsFromString('--expose-gc');
const gc = runInNewContext('gc') as () => void;

/** In bytes, typed arrays too. */
function held(): number {
  gc();
  gc();
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  return heapUsed + arrayBuffers;
}

const addressOf = (i: number): string => `10.${(i >> 16) & 255}.${(i >> 8) & 255}.${i & 255}`;

test('places are given again, so that pods that come and go for months take no more memory than those that are there', () => {
  const live = new LiveSet();
  const pods = Array.from({ length: 4000 }, (_, i) => makePod({ podIps: [addressOf(i)] }));
  for (const pod of pods) live.add(pod);
  const before = held();
  for (let round = 0; round < 100; round++) {
    for (let i = round % 2; i < pods.length; i += 2) live.delete(pods[i]!);
    for (let i = round % 2; i < pods.length; i += 2) assert.equal(live.add(pods[i]!), undefined);
    // A name that is taken gives its place back too.
    for (const { namespace, name } of pods.slice(0, 1000)) assert.ok(live.add(makePod({ namespace, name })));
  }
  const more = held() - before;
  assert.ok(more < 1e6, `${more} bytes`);
  for (const pod of pods) assert.deepEqual(live.holders(pod.podIps[0]!), [pod]);
  assert.equal(live.size, pods.length);
});

test('a hash table takes as little memory as before when what was put in has been taken out', () => {
  const table = new HashTable();
  const before = held();
  for (let i = 0; i < 200_000; i++) table.add(hashOf(addressOf(i)), i);
  assert.ok(held() - before > 1e6, 'or this test sees nothing');
  for (let i = 0; i < 200_000; i++) assert.ok(table.remove(hashOf(addressOf(i)), i));
  const more = held() - before;
  assert.ok(more < 2e5, `${more} bytes`);
  assert.equal(table.size, 0);
});
