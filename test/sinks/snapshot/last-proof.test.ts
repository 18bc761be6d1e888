import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { TestContext } from 'node:test';
import type { Service } from '../../../src/service.ts';
import { startSimulator } from '../../../src/simulator/simulator.ts';
import type { Simulator } from '../../../src/simulator/simulator.ts';
import { startPostgres } from '../../support/real-postgres.ts';
import type { RealPostgres } from '../../support/real-postgres.ts';
import { serveSnapshot } from '../../support/snapshot-service.ts';
import { until } from '../../support/until.ts';

/** What the writer's orderly end claims of the history, on a real Postgres. */

let postgres: RealPostgres;
before(async () => {
  postgres = await startPostgres();
});
after(async () => {
  await postgres.down();
});

/** A service of a schema, which has claimed once to have watched. */
const run = async (t: TestContext, simulator: Simulator, schema: string): Promise<Service> =>
  await serveSnapshot(t, postgres.environment({ K8S_API_SERVER: simulator.url, PODWHOIS_SCHEMA: schema }));

async function watchedUntil(schema: string): Promise<number> {
  const rows = await postgres
    .query<{ ms: number | null }>(
      `SELECT extract(epoch FROM max(watched_until))::float8 * 1000 AS ms FROM ${schema}.ip_history_watched`,
    )
    .catch(() => []);
  return rows[0]?.ms ?? 0;
}

test('SIGTERM: the time just before it is no hole after a restart', async (t) => {
  const simulator = await startSimulator({ pods: 20 });
  t.after(async () => await simulator.close());
  const schema = postgres.schema();
  const first = await run(t, simulator, schema);
  await until('it has claimed to have watched', async () => (await watchedUntil(schema)) > 0);
  const pod = [...first.index.walk()].find(
    ({ hostNetwork, podIps, phase }) => !hostNetwork && podIps.length > 0 && phase === 'Running',
  );
  const ip = pod?.podIps[0] ?? '';
  const ending = await until('the claim is older', async () => {
    const now = Date.now();
    return (await watchedUntil(schema)) < now - 500 && now;
  });
  await first.close();
  assert.ok((await watchedUntil(schema)) >= ending);
  const second = await run(t, simulator, schema);
  const { status, json } = await until('it answers', async () => {
    const answer = await fetch(`${second.url}/pod?ip=${ip}&at=${new Date(ending).toISOString()}`);
    return answer.status !== 503 && { status: answer.status, json: (await answer.json()) as Record<string, unknown> };
  });
  assert.deepEqual([status, json['name'], json['inferred']], [200, pod?.name, false]);
});

test('SIGTERM while the API server does not answer: it ends all the same, and claims no more than it had proven', async (t) => {
  const simulator = await startSimulator({ pods: 20 });
  t.after(async () => await simulator.close());
  const schema = postgres.schema();
  const service = await run(t, simulator, schema);
  await until('it has claimed to have watched', async () => (await watchedUntil(schema)) > 0);
  simulator.cutOffFromEtcd(true);
  const ending = Date.now();
  await service.close();
  const claimed = await watchedUntil(schema);
  assert.ok(claimed > 0 && claimed < ending, `${claimed} ${ending}`);
  assert.ok(Date.now() - ending < 10_000);
});
