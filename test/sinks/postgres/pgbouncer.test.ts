import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { startPgBouncer, withPgBouncer } from '../../support/pgbouncer.ts';
import { startPostgres } from '../../support/real-postgres.ts';
import type { RealPostgres } from '../../support/real-postgres.ts';
import { startStage } from './mirrored-table.ts';

let postgres: RealPostgres;
before(async () => void (postgres = await startPostgres()));
after(async () => await postgres.down());

test(
  'PgBouncer in transaction mode: COPY, arrays, lease and time limits work through it, with several writers',
  withPgBouncer(),
  async (t) => {
    const bouncer = await startPgBouncer(postgres);
    t.after(async () => await bouncer.stop());
    const environment = { PGPORT: String(bouncer.port) };
    // Two writers of two schemas share its two connections: what one leaves in a session would meet the other.
    const stages = [await startStage(t, postgres, { environment }), await startStage(t, postgres, { environment })];
    for (let round = 0; round < 5; round++) {
      for (const [i, { truth }] of stages.entries()) {
        for (let key = 0; key < (round % 2 === 0 ? 1_500 : 10); key++)
          truth.set(`key-${key}`, `${i} in round ${round}`);
        truth.delete(`key-${round}`);
      }
      for (const stage of stages) await stage.settled();
    }
    for (const { writer } of stages) assert.deepEqual(Object.values(writer.counts.failures), [0, 0, 0, 0, 0, 0, 0]);
    const [limit] = await postgres.query(
      `SELECT count(*)::int AS left FROM pg_catalog.pg_class WHERE relname LIKE 'podwhois_%'`,
    );
    assert.deepEqual(limit, { left: 0 }, 'temporary tables are gone');
    // A replica waits for the lease, and takes over, through it too.
    const [first] = stages;
    assert.ok(first);
    const second = await startStage(t, postgres, { environment, schema: first.schema, truth: first.truth });
    await first.stop();
    first.truth.set('key-7', 'of the second');
    await second.settled();
    assert.equal(second.writer.leading, true);
  },
);
