import { spawnSync } from 'node:child_process';
import { request } from 'undici';
import { accessOf } from '../../src/sinks/postgres/access.ts';
import { Database } from '../../src/sinks/postgres/database.ts';
import { migrate } from '../../src/sinks/postgres/migrate.ts';
import { startPostgres } from '../support/real-postgres.ts';
import type { RealPostgres } from '../support/real-postgres.ts';
import { until } from '../support/until.ts';
import { answersOf } from './answering.ts';
import { goFirst, startChild, startLoad } from './child.ts';
import type { Child, Usage } from './child.ts';
import { progress } from './rows.ts';
import type { Scale } from './rows.ts';
import { quantile, spread } from './statistics.ts';
import type { Row } from './table.ts';

const DAYS = 30;
const DAY_MS = 86_400_000;
const BATCH = 1_000;

/** How long it takes to say who had an address in the last thirty days, of as many rows as a large cluster makes in them; and what they take on disk. */
export async function history({ rounds, seconds, smoke }: Scale): Promise<readonly Row[]> {
  const rows = smoke ? 1_000_000 : 10_000_000;
  const postgres = await startPostgres({
    shared_buffers: '256MB',
    max_wal_size: '4GB',
    wal_level: 'minimal',
    max_wal_senders: '0',
  });
  const simulator = startChild('simulator', { core: 1 });
  const [load, prober] = [startChild('load', { core: 1 }), startLoad()];
  goFirst(prober.process);
  try {
    const schema = postgres.schema();
    const loaded = await loadRows(postgres, schema, rows);
    const api = await simulator.ask<string>('start', { pods: 2_000, keepBytes: false });
    const environment = {
      ...postgres.environment(),
      K8S_API_SERVER: api,
      SNAPSHOT: 'true',
      // Of what was loaded nothing is pruned while it is measured.
      SNAPSHOT_HISTORY_RETENTION: `${2 * DAYS * 24}h`,
      PODWHOIS_SCHEMA: schema,
      CLUSTER_NAME: 'c',
    };
    const probe = async (url: string, forSeconds: number) => {
      await prober.ask('probe', { url, everyMs: 10 });
      await new Promise((resolve) => setTimeout(resolve, forSeconds * 1000));
      return await prober.ask<{ count: number; p50: number; p99: number }>('probed');
    };
    const [waits, batches] = await withService(environment, async (url) => {
      progress('questions for one address, one after the other');
      await prober.ask(
        'paths',
        Array.from({ length: 10_000 }, () => pathOf(loaded)),
      );
      // The first questions, here and below, make the connections and warm the code.
      await probe(url, smoke ? 2 : 5);
      const probed = await probe(url, smoke ? 3 : 2 * seconds);
      const times: number[] = [];
      for (let i = 0; i < 4 * rounds; i++) times.push(await askMany(url, loaded));
      return [probed, times.slice(1)] as const;
    });
    const { K8S_API_SERVER } = environment;
    const perAnswer = await withService({ K8S_API_SERVER }, async (url, ours) => {
      progress('questions that memory answers');
      const paths = (await answersOf(url, 1_000)).map(([ip]) => `/pod?ip=${ip}&at=-1ms`);
      await load.ask('paths', paths);
      await load.ask('blast', { url, seconds });
      const before = await ours.ask<Usage>('usage');
      const { total, failed } = await load.ask<{ total: number; failed: number }>('blast', { url, seconds });
      if (failed > 0) throw new Error(`${failed} of ${total} failed`);
      return (((await ours.ask<Usage>('usage')).cpu - before.cpu) / total) * 1000;
    });
    const many = `${rows.toLocaleString('en')} rows`;
    return [
      {
        what: `/pod?ip=&at= of ${many} in Postgres, ${waits.count} one after the other`,
        ours: `p50 ${waits.p50.toFixed(1)} ms, p99 ${waits.p99.toFixed(1)} ms`,
        floor: '',
        result: `${waits.p99.toFixed(1)} ms`,
        target: 'p99 ≤ 5 ms',
        met: waits.p99 <= 5,
      },
      {
        what: `/pods/lookup of ${BATCH.toLocaleString('en')} addresses and times of ${many}`,
        ours: `${spread(batches, 0)} ms`,
        floor: '',
        result: `${quantile(batches, 0.5).toFixed(0)} ms`,
        target: '≤ 100 ms',
        met: quantile(batches, 0.5) <= 100,
      },
      {
        what: '/pod?ip=&at= from memory, processor time of one answer',
        ours: `${perAnswer.toFixed(3)} ms`,
        floor: '',
        result: `${perAnswer.toFixed(3)} ms`,
        target: '≤ 0.1 ms',
        met: perAnswer <= 0.1,
      },
      {
        what: 'a row of ip_history on disk',
        ours: `${loaded.table.toFixed(0)} B, its indexes ${loaded.indexes.toFixed(0)} B`,
        floor: '',
        result: `${(loaded.table + loaded.indexes).toFixed(0)} B`,
        target: '',
        met: undefined,
      },
    ];
  } finally {
    await Promise.all([simulator, load, prober].map((child) => child.stop()));
    await postgres.down();
  }
}

interface Loaded {
  readonly addresses: number;
  /** When the first hold began. */
  readonly since: number;
  /** Bytes per row. */
  readonly table: number;
  readonly indexes: number;
}

/**
 * As a cluster leaves them: each address was held by one pod after the other for thirty days, with a pause between. The indexes are made
 * when all rows are there. All holds have ended: the service has nothing to put right.
 */
async function loadRows(postgres: RealPostgres, schema: string, rows: number): Promise<Loaded> {
  const database = new Database({
    access: accessOf(postgres.settings()),
    poolSize: 1,
    log: { info: () => {}, warn: () => {}, error: (fields: object) => console.error(fields) },
  });
  await migrate(database, schema);
  await database.close();
  const table = `${schema}.ip_history`;
  const constraints = await postgres.query<{ name: string; definition: string }>(
    `SELECT conname AS name, pg_get_constraintdef(oid) AS definition FROM pg_constraint WHERE conrelid = '${table}'::regclass AND contype = 'p'`,
  );
  for (const { name } of constraints) await postgres.query(`ALTER TABLE ${table} DROP CONSTRAINT ${name}`);
  const indexes = await postgres.query<{ name: string; definition: string }>(
    `SELECT indexname AS name, indexdef AS definition FROM pg_indexes WHERE schemaname = '${schema}' AND tablename = 'ip_history'`,
  );
  for (const { name } of indexes) await postgres.query(`DROP INDEX ${schema}.${name}`);
  progress(`${rows} rows of history`);
  const addresses = Math.round(Math.min(50_000, rows / 100));
  const holds = Math.round(rows / addresses);
  const since = Date.now() - DAYS * DAY_MS;
  const stepMs = Math.floor((DAYS * DAY_MS - 3_600_000) / holds);
  const begun = performance.now();
  await postgres.query(`
    BEGIN; TRUNCATE ${table};
    INSERT INTO ${table} (cluster, ip, uid, namespace, name, labels, service_account, node_name, workload_kind, workload_name,
      workload_source, host_network, held_from, valid_from, valid_until, goes_on, terminating_from, terminating_version, since_version, until_version)
    SELECT 'c', ('10.' || 64 + (i >> 16) || '.' || ((i >> 8) & 255) || '.' || (i & 255))::inet, md5(k || '-' || i)::uuid, 'team-' || i % 20,
      'app-' || i % 1500 || '-' || to_hex(k * 7919 % 1000003) || '-' || to_hex(i),
      jsonb_build_object('app', 'app-' || i % 1500, 'pod-template-hash', to_hex(k * 7919 % 1000003), 'tier', 'web', 'team', 'team-' || i % 20),
      'default', 'node-' || i / 30, 'Deployment', 'app-' || i % 1500, 'pod-template-hash', false,
      h.begun, h.begun, h.begun + interval '${Math.floor(stepMs * 0.95)} milliseconds', false,
      h.begun + interval '${Math.floor(stepMs * 0.94)} milliseconds', 3 * (k * ${addresses} + i) + 2, 3 * (k * ${addresses} + i) + 1, 3 * (k * ${addresses} + i) + 3
    FROM generate_series(0::int, ${holds - 1}) AS k, generate_series(0::int, ${addresses - 1}) AS i,
      LATERAL (SELECT to_timestamp(${since} / 1000.0) + (k * ${stepMs}::bigint + i % ${stepMs}) * interval '1 millisecond' AS begun) AS h;
    COMMIT`);
  for (const { name, definition } of constraints)
    await postgres.query(`ALTER TABLE ${table} ADD CONSTRAINT ${name} ${definition}`);
  for (const { definition } of indexes) await postgres.query(definition);
  await postgres.query(`VACUUM ANALYZE ${table}`);
  // What was loaded is not still being written while it is measured.
  await postgres.query('CHECKPOINT');
  spawnSync('sync');
  await postgres.query(
    `INSERT INTO ${schema}.ip_history_watched (cluster, since_version, until_version, watched_from, watched_until)
     VALUES ('c', 1, ${3 * rows + 10}, to_timestamp($1 / 1000.0), now())`,
    [since - 1],
  );
  progress(`they took ${((performance.now() - begun) / 1000).toFixed(0)} s`);
  const [size] = await postgres.query<{ table: string; indexes: string }>(
    `SELECT pg_table_size('${table}') AS table, pg_indexes_size('${table}') AS indexes`,
  );
  const count = holds * addresses;
  return { addresses, since, table: Number(size?.table) / count, indexes: Number(size?.indexes) / count };
}

const addressOf = (i: number): string => `10.${64 + (i >> 16)}.${(i >> 8) & 255}.${i & 255}`;

function question({ addresses, since }: Loaded): { readonly ip: string; readonly at: string } {
  const time = since + 60_000 + Math.random() * (DAYS * DAY_MS - 2 * 3_600_000);
  return { ip: addressOf(Math.floor(Math.random() * addresses)), at: new Date(time).toISOString() };
}

function pathOf(loaded: Loaded): string {
  const { ip, at } = question(loaded);
  return `/pod?ip=${ip}&at=${at}`;
}

/** In milliseconds. */
async function askMany(url: string, loaded: Loaded): Promise<number> {
  const body = JSON.stringify({ ips: Array.from({ length: BATCH }, () => question(loaded)) });
  const begun = performance.now();
  const answer = await request(`${url}/pods/lookup`, {
    method: 'POST',
    body,
    headers: { 'content-type': 'application/json' },
  });
  const { results } = (await answer.body.json()) as { results: readonly { status: number }[] };
  const took = performance.now() - begun;
  const found = results.filter(({ status }) => status === 200).length;
  // The rest falls into the pauses.
  if (found < 0.9 * BATCH) throw new Error(`${found} of ${BATCH} were found`);
  return took;
}

async function withService<T>(
  environment: Record<string, string>,
  work: (url: string, ours: Child) => Promise<T>,
): Promise<T> {
  const ours = startChild('ours', { core: 0 });
  try {
    const url = await ours.ask<string>('start', environment);
    await ours.ask('synced');
    // Written down who has what, and calm after the first sync.
    await until('it answers', async () => {
      const answers = await Promise.all(['/pod?ip=10.0.0.1&at=-0', '/pods?limit=1'].map((path) => request(url + path)));
      await Promise.all(answers.map(({ body }) => body.dump()));
      return answers.every(({ statusCode }) => statusCode !== 503);
    });
    return await work(url, ours);
  } finally {
    await ours.stop();
  }
}
