import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { Service } from '../../../src/service.ts';
import { startSimulator } from '../../../src/simulator/simulator.ts';
import { startPostgres } from '../../support/real-postgres.ts';
import type { RealPostgres } from '../../support/real-postgres.ts';
import { serveSnapshot } from '../../support/snapshot-service.ts';
import { TcpProxy } from '../../support/tcp-proxy.ts';
import { until } from '../../support/until.ts';

let postgres: RealPostgres;
before(async () => void (postgres = await startPostgres()));
after(async () => await postgres.down());

const SLOW = { timeoutMs: 120_000 };

test('a writer that has lost the API server lets one write who has not: rows follow the cluster, and the history has no hole', async (t) => {
  const simulator = await startSimulator({ pods: 50, history: 1_000_000 });
  t.after(async () => await simulator.close());
  const { cluster } = simulator;
  const proxy = await TcpProxy.to(Number(new URL(simulator.url).port));
  t.after(async () => await proxy.close());
  const schema = postgres.schema();
  const serve = async (api: string): Promise<Service> =>
    await serveSnapshot(t, {
      ...postgres.environment(),
      K8S_API_SERVER: api,
      PODWHOIS_SCHEMA: schema,
      SERVE_MAX_STALENESS: '8s',
      READY_MAX_STALENESS: '8s',
    });
  const epochs = async (): Promise<readonly number[]> => {
    const rows = await postgres.query<{ epoch: number }>(`SELECT epoch::int FROM ${schema}.leases ORDER BY sink`);
    return rows.map(({ epoch }) => epoch);
  };
  const isThere = async (name: string): Promise<boolean> => {
    const rows = await postgres.query(`SELECT FROM ${schema}.pods WHERE name = $1`, [name]);
    const held = await postgres.query(`SELECT FROM ${schema}.ip_history WHERE name = $1`, [name]);
    return rows.length === 1 && held.length > 0;
  };

  await serve(`http://127.0.0.1:${proxy.port}`);
  cluster.createPod({ namespace: 'shop', name: 'before', ips: ['10.97.0.1'] });
  await until('the first one writes', async () => await isThere('before'), SLOW);
  assert.deepEqual(await epochs(), [1, 1]);
  const second = await serve(simulator.url);
  await until('the second one watches', async () => (await fetch(`${second.url}/pod?ip=10.97.0.1`)).status === 200);
  const { version } = cluster.store;
  await until(
    'the first one is known to have watched until then',
    async () =>
      (await postgres.query(`SELECT FROM ${schema}.ip_history_watched WHERE until_version >= $1`, [version])).length ===
      1,
    SLOW,
  );
  proxy.blackHole = true;
  proxy.cut();
  cluster.createPod({ namespace: 'shop', name: 'meanwhile', ips: ['10.97.0.2'] });
  await until('the second one writes', async () => await isThere('meanwhile'), SLOW);
  assert.deepEqual(await epochs(), [2, 2]);

  proxy.blackHole = false;
  proxy.cut();
  cluster.createPod({ namespace: 'shop', name: 'after', ips: ['10.97.0.3'] });
  await until('it goes on', async () => await isThere('after'), SLOW);
  assert.deepEqual(await epochs(), [2, 2], 'who is back waits');
  assert.equal((await postgres.query(`SELECT FROM ${schema}.ip_history_watched`)).length, 1);
});
