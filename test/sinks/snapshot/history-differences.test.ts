import assert from 'node:assert/strict';
import { test } from 'node:test';
import { assert as check, boolean, integer, oneof, property } from 'fast-check';
import { atOnce } from '../../../src/index/history/steps.ts';
import { differences, newsOf } from '../../../src/sinks/snapshot/history-differences.ts';
import { historyRow } from '../../../src/sinks/snapshot/history-table.ts';
import { former, strangers, stretches, X } from '../../index/history/random-pieces.ts';

const RUNS = Number(process.env['PODWHOIS_MERGES'] ?? 40_000);

test('what is written of a group without merging is what is written of it merged, or it is merged', () => {
  let said = 0;
  const versions = integer({ min: 1, max: 12 });
  check(
    property(
      oneof(former, strangers),
      stretches,
      stretches,
      boolean(),
      versions,
      integer({ min: 0, max: 60 }),
      ({ own, other }, watched, others, isRest, version, horizon) => {
        const first = own[0]?.sinceVersion;
        const sinceVersion = isRest ? (version % 2 === 0 ? first : String(version)) : first;
        const heard = { group: '', ip: X, uid: 'a', pieces: own, watched, sinceVersion, isRest };
        const archived = { watched: others, horizon };
        const news = newsOf(heard, other, archived);
        if (news === undefined) return;
        said++;
        assert.deepEqual({ news: news.map(historyRow), gone: [] }, atOnce(differences(heard, other, archived)));
      },
    ),
    { numRuns: RUNS },
  );
  assert.ok(said >= 0.05 * RUNS, `it says something of ${said} of ${RUNS}`);
});
