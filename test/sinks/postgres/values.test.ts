import assert from 'node:assert/strict';
import * as fc from 'fast-check';
import { test } from 'node:test';
import { digestOf } from '../../../src/sinks/postgres/flush.ts';
import { ByteText } from '../../../src/sinks/postgres/byte-text.ts';
import { array, copyLine, textOrNull, timestamp } from '../../../src/sinks/postgres/values.ts';

test('a time is written as Date writes it, and as an infinity beyond the years of four digits', () => {
  const [first, end] = [Date.parse('0001-01-01T00:00:00Z'), Date.UTC(10_000, 0)];
  fc.assert(
    fc.property(fc.oneof(fc.integer({ min: first, max: end - 1 }), fc.integer({ min: -1e9, max: 1e9 })), (ms) => {
      assert.equal(timestamp(ms), new Date(ms).toISOString().replace('.000Z', 'Z'));
    }),
    { numRuns: 20_000 },
  );
  assert.deepEqual(
    [undefined, first, first - 1, end - 1, end].map((ms) => timestamp(ms)),
    [null, '0001-01-01T00:00:00Z', '-infinity', '9999-12-31T23:59:59.999Z', 'infinity'],
  );
});

test('every element of an array is quoted, and what ends a quote is escaped', () => {
  assert.equal(array([]), '{}');
  assert.equal(array(['10.0.0.1', '', 'NULL', '{,}']), '{"10.0.0.1","","NULL","{,}"}');
  assert.equal(array(['10.0.0.1', '', 'a"b\\c', 'NULL']), '{"10.0.0.1","","a\\"b\\\\c","NULL"}');
  assert.equal(array(['a', null, 'NULL']), '{"a",NULL,"NULL"}');
});

test('a line of COPY ends where its row ends, whatever its values hold', () => {
  const lines = new ByteText(8);
  copyLine(lines, ['a\tb', null, '', '\\N', 'c\r\n'], 'digest');
  copyLine(lines, [null, 'é']);
  assert.equal(lines.take().toString(), 'a\\tb\t\\N\t\t\\\\N\tc\\r\\n\tdigest\n\\N\té\n');
});

test('an empty text is none, and a NUL, for which Postgres has no place, hides no row', () => {
  assert.deepEqual([undefined, '', 'a', 'a\u0000b\u0000'].map(textOrNull), [null, null, 'a', 'a\ufffdb\ufffd']);
});

test('a digest stays what it is: with another one every row would be written anew', () => {
  assert.equal(digestOf(['a', null, '', 'é\ud83d\ude00', '\ud800']), '121b31709c0fcd05c80736afe6e01cc0');
});

test('rows that differ have different digests, wherever a value begins and ends, and none is not empty', () => {
  const rows = fc.array(
    fc.tuple(...Array.from({ length: 3 }, () => fc.constantFrom(null, '', '\u0001', 'a', 'a\u0001', '\u0001a', '\\N'))),
    { minLength: 2, maxLength: 2 },
  );
  fc.assert(
    fc.property(rows, ([a, b]) => {
      const isSame = JSON.stringify(a) === JSON.stringify(b);
      assert.equal(digestOf(a ?? []) === digestOf(b ?? []), isSame);
    }),
    { numRuns: 5_000 },
  );
});
