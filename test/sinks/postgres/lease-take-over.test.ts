import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { TestContext } from 'node:test';
import { SystemClock } from '../../../src/kubernetes/clock.ts';
import { accessOf } from '../../../src/sinks/postgres/access.ts';
import { Database } from '../../../src/sinks/postgres/database.ts';
import { Lease, LeaseLost } from '../../../src/sinks/postgres/lease.ts';
import { migrate } from '../../../src/sinks/postgres/migrate.ts';
import type { Target } from '../../../src/sinks/postgres/target.ts';
import type { Clock } from '../../../src/sinks/postgres/writer.ts';
import { startPostgres } from '../../support/real-postgres.ts';
import type { RealPostgres } from '../../support/real-postgres.ts';
import { until } from '../../support/until.ts';
import { MapTruth, startStage } from './mirrored-table.ts';

let postgres: RealPostgres;
before(async () => void (postgres = await startPostgres()));
after(async () => await postgres.down());

/** Leases of one row, which run out for nobody. */
async function stage(t: TestContext) {
  const schema = postgres.schema();
  const log = { info: () => {}, warn: () => {}, error: () => {} };
  const database = new Database({ access: accessOf(postgres.settings()), poolSize: 2, log });
  t.after(async () => await database.close());
  await migrate(database, schema);
  const leaseOf = (holder: string): Lease => new Lease({ schema, cluster: 'c', sink: 's', holder, ttlMs: 600_000 });
  const epoch = async (): Promise<number> =>
    Number((await postgres.query<{ epoch: string }>(`SELECT epoch FROM ${schema}.leases`))[0]?.epoch);
  /** In its transaction it proves the lease, and says that the rows are whole. */
  const write = async (lease: Lease): Promise<void> => {
    await database.transaction(async (session) => await lease.leave(session));
    lease.committed();
  };
  return { database, leaseOf, epoch, write };
}

const yes = async (): Promise<boolean> => await Promise.resolve(true);

test('the lease of somebody at work is taken over where that is wanted, once the holder has written all that it knows', async (t) => {
  const { database, leaseOf, epoch, write } = await stage(t);
  const [one, other] = [leaseOf('one'), leaseOf('other')];
  assert.ok(await one.acquire(database));
  await write(one);
  let asked = 0;
  const wanted = async (): Promise<boolean> => await Promise.resolve(asked++ >= 0);
  assert.equal(await other.acquire(database, wanted), false, 'it may be about to write');
  assert.equal(await other.acquire(database, wanted), false);
  assert.equal(asked, 0);
  await write(one);
  assert.equal(await other.acquire(database), false, 'not unless it is wanted');
  assert.equal(await other.acquire(database, async () => await Promise.resolve(false)), false);
  assert.equal(await epoch(), 1);
  assert.equal(await other.acquire(database, wanted), true);
  assert.deepEqual([asked, await epoch(), other.isResumed], [1, 2, false]);
  await assert.rejects(write(one), LeaseLost);
  assert.equal(one.held, false);
  await write(other);
});

test('a holder that came a moment ago is left at work, also by who had met the one before it', async (t) => {
  const { database, leaseOf, epoch, write } = await stage(t);
  const [one, other, third] = [leaseOf('one'), leaseOf('other'), leaseOf('third')];
  assert.ok(await one.acquire(database));
  for (const lease of [other, third]) assert.equal(await lease.acquire(database, yes), false);
  await write(one);
  // Both want it at one moment.
  const both = await Promise.all([other.acquire(database, yes), third.acquire(database, yes)]);
  assert.equal(both.filter(Boolean).length, 1);
  assert.equal(await epoch(), 2);
  const [holder, waiting] = other.held ? [other, third] : [third, other];
  assert.equal(await waiting.acquire(database, yes), false, 'it has written nothing yet');
  await write(holder);
  assert.equal(await waiting.acquire(database, yes), true);
});

test('who changes hands while somebody looks whether to take over is not robbed', async (t) => {
  const { database, leaseOf, epoch, write } = await stage(t);
  const [one, other, third] = [leaseOf('one'), leaseOf('other'), leaseOf('third')];
  assert.ok(await one.acquire(database));
  for (const lease of [other, third]) await lease.acquire(database, yes);
  await write(one);
  const isTaken = await other.acquire(database, async () => {
    assert.ok(await third.acquire(database, yes));
    return true;
  });
  assert.deepEqual([isTaken, other.held, await epoch()], [false, false, 2]);
  await write(third);
});

test('no ping-pong: of two that always know something better each takes over once in a minute', async (t) => {
  const schema = postgres.schema();
  const real = new SystemClock();
  t.after(() => real.close());
  let later = 0;
  const clock: Clock = {
    now: () => real.now() + later,
    sleep: async (ms, signal) => await real.sleep(ms, signal),
    random: () => 0,
  };
  const truth = new MapTruth();
  const seen = (table: Target): Target =>
    Object.assign(Object.create(table) as Target, { misses: async () => await Promise.resolve(true) });
  const options = { schema, truth, seen, clock, ttlMs: 2_000 };
  const stages = [await startStage(t, postgres, options), await startStage(t, postgres, options)];
  const lease = async (): Promise<{ readonly epoch: string; readonly flushed: string } | undefined> => {
    const sql = `SELECT epoch, flushed_at::text AS flushed FROM ${schema}.leases`;
    return (await postgres.query<{ epoch: string; flushed: string }>(sql).catch(() => []))[0];
  };
  const becomes = async (epoch: number): Promise<void> => {
    await until(`the epoch is ${epoch}`, async () => Number((await lease())?.epoch) === epoch);
    for (let proofs = 0; proofs < 5; proofs++) {
      const before = (await lease())?.flushed;
      await until('it is proven', async () => (await lease())?.flushed !== before);
    }
    assert.equal(Number((await lease())?.epoch), epoch);
  };
  await becomes(3);
  later += 60_000;
  await becomes(5);
  assert.equal(stages.filter(({ writer }) => writer.leading).length, 1);
});
