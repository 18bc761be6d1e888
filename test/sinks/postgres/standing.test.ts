import assert from 'node:assert/strict';
import { test } from 'node:test';
import { standingOf } from '../../../src/sinks/postgres/standing.ts';
import type { Standing } from '../../../src/sinks/postgres/standing.ts';

const WRITES: Standing = { asked: true, leading: true, failing: undefined, failingMs: 0, lagMs: 0, quarantined: 0 };
const LIMIT_MS = 30_000;

for (const [ok, change, message] of [
  [true, {}, 'this replica writes; behind by 0s'],
  [true, { lagMs: 30_000 }, 'this replica writes; behind by 30s'],
  [false, { lagMs: 30_001 }, 'this replica writes; behind by 30.001s'],
  [false, { lagMs: Infinity }, 'this replica writes; not compared yet'],
  [true, { quarantined: 2 }, 'this replica writes; behind by 0s; 2 left out, see the log'],
  [true, { failing: 'timeout', failingMs: 5_000 }, 'this replica writes; behind by 0s'],
  [
    false,
    { failing: 'full', failingMs: 4_999, lagMs: 6_000 },
    'Postgres has no room or no connection left (full, for 4s); this replica writes; behind by 6s',
  ],
  [true, { leading: false, asked: false, lagMs: Infinity }, 'Postgres has not been asked who writes'],
  [true, { leading: false, lagMs: Infinity }, 'another replica writes'],
  [
    false,
    { leading: false, failing: 'connection', failingMs: 150_000, lagMs: Infinity },
    'Postgres does not answer (connection, for 2m30s)',
  ],
  [
    false,
    { leading: false, asked: false, failing: 'setup', lagMs: Infinity },
    'Postgres cannot be used as it is set up: TLS, the password, a permission, a table, a column or a file, see the log (setup, for 0s)',
  ],
] as const satisfies readonly [boolean, Partial<Standing>, string][]) {
  test(`of a writer with ${JSON.stringify(change)} it is said: ${message}`, () => {
    assert.deepEqual(standingOf({ ...WRITES, ...change }, LIMIT_MS), { ok, message });
  });
}
