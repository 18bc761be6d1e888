import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import type { TestContext } from 'node:test';
import type { Cluster } from '../src/simulator/cluster.ts';
import type { EndpointObject } from '../src/simulator/endpoint-slice-object.ts';
import type { SimulatorOptions } from '../src/simulator/simulator.ts';
import {
  endpoint,
  observersTable,
  row,
  runMirror,
  slice,
  startMirrorStage,
  tableRows,
} from './support/mirror-stage.ts';
import type { MirrorStage, RunningMirror } from './support/mirror-stage.ts';
import { startPostgres } from './support/real-postgres.ts';
import type { RealPostgres } from './support/real-postgres.ts';
import { TcpProxy } from './support/tcp-proxy.ts';
import { until } from './support/until.ts';

let postgres: RealPostgres;
before(async () => {
  postgres = await startPostgres();
});
after(async () => await postgres?.down());

const stage = async (t: TestContext, options: SimulatorOptions = {}): Promise<MirrorStage> =>
  await startMirrorStage(t, postgres, options);

/** All ready pods behind Services, as rows of the cluster `dev`; of a pod with two addresses the IPv4 one. */
const truth = ({ endpointSlices }: Cluster): readonly string[] =>
  [
    ...new Set(
      endpointSlices.objects
        .filter(({ object }) => object.addressType === 'IPv4')
        .flatMap(({ object: { metadata, endpoints } }) =>
          (endpoints ?? [])
            .filter(({ conditions }) => conditions.ready !== false)
            .map(({ addresses, targetRef }) => {
              const service = metadata.labels?.['kubernetes.io/service-name'];
              return `dev ${metadata.namespace}/${service} ${targetRef?.name} ${targetRef?.uid} ${addresses[0]} t`;
            }),
        ),
    ),
  ].toSorted();

async function insert(table: string, line: string): Promise<void> {
  const [cluster, where = '', name, uid, ip] = line.split(' ');
  await postgres.query(
    `INSERT INTO ${table} (cluster, namespace, service, pod_name, pod_uid, pod_ip, first_seen) VALUES ($1, $2, $3, $4, $5, $6, '2026-01-01Z')`,
    [cluster, ...where.split('/'), name, uid, ip],
  );
}

describe('mirror-endpoints', () => {
  test('the table equals the ready pods behind each Service, through rollouts, also after an outage of Postgres', async (t) => {
    const { cluster, environment, untilRows, rows } = await stage(t, { pods: 150, seed: 3 });
    const mirror = await runMirror(t, environment);
    await mirror.untilReady();
    await untilRows(() => truth(cluster));
    assert.ok((await rows()).length > 50);
    for (let i = 0; i < 4; i++) {
      cluster.step(60);
      await untilRows(() => truth(cluster));
    }
    await postgres.stop('SIGKILL');
    cluster.step(120);
    await until('it is not ready', async () => (await mirror.get('/ready')).status === 503);
    assert.equal((await mirror.get('/health')).status, 200);
    assert.match((await mirror.check('postgres'))?.message ?? '', /Postgres does not answer \(connection, for \d+s\)$/);
    await postgres.start();
    await untilRows(() => truth(cluster));
    await mirror.untilReady();
    assert.equal(await mirror.metric('mirror_rows'), truth(cluster).length);
  });

  test('first_seen survives updates; last_seen is stamped by the clock of Postgres, again with every requeue', async (t) => {
    const { cluster, environment, table, untilRows } = await stage(t);
    cluster.endpointSlices.put(slice('web', [endpoint('a', '10.1.0.1')]));
    await insert(table, row('a', '10.9.9.9'));
    await runMirror(t, { ...environment, REQUEUE_AFTER: '1s' });
    await untilRows(() => [row('a', '10.1.0.1')]);
    const seen = async (): Promise<{ first: string; last: number; behind: number }> => {
      const [found] = await postgres.query<{ first: string; last: number; behind: number }>(
        `SELECT to_char(first_seen AT TIME ZONE 'UTC', 'YYYY-MM-DD') AS first,
           extract(epoch FROM last_seen)::float8 AS last, extract(epoch FROM now() - last_seen)::float8 AS behind FROM ${table}`,
      );
      return found ?? assert.fail();
    };
    const before = await seen();
    assert.equal(before.first, '2026-01-01');
    assert.ok(before.behind >= 0 && before.behind < 20);
    await until('it is stamped again', async () => (await seen()).last >= before.last + 0.5);
    assert.equal((await seen()).first, '2026-01-01');
  });

  test('what vanished while it was down goes, of its own cluster only; a pod made anew under its name has its own row', async (t) => {
    const { cluster, environment, table, untilRows } = await stage(t);
    const other = 'prod shop/web a uid-a 10.9.9.9 t';
    for (const line of [row('gone', '10.1.0.9'), row('x', '10.1.0.8', { service: 'shop/gone' }), other]) {
      await insert(table, line);
    }
    cluster.endpointSlices.put(slice('web', [endpoint('a', '10.1.0.1')]));
    await runMirror(t, environment);
    await untilRows(() => [row('a', '10.1.0.1'), other].toSorted());
    const anew = {
      ...endpoint('a', '10.1.0.2'),
      targetRef: { kind: 'Pod', namespace: 'shop', name: 'a', uid: 'uid-2' },
    };
    cluster.endpointSlices.put(slice('web', [anew]));
    await untilRows(() => ['dev shop/web a uid-2 10.1.0.2 t', other].toSorted());
    cluster.endpointSlices.delete('shop', 'web-1');
    await untilRows(() => [other]);
  });

  test('with a selector the rows of other Services stay, until they have no slices left', async (t) => {
    const { cluster, environment, table, untilRows } = await stage(t);
    const labels = (service: string, tier: string) => ({ 'kubernetes.io/service-name': service, tier });
    cluster.endpointSlices.put(slice('web', [endpoint('a', '10.1.0.1')], { labels: labels('web', 'a') }));
    cluster.endpointSlices.put(slice('api', [endpoint('b', '10.1.0.2')], { labels: labels('api', 'b') }));
    const foreign = [row('old', '10.1.0.7', { service: 'shop/api' })];
    for (const line of [...foreign, row('x', '10.1.0.8', { service: 'shop/gone' })]) await insert(table, line);
    await runMirror(t, { ...environment, ENDPOINT_SELECTOR: 'tier in (a, c)' });
    await untilRows(() => [...foreign, row('a', '10.1.0.1')].toSorted());
    // Also when it is told that something of them has changed.
    cluster.endpointSlices.put(slice('api', [endpoint('b', '10.1.0.4')], { labels: labels('api', 'b') }));
    cluster.endpointSlices.put(slice('web', [endpoint('a', '10.1.0.3')], { labels: labels('web', 'a') }));
    await untilRows(() => [...foreign, row('a', '10.1.0.3')].toSorted());
    cluster.endpointSlices.delete('shop', 'api-1');
    await untilRows(() => [row('a', '10.1.0.3')]);
  });

  test('two with other selectors or namespaces fill one table together: neither waits for the lease of the other', async (t) => {
    const { cluster, environment, untilRows } = await stage(t);
    const labels = (service: string, tier: string) => ({ 'kubernetes.io/service-name': service, tier });
    cluster.endpointSlices.put(slice('web', [endpoint('a', '10.1.0.1')], { labels: labels('web', 'a') }));
    cluster.endpointSlices.put(slice('api', [endpoint('b', '10.1.0.2')], { labels: labels('api', 'b') }));
    await runMirror(t, { ...environment, ENDPOINT_SELECTOR: 'tier=a' });
    await runMirror(t, { ...environment, ENDPOINT_SELECTOR: 'tier=b', NAMESPACE: 'shop' });
    await untilRows(() => [row('a', '10.1.0.1'), row('b', '10.1.0.2', { service: 'shop/api' })].toSorted());
    cluster.endpointSlices.put(slice('web', [endpoint('a', '10.1.0.3')], { labels: labels('web', 'a') }));
    await untilRows(() => [row('a', '10.1.0.3'), row('b', '10.1.0.2', { service: 'shop/api' })].toSorted());
  });

  test('two with the same namespaces, in whichever order, have one lease', async (t) => {
    const { environment } = await stage(t);
    const first = await runMirror(t, { ...environment, NAMESPACE: 'shop,bank' });
    await until('the first one writes', async () => (await first.metric('mirror_leading')) === 1);
    const second = await runMirror(t, { ...environment, NAMESPACE: 'bank,shop,shop' });
    await second.untilReady();
    assert.equal((await second.check('lease'))?.message, 'another process writes');
  });

  test('with namespaces the rows of others stay', async (t) => {
    const { simulator, cluster, environment, table, untilRows } = await stage(t);
    cluster.endpointSlices.put(slice('web', [endpoint('a', '10.1.0.1')]));
    const foreign = row('b', '10.1.0.2', { service: 'office/web' });
    for (const line of [foreign, row('c', '10.1.0.3', { service: 'bank/web' })]) await insert(table, line);
    await runMirror(t, { ...environment, NAMESPACE: 'shop,bank' });
    await untilRows(() => [row('a', '10.1.0.1'), foreign].toSorted());
    for (const { path } of simulator.requests) assert.match(path, /\/namespaces\/(shop|bank)\/endpointslices$/);
  });

  test('with namespaces the rows of others go when nobody writes them and their Service has no slices left in the cluster', async (t) => {
    const { simulator, cluster, environment, table, untilRows } = await stage(t);
    const elsewhere = { namespace: 'office', name: 'web-1' };
    cluster.endpointSlices.put(slice('web', [endpoint('a', '10.1.0.1')]));
    cluster.endpointSlices.put(slice('web', [endpoint('b', '10.1.0.2')], elsewhere));
    const kept = row('b', '10.1.0.2', { service: 'office/web' });
    for (const line of [kept, row('c', '10.1.0.3', { service: 'office/gone' })]) await insert(table, line);
    await postgres.query(`UPDATE ${table} SET last_seen = '2026-01-01Z'`);
    const mirror = await runMirror(t, { ...environment, NAMESPACE: 'shop', REQUEUE_AFTER: '1s' });
    await untilRows(() => [row('a', '10.1.0.1'), kept].toSorted());
    await until('it is counted', async () => (await mirror.metric('mirror_rows_deleted_total')) === 1);
    assert.match((await mirror.check('rows of other namespaces'))?.message ?? '', /go$/);
    const asked = simulator.requests.filter(({ path }) => path.includes('/namespaces/office/'));
    assert.deepEqual(
      asked.map(({ path }) => path),
      [
        '/apis/discovery.k8s.io/v1/namespaces/office/endpointslices',
        '/apis/discovery.k8s.io/v1/namespaces/office/endpointslices',
      ],
    );
  });

  test('with namespaces and no right to list others their rows stay; it is ready, and says so', async (t) => {
    const { simulator, cluster, environment, table, rows, untilRows } = await stage(t);
    simulator.faults.add({
      resource: 'endpointslices',
      times: Infinity,
      where: ({ namespace }) => namespace === 'office',
      status: 403,
      reason: 'Forbidden',
    });
    cluster.endpointSlices.put(slice('web', [endpoint('a', '10.1.0.1')]));
    const kept = row('c', '10.1.0.3', { service: 'office/gone' });
    await insert(table, kept);
    await postgres.query(`UPDATE ${table} SET last_seen = '2026-01-01Z'`);
    const mirror = await runMirror(t, { ...environment, NAMESPACE: 'shop', REQUEUE_AFTER: '1s' });
    await untilRows(() => [row('a', '10.1.0.1'), kept].toSorted());
    await until('it says so', async () =>
      /they stay: there is no right to list/.test((await mirror.check('rows of other namespaces'))?.message ?? ''),
    );
    assert.equal((await mirror.get('/ready')).status, 200);
    assert.deepEqual(await rows(), [row('a', '10.1.0.1'), kept].toSorted());
  });

  test('of so many Services that they go by COPY, what should not be there goes too, of Services that stay', async (t) => {
    const { cluster, environment, table, untilRows } = await stage(t);
    const rows = Array.from({ length: 1_000 }, (_, i) => {
      cluster.endpointSlices.put(slice(`web-${i}`, [endpoint('a', '10.1.0.1')]));
      return row('a', '10.1.0.1', { service: `shop/web-${i}` });
    });
    const foreign = row('b', '10.1.0.2', { service: 'shop/web-7' }).replace('dev', 'other');
    const gone = row('b', '10.1.0.2', { service: 'shop/gone' });
    for (const line of [foreign, foreign.replace('other', 'dev'), gone]) await insert(table, line);
    await runMirror(t, environment);
    await untilRows(() => [...rows, foreign].toSorted());
  });

  for (const services of [1, 1_000]) {
    test(`a table in which a pod's name is unique, too: of ${services} Services the row of one that is made anew takes its place`, async (t) => {
      const { cluster, environment, table, untilRows } = await stage(t);
      await postgres.query(`ALTER TABLE ${table} ADD UNIQUE (cluster, namespace, service, pod_name)`);
      const anew = {
        ...endpoint('a', '10.1.0.9'),
        targetRef: { kind: 'Pod', namespace: 'shop', name: 'a', uid: 'uid-2' },
      };
      const rows = Array.from({ length: services }, (_, i) => {
        cluster.endpointSlices.put(slice(`web-${i}`, [anew]));
        return `dev shop/web-${i} a uid-2 10.1.0.9 t`;
      });
      await insert(table, row('a', '10.1.0.1', { service: 'shop/web-0' }));
      await runMirror(t, environment);
      await untilRows(() => rows.toSorted());
    });
  }

  test('pods that are not ready have a row where that is wished; endpoints without a pod are counted', async (t) => {
    const { cluster, environment, untilRows } = await stage(t);
    const { targetRef: _, ...outside } = endpoint('x', '192.0.2.1', true);
    const endpoints = [endpoint('a', '10.1.0.1'), endpoint('b', '10.1.0.2', false), outside];
    cluster.endpointSlices.put(slice('web', endpoints));
    const mirror = await runMirror(t, { ...environment, INCLUDE_NOT_READY: 'true' });
    await untilRows(() => [row('a', '10.1.0.1'), row('b', '10.1.0.2', { ready: 'f' })]);
    assert.equal(await mirror.metric('mirror_skipped_endpoints'), 1);
    assert.equal(await mirror.metric('mirror_services'), 1);
  });

  test('a reader never sees half of a Service: when all of its pods are replaced, it has the old ones or the new ones', async (t) => {
    const { cluster, environment, table, untilRows } = await stage(t);
    const generation = (g: number): readonly EndpointObject[] =>
      Array.from({ length: 20 }, (_, i) => endpoint(`g${g}-${i}`, `10.1.${g}.${i}`));
    cluster.endpointSlices.put(slice('web', generation(0)));
    await runMirror(t, environment);
    await untilRows(() =>
      generation(0)
        .map(({ targetRef, addresses }) => row(targetRef?.name ?? '', addresses[0] ?? ''))
        .toSorted(),
    );
    const reading = new AbortController();
    const seen = new Set<string>();
    const reader = (async () => {
      while (!reading.signal.aborted) {
        const [found] = await postgres.query<{ seen: string }>(
          `SELECT count(*) || ' ' || count(DISTINCT split_part(pod_name, '-', 1)) AS seen FROM ${table}`,
        );
        seen.add(found?.seen ?? '');
      }
    })();
    for (let g = 1; g <= 5; g++) {
      cluster.endpointSlices.put(slice('web', generation(g)));
      await until('it is replaced', async () =>
        (await tableRows(postgres, table)).every((line) => line.includes(` g${g}-`)),
      );
    }
    reading.abort();
    await reader;
    assert.deepEqual([...seen], ['20 1']);
  });

  test('of two one writes; when it ends in order the other goes on without waiting for the lease to run out', async (t) => {
    const { cluster, environment, untilRows } = await stage(t, { pods: 60, seed: 2 });
    const [one, other] = [await runMirror(t, environment), await runMirror(t, environment)];
    await Promise.all([one.untilReady(), other.untilReady()]);
    const leads = async (mirror: RunningMirror): Promise<boolean> => (await mirror.metric('mirror_leading')) === 1;
    assert.notEqual(await leads(one), await leads(other));
    const [first, second] = (await leads(one)) ? [one, other] : [other, one];
    assert.equal((await second.check('lease'))?.message, 'another process writes');
    cluster.step(30);
    await untilRows(() => truth(cluster));
    await first.close();
    cluster.step(30);
    await untilRows(() => truth(cluster));
    assert.equal(await leads(second), true);
  });

  test('changes that came just before the end are written by a last flush', async (t) => {
    const { cluster, environment, rows, untilRows } = await stage(t);
    cluster.endpointSlices.put(slice('web', [endpoint('a', '10.1.0.1')]));
    const mirror = await runMirror(t, environment);
    await untilRows(() => [row('a', '10.1.0.1')]);
    cluster.endpointSlices.put(slice('web', [endpoint('b', '10.1.0.2'), endpoint('c', '10.1.0.3')]));
    await until('it is known', async () => (await mirror.metric('mirror_rows')) === 2, { everyMs: 1 });
    await mirror.close();
    assert.deepEqual(await rows(), [row('b', '10.1.0.2'), row('c', '10.1.0.3')]);
    await assert.rejects(mirror.get('/health'));
  });

  test('hostile names: quotes, semicolons, a NUL that Postgres has no place for, and 64 KiB; all others have their rows', async (t) => {
    const { cluster, environment, untilRows } = await stage(t);
    const names = [
      `'; DROP TABLE server; --`,
      `"a"`,
      `a\\b\tc`,
      `{a,b}`,
      'NULL',
      '\\N',
      'x'.repeat(65_536),
      'é\u{1f600}',
    ];
    const endpoints = names.map((name, i) => ({
      ...endpoint(name, `10.1.0.${i}`),
      targetRef: { kind: 'Pod', namespace: 'shop', name, uid: `uid-${i}` },
    }));
    cluster.endpointSlices.put(slice('web', endpoints));
    cluster.endpointSlices.put(slice('poison', [endpoint('a\u0000b', '10.1.0.99')]));
    cluster.endpointSlices.put(slice('fine', [endpoint('ok', '10.1.0.98')]));
    const mirror = await runMirror(t, environment);
    await untilRows(() =>
      [
        ...names.map((name, i) => `dev shop/web ${name} uid-${i} 10.1.0.${i} t`),
        row('ok', '10.1.0.98', { service: 'shop/fine' }),
      ].toSorted(),
    );
    await until('it is set aside', async () => (await mirror.metric('mirror_quarantined_services')) === 1);
    cluster.endpointSlices.put(slice('poison', [endpoint('ab', '10.1.0.99')]));
    await until('it is well again', async () => (await mirror.metric('mirror_quarantined_services')) === 0);
  });

  test('a slice that cannot be read holds its namespace as it is, and the others go on', async (t) => {
    const { simulator, cluster, environment, table, untilRows } = await stage(t);
    const elsewhere = { namespace: 'bank', name: 'bank-1' };
    simulator.faults.add({
      resource: 'endpointslices',
      times: Infinity,
      unreadable: { namespace: 'shop', name: 'web-1', how: 'broken' },
    });
    cluster.endpointSlices.put(slice('web', [endpoint('a', '10.1.0.1')]));
    cluster.endpointSlices.put(slice('api', [endpoint('b', '10.1.0.2')]));
    cluster.endpointSlices.put(slice('web', [endpoint('c', '10.1.0.3')], elsewhere));
    const kept = [row('a', '10.1.0.1'), row('old', '10.1.0.8', { service: 'shop/api' })];
    for (const line of kept) await insert(table, line);
    const mirror = await runMirror(t, { ...environment, REQUEUE_AFTER: '1s' });
    await untilRows(() => [...kept, row('c', '10.1.0.3', { service: 'bank/web' })].toSorted());
    assert.equal(await mirror.metric('unreadable_endpoint_slices'), 1);
  });
});

describe('the table and the lease', () => {
  test('a table that is missing is made, as the observer had it, with its indexes; made by two at once it is one', async (t) => {
    const { cluster, environment, table, untilRows } = await stage(t);
    await postgres.query(`DROP TABLE ${table}`);
    cluster.endpointSlices.put(slice('web', [endpoint('a', '10.1.0.1')]));
    const mirrors = await Promise.all([runMirror(t, environment), runMirror(t, environment)]);
    await Promise.all(mirrors.map(async (mirror) => await mirror.untilReady()));
    await untilRows(() => [row('a', '10.1.0.1')]);
    const schema = table.split('.')[0] ?? '';
    const byHand = `${schema}.by_hand`;
    await postgres.query(observersTable(byHand));
    const columns = async (name: string): Promise<unknown> =>
      await postgres.query(
        `SELECT column_name, data_type, is_nullable, column_default FROM information_schema.columns
         WHERE table_schema = $1 AND table_name = $2 ORDER BY ordinal_position`,
        [schema, name],
      );
    assert.deepEqual(await columns('server'), await columns('by_hand'));
    const indexes = await postgres.query<{ columns: string }>(
      `SELECT substring(indexdef FROM '\\((.*)\\)') AS columns FROM pg_indexes WHERE schemaname = $1 AND tablename = 'server' ORDER BY 1`,
      [schema],
    );
    assert.deepEqual(
      indexes.map(({ columns }) => columns),
      ['cluster, namespace, service, pod_uid', 'namespace, service', 'pod_ip'],
    );
  });

  test('a table that is missing is made beside an older one, which has the names of the observer’s indexes', async (t) => {
    const { cluster, environment, table, untilRows } = await stage(t);
    await postgres.query(
      `CREATE INDEX server_ns_svc ON ${table} (namespace, service);
       CREATE INDEX server_pod_ip ON ${table} (pod_ip);
       ALTER TABLE ${table} RENAME TO test_server`,
    );
    cluster.endpointSlices.put(slice('web', [endpoint('a', '10.1.0.1')]));
    const mirror = await runMirror(t, environment);
    await mirror.untilReady();
    await untilRows(() => [row('a', '10.1.0.1')]);
  });

  /** A role that may write the table and nothing else: what the observer's role had. */
  async function observersRole(table: string): Promise<Readonly<Record<string, string>>> {
    const [schema = ''] = table.split('.');
    const role = `observer_${schema}`;
    await postgres.query(`CREATE ROLE ${role} LOGIN PASSWORD 'secret'`);
    await postgres.query(`GRANT USAGE ON SCHEMA ${schema} TO ${role}`);
    await postgres.query(`GRANT SELECT, INSERT, UPDATE, DELETE ON ${table} TO ${role}`);
    return { PGUSER: role, PGPASSWORD: 'secret' };
  }

  /** podwhois' own schema, whose name it says, made by somebody else; this role has what docs/endpoint-mirror.md grants. */
  async function makeSchema(
    t: TestContext,
    environment: MirrorStage['environment'],
    role: MirrorStage['environment'],
  ): Promise<string> {
    const own = environment['PODWHOIS_SCHEMA'] ?? '';
    const first = await runMirror(t, environment);
    await first.untilReady();
    await first.close();
    const page = readFileSync(join(import.meta.dirname, '../docs/endpoint-mirror.md'), 'utf8');
    const grants = [...page.matchAll(/^GRANT [^;]* podwhois(?:\.\w+)? TO observer;$/gm)].map(([line]) => line);
    assert.equal(grants.length, 3);
    for (const grant of grants) {
      await postgres.query(grant.replace('TO observer', `TO ${role['PGUSER']}`).replace(' podwhois', ` ${own}`));
    }
    return own;
  }

  test('a role that may write the table and nothing more mirrors without a lease, and /ready says so', async (t) => {
    const { cluster, environment, table, untilRows } = await stage(t, { pods: 60, seed: 2 });
    const role = await observersRole(table);
    const mirror = await runMirror(t, { ...environment, ...role });
    await mirror.untilReady();
    await untilRows(() => truth(cluster));
    const { message } = (await mirror.check('lease')) ?? {};
    assert.match(message ?? '', /^there is none, for the role may not have the schema/);
    cluster.step(60);
    await untilRows(() => truth(cluster));
  });

  test('with the grants of docs/endpoint-mirror.md it has the lease, and needs nothing more', async (t) => {
    const { cluster, environment, table, untilRows } = await stage(t, { pods: 60, seed: 2 });
    const role = await observersRole(table);
    await makeSchema(t, environment, role);
    const mirror = await runMirror(t, { ...environment, ...role });
    await mirror.untilReady();
    assert.equal((await mirror.check('lease'))?.message, 'this process writes');
    cluster.step(30);
    await untilRows(() => truth(cluster));
  });

  test('in a schema of an earlier version, which its role may not bring up, it has the lease as ever', async (t) => {
    const { environment, table } = await stage(t);
    const role = await observersRole(table);
    const own = await makeSchema(t, environment, role);
    await postgres.query(`DELETE FROM ${own}.migrations WHERE name <> 'leases'`);
    const mirror = await runMirror(t, { ...environment, ...role });
    await mirror.untilReady();
    assert.equal((await mirror.check('lease'))?.message, 'this process writes');
  });

  test('in a schema that is to have a lease, which its role may not make, it writes nothing and says what to do', async (t) => {
    const { environment, table } = await stage(t);
    const role = await observersRole(table);
    const own = await makeSchema(t, environment, role);
    await postgres.query(`DELETE FROM ${own}.migrations WHERE name = 'leases'; DROP TABLE ${own}.leases`);
    const mirror = await runMirror(t, { ...environment, ...role });
    await until('it complains', () => mirror.lines.some(({ msg }) => msg === 'Postgres cannot be used yet'));
    const complaint = mirror.lines.find(({ msg }) => msg === 'Postgres cannot be used yet');
    assert.match(String(complaint?.['advice']), /^run "podwhois migrate"/);
    assert.equal((await mirror.get('/ready')).status, 503);
  });

  test('a missing table that may not be made is told of, and mirrored to when it is there', async (t) => {
    const { cluster, environment, table, untilRows } = await stage(t);
    cluster.endpointSlices.put(slice('web', [endpoint('a', '10.1.0.1')]));
    const role = await observersRole(table);
    await postgres.query(`DROP TABLE ${table}`);
    const mirror = await runMirror(t, { ...environment, ...role });
    await until('it complains', async () =>
      /a permission, a table/.test((await mirror.check('postgres'))?.message ?? ''),
    );
    assert.equal((await mirror.get('/ready')).status, 503);
    const page = readFileSync(join(import.meta.dirname, '../docs/endpoint-mirror.md'), 'utf8');
    const [documented = ''] = /^CREATE TABLE public\.server [^`]*/m.exec(page) ?? [];
    await postgres.query(documented.replaceAll('public.server', table).replace('TO observer', `TO ${role['PGUSER']}`));
    await untilRows(() => [row('a', '10.1.0.1')]);
    await mirror.untilReady();
  });

  test('Postgres down at the start: it is alive, not ready, and mirrors when Postgres comes', async (t) => {
    const { cluster, environment, untilRows } = await stage(t);
    cluster.endpointSlices.put(slice('web', [endpoint('a', '10.1.0.1')]));
    await postgres.stop();
    const mirror = await runMirror(t, environment);
    try {
      await until('it complains', async () => /does not answer/.test((await mirror.check('postgres'))?.message ?? ''));
      assert.deepEqual([(await mirror.get('/health')).status, (await mirror.get('/ready')).status], [200, 503]);
    } finally {
      await postgres.start();
    }
    await untilRows(() => [row('a', '10.1.0.1')]);
    await mirror.untilReady();
  });

  test('it can be stopped while Postgres has not answered yet', async (t) => {
    const { environment } = await stage(t);
    const mirror = await runMirror(t, { ...environment, PGPORT: '1' });
    const began = performance.now();
    await mirror.close();
    assert.ok(performance.now() - began < 10_000);
  });
});

test('password 28P01 from the start on: counted before there is a writer, and not ready', async (t) => {
  const { environment } = await stage(t);
  const mirror = await runMirror(t, { ...environment, PGPASSWORD: 'wrong' });
  await until('it is counted', async () =>
    /^podwhois_mirror_failures_total\{kind="setup"\} [1-9]/m.test((await mirror.get('/metrics')).text),
  );
  assert.equal((await mirror.get('/ready')).status, 503);
  assert.equal(await mirror.metric('mirror_leading'), 0);
});

test('where the table cannot be made, the advice is about TABLE_NAME', async (t) => {
  const { environment } = await stage(t);
  const missing = await runMirror(t, { ...environment, TABLE_NAME: 'nowhere.server' });
  const advised = async (mirror: RunningMirror): Promise<unknown> =>
    await until('it is advised', () => mirror.lines.find(({ advice }) => advice !== undefined)?.['advice']);
  assert.equal(await advised(missing), 'there is no schema nowhere: make it, or name another one in TABLE_NAME');
  await postgres.query(`CREATE ROLE reader LOGIN PASSWORD 'secret'`);
  const refused = await runMirror(t, {
    ...environment,
    PGUSER: 'reader',
    PGPASSWORD: 'secret',
    TABLE_NAME: 'public.nobodys',
  });
  assert.match(String(await advised(refused)), /TABLE_NAME.*docs\/endpoint-mirror\.md/);
});

test('the only mirror, while Postgres is away: who writes is not known', async (t) => {
  const { environment } = await stage(t);
  const proxy = await TcpProxy.to(postgres.port);
  t.after(async () => await proxy.close());
  const mirror = await runMirror(t, { ...environment, PGPORT: String(proxy.port) });
  await mirror.untilReady();
  assert.equal((await mirror.check('lease'))?.message, 'this process writes');
  proxy.blackHole = true;
  proxy.cut();
  await until('it is noticed', async () => (await mirror.check('postgres'))?.ok === false);
  assert.equal((await mirror.check('lease'))?.message, 'not known: Postgres has not said who writes');
  proxy.blackHole = false;
  proxy.cut();
  await mirror.untilReady();
  assert.equal((await mirror.check('lease'))?.message, 'this process writes');
});

test('while nothing is known of the cluster the lease is not asked for, and Postgres is not said to be reached', async (t) => {
  const { environment } = await stage(t);
  const proxy = await TcpProxy.to(Number(new URL(environment['K8S_API_SERVER'] ?? '').port));
  t.after(async () => await proxy.close());
  proxy.blackHole = true;
  const mirror = await runMirror(t, { ...environment, K8S_API_SERVER: `http://127.0.0.1:${proxy.port}` });
  const check = async (name: string): Promise<unknown> => (await mirror.check(name))?.message;
  await until('it is said', async () => (await check('postgres')) === 'not asked who writes');
  assert.equal(await check('lease'), 'not known: Postgres has not said who writes');
  proxy.blackHole = false;
  proxy.cut();
  await mirror.untilReady();
  assert.equal(await check('lease'), 'this process writes');
});

test('what keeps it from Postgres from the start on is said once, not with each attempt', async (t) => {
  const { environment } = await stage(t);
  const mirror = await runMirror(t, { ...environment, PGSSLMODE: 'require' });
  const attempts = async (): Promise<number> =>
    Number(/^podwhois_mirror_failures_total\{kind="setup"\} (\d+)$/m.exec((await mirror.get('/metrics')).text)?.[1]);
  await until('it has tried three times', async () => (await attempts()) >= 3);
  const said = mirror.lines.filter(({ msg }) => msg === 'Postgres cannot be used yet');
  assert.equal(said.length, 1);
  assert.match(String(said[0]?.['advice']), /PGSSLMODE=disable/);
});

describe('what it answers', () => {
  test('health, ready and metrics, and nothing else', async (t) => {
    const { environment } = await stage(t);
    const mirror = await runMirror(t, environment);
    await mirror.untilReady();
    assert.deepEqual(JSON.parse((await mirror.get('/healthz')).text), { status: 'healthy' });
    assert.deepEqual(JSON.parse((await mirror.get('/readyz')).text), { status: 'ready' });
    const { checks } = JSON.parse((await mirror.get('/ready?verbose')).text) as {
      checks: { name: string; ok: boolean }[];
    };
    assert.deepEqual(
      checks.map(({ name, ok }) => [name, ok]),
      [
        ['endpointslices at cluster scope', true],
        ['postgres', true],
        ['lease', true],
      ],
    );
    const { type, text } = await mirror.get('/metrics');
    assert.match(type, /^text\/plain/);
    assert.match(text, /^podwhois_mirror_failures_total\{kind="connection"\} 0$/m);
    assert.ok((await mirror.metric('endpoint_slices_age_seconds')) < 60);
    assert.equal((await mirror.get('/pod?ip=10.1.0.1')).status, 404);
    assert.equal((await mirror.get('/health', 'POST')).status, 405);
    assert.equal((await mirror.get('/health', 'HEAD')).status, 200);
    assert.doesNotMatch(JSON.stringify(mirror.lines), new RegExp(environment['PGPASSWORD'] ?? 'x'));
  });
});
