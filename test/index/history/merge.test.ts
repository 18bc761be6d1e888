import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  array,
  assert as check,
  boolean,
  constantFrom,
  integer,
  property,
  record,
  shuffledSubarray,
  tuple,
} from 'fast-check';
import type { Moment } from '../../../src/index/history/interval.ts';
import { merge, mergeWatched } from '../../../src/index/history/merge.ts';
import type { Knowledge } from '../../../src/index/history/merge.ts';
import type { Piece, Stretch } from '../../../src/index/history/piece.ts';
import { toPieces } from '../../../src/index/history/point.ts';
import type { Point, State } from '../../../src/index/history/point.ts';
import { atOnce } from '../../../src/index/history/steps.ts';
import { makePod } from '../make-pod.ts';

const X = '10.0.0.1';

const holders = ['v0', 'v1', 'v2'].map((app) => makePod({ uid: 'a', labels: { app } }));

/** What a pod was from a version on: not there, or labelled, terminating, finished. Nobody else has the address. */
interface Change {
  readonly version: number;
  /** By the clock of nobody. */
  readonly made: Moment;
  readonly state: State | undefined;
}

interface Observer {
  readonly skew: number;
  /** How late it hears. */
  readonly lag: number;
  /** First and last version of each time in which it watched. */
  readonly watched: readonly (readonly [number, number])[];
}

const VERSIONS = 60;

/** Of one pod at one address; every version is a change of something. */
const truths = array(tuple(integer({ min: 1, max: VERSIONS }), constantFrom(0, 1, 2, 3), boolean(), boolean()), {
  maxLength: 14,
}).map((steps): readonly Change[] => {
  let [terminating, finished] = [false, false];
  const byVersion = new Map(steps.map((step) => [step[0], step]));
  return [...byVersion.values()]
    .toSorted(([a], [b]) => a - b)
    .map(([version, kind, ends, stops]) => {
      const holder = holders[kind];
      if (holder && ends) terminating = true;
      if (holder && stops) finished = true;
      return { version, made: version * 10, state: holder && { holder, terminating, finished } };
    });
});

const observers = record({
  skew: integer({ min: -200, max: 200 }),
  lag: integer({ min: 0, max: 30 }),
  watched: array(integer({ min: 1, max: VERSIONS }), { minLength: 2, maxLength: 6 }).map((bounds) => {
    const ordered = [...new Set(bounds)].toSorted((a, b) => a - b);
    return Array.from(
      { length: ordered.length >> 1 },
      (_, i) => [ordered[2 * i], ordered[2 * i + 1]] as [number, number],
    );
  }),
});

const stateAt = (truth: readonly Change[], version: number): Change | undefined =>
  truth.findLast((change) => change.version <= version);

/** When it hears of what is made with a version; of a list, when that comes. */
const heard = ({ skew, lag }: Observer, version: number): Moment => version * 10 + lag + skew;

/** Everything that it ever hears, nothing left out. */
function hearsAll(observer: Observer, truth: readonly Change[]): readonly Point[] {
  return observer.watched.flatMap(([first, last]) => {
    const at = heard(observer, first);
    const listed: Point = { version: String(first), at, state: stateAt(truth, first)?.state };
    const events = truth
      .filter(({ version }) => version > first && version <= last)
      .map(({ version, state }): Point => ({ version: String(version), at: heard(observer, version), state }));
    return [listed, ...events];
  });
}

/** What it remembers: what it heard that was news to it. */
function knowledgeOf(observer: Observer, truth: readonly Change[]): Knowledge {
  return {
    pieces: atOnce(toPieces(X, news(hearsAll(observer, truth)))),
    watched: observer.watched.map(([first, last]): Stretch => ({
      from: heard(observer, first),
      until: heard(observer, last),
      sinceVersion: String(first),
      untilVersion: String(last),
    })),
  };
}

const same = (a: State | undefined, b: State | undefined): boolean => JSON.stringify(a) === JSON.stringify(b);

const news = (points: readonly Point[]): readonly Point[] =>
  points.filter(({ state }, i) => !same(state, points[i - 1]?.state));

/** What all of them together have heard, put together at once. */
function oracle(all: readonly Observer[], truth: readonly Change[]): readonly Piece[] {
  const points = all
    .flatMap((observer) => hearsAll(observer, truth))
    .toSorted((a, b) => Number(a.version) - Number(b.version));
  const each = points.map(({ version, state }, i): Point => ({
    version,
    state,
    at: Math.min(...points.filter((one, j) => j >= i || one.version === version).map(({ at }) => at)),
  }));
  return atOnce(toPieces(X, news(each)));
}

const mergeBoth = (a: Knowledge, b: Knowledge): Knowledge => ({
  pieces: atOnce(merge(a, b)),
  watched: mergeWatched(a.watched, b.watched),
});

const many = record({ truth: truths, all: array(observers, { minLength: 2, maxLength: 4 }) });

test('merged in any order, and again, observers of one truth say what they have heard together', () => {
  check(
    property(
      many.chain((one) =>
        tuple(
          shuffledSubarray([...one.all.keys()], { minLength: one.all.length }).map((order) => ({ ...one, order })),
          integer({ min: 0, max: 3 }),
        ),
      ),
      ([{ truth, all, order }, again]) => {
        const known = all.map((observer) => knowledgeOf(observer, truth));
        const expected = oracle(all, truth);
        const left = order.map((i) => known[i] as Knowledge).reduce(mergeBoth);
        const right = order.map((i) => known[i] as Knowledge).reduceRight((later, one) => mergeBoth(one, later));
        assert.deepEqual(left.pieces, expected);
        assert.deepEqual(right, left);
        assert.deepEqual(mergeBoth(left, known[again % known.length] as Knowledge), left);
        assert.deepEqual(mergeBoth(left, left), left);
      },
    ),
    { numRuns: 5_000 },
  );
});

test('whoever watched by a clock that was ahead does not call watched what is to come, once another one has watched on', () => {
  const ahead = { from: 5_000, until: 9_000_000, sinceVersion: '10', untilVersion: '20' };
  const right = { from: 6_000, until: 7_000, sinceVersion: '15', untilVersion: '21' };
  const both = [{ from: 5_000, until: 7_000, sinceVersion: '10', untilVersion: '21' }];
  assert.deepEqual(mergeWatched([ahead], [right]), both);
  assert.deepEqual(mergeWatched([right], [ahead]), both);
});
