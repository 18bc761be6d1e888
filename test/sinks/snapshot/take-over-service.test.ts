import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Service } from '../../../src/service.ts';
import { startSimulator } from '../../../src/simulator/simulator.ts';
import { startPostgres } from '../../support/real-postgres.ts';
import type { RealPostgres } from '../../support/real-postgres.ts';
import { serveSnapshot } from '../../support/snapshot-service.ts';
import { TcpProxy } from '../../support/tcp-proxy.ts';
import { TrueHolds } from '../../support/true-holds.ts';
import { until } from '../../support/until.ts';

/** Whole services, whose writer loses Postgres while the next one has not begun. */

let postgres: RealPostgres;
before(async () => void (postgres = await startPostgres()));
after(async () => await postgres.down());

/** The same address, one after the other. */
const IP = '10.97.0.1';
const SLOW = { timeoutMs: 120_000 };

test('the writer loses Postgres, and another replica begins and takes over: no interval is lost, none is there twice, and there is no hole', async (t) => {
  const simulator = await startSimulator({ pods: 100, history: 1_000_000 });
  t.after(async () => await simulator.close());
  const { store } = simulator.cluster;
  const truth = new TrueHolds(simulator.cluster);
  const schema = postgres.schema();
  const proxy = await TcpProxy.to(postgres.port);
  t.after(async () => await proxy.close());
  const serve = async (port: number): Promise<Service> =>
    await serveSnapshot(t, {
      ...postgres.environment({ PGPORT: String(port) }),
      K8S_API_SERVER: simulator.url,
      PODWHOIS_SCHEMA: schema,
      // How fresh it is is proven every five seconds.
      READY_MAX_STALENESS: '15s',
    });
  const watched = async (): Promise<number> =>
    (await postgres.query(`SELECT FROM ${schema}.ip_history_watched`).catch(() => [])).length;
  const epoch = async (): Promise<number> => {
    const [row] = await postgres.query<{ epoch: string }>(`SELECT epoch FROM ${schema}.leases WHERE sink = 'history'`);
    return Number(row?.epoch);
  };
  const settled = async (): Promise<void> => {
    await until(
      'what is open is what is held',
      async () => {
        const [open] = await postgres.query<{ count: number }>(
          `SELECT count(*)::int AS count FROM ${schema}.ip_history WHERE valid_until = 'infinity'`,
        );
        return open?.count === truth.open && (await truth.contradictions(postgres, schema)).length === 0;
      },
      SLOW,
    ).catch(async (error: unknown) => {
      assert.deepEqual(await truth.contradictions(postgres, schema), []);
      throw error;
    });
  };
  const churn = async (changes: number): Promise<void> => {
    const from = store.version;
    simulator.setChurn(200);
    t.after(() => simulator.setChurn(0));
    await until('there was churn', () => store.version - from > changes);
    simulator.setChurn(0);
  };
  /** Who has the address, or had it then, or why nobody is named. */
  const nameAt = async ({ url }: Service, at?: number): Promise<unknown> => {
    const then = at === undefined ? '' : `&at=${new Date(at).toISOString()}`;
    const answer = await fetch(`${url}/pod?ip=${IP}${then}`);
    const { name, reason, code } = (await answer.json()) as Record<string, unknown>;
    return name ?? reason ?? code;
  };

  const first = await serve(proxy.port);
  await settled();
  await until('it is said to have been watched', async () => (await watched()) === 1);
  const begun = await epoch();
  proxy.blackHole = true;
  proxy.cut();
  const since = store.version;
  await churn(200);
  const held: { readonly name: string; readonly at: number }[] = [];
  for (let i = 0; i < 5; i++) {
    const name = `passing-${i}`;
    simulator.cluster.createPod({ namespace: 'shop', name, ips: [IP] });
    await until(`${name} has it`, async () => (await nameAt(first)) === name);
    await sleep(5);
    held.push({ name, at: Date.now() });
    await sleep(5);
    simulator.cluster.deletePod('shop', name);
    await until('nobody has it', async () => (await nameAt(first)) === 'no-pod');
  }
  const passed = store.version;
  const second = await serve(postgres.port);
  await until('the other one writes', async () => (await epoch()) > begun && (await watched()) === 2, SLOW);
  await churn(200);
  await settled();
  const taken = await epoch();
  const { at } = held[2] as (typeof held)[number];
  assert.equal(await nameAt(second, at), 'not-observed', 'it cannot know');

  proxy.blackHole = false;
  proxy.cut();
  await until('there is no hole', async () => (await watched()) === 1, SLOW);
  await settled();
  for (const service of [first, second]) {
    for (const { name, at: then } of held) assert.equal(await nameAt(service, then), name);
  }
  const passing = truth.all.filter((hold) => hold.since > since && hold.until <= passed);
  const [rows] = await postgres.query<{ count: number }>(
    `SELECT count(*)::int AS count FROM ${schema}.ip_history WHERE since_version > $1 AND until_version <= $2 AND NOT goes_on`,
    [since, passed],
  );
  assert.ok(passing.length > held.length, 'others came and went, too');
  assert.equal(rows?.count, passing.length);
  assert.equal(await epoch(), taken + 1);
  await churn(100);
  await settled();
  assert.deepEqual([await watched(), await epoch()], [1, taken + 1]);
});
