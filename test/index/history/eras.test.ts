import assert from 'node:assert/strict';
import { test } from 'node:test';
import { erasBehind, laterBy } from '../../../src/index/history/eras.ts';
import type { Piece, Stretch } from '../../../src/index/history/piece.ts';
import { join } from '../../../src/index/history/recall.ts';
import { inEra } from '../../../src/resource-version.ts';
import { atOnce } from '../../../src/index/history/steps.ts';
import { openPiece } from './open-piece.ts';

const stretch = (sinceVersion: string, untilVersion: string): Stretch => ({
  from: 0,
  until: 10,
  sinceVersion,
  untilVersion,
});

const piece = (sinceVersion: string, from: number): Piece => openPiece('10.0.0.1', sinceVersion, from);

test('B8 whoever began after a restore of etcd counts as many eras later as the archive has seen', () => {
  const later = (version: string): string => inEra(version, 2);
  const archived = [stretch('1', '900'), stretch(inEra('400', 1), later('500'))];
  assert.equal(erasBehind([stretch('450', '600')], archived), 2);
  assert.equal(erasBehind([stretch('450', inEra('600', 1))], archived), 1);
  assert.equal(erasBehind([stretch('450', inEra('600', 3))], archived), 0);
  assert.equal(erasBehind([], []), 0);
  const { pieces, watched } = laterBy({ pieces: [piece('450', 5)], watched: [stretch('450', '600')] }, 2);
  assert.deepEqual(
    [pieces[0]?.sinceVersion, pieces[0]?.untilVersion, watched],
    [later('450'), undefined, [stretch(later('450'), later('600'))]],
  );
});

test('B8 memory and archive are joined in one order of eras: what ended before a restore does not end what is held since', () => {
  const archived = {
    pieces: [{ ...piece('100', 10), until: 20, untilVersion: '900' }],
    watched: [stretch('1', inEra('300', 1))],
  };
  const memory = { pieces: [piece('400', 30)], watched: [{ ...stretch('450', '600'), from: 30, until: 40 }] };
  const joined = atOnce(join({ memory, archived, courses: [] }));
  assert.deepEqual(
    joined.map(({ from, until }) => [from, until]),
    [
      [10, 20],
      [30, undefined],
    ],
  );
});
