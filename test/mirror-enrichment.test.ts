import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { TestContext } from 'node:test';
import type { Cluster } from '../src/simulator/cluster.ts';
import type { SimulatorOptions } from '../src/simulator/simulator.ts';
import { endpoint, row, runMirror, slice, startMirrorStage } from './support/mirror-stage.ts';
import type { MirrorStage } from './support/mirror-stage.ts';
import { startPostgres } from './support/real-postgres.ts';
import type { RealPostgres } from './support/real-postgres.ts';
import { until } from './support/until.ts';

// ENRICH_PODS, on the simulator and a real Postgres.

let postgres: RealPostgres;
before(async () => {
  postgres = await startPostgres();
});
after(async () => await postgres?.down());

interface Stage extends MirrorStage {
  /** Node and labels of every row, by `namespace/service/pod uid`. */
  readonly details: () => Promise<Readonly<Record<string, unknown>>>;
  readonly untilDetails: (expected: () => Readonly<Record<string, unknown>>) => Promise<void>;
}

/** The observer's table with the two columns, and the switch. */
async function stage(t: TestContext, options: SimulatorOptions = {}): Promise<Stage> {
  const made = await startMirrorStage(t, postgres, options);
  await postgres.query(`ALTER TABLE ${made.table} ADD COLUMN node_name text, ADD COLUMN pod_labels jsonb`);
  const details = async (): Promise<Readonly<Record<string, unknown>>> => {
    const rows = await postgres.query<{ key: string; node_name: unknown; pod_labels: unknown }>(
      `SELECT namespace || '/' || service || '/' || pod_uid AS key, node_name, pod_labels FROM ${made.table} ORDER BY 1`,
    );
    return Object.fromEntries(rows.map(({ key, node_name, pod_labels }) => [key, [node_name, pod_labels]]));
  };
  return {
    ...made,
    environment: { ...made.environment, ENRICH_PODS: 'true' },
    details,
    async untilDetails(expected) {
      let found: Readonly<Record<string, unknown>> = {};
      const isSame = (): boolean => {
        try {
          assert.deepEqual(found, expected());
          return true;
        } catch {
          return false;
        }
      };
      await until(
        'the rows tell of their pods',
        async () => {
          found = await details();
          return isSame();
        },
        { everyMs: 20 },
      ).catch(() => assert.deepEqual(found, expected()));
    },
  };
}

/** Every ready endpoint with the node and the labels that its pod has. */
function truth({ endpointSlices, store }: Cluster): Readonly<Record<string, unknown>> {
  const pods = new Map(store.objects.map(({ object }) => [object.metadata.uid, object]));
  const rows = endpointSlices.objects.flatMap(({ object: { metadata, endpoints } }) =>
    (endpoints ?? [])
      .filter(({ conditions }) => conditions.ready !== false)
      .map(({ targetRef }) => {
        const pod = pods.get(targetRef?.uid ?? '');
        const service = metadata.labels?.['kubernetes.io/service-name'];
        const key = `${metadata.namespace}/${service}/${targetRef?.uid}`;
        return [key, pod ? [pod.spec.nodeName ?? null, pod.metadata.labels ?? {}] : [null, null]] as const;
      }),
  );
  return Object.fromEntries(rows.toSorted(([a], [b]) => (a < b ? -1 : 1)));
}

test('rows tell the node and the labels of their pods, through rollouts, and when only the labels change', async (t) => {
  const { cluster, environment, untilDetails, details } = await stage(t, { pods: 150, seed: 3 });
  const mirror = await runMirror(t, environment);
  await mirror.untilReady();
  await untilDetails(() => truth(cluster));
  assert.ok(Object.keys(await details()).length > 30);
  for (let i = 0; i < 4; i++) {
    cluster.step(60);
    for (const { object: pod } of cluster.store.objects.filter((_, n) => n % 7 === i)) {
      const labels = { ...pod.metadata.labels, round: String(i) };
      cluster.put({ ...pod, metadata: { ...pod.metadata, labels } });
    }
    await untilDetails(() => truth(cluster));
  }
  assert.ok(Object.values(await details()).some((one) => JSON.stringify(one).includes('"round"')));
});

test('of a pod that is not known node and labels are NULL, until it is; it is in every Service it stands behind', async (t) => {
  const { cluster, environment, untilDetails, untilRows } = await stage(t);
  cluster.endpointSlices.put(slice('web', [endpoint('a', '10.1.0.1')]));
  cluster.endpointSlices.put(slice('api', [endpoint('a', '10.1.0.1')]));
  const mirror = await runMirror(t, { ...environment, REQUEUE_AFTER: '1h' });
  await untilRows(() => [row('a', '10.1.0.1', { service: 'shop/api' }), row('a', '10.1.0.1')]);
  const both = (one: unknown) => () => ({ 'shop/api/uid-a': one, 'shop/web/uid-a': one });
  await untilDetails(both([null, null]));
  assert.equal(await mirror.metric('mirror_unknown_pods'), 2);
  const [node] = cluster.nodes;
  const pod = { namespace: 'shop', name: 'a', uid: 'uid-a', node: node?.name ?? '' };
  cluster.createPod({ ...pod, labels: { app: 'web' } });
  await untilDetails(both([node?.name, { app: 'web' }]));
  assert.equal(await mirror.metric('mirror_unknown_pods'), 0);
  cluster.updatePod('shop', 'a', (one) => ({ ...one, metadata: { ...one.metadata, labels: { app: 'api' } } }));
  await untilDetails(both([node?.name, { app: 'api' }]));
  cluster.deletePod('shop', 'a');
  await untilDetails(both([null, null]));
});

test('hostile labels are written as they are, and what jsonb has no place for as U+FFFD', async (t) => {
  const { cluster, environment, untilDetails } = await stage(t);
  cluster.endpointSlices.put(slice('web', [endpoint('a', '10.1.0.1')]));
  const labels = { "'; DROP TABLE server; --": '{"a":1}', '\\N': 'x\ty\\z', é: '\u{1f600}', long: 'x'.repeat(65_536) };
  const { nodeName } = cluster.createPod({
    namespace: 'shop',
    name: 'a',
    uid: 'uid-a',
    labels: { ...labels, nul: 'a\u0000b' },
  }).spec;
  await runMirror(t, environment);
  await untilDetails(() => ({ 'shop/web/uid-a': [nodeName, { ...labels, nul: 'a\ufffdb' }] }));
});

test('a table without the columns is not altered: the log gives the ALTER TABLE, and with it the mirror goes on', async (t) => {
  const { cluster, environment, table, untilRows, untilDetails } = await stage(t);
  cluster.endpointSlices.put(slice('web', [endpoint('a', '10.1.0.1')]));
  await postgres.query(`ALTER TABLE ${table} DROP COLUMN node_name, DROP COLUMN pod_labels`);
  const mirror = await runMirror(t, environment);
  const line = await until('it is said', () => mirror.lines.find(({ advice }) => advice !== undefined));
  assert.match(JSON.stringify(line['err']), /has no node_name and no pod_labels/);
  assert.match((await mirror.check('postgres'))?.message ?? '', /a column/);
  const [statement = ''] = String(line['advice']).split(';');
  assert.equal(statement, `ALTER TABLE ${table} ADD COLUMN node_name text, ADD COLUMN pod_labels jsonb`);
  await untilRows(() => []);
  await postgres.query(statement);
  await untilRows(() => [row('a', '10.1.0.1')]);
  await untilDetails(() => ({ 'shop/web/uid-a': [null, null] }));
  await mirror.untilReady();
});

test('a table that is made has the columns; without the switch what stands in them stays', async (t) => {
  const { cluster, environment, table, untilRows, untilDetails } = await stage(t);
  await postgres.query(`DROP TABLE ${table}`);
  cluster.endpointSlices.put(slice('web', [endpoint('a', '10.1.0.1')]));
  const { nodeName } = cluster.createPod({ namespace: 'shop', name: 'a', uid: 'uid-a', labels: { app: 'web' } }).spec;
  const mirror = await runMirror(t, environment);
  await untilDetails(() => ({ 'shop/web/uid-a': [nodeName, { app: 'web' }] }));
  await mirror.close();
  await runMirror(t, { ...environment, ENRICH_PODS: 'false' });
  cluster.endpointSlices.put(slice('web', [endpoint('a', '10.1.0.2')]));
  await untilRows(() => [row('a', '10.1.0.2')]);
  await untilDetails(() => ({ 'shop/web/uid-a': [nodeName, { app: 'web' }] }));
});

test('until the pods were read once nothing is written: NULLs would take the place of what is known', async (t) => {
  const { simulator, cluster, environment, table, rows, untilDetails } = await stage(t);
  cluster.endpointSlices.put(slice('web', [endpoint('a', '10.1.0.1')]));
  const { nodeName } = cluster.createPod({ namespace: 'shop', name: 'a', uid: 'uid-a', labels: {} }).spec;
  const old = `INSERT INTO ${table} (cluster, namespace, service, pod_uid, pod_name, pod_ip, node_name, pod_labels)
    VALUES ('dev', 'shop', 'web', 'uid-a', 'a', '10.1.0.1', 'old', '{}')`;
  await postgres.query(old);
  const forbidden = simulator.faults.add({
    status: 403,
    reason: 'Forbidden',
    message: 'pods is forbidden',
    times: Infinity,
  });
  const mirror = await runMirror(t, { ...environment, REQUEUE_AFTER: '1s' });
  await until('it is known that pods may not be read', async () =>
    /not allowed to list pods/.test((await mirror.check('pods at cluster scope'))?.message ?? ''),
  );
  await until('the EndpointSlices are known', async () => (await mirror.metric('mirror_rows')) === 1);
  assert.equal((await mirror.get('/ready')).status, 503);
  await untilDetails(() => ({ 'shop/web/uid-a': ['old', {}] }));
  assert.deepEqual(await rows(), [row('a', '10.1.0.1')]);
  forbidden.remove();
  await untilDetails(() => ({ 'shop/web/uid-a': [nodeName, {}] }));
  await mirror.untilReady();
});

test('with namespaces the pods of these are watched, and no others; without the switch none', async (t) => {
  const { simulator, cluster, environment, untilRows, untilDetails } = await stage(t);
  const asked = (): readonly string[] =>
    simulator.requests.map(({ path }) => path).filter((path) => path.includes('/pods'));
  cluster.endpointSlices.put(slice('web', [endpoint('a', '10.1.0.1')]));
  const off = await runMirror(t, { ...environment, ENRICH_PODS: 'false' });
  await untilRows(() => [row('a', '10.1.0.1')]);
  await off.close();
  assert.deepEqual(asked(), []);
  const { nodeName } = cluster.createPod({ namespace: 'shop', name: 'a', uid: 'uid-a', labels: {} }).spec;
  await runMirror(t, { ...environment, NAMESPACE: 'shop,bank' });
  await untilDetails(() => ({ 'shop/web/uid-a': [nodeName, {}] }));
  for (const path of asked()) assert.match(path, /\/namespaces\/(shop|bank)\/pods$/);
  assert.ok(asked().length > 0);
});
