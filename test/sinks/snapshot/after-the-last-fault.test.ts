import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { startSimulator } from '../../../src/simulator/simulator.ts';
import { startPostgres } from '../../support/real-postgres.ts';
import type { RealPostgres } from '../../support/real-postgres.ts';
import { serveSnapshot } from '../../support/snapshot-service.ts';
import { TcpProxy } from '../../support/tcp-proxy.ts';
import { TrueHolds } from '../../support/true-holds.ts';
import { until } from '../../support/until.ts';

// What faults.md promises of every writer: after the last fault the table equals the cluster within 30 s at 10k pods.

const PROMISE_MS = 30_000;
const FAULT_MS = 5_000;

let postgres: RealPostgres;
let proxy: TcpProxy;
before(async () => {
  postgres = await startPostgres();
  proxy = await TcpProxy.to(postgres.port);
});
after(async () => {
  await proxy.close();
  await postgres.down();
});

const readOnly = async (is: 'on' | 'off'): Promise<void> => {
  await postgres.query(`ALTER SYSTEM SET default_transaction_read_only = ${is}`);
  await postgres.query('SELECT pg_reload_conf()');
};

/** Each begins, and ends after a while. Nothing is cut when a network heals: whoever waited still has to notice by itself. */
const FAULTS = {
  'the network swallows everything': [() => void (proxy.blackHole = true), () => void (proxy.blackHole = false)],
  'the server crashes': [async () => await postgres.stop('SIGKILL'), async () => await postgres.start()],
  'the server takes no writes': [async () => await readOnly('on'), async () => await readOnly('off')],
} as const;

test('after the last fault snapshot and history equal a cluster of 10,000 pods within 30 s', async (t) => {
  const simulator = await startSimulator({ pods: 10_000, history: 1_000_000 });
  t.after(async () => await simulator.close());
  const truth = new TrueHolds(simulator.cluster);
  const schema = postgres.schema();
  const own = { K8S_API_SERVER: simulator.url, PODWHOIS_SCHEMA: schema, PGPORT: String(proxy.port) };
  await serveSnapshot(t, postgres.environment({ ...own, SNAPSHOT_FLUSH_INTERVAL: '3s' }));
  const equal = async (): Promise<boolean> => {
    const rows = await postgres.query<{ row: string }>(
      `SELECT uid || ' ' || resource_version AS row FROM ${schema}.pods`,
    );
    const pods = simulator.cluster.store.objects.map(
      ({ object: { metadata } }) => `${metadata.uid} ${metadata.resourceVersion}`,
    );
    if (new Set(pods).symmetricDifference(new Set(rows.map(({ row }) => row))).size > 0) return false;
    const [open] = await postgres.query<{ count: number }>(
      `SELECT count(*)::int AS count FROM ${schema}.ip_history WHERE valid_until = 'infinity'`,
    );
    return open?.count === truth.open && (await truth.contradictions(postgres, schema)).length === 0;
  };
  await until('the first sync is there', equal);
  for (const [name, [begin, end]] of Object.entries(FAULTS)) {
    simulator.setChurn(200);
    await sleep(1_000);
    await begin();
    await sleep(FAULT_MS);
    simulator.setChurn(0);
    await end();
    const ended = performance.now();
    await until(`both equal the cluster after: ${name}`, equal, { timeoutMs: PROMISE_MS, everyMs: 250 });
    t.diagnostic(`${name}: ${Math.round(performance.now() - ended)} ms after it`);
  }
  assert.ok(truth.all.length > truth.open + 500, 'many holds ended meanwhile');
});
