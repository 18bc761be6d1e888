import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { TestContext } from 'node:test';
import type { Service } from '../../../src/service.ts';
import { startSimulator } from '../../../src/simulator/simulator.ts';
import type { Simulator } from '../../../src/simulator/simulator.ts';
import { startPgBouncer, withPgBouncer } from '../../support/pgbouncer.ts';
import { startPostgres } from '../../support/real-postgres.ts';
import type { RealPostgres } from '../../support/real-postgres.ts';
import { serveSnapshot } from '../../support/snapshot-service.ts';
import { TrueHolds } from '../../support/true-holds.ts';
import { until } from '../../support/until.ts';

let postgres: RealPostgres;
before(async () => void (postgres = await startPostgres()));
after(async () => await postgres.down());

async function simulate(t: TestContext, pods = 100): Promise<{ simulator: Simulator; truth: TrueHolds }> {
  const simulator = await startSimulator({ pods });
  t.after(async () => await simulator.close());
  return { simulator, truth: new TrueHolds(simulator.cluster) };
}

const serve = async (
  t: TestContext,
  { url }: Simulator,
  schema: string,
  more: Readonly<Record<string, string>> = {},
): Promise<Service> =>
  await serveSnapshot(t, postgres.environment({ K8S_API_SERVER: url, PODWHOIS_SCHEMA: schema, ...more }));

/** Every hold that there is, and nothing else, stands there as open, and nothing is wrong with the others. */
async function settled(truth: TrueHolds, schema: string): Promise<void> {
  await until('what is open is what is held', async () => {
    const [open] = await postgres.query<{ count: number }>(
      `SELECT count(*)::int AS count FROM ${schema}.ip_history WHERE valid_until = 'infinity'`,
    );
    return open?.count === truth.open && (await truth.contradictions(postgres, schema)).length === 0;
  }).catch(async (error: unknown) => {
    assert.deepEqual(await truth.contradictions(postgres, schema), []);
    throw error;
  });
}

const watched = async (schema: string): Promise<number> =>
  (await postgres.query(`SELECT FROM ${schema}.ip_history_watched`)).length;

/** Pods come and go for some time. */
async function churn(t: TestContext, simulator: Simulator, changes = 300): Promise<void> {
  const { store } = simulator.cluster;
  const from = store.version;
  simulator.setChurn(300);
  t.after(() => simulator.setChurn(0));
  await until('there was churn', () => store.version - from > changes);
  simulator.setChurn(0);
}

test('every hold is written once, with its end, and what was watched is said', async (t) => {
  const { simulator, truth } = await simulate(t);
  const schema = postgres.schema();
  await serve(t, simulator, schema);
  await settled(truth, schema);
  await churn(t, simulator);
  await settled(truth, schema);
  assert.ok(truth.all.length > truth.open + 20, 'some have ended');
  assert.equal(await watched(schema), 1);
});

test('down for a while: what happened meanwhile is written on its return, and there is no hole', async (t) => {
  const { simulator, truth } = await simulate(t);
  const schema = postgres.schema();
  await serve(t, simulator, schema);
  await settled(truth, schema);
  await postgres.stop('SIGKILL');
  await churn(t, simulator);
  await postgres.start();
  await settled(truth, schema);
  assert.equal(await watched(schema), 1);
  const ended = truth.all.filter(({ until: end }) => end < Infinity);
  const [rows] = await postgres.query<{ count: number }>(
    `SELECT count(*)::int AS count FROM ${schema}.ip_history WHERE valid_until < 'infinity' AND NOT goes_on`,
  );
  assert.equal(rows?.count, ended.length, 'none is lost that came and went while it was down');
});

test('down for longer than memory reaches: it is a hole, and nothing is left open for a pod that is gone', async (t) => {
  const { simulator, truth } = await simulate(t);
  const schema = postgres.schema();
  // What memory knows of the time after its hole is claimed when that is proven: every third of READY_MAX_STALENESS.
  const service = await serve(t, simulator, schema, { HISTORY_MAX_ENTRIES: '100', READY_MAX_STALENESS: '15s' });
  await settled(truth, schema);
  await postgres.stop('SIGKILL');
  const { index } = service;
  const { sequence } = index.changes;
  await churn(t, simulator, 1_500);
  await until('it was heard', () => index.changes.sequence - sequence > 1_000);
  await postgres.start();
  await settled(truth, schema);
  assert.equal(await watched(schema), 2);
});

test('a lone process that restarts knows its hole, and ends what has gone meanwhile', async (t) => {
  const { simulator, truth } = await simulate(t);
  const schema = postgres.schema();
  for (let life = 0; life < 3; life++) {
    const service = await serve(t, simulator, schema);
    await settled(truth, schema);
    await churn(t, simulator, 100);
    await settled(truth, schema);
    await service.close();
    await churn(t, simulator, 100);
  }
  await serve(t, simulator, schema);
  await settled(truth, schema);
  assert.equal(await watched(schema), 4);
  const [{ unknown } = { unknown: 0 }] = await postgres.query<{ unknown: number }>(
    `SELECT count(*)::int AS unknown FROM ${schema}.ip_history AS h JOIN ${schema}.ip_history_watched AS w
     ON h.valid_until = w.watched_from`,
  );
  assert.ok(unknown > 0, 'what has gone in a hole ends where the hole ends');
});

test('when another replica takes over nothing is there twice, and there is no hole', async (t) => {
  const { simulator, truth } = await simulate(t);
  const schema = postgres.schema();
  const first = await serve(t, simulator, schema);
  await settled(truth, schema);
  const second = await serve(t, simulator, schema);
  await until('the other one is synced', () => second.source.synced);
  simulator.setChurn(200);
  t.after(() => simulator.setChurn(0));
  const from = simulator.cluster.store.version;
  await until('there was churn', () => simulator.cluster.store.version - from > 100);
  await first.close();
  await until('and then some', () => simulator.cluster.store.version - from > 300);
  simulator.setChurn(0);
  await settled(truth, schema);
  assert.equal(await watched(schema), 1);
});

test('PgBouncer in transaction mode: it is written, pruned and read through it', withPgBouncer(), async (t) => {
  const bouncer = await startPgBouncer(postgres);
  t.after(async () => await bouncer.stop());
  const { simulator, truth } = await simulate(t, 1_200);
  const schema = postgres.schema();
  const service = await serve(t, simulator, schema, { PGPORT: String(bouncer.port) });
  await settled(truth, schema);
  await churn(t, simulator);
  await settled(truth, schema);
  // Of a time before this process began memory knows nothing.
  const addresses = [...service.index.walk()].flatMap(({ podIps }) => podIps).slice(0, 30);
  const answers = await Promise.all(
    addresses.flatMap((ip) => [
      fetch(`${service.url}/pod?ip=${ip}&at=-1h`).then(async (answer) =>
        (await answer.text()).includes('not-observed'),
      ),
      fetch(`${service.url}/pods/history?ip=${ip}`).then(({ ok }) => ok),
    ]),
  );
  assert.ok(answers.every(Boolean));
  const metrics = await (await fetch(`${service.url}/metrics`)).text();
  assert.match(metrics, /^podwhois_snapshot_history_reads_total\{result="ok"\} 60$/m);
  for (const line of metrics.match(/^podwhois_snapshot_history_failures_total.*$/gm) ?? []) assert.match(line, / 0$/);
});

test('0 keeps no history, and makes none of its own', async (t) => {
  const { simulator } = await simulate(t);
  const schema = postgres.schema();
  await serve(t, simulator, schema, { SNAPSHOT_HISTORY_RETENTION: '0' });
  await until('the snapshot is there', async () => (await postgres.query(`SELECT FROM ${schema}.pods`)).length > 0);
  assert.deepEqual(await postgres.query(`SELECT sink FROM ${schema}.leases`), [{ sink: 'snapshot' }]);
});
