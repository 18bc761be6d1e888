import assert from 'node:assert/strict';
import { assert as check, array, integer, nat, property, tuple } from 'fast-check';
import { test } from 'node:test';
import { HashTable, hashOf } from '../../src/index/hash-table.ts';

function valuesOf(table: HashTable, hash: number): number[] {
  const values: number[] = [];
  for (let place = table.first(hash); place >= 0; place = table.next(hash, place)) values.push(table.at(place));
  return values.sort((a, b) => a - b);
}

test('whatever is added and taken out, each hash finds what a list of all entries says', () => {
  // Few hashes whose lower bits are alike, so that they stand in each other's way and around the end.
  const hashes = [-1, 15, 31, 14, 0, 16, 1 << 30, 1, -(2 ** 31)];
  const step = tuple(integer({ min: -2, max: 3 }), nat(hashes.length - 1), nat(3));
  check(
    property(array(step, { maxLength: 120, size: 'max' }), (steps) => {
      const table = new HashTable();
      const entries: [number, number][] = [];
      for (const [kind, which, value] of steps) {
        const hash = hashes[which] as number;
        if (kind >= 0) {
          table.add(hash, value);
          entries.push([hash, value]);
        } else {
          const at = entries.findIndex((entry) => entry[0] === hash && entry[1] === value);
          assert.equal(table.has(hash, value), at >= 0);
          assert.equal(table.remove(hash, value), at >= 0);
          if (at >= 0) entries.splice(at, 1);
        }
        assert.equal(table.size, entries.length);
        for (const one of hashes) {
          const expected = entries.filter((entry) => entry[0] === one).map((entry) => entry[1]);
          assert.deepEqual(
            valuesOf(table, one),
            expected.sort((a, b) => a - b),
          );
        }
      }
    }),
    { numRuns: 500 },
  );
});

test('thousands of texts come and go, and each is found among few others', () => {
  const table = new HashTable();
  const text = (i: number): string => `10.${i >> 16}.${(i >> 8) & 255}.${i & 255}`;
  for (let i = 0; i < 100_000; i++) table.add(hashOf(text(i)), i);
  for (let i = 0; i < 100_000; i += 3) assert.ok(table.remove(hashOf(text(i)), i));
  for (let i = 0; i < 100_000; i++) {
    const found = valuesOf(table, hashOf(text(i)));
    assert.ok(found.length < 4);
    assert.equal(found.includes(i), i % 3 !== 0);
  }
  for (let i = 0; i < 100_000; i++) table.remove(hashOf(text(i)), i);
  assert.equal(table.size, 0);
});

test('no two processes hash alike, so that nobody can choose texts that stand in each other’s way', async () => {
  const again = new URL('../../src/index/hash-table.ts?again', import.meta.url).href;
  const other = (await import(again)) as { readonly hashOf: typeof hashOf };
  const text = (i: number): string => `fd00:10:244:1:${(0x1000 + i).toString(16)}:1b9a:1000:193e`;
  const texts = Array.from({ length: 1000 }, (_, i) => text(i));
  assert.ok(texts.filter((one) => hashOf(one) === other.hashOf(one)).length < 2);
  const differences = new Set(
    texts.map((one) => hashOf(one) ^ hashOf(text(0)) ^ other.hashOf(one) ^ other.hashOf(text(0))),
  );
  assert.ok(differences.size > 990, 'what one process finds alike is not alike in another');
});

test('each character of an address counts, where it stands', () => {
  const ip = '2001:db8:85a3:1234:5678:8a2e:370:7334';
  const others = Array.from(ip, (_, i) =>
    Array.from('0123456789abcdef:.', (character) => ip.slice(0, i) + character + ip.slice(i + 1)),
  ).flat();
  const texts = new Set([...others, Array.from(ip).reverse().join(''), ip.slice(0, -1), '10.0.0.12', '10.0.0.21']);
  assert.ok(new Set([...texts].map(hashOf)).size > texts.size - 2);
});
