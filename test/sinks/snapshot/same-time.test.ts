import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Session } from '../../../src/sinks/postgres/database.ts';
import { advice } from '../../../src/sinks/postgres/advice.ts';
import { classify } from '../../../src/sinks/postgres/error-class.ts';
import { requireSameTime } from '../../../src/sinks/snapshot/same-time.ts';

const NOW = 1_800_000_000_000;

/** A database whose clock says NOW. */
const session = { query: async () => await Promise.resolve([{ now: NOW }]) } as unknown as Session;

/** What our clock says before and after the question. */
const asked = async (before: number, after = before): Promise<void> => {
  const readings = [before, after];
  await requireSameTime(session, () => readings.shift() ?? after);
};

test('clock jump: the history is not written by a clock that Postgres’ own contradicts by more than five minutes', async () => {
  for (const [before, after] of [
    [NOW, NOW],
    [NOW + 300_000, NOW + 300_000],
    [NOW - 300_000, NOW - 300_000],
    [NOW - 400_000, NOW + 400_000],
  ] as const)
    await asked(before, after);
  await assert.rejects(asked(NOW + 301_000), /301 s ahead of that of Postgres/);
  const error: unknown = await asked(NOW - 86_400_000).catch((reason: unknown) => reason);
  assert.match(String(error), /86400 s behind that of Postgres/);
  assert.equal(classify(error), 'setup', 'it is said, and tried again, and another replica may write meanwhile');
  assert.match(advice(error) ?? '', /NTP/);
});
