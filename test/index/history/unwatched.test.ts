import assert from 'node:assert/strict';
import { assert as check, array, integer, property, tuple } from 'fast-check';
import { test } from 'node:test';
import {
  commonHoles,
  holesBetween,
  holesSince,
  joinedWhereTheyMeet,
  Unwatched,
} from '../../../src/index/history/unwatched.ts';
import type { Hole } from '../../../src/index/history/unwatched.ts';

const END = 40;

const stretches = array(
  tuple(integer({ min: 0, max: END }), integer({ min: 1, max: 9 })).map(([from, length]) => ({
    from,
    until: from + length,
  })),
  { maxLength: 6 },
);

/** At which half moments nobody was watching: bounds themselves are known on both sides. */
const blind = (holes: readonly Hole[]): readonly number[] =>
  Array.from({ length: END + 12 }, (_, i) => i - 0.5).filter((moment) => new Unwatched(holes).around(moment));

const isInOrder = (holes: readonly Hole[]): boolean =>
  holes.every(
    ({ from, until }, i) => (until ?? Infinity) > from && (i === 0 || from > (holes[i - 1]?.until ?? Infinity)),
  );

test('holes are what is left by those who watched, the common ones where none of two did', () => {
  check(
    property(stretches, stretches, integer({ min: 0, max: END }), (a, b, reach) => {
      const [ofA, ofB] = [holesBetween(a), holesBetween(b)];
      const both = commonHoles(ofA, ofB);
      for (const holes of [ofA, ofB, both, holesSince(reach, ofA)]) assert.ok(isInOrder(holes), JSON.stringify(holes));
      const watched = (moment: number): boolean => a.some(({ from, until }) => from < moment && moment < until);
      assert.deepEqual(
        blind(ofA),
        blind([{ from: -Infinity, until: undefined }]).filter((moment) => !watched(moment)),
      );
      assert.deepEqual(both, holesBetween([...a, ...b]));
      assert.deepEqual(commonHoles(ofB, ofA), both);
      const forgotten = blind([{ from: -Infinity, until: undefined }]).filter(
        (moment) => moment < reach || !watched(moment),
      );
      assert.deepEqual(blind(holesSince(reach, ofA)), forgotten);
    }),
  );
});

test('who watches for ever leaves no open hole', () => {
  assert.deepEqual(holesBetween([{ from: 5, until: Infinity }]), [{ from: -Infinity, until: 5 }]);
  assert.deepEqual(holesBetween([]), [{ from: -Infinity, until: undefined }]);
});

test('two holes with nothing but a moment between them are one for people, and are asked as two', () => {
  const moment = { from: 5, until: 5 };
  const holes = holesBetween([moment, { from: 9, until: 12 }]);
  assert.equal(new Unwatched(holes).around(5), undefined, 'it is known how it was then');
  assert.deepEqual(joinedWhereTheyMeet(holes), [
    { from: -Infinity, until: 9 },
    { from: 12, until: undefined },
  ]);
  assert.deepEqual(joinedWhereTheyMeet(holesBetween([moment])), [{ from: -Infinity, until: undefined }]);
  assert.deepEqual(joinedWhereTheyMeet([]), []);
});
