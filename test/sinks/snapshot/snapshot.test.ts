import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, before, test } from 'node:test';
import type { TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { isDeepStrictEqual } from 'node:util';
import { Client } from 'pg';
import { migrate } from '../../../src/commands/migrate.ts';
import { PodIndex } from '../../../src/index/pod-index.ts';
import { SystemClock } from '../../../src/kubernetes/clock.ts';
import { createLog } from '../../../src/log.ts';
import { createMetrics } from '../../../src/metrics.ts';
import type { Pod } from '../../../src/pod.ts';
import { readServeSettings } from '../../../src/serve-settings.ts';
import type { Service } from '../../../src/service.ts';
import { startSimulator } from '../../../src/simulator/simulator.ts';
import type { Simulator } from '../../../src/simulator/simulator.ts';
import type { SnapshotSettings } from '../../../src/sinks/snapshot/settings.ts';
import { plug } from '../../../src/sinks/snapshot/snapshot.ts';
import { makePod } from '../../index/make-pod.ts';
import { RecordedIndex } from '../../support/recorded-index.ts';
import { startPostgres } from '../../support/real-postgres.ts';
import type { RealPostgres } from '../../support/real-postgres.ts';
import { serveSnapshot } from '../../support/snapshot-service.ts';
import { until } from '../../support/until.ts';

let postgres: RealPostgres;
let simulator: Simulator;
before(async () => {
  postgres = await startPostgres();
  simulator = await startSimulator({ pods: 300 });
});
after(async () => {
  await simulator.close();
  await postgres.down();
});

async function serve(t: TestContext, schema: string, more: Readonly<Record<string, string>> = {}): Promise<Service> {
  const own = { K8S_API_SERVER: simulator.url, PODWHOIS_SCHEMA: schema, CLUSTER_NAME: 'here' };
  return await serveSnapshot(t, { ...postgres.environment(), ...own, ...more });
}

const ofIndex = (pods: Iterable<Pod>): string =>
  JSON.stringify([...pods].map((pod) => `${pod.uid} ${pod.resourceVersion} ${pod.podIps.join()}`).sort());

async function ofTable(schema: string): Promise<string> {
  const rows = await postgres.query<{ row: string }>(
    `SELECT uid || ' ' || resource_version || ' ' || array_to_string(pod_ips, ',') AS row FROM ${schema}.pods WHERE cluster = 'here'`,
  );
  return JSON.stringify(rows.map(({ row }) => row).sort());
}

const equal = async (service: Service, schema: string): Promise<unknown> =>
  await until('the table equals the index', async () => {
    const table = await ofTable(schema);
    return service.source.synced && table === ofIndex(service.index.walk());
  });

test('with --snapshot the table has all pods, and follows them as they come, change and go', async (t) => {
  const schema = postgres.schema();
  const service = await serve(t, schema);
  await equal(service, schema);
  assert.equal(service.index.size, 300);
  simulator.setChurn(200);
  t.after(() => simulator.setChurn(0));
  await until('there was churn', () => service.index.changes.sequence > 400);
  simulator.setChurn(0);
  await equal(service, schema);
});

test('with CLUSTER_CIDR and objects that cannot be read SQL says of every address what HTTP says, and again when they can be', async (t) => {
  const own = await startSimulator({ pods: 300 });
  t.after(async () => await own.close());
  const schema = postgres.schema();
  const more = {
    K8S_API_SERVER: own.url,
    CLUSTER_CIDR: '10.42.0.0/23,fd00:42:1::/48,192.168.0.0/16',
    RESYNC_INTERVAL: '2s',
  };
  const service = await serve(t, schema, more);
  await until('it is synced', () => service.source.synced);
  const ips = [...new Set(Array.from(service.index.walk()).flatMap(({ podIps, hostIps }) => [...podIps, ...hostIps]))];
  const byHttp = async (): Promise<Record<string, string | undefined>> => {
    const answered = await fetch(`${service.url}/pods/lookup`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ ips }),
    });
    const { results } = (await answered.json()) as {
      results: { ip: string; code?: string; reason?: string; pod?: { uid: string } }[];
    };
    return Object.fromEntries(results.map(({ ip, code, reason, pod }) => [ip, pod?.uid ?? reason ?? code]));
  };
  const bySql = async (): Promise<Record<string, string | null>> => {
    const rows = await postgres
      .query<{ ip: string; said: string | null }>(
        `SELECT host(ip) AS ip, coalesce(reason, uid) AS said FROM ${schema}.pods_by_ip WHERE cluster = 'here'`,
      )
      .catch(() => []);
    return Object.fromEntries(rows.map(({ ip, said }) => [ip, said]));
  };
  /** How often each is said once both say the same. */
  const said = async (what: string, isSo: () => boolean): Promise<Record<string, number | undefined>> =>
    await until(what, async () => {
      if (!isSo()) return false;
      const http = await byHttp();
      if (!isDeepStrictEqual(await bySql(), http)) return false;
      return Object.fromEntries(
        Map.groupBy(Object.values(http), String)
          .entries()
          .map(([k, v]) => [k, v.length]),
      );
    });
  const first = await said('both say the same', () => service.index.unreadable === 0);
  assert.ok((first['outside-cluster-cidr'] ?? 0) > 50);
  assert.equal(first['unreadable'], undefined);
  const spoilt = [...service.index.walk()].filter((one) => first[one.uid] !== undefined);
  for (const how of ['no-uid', 'broken'] as const) {
    const { namespace = '', name = '' } = spoilt.pop() ?? {};
    const fault = own.faults.add({ unreadable: { namespace, name, how }, times: Infinity });
    const then = await said('one cannot be read', () => service.index.unreadable === 1);
    assert.ok((then['unreadable'] ?? 0) > 0, how);
    fault.remove();
    assert.deepEqual(await said('all can be read', () => service.index.unreadable === 0), first);
  }
});

test('what somebody else deletes or adds is put right with the next RESYNC_INTERVAL', async (t) => {
  const schema = postgres.schema();
  const service = await serve(t, schema, { RESYNC_INTERVAL: '2s' });
  await equal(service, schema);
  await postgres.query(`DELETE FROM ${schema}.pods WHERE uid < (SELECT max(uid) FROM ${schema}.pods)`);
  await equal(service, schema);
  await postgres.query(
    `INSERT INTO ${schema}.pods SELECT (r).* FROM (
       SELECT jsonb_populate_record(p, '{"uid": "nobody"}') AS r FROM ${schema}.pods AS p LIMIT 1)`,
  );
  await equal(service, schema);
});

test('a row has all fields of an answer, with the same values', async (t) => {
  const schema = postgres.schema();
  const service = await serve(t, schema);
  await equal(service, schema);
  const columns = [
    'name, namespace, uid, labels, annotations, host(pod_ip) AS pod_ip, host(host_ip) AS host_ip, node_name, phase, ready, terminating',
    'host_network, service_account, containers, qos_class, resource_version, created_at, started_at, owner_kind, owner_name, owner_uid',
    'workload_kind, workload_name, workload_source',
    'ARRAY(SELECT host(ip) FROM unnest(pod_ips) AS ip) AS pod_ips, ARRAY(SELECT host(ip) FROM unnest(host_ips) AS ip) AS host_ips',
  ].join(', ');
  const rows = await postgres.query(`SELECT ${columns} FROM ${schema}.pods ORDER BY namespace, name`);
  assert.equal(rows.length, service.index.size);
  for (const row of rows.filter((_, i) => i % 20 === 0)) {
    const answered = await fetch(`${service.url}/pod?uid=${String(row['uid'])}`);
    const answer = (await answered.json()) as Record<string, unknown>;
    const {
      owner_kind,
      owner_name,
      owner_uid,
      workload_kind,
      workload_name,
      workload_source,
      created_at,
      started_at,
      ...same
    } = row;
    const time = (at: unknown): unknown => (at === null ? null : new Date(at as string).getTime());
    assert.deepEqual(
      {
        ...same,
        created_at: time(created_at),
        started_at: time(started_at),
        owner: owner_kind === null ? null : { kind: owner_kind, name: owner_name, uid: owner_uid },
        workload: workload_kind === null ? null : { kind: workload_kind, name: workload_name, source: workload_source },
      },
      { ...answer, created_at: time(answer['created_at']), started_at: time(answer['started_at']) },
    );
  }
});

test('a role with no more than the documented grants keeps the snapshot, without temporary tables too', async (t) => {
  const schema = postgres.schema();
  let said = '';
  await migrate(postgres.settings({ PODWHOIS_SCHEMA: schema }), (text) => (said += text));
  assert.match(said, /^made leases, pods/);
  const page = readFileSync(new URL('../../../docs/postgres.md', import.meta.url), 'utf8');
  const grants = [...page.matchAll(/^GRANT (?!CONNECT).* TO podwhois;$/gm)].map(([line]) => line);
  assert.ok(grants.length >= 4);
  await postgres.query(`CREATE ROLE narrow LOGIN PASSWORD 'narrow'; REVOKE TEMPORARY ON DATABASE postgres FROM PUBLIC`);
  t.after(async () => void (await postgres.query('GRANT TEMPORARY ON DATABASE postgres TO PUBLIC')));
  for (const grant of grants) {
    await postgres.query(
      grant
        .replaceAll('podwhois.', `${schema}.`)
        .replace('SCHEMA podwhois', `SCHEMA ${schema}`)
        .replace('TO podwhois', 'TO narrow'),
    );
  }
  const big = await startSimulator({ pods: 1_500 });
  t.after(async () => await big.close());
  const service = await serve(t, schema, { PGUSER: 'narrow', PGPASSWORD: 'narrow', K8S_API_SERVER: big.url });
  await equal(service, schema);
  assert.equal(service.index.size, 1_500);
  await until('the history is there', async () => {
    const open = await postgres.query(`SELECT FROM ${schema}.ip_history WHERE valid_until = 'infinity'`);
    return open.length === [...service.index.walk()].flatMap(({ podIps }) => podIps).length;
  });
});

test('every column of every table and view that holds pods and their past is documented, and no other', async () => {
  const schema = postgres.schema();
  await migrate(postgres.settings({ PODWHOIS_SCHEMA: schema }), () => {});
  const page = readFileSync(new URL('../../../docs/postgres.md', import.meta.url), 'utf8');
  for (const table of ['pods', 'pods_by_ip', 'unanswered', 'ip_history', 'ip_history_watched']) {
    const section = page.split(`### \`${table}\`\n`)[1]?.split('\n##')[0] ?? '';
    const documented = [...section.matchAll(/^\| (`[^|]*)\|/gm)].flatMap(([, cell = '']) => cell.match(/\w+/g) ?? []);
    const columns = await postgres.query<{ name: string }>(
      'SELECT column_name::text AS name FROM information_schema.columns WHERE table_schema = $1 AND table_name = $2',
      [schema, table],
    );
    assert.deepEqual(documented.toSorted(), columns.map(({ name }) => name).toSorted(), table);
  }
});

test('the questions of the documentation are answered, to a role that may read and nothing more', async (t) => {
  const schema = postgres.schema();
  const service = await serve(t, schema, { CLUSTER_NAME: 'default' });
  const rows = async (): Promise<string> =>
    (await postgres.query<{ count: string }>(`SELECT count(*) FROM ${schema}.pods`))[0]?.count ?? '';
  await until('all are there', async () => service.source.synced && (await rows()) === String(service.index.size));
  const page = readFileSync(new URL('../../../docs/postgres.md', import.meta.url), 'utf8');
  const questions = page.slice(page.indexOf('## Five questions')).match(/^(?:SELECT|WITH)[^;]*;/gm) ?? [];
  assert.equal(questions.length, 5);
  const pod = [...service.index.walk()].find(
    (one) => !one.hostNetwork && one.phase === 'Running' && one.podIps.length > 0,
  );
  const moment = new Date().toISOString();
  await until('that moment was watched', async () => {
    const rows = `SELECT FROM ${schema}.ip_history_watched WHERE watched_from < $1 AND watched_until > $1`;
    // Proof comes with a consistent read.
    simulator.dropConnections();
    return (await postgres.query(rows, [moment])).length === 1;
  });
  const grants = [...page.matchAll(/^GRANT (?!CONNECT).* TO reader;$/gm)].map(([line]) => line);
  assert.equal(grants.length, 2);
  const here = (sql: string): string =>
    sql.replaceAll('podwhois.', `${schema}.`).replace('SCHEMA podwhois', `SCHEMA ${schema}`);
  await postgres.query(`CREATE ROLE reader LOGIN PASSWORD 'reader'; ${here(grants.join(' '))}`);
  const reader = new Client({
    host: '127.0.0.1',
    port: postgres.port,
    user: 'reader',
    password: 'reader',
    database: 'postgres',
  });
  await reader.connect();
  t.after(async () => await reader.end());
  const answers: Record<string, unknown>[][] = [];
  for (const question of questions) {
    const asked = here(question)
      .replace('10.42.0.5', pod?.podIps[0] ?? '')
      .replaceAll('2026-11-20T14:03:00Z', moment);
    answers.push((await reader.query<Record<string, unknown>>(asked)).rows);
  }
  const [who, then, age, images] = answers;
  assert.deepEqual([who?.[0]?.['namespace'], who?.[0]?.['name']], [pod?.namespace, pod?.name]);
  assert.deepEqual(
    then?.map(({ namespace, name, reason }) => [namespace, name, reason]),
    [[pod?.namespace, pod?.name, null]],
  );
  assert.deepEqual(age?.map(({ sink }) => String(sink)).sort(), ['history', 'snapshot']);
  assert.ok((images?.length ?? 0) > 0);
});

test('the first sync appears at once: no reader sees a part of it', async (t) => {
  const schema = postgres.schema();
  const big = await startSimulator({ pods: 4_000 });
  t.after(async () => await big.close());
  await serve(t, schema, { K8S_API_SERVER: big.url });
  const counts = new Set<string>();
  await until(
    'all are there',
    async () => {
      const [row] = await postgres.query<{ count: string }>(
        `SELECT (SELECT count(*) FROM ${schema}.pods) || ', ' || (SELECT count(*) FROM ${schema}.unanswered) AS count`,
      );
      counts.add(row?.count ?? '');
      return row?.count === '4000, 1';
    },
    { everyMs: 1 },
  );
  assert.deepEqual(
    [...counts].filter((count) => count !== '0, 0'),
    ['4000, 1'],
  );
});

test('while Postgres is away lookups are answered and the service is ready', async (t) => {
  const service = await serve(t, postgres.schema(), { PGPORT: '1' });
  await until('it is synced', () => service.source.synced);
  const pod = [...service.index.walk()].find(
    ({ hostNetwork, podIps, phase }) => !hostNetwork && podIps.length > 0 && phase === 'Running',
  );
  assert.equal((await fetch(`${service.url}/pod?ip=${pod?.podIps[0]}`)).status, 200);
  const remark = await until('it is told', async () => {
    const answer = await fetch(`${service.url}/ready?verbose`);
    assert.equal(answer.status, 200);
    const { checks } = (await answer.json()) as { checks: { name: string; ok: boolean; message: string }[] };
    const found = checks.find(({ name }) => name === 'SNAPSHOT');
    return found?.ok === false && found.message;
  });
  assert.match(remark, /^Postgres does not answer \(connection, for \d+s\)$/);
  await until('the metrics tell of it', async () =>
    /snapshot_failures_total\{class="connection"\} [1-9]/.test(await (await fetch(`${service.url}/metrics`)).text()),
  );
});

test('what is too old for the lookups is neither written nor called fresh', async (t) => {
  const schema = postgres.schema();
  const index = new PodIndex();
  const list = index.slice().beginReplace();
  list.add(makePod());
  list.commit('1000');
  let age = 300_001;
  const settings = readServeSettings({
    flags: {},
    environment: postgres.environment({ SNAPSHOT: 'true', PODWHOIS_SCHEMA: schema, SNAPSHOT_FLUSH_INTERVAL: '100ms' }),
  });
  const clock = new SystemClock();
  const plugged = plug({
    settings: settings as typeof settings & SnapshotSettings,
    index,
    recorder: new RecordedIndex().recorder,
    view: { clusterCidrs: [] },
    source: { synced: true, ageMs: () => age, prove: async () => await Promise.resolve() },
    clock: { now: () => clock.now(), sleep: async (ms, signal) => await clock.sleep(ms, signal), random: Math.random },
    log: createLog({ level: 'fatal', format: 'json' }),
    metrics: createMetrics(),
    leaseTtlMs: 300,
  });
  t.after(async () => {
    await plugged.close();
    clock.close();
  });
  const leases = `SELECT epoch, flushed_at FROM ${schema}.leases WHERE sink = 'snapshot'`;
  await until('there is a schema', async () => (await postgres.query(leases).catch(() => undefined)) !== undefined);
  await sleep(500);
  assert.deepEqual(await postgres.query(leases), [], 'somebody else may have it');
  assert.deepEqual(await postgres.query(`SELECT FROM ${schema}.pods`), []);
  age = 300_000;
  await until('the row is there', async () => (await postgres.query(`SELECT FROM ${schema}.pods`)).length === 1);
  await until('it says so', () => {
    const [remark] = plugged.remarks();
    return remark?.ok === true && `${remark.name}: ${remark.message}` === 'SNAPSHOT: this replica writes; behind by 0s';
  });
});

test('a clock that Postgres contradicts: the pods are written, the history is left to another replica, and the log says why', async (t) => {
  const schema = postgres.schema();
  const world = new RecordedIndex();
  world.index.slice().beginReplace().commit('1000');
  const settings = readServeSettings({
    flags: {},
    environment: postgres.environment({ SNAPSHOT: 'true', PODWHOIS_SCHEMA: schema, SNAPSHOT_FLUSH_INTERVAL: '100ms' }),
  });
  const clock = new SystemClock();
  const said: string[] = [];
  const keep = (fields: { readonly err?: unknown }): void => void said.push(String(fields.err));
  const plugged = plug({
    settings: settings as typeof settings & SnapshotSettings,
    index: world.index,
    recorder: world.recorder,
    view: { clusterCidrs: [] },
    source: { synced: true, ageMs: () => 0, prove: async () => await Promise.resolve() },
    clock: { now: () => clock.now(), sleep: async (ms, signal) => await clock.sleep(ms, signal), random: Math.random },
    log: { info: () => {}, warn: keep, error: keep },
    metrics: createMetrics(),
  });
  t.after(async () => {
    await plugged.close();
    clock.close();
  });
  const sinks = async (): Promise<unknown> => await postgres.query(`SELECT sink FROM ${schema}.leases`).catch(() => []);
  await until('it is said', () => said.some((text) => text.includes('behind that of Postgres')));
  await until('pods are written', async () => ((await sinks()) as unknown[]).length > 0);
  assert.deepEqual(await sinks(), [{ sink: 'snapshot' }]);
  world.wall = Date.now();
  await until('its clock is right now', async () => ((await sinks()) as unknown[]).length === 2);

  const begun = async (uid: string): Promise<number | undefined> =>
    (
      await postgres.query<{ valid_from: Date }>(`SELECT valid_from FROM ${schema}.ip_history WHERE uid = $1`, [uid])
    )[0]?.valid_from.getTime();
  const add = (uid: string, ip: string): void => {
    world.index.slice().upsert(makePod({ uid, name: uid, podIps: [ip], resourceVersion: '2000' }));
    world.recorder.now();
  };
  add('a', '10.0.0.1');
  await until('the history is written', async () => (await begun('a')) !== undefined);
  // Somebody sets it while it writes.
  said.length = 0;
  world.wall = Date.now() - 86_400_000;
  add('b', '10.0.0.2');
  await until('it is said again', () => said.some((text) => text.includes('behind that of Postgres')));
  assert.equal(await begun('b'), undefined);
  world.wall = Date.now();
  await until('it is written', async () => (await begun('b')) !== undefined);
  assert.ok(Math.abs(Date.now() - ((await begun('b')) ?? 0)) < 60_000);
});

test('other variables of Postgres in the environment are nobody’s business while the snapshot is off', () => {
  const environment = { PGSSLMODE: 'prefer', DATABASE_URL: 'mysql://u:p@h/d', PGHOST: 'x' };
  assert.equal(readServeSettings({ flags: {}, environment }).port, 8080);
  assert.throws(
    () => readServeSettings({ flags: {}, environment: { ...environment, SNAPSHOT: 'true' } }),
    /DATABASE_URL/,
  );
});
