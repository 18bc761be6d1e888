import assert from 'node:assert/strict';
import { test } from 'node:test';
import { array, assert as check, boolean, constantFrom, integer, option, property, record } from 'fast-check';
import type { HeardInterval, Moment } from '../../../src/index/history/interval.ts';
import { merge } from '../../../src/index/history/merge.ts';
import { changesOnly, piecesFrom, toPieces, toPoints } from '../../../src/index/history/point.ts';
import { saidByOne } from '../../../src/index/history/said-by-one.ts';
import { atOnce } from '../../../src/index/history/steps.ts';
import { former, labelled, momentOf, seldom, slips, strangers, stretches, versions, X } from './random-pieces.ts';

/** Short ways, against the long ones: what they do not refuse must be the same. */

const RUNS = Number(process.env['PODWHOIS_MERGES'] ?? 40_000);

for (const [name, both, least] of [
  ['what they were before', former, 0.05],
  ['what somebody else says', strangers, 0.001],
] as const) {
  test(`pieces that say all there is are what they and ${name} come to, merged`, () => {
    let said = 0;
    check(
      property(both, stretches, stretches, ({ own, other }, watched, others) => {
        const [a, b] = [
          { pieces: own, watched },
          { pieces: other, watched: others },
        ];
        const found = saidByOne(a, b);
        if (found === undefined) return;
        said++;
        assert.deepEqual(found, atOnce(merge(a, b)));
        assert.deepEqual(found, atOnce(merge(b, a)));
      }),
      { numRuns: RUNS },
    );

    assert.ok(said >= least * RUNS, `it says something of ${said} of ${RUNS}`);
  });
}

const holders = constantFrom(undefined, ...labelled);

const intervals = array(
  record({
    since: versions,
    lasts: option(integer({ min: 0, max: 4 }), { freq: 6 }),
    slip: slips,
    isOdd: seldom,
    isApart: seldom,
    isLater: seldom,
    goesOn: boolean(),
    heldFrom: option(integer({ min: 1, max: 12 }), { freq: 2 }),
    holder: holders,
    terminating: boolean(),
    finished: boolean(),
  }),
  { maxLength: 4 },
).map((some): readonly HeardInterval[] => {
  const made: HeardInterval[] = [];
  for (const one of some) {
    const before = made.at(-1);
    const isNext = before?.untilVersion !== undefined && !one.isApart;
    const since = isNext && !one.isLater ? Number(before.untilVersion) : one.since;
    const from = isNext && !one.isOdd ? (before.until as Moment) : momentOf(since, one.slip, one.isOdd);
    const heldFrom = one.heldFrom === null ? (isNext && before.goesOn ? before.heldFrom : from) : 10 * one.heldFrom;
    const until = one.lasts === null ? undefined : since + one.lasts;
    made.push({
      ip: X,
      from,
      until: until === undefined ? undefined : momentOf(until, one.slip, one.isOdd),
      heldFrom,
      goesOn: one.goesOn && (until !== undefined || one.isOdd),
      holder: one.holder && {
        ...one.holder,
        phase: one.finished ? 'Failed' : 'Running',
        deletionTimestamp: one.terminating ? 1 : undefined,
      },
      sinceVersion: String(since),
      untilVersion: until === undefined ? undefined : String(until),
    });
  }
  return made.reverse();
});

test('a hold of which nothing is missing makes the pieces that its changes make, one by one', () => {
  check(
    property(intervals, (newestFirst) => {
      const one = atOnce(piecesFrom(X, [newestFirst], 0));
      assert.deepEqual(one, atOnce(toPieces(X, atOnce(changesOnly(atOnce(toPoints(newestFirst)))))));
      const offset = 1_000;
      const wall = (at: Moment | undefined): Moment | undefined => (at === undefined ? undefined : at + offset);
      const moved = one.map((piece) => ({
        ...piece,
        from: wall(piece.from),
        heldFrom: wall(piece.heldFrom),
        until: wall(piece.until),
        terminatingFrom: wall(piece.terminatingFrom),
        finishedFrom: wall(piece.finishedFrom),
      }));
      assert.deepEqual(atOnce(piecesFrom(X, [newestFirst], offset)), moved);
    }),
    { numRuns: RUNS },
  );
});
