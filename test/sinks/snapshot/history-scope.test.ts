import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { startSimulator } from '../../../src/simulator/simulator.ts';
import type { Simulator } from '../../../src/simulator/simulator.ts';
import type { Service } from '../../../src/service.ts';
import { historyScope } from '../../../src/sinks/snapshot/history-scope.ts';
import { startPostgres } from '../../support/real-postgres.ts';
import type { RealPostgres } from '../../support/real-postgres.ts';
import { serveSnapshot } from '../../support/snapshot-service.ts';
import { until } from '../../support/until.ts';

let postgres: RealPostgres;
let simulator: Simulator;
before(async () => {
  postgres = await startPostgres();
  simulator = await startSimulator({ pods: 60 });
});
after(async () => {
  await simulator.close();
  await postgres.down();
});

test('a view has one name, however its settings are written, and no other view has it', () => {
  assert.equal(historyScope('eu', { namespaces: [] }), 'eu');
  assert.equal(historyScope('eu', { namespaces: ['b', 'a', 'b'] }), 'eu NAMESPACE=a,b');
  assert.equal(
    historyScope('eu', { labelSelector: 'a in (b)', nodeName: 'n' }),
    'eu LABEL_SELECTOR=a in (b) NODE_NAME=n',
  );
  const long = (last: string): string =>
    historyScope('eu', { namespaces: [...Array(500).keys(), last].map((n) => `ns-${n}`) });
  assert.ok(long('x').length < 60);
  assert.notEqual(long('x'), long('y'));
});

test('that a part of the cluster was watched says nothing of the rest, and ends nothing there', async (t) => {
  const schema = postgres.schema();
  const serve = async (more: Readonly<Record<string, string>> = {}): Promise<Service> =>
    await serveSnapshot(t, {
      ...postgres.environment(),
      K8S_API_SERVER: simulator.url,
      PODWHOIS_SCHEMA: schema,
      CLUSTER_NAME: 'here',
      ...more,
    });
  const count = async (where: string): Promise<number> =>
    (await postgres.query(`SELECT FROM ${schema}.ip_history WHERE ${where}`).catch(() => [])).length;
  const written = async (cluster: string): Promise<unknown> =>
    await until('what was watched is written', async () => {
      const rows = await postgres
        .query(`SELECT FROM ${schema}.ip_history_watched WHERE cluster = '${cluster}'`)
        .catch(() => []);
      return rows.length > 0;
    });
  const part = { NAMESPACE: 'batch' };
  const narrow = await serve(part);
  await written('here NAMESPACE=batch');
  const then = new Date().toISOString();
  // At its end it proves that it has watched until now.
  await narrow.close();

  const whole = await serve();
  await written('here');
  const outside = [...whole.index.walk()].find((pod) => pod.namespace !== 'batch' && !pod.hostNetwork && pod.podIps[0]);
  const answer = await fetch(`${whole.url}/pod?ip=${outside?.podIps[0]}&at=${then}`);
  assert.equal(((await answer.json()) as Record<string, unknown>)['reason'], 'not-observed');
  await whole.close();
  const open = `namespace <> 'batch' AND valid_until = 'infinity'`;
  const held = await count(open);
  assert.ok(held > 0);

  const again = await serve(part);
  await until('it writes', async () => {
    const metrics = await (await fetch(`${again.url}/metrics`)).text();
    return /snapshot_history_comparisons_total [1-9]/.test(metrics);
  });
  await again.close();
  assert.equal(await count(open), held);
});
