import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { Row } from '../../../src/sinks/postgres/mirrored-table.ts';
import { startPostgres } from '../../support/real-postgres.ts';
import type { RealPostgres } from '../../support/real-postgres.ts';
import { MapTruth, startStage } from './mirrored-table.ts';

let postgres: RealPostgres;
before(async () => void (postgres = await startPostgres()));
after(async () => await postgres.down());

/** Counts what is asked of it in each turn of the event loop. */
class CountingTruth extends MapTruth {
  readonly most = { rows: 0, characters: 0 };
  #turn = { rows: 0, characters: 0 };

  override rows(group: string): readonly Row[] {
    if (this.#turn.rows === 0) setImmediate(() => void (this.#turn = { rows: 0, characters: 0 }));
    const rows = super.rows(group);
    this.#turn.rows++;
    this.#turn.characters += JSON.stringify(rows).length;
    this.most.rows = Math.max(this.most.rows, this.#turn.rows);
    this.most.characters = Math.max(this.most.characters, this.#turn.characters);
    return rows;
  }
}

for (const [manner, count, characters] of [
  ['by COPY', 2_000, 10],
  ['by COPY, and are large', 1_500, 20_000],
  ['by arrays', 300, 10],
] as const) {
  test(`a lookup waits for a few rows of a flush at most, where they are sent ${manner}`, async (t) => {
    const truth = new CountingTruth();
    const stage = await startStage(t, postgres, { truth });
    await postgres.query(`ALTER TABLE ${stage.schema}.mirrored ALTER value TYPE text`);
    truth.set('first', 'x');
    await stage.settled();
    for (let i = 0; i < count; i++) truth.set(`key ${i}`, String(i).padStart(characters, 'x'));
    await stage.settled();
    const { rows, characters: made } = truth.most;
    assert.ok(rows > 0 && rows <= 8, `${rows} rows in one turn of the event loop`);
    assert.ok(made < 60_000, `${made} characters in one turn of the event loop`);
  });
}
