import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { MIGRATIONS } from '../../src/sinks/postgres/migrations.ts';
import { hastyClock } from '../support/hasty-clock.ts';
import { atEveryStep, StepProxy } from '../support/postgres-steps.ts';
import { startPostgres } from '../support/real-postgres.ts';
import type { RealPostgres } from '../support/real-postgres.ts';
import { until } from '../support/until.ts';
import { MapTruth, startStage } from './postgres/mirrored-table.ts';
import type { Stage } from './postgres/mirrored-table.ts';

// As every-step.test.ts, from nothing: signing in, the migrations, the lease, the comparison and the first flush.

let postgres: RealPostgres;
before(async () => void (postgres = await startPostgres()));
after(async () => await postgres?.down());

for (const [fault, from] of [
  ['late', 'client'],
  ['cut', 'server'],
] as const) {
  test(`a writer begins well, whatever message of the ${from} is the last one of its first connection (${fault})`, async (t) => {
    const proxy = await StepProxy.to(postgres.port);
    t.after(async () => await proxy.close());
    const truth = new MapTruth();
    for (let i = 0; i < 5; i++) truth.set(`key-${i}`, 'value');
    const clock = hastyClock(t);
    let stage: Stage | undefined;
    const steps = await atEveryStep({
      proxy,
      fault,
      from,
      async clear() {
        await stage?.stop();
        stage = undefined;
      },
      async change() {
        stage = await startStage(t, postgres, { truth, clock, environment: { PGPORT: String(proxy.port) } });
      },
      async settled() {
        if (!stage) return;
        const { schema, writer } = stage;
        await stage.settled();
        await until('nothing is left to do', () => writer.lagMs() === 0, { everyMs: 5 });
        const made = await postgres.query<{ name: string }>(`SELECT name FROM ${schema}.migrations ORDER BY id`);
        assert.deepEqual(
          made.map(({ name }) => name),
          MIGRATIONS.map(({ name }) => name),
        );
        assert.equal((await postgres.query(`SELECT FROM ${schema}.leases`)).length, 1);
      },
    });
    t.diagnostic(`${steps} messages`);
    assert.ok(steps > 40);
  });
}
