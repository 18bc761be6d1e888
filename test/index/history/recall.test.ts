import assert from 'node:assert/strict';
import { test } from 'node:test';
import { coursesIn, join } from '../../../src/index/history/recall.ts';
import type { Piece, Stretch } from '../../../src/index/history/piece.ts';
import { atOnce } from '../../../src/index/history/steps.ts';
import { makePod } from '../make-pod.ts';
import { openPiece } from './open-piece.ts';

const X = '10.0.0.1';

/** Of the pod `a`, which is labelled anew with every tenth version and hears of it ten milliseconds later. */
function pieces(from: number, until: number, heldFrom: number): readonly Piece[] {
  const holder = (version: number) => makePod({ uid: 'a', labels: { app: `v${version}` } });
  return Array.from({ length: (until - from) / 10 }, (_, i) => {
    const since = from + 10 * i;
    return {
      ip: X,
      holder: holder(since),
      heldFrom,
      from: since * 10,
      until: (since + 10) * 10,
      goesOn: true,
      terminatingFrom: undefined,
      finishedFrom: undefined,
      sinceVersion: String(since),
      terminatingVersion: undefined,
      finishedVersion: undefined,
      untilVersion: String(since + 10),
    };
  });
}

const stretch = (since: number, until: number): Stretch => ({
  from: since * 10,
  until: until * 10,
  sinceVersion: String(since),
  untilVersion: String(until),
});

test('what was not read of a pod that is labelled anew without end is not denied: its hold is one', () => {
  const memory = { pieces: pieces(200, 900, 2_000), watched: [stretch(200, 900)] };
  // It stopped watching for a moment, long before the newest rows.
  const watched = [stretch(100, 300), stretch(305, 900)];
  const courses = [{ ip: X, uid: 'a', sinceVersion: '200' }];
  const newest = pieces(800, 900, 1_000);
  const holds = (read: readonly Piece[]): readonly string[] => {
    const joined = atOnce(join({ memory, archived: { pieces: read, watched }, courses }));
    return [...new Set(joined.slice(0, -1).map(({ heldFrom, goesOn }) => `${heldFrom} ${goesOn}`))];
  };
  assert.deepEqual(holds(newest), ['2000 true']);
  assert.deepEqual(holds([...pieces(200, 210, 1_000), ...newest]), ['1000 true']);
});

test('what ended before the rows that were read has ended, and what began then is another hold', () => {
  const before = { ...(pieces(200, 210, 1_000)[0] as Piece), goesOn: false };
  const read = [before, ...pieces(800, 900, 4_000)];
  const watched = [stretch(100, 300), stretch(305, 900)];
  const courses = [{ ip: X, uid: 'a', sinceVersion: '200' }];
  const memory = { pieces: pieces(600, 900, 6_000), watched: [stretch(600, 900)] };
  const joined = atOnce(join({ memory, archived: { pieces: read, watched }, courses }));
  assert.deepEqual(
    joined.slice(0, -1).filter(({ goesOn }) => !goesOn),
    [before],
  );
  assert.equal(joined[1]?.sinceVersion, '600');
});

test('of a pod without any row only what memory did not watch itself is denied: Postgres may not have taken it', () => {
  const last = { ...(pieces(290, 300, 2_000)[0] as Piece), goesOn: false, until: undefined, untilVersion: undefined };
  const own = [...pieces(200, 290, 2_000), last];
  const courses = [{ ip: X, uid: 'a', sinceVersion: '200' }];
  const archived = { pieces: [], watched: [stretch(100, 250), stretch(255, 900)] };
  const joined = (watched: readonly Stretch[]): readonly Piece[] =>
    atOnce(join({ memory: { pieces: own, watched }, archived, courses }));
  assert.deepEqual(joined([stretch(200, 900)]), own);
  const ended = joined([stretch(200, 250), stretch(290, 900)]).find(({ goesOn }) => !goesOn);
  assert.deepEqual([ended?.sinceVersion, ended?.untilVersion], ['250', '255']);
});

test('of an address that thousands of pods have had, dozens at a time are joined', () => {
  const [one] = pieces(200, 210, 2_000) as [Piece];
  const own = Array.from({ length: 5_000 }, (_, i): Piece => ({ ...one, holder: makePod({ uid: `p${i}` }) }));
  const memory = { pieces: own, watched: [stretch(200, 900)] };
  const steps = join({ memory, archived: { pieces: [], watched: [] }, courses: [] });
  assert.ok([...steps].length > 5_000 / 100);
});

test('of whom memory knows in a window, and of the last one before it, the archive may know more', () => {
  const piece = (uid: string, from: number, until: number | undefined): Piece => ({
    ...openPiece(X, String(from), from),
    holder: makePod({ uid }),
    until,
    untilVersion: until === undefined ? undefined : String(until),
  });
  const known = [piece('first', 1, 5), piece('last', 6, 9), piece('in', 12, 15), piece('later', 40, undefined)];
  const whose = (from: number, until: number): readonly string[] =>
    coursesIn({ from, until }, known).map(({ uid }) => uid);
  assert.deepEqual(whose(10, 20), ['last', 'in']);
  assert.deepEqual(whose(16, 20), ['in']);
  assert.deepEqual(whose(-Infinity, Infinity), ['first', 'last', 'in', 'later']);
});
