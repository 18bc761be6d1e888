import { array, boolean, constantFrom, integer, option, record, tuple } from 'fast-check';
import type { Moment } from '../../../src/index/history/interval.ts';
import type { Piece, Stretch } from '../../../src/index/history/piece.ts';
import { changesOnly, toPieces } from '../../../src/index/history/point.ts';
import type { Point } from '../../../src/index/history/point.ts';
import { atOnce } from '../../../src/index/history/steps.ts';
import { makePod } from '../make-pod.ts';

/** Of one pod at one address. Numbers are few, so that many are equal, and some are out of order. */

export const X = '10.0.0.1';

export const labelled = ['v0', 'v1'].map((app) => makePod({ uid: 'a', labels: { app } }));
export const versions = integer({ min: 1, max: 12 });
export const seldom = integer({ min: 0, max: 11 }).map((n) => n === 0);

const MOMENTS = new Map<keyof Piece, keyof Piece>([
  ['sinceVersion', 'from'],
  ['terminatingVersion', 'terminatingFrom'],
  ['finishedVersion', 'finishedFrom'],
  ['untilVersion', 'until'],
]);

/** A moment that goes with a version, most of the time. */
export const momentOf = (version: number, slip: number, isOdd: boolean): Moment => 10 * version + (isOdd ? slip : 0);
export const slips = integer({ min: -25, max: 25 });

const points = array(
  record({
    version: versions,
    slip: slips,
    isOdd: seldom,
    isOlder: seldom,
    who: integer({ min: 0, max: 5 }),
    ends: boolean(),
    stops: boolean(),
  }),
  { minLength: 1, maxLength: 5 },
).map((some): readonly Point[] => {
  const byVersion = new Map(some.map((one) => [one.version, one]));
  return [...byVersion.values()]
    .toSorted((a, b) => a.version - b.version)
    .map(({ version, slip, isOdd, isOlder, who, ends, stops }) => {
      const holder = labelled[who >> 1];
      const state = who >> 1 === 2 ? undefined : { holder, terminating: ends, finished: stops };
      const at = momentOf(version, slip, isOdd);
      return { version: String(version), at, state, heldFrom: isOlder ? at - 7 : undefined };
    });
});

const pieces = points.map((some) => atOnce(toPieces(X, atOnce(changesOnly(some)))));

export const stretches = array(
  record({ version: versions, slip: slips, isOdd: seldom, length: integer({ min: 0, max: 4 }) }),
  {
    maxLength: 2,
  },
).map((some) =>
  some.map(({ version, slip, isOdd, length }): Stretch => {
    const from = momentOf(version, slip, isOdd);
    return { from, until: from + 10 * length, sinceVersion: String(version), untilVersion: String(version + length) };
  }),
);

/** Something in one of the pieces that is not so. */
const wrongs = option(
  tuple(
    integer({ min: 0, max: 2 }),
    constantFrom('from', 'heldFrom', 'until', 'terminatingFrom', 'finishedFrom', 'goesOn', 'holder', ...MOMENTS.keys()),
    integer({ min: 1, max: 12 }),
  ),
  { freq: 3 },
);

type Wrong = readonly [number, keyof Piece, number] | null;

function spoilt(some: readonly Piece[], wrong: Wrong): readonly Piece[] {
  if (wrong === null) return some;
  const [at, name, value] = wrong;
  return some.map((piece, i) => {
    if (i !== at || piece[name] === undefined) return piece;
    if (name === 'goesOn') return { ...piece, goesOn: !piece.goesOn };
    if (name === 'holder') return { ...piece, holder: labelled[value % 2] };
    const moment = MOMENTS.get(name);
    return moment ? { ...piece, [name]: String(value), [moment]: 10 * value } : { ...piece, [name]: 10 * value };
  });
}

/** Pieces as they were before something of them was heard. */
export const former = tuple(
  pieces,
  record({
    kept: integer({ min: 0, max: 3 }),
    isOpen: boolean(),
    forgets: record({ terminating: boolean(), finished: boolean() }),
    wrong: wrongs,
    other: wrongs,
  }),
).map(([all, { kept, isOpen, forgets, ...wrong }]): { own: readonly Piece[]; other: readonly Piece[] } => {
  const own = spoilt(all, wrong.wrong);
  const some = own.slice(0, kept);
  const last = some.pop();
  if (last === undefined) return { own, other: [] };
  let other: Piece = isOpen ? { ...last, until: undefined, untilVersion: undefined, goesOn: false } : last;
  if (forgets.terminating) other = { ...other, terminatingFrom: undefined, terminatingVersion: undefined };
  if (forgets.finished) other = { ...other, finishedFrom: undefined, finishedVersion: undefined };
  return { own, other: spoilt([...some, other], wrong.other) };
});

export const strangers = tuple(pieces, wrongs, pieces).map(([own, wrong, other]) => ({
  own: spoilt(own, wrong),
  other,
}));
