import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { TestContext } from 'node:test';
import { rowsPerTurn } from '../../../src/sinks/postgres/flush.ts';
import type { Row } from '../../../src/sinks/postgres/mirrored-table.ts';
import { startPostgres } from '../../support/real-postgres.ts';
import type { RealPostgres } from '../../support/real-postgres.ts';
import { MapTruth, startStage } from './mirrored-table.ts';

let postgres: RealPostgres;
before(async () => void (postgres = await startPostgres()));
after(async () => await postgres.down());

interface Turn {
  rows: number;
  characters: number;
}

/** Counts what is asked of it in each turn of the event loop. */
class CountingTruth extends MapTruth {
  turns: Turn[] = [];
  #turn: Turn | undefined;

  override rows(group: string): readonly Row[] {
    if (!this.#turn) {
      this.turns.push((this.#turn = { rows: 0, characters: 0 }));
      setImmediate(() => void (this.#turn = undefined));
    }
    const rows = super.rows(group);
    this.#turn.rows++;
    this.#turn.characters += JSON.stringify(rows).length;
    return rows;
  }
}

/** What is made of so many rows of so many characters in each turn. */
async function turnsOf(t: TestContext, count: number, characters: number): Promise<readonly Turn[]> {
  const truth = new CountingTruth();
  const stage = await startStage(t, postgres, { truth });
  await postgres.query(`ALTER TABLE ${stage.schema}.mirrored ALTER value TYPE text`);
  truth.set('first', 'x');
  await stage.settled();
  truth.turns = [];
  for (let i = 0; i < count; i++) truth.set(`key ${i}`, String(i).padStart(characters, 'x'));
  await stage.settled(120_000);
  assert.deepEqual(stage.writer.counts.failures.timeout, 0);
  return truth.turns;
}

const most = (numbers: readonly number[]): number => numbers.reduce((a, b) => Math.max(a, b), 0);

for (const [manner, count, characters] of [
  ['by COPY', 2_000, 10],
  ['by COPY, and are large', 1_500, 20_000],
  ['by arrays', 300, 10],
] as const) {
  test(`a lookup waits for a few rows of a flush at most, where they are sent ${manner}`, async (t) => {
    const turns = await turnsOf(t, count, characters);
    const made = most(turns.map((turn) => turn.characters));
    assert.ok(made < 60_000, `${made} characters in one turn of the event loop`);
    const rows = turns.map((turn) => turn.rows);
    assert.ok(most(rows) <= 50, `${most(rows)} rows in one turn of the event loop`);
    const few = rows.filter((one) => one <= 8).length;
    assert.ok(few > 10, `8 rows in ${few} of ${turns.length} turns of an event loop that has nothing else to do`);
  });
}

test('a flush comes forward where each turn of the event loop takes long', async (t) => {
  const burn = (): void => {
    const end = performance.now() + 5;
    while (performance.now() < end);
    burning = setImmediate(burn);
  };
  let burning = setImmediate(burn);
  t.after(() => clearImmediate(burning));
  const { length } = await turnsOf(t, 5_000, 10);
  assert.ok(length < 200, `${length} turns for 5,000 rows`);
});

test('the longer a turn of the event loop takes without rows, the more are made in it, within bounds', () => {
  assert.deepEqual([0, 0.5, 1, 2, 3, 4, 1_000].map(rowsPerTurn), [8, 8, 16, 32, 48, 50, 50]);
});
