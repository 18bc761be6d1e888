import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { Stretch } from '../../../src/index/history/piece.ts';
import { HistoryStore } from '../../../src/sinks/snapshot/history-store.ts';
import { startPostgres } from '../../support/real-postgres.ts';
import type { RealPostgres } from '../../support/real-postgres.ts';
import { startPlace } from '../../support/scribe.ts';

let postgres: RealPostgres;
before(async () => void (postgres = await startPostgres()));
after(async () => await postgres.down());

test('of many times in which somebody watched those are written that differ, and each is looked at a few times only', async (t) => {
  const { database, schema } = await startPlace(postgres);
  t.after(async () => await database.close());
  const store = new HistoryStore(schema, 'c');
  let looks = 0;
  const stretch = (i: number, length: number): Stretch => ({
    get sinceVersion() {
      looks++;
      return String(1_000 + 10 * i);
    },
    untilVersion: String(1_000 + 10 * i + length),
    from: 100 * i,
    until: 100 * i + 50,
  });
  const all = Array.from({ length: 2_000 }, (_, i) => stretch(i, 5));
  const write = async (from: readonly Stretch[], to: readonly Stretch[]): Promise<void> =>
    await database.transaction(async (session) => await store.replaceWatched(session, from, to));
  await write([], all);
  const rows = async (): Promise<readonly Stretch[]> => {
    const found = await database.transaction(async (session) => await store.watched(session));
    return found.toSorted((a, b) => a.from - b.from);
  };
  const there = await rows();
  assert.equal(there.length, all.length);

  const next = [...all.slice(1, -1), stretch(1_999, 7), stretch(2_000, 5)];
  looks = 0;
  await write(all, next);
  assert.ok(looks < 10 * all.length, `${looks} looks at ${all.length}`);
  const last = { sinceVersion: '20990', untilVersion: '20997', from: 199_900, until: 199_950 };
  const added = { sinceVersion: '21000', untilVersion: '21005', from: 200_000, until: 200_050 };
  assert.deepEqual(await rows(), [...there.slice(1, -1), last, added]);
});
