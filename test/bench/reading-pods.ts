import { Client } from 'pg';
import type { RealPostgres } from '../support/real-postgres.ts';
import { median, quantile } from './statistics.ts';
import type { Row } from './table.ts';

/** What a reader of the snapshot waits for, and what the disk holds: for docs/postgres.md. Right after a first snapshot. */
export async function readingPods(postgres: RealPostgres, schema: string, pods: number): Promise<readonly Row[]> {
  const { PGHOST: host, PGPORT: port, PGUSER: user, PGPASSWORD: password } = postgres.environment();
  const client = new Client({ host, port: Number(port), user, password, database: 'postgres' });
  await client.connect();
  try {
    await client.query(`ANALYZE ${schema}.pods`); // as autovacuum does within a minute
    const timed = async (sql: string, values: readonly string[] = []): Promise<number> => {
      const began = performance.now();
      await client.query(sql, [...values]);
      return performance.now() - began;
    };
    const drawn = await client.query<{ ip: string }>(
      `(SELECT host(ip) AS ip FROM (SELECT DISTINCT unnest(pod_ips) AS ip FROM ${schema}.pods) AS every ORDER BY random() LIMIT 300)
       UNION ALL (SELECT host(ip) FROM (SELECT DISTINCT unnest(host_ips) AS ip FROM ${schema}.pods) AS every ORDER BY random() LIMIT 30)`,
    );
    const one: number[] = [];
    for (const { ip } of drawn.rows)
      one.push(await timed(`SELECT * FROM ${schema}.pods_by_ip WHERE cluster = 'default' AND ip = $1`, [ip]));
    const all = await timed(`SELECT count(*), count(uid) FROM ${schema}.pods_by_ip WHERE cluster = 'default'`);
    const name = `${pods.toLocaleString('en')} pods`;
    return [
      {
        what: `pods_by_ip of ${name}: one address of ${one.length}, p99`,
        ours: `${quantile(one, 0.99).toFixed(2)} ms`,
        floor: '',
        result: `p50 ${median(one).toFixed(2)} ms; all at once ${all.toFixed(0)} ms`,
        target: '',
        met: undefined,
      },
      ...(await Promise.all(['pods', 'ip_history'].map(async (table) => await sizeOf(client, schema, table)))),
    ];
  } finally {
    await client.end();
  }
}

async function sizeOf(client: Client, schema: string, table: string): Promise<Row> {
  const { rows } = await client.query<{ own: number; indexes: number; count: number }>(
    `SELECT pg_table_size(oid)::float AS own, pg_indexes_size(oid)::float AS indexes, (SELECT count(*)::float FROM ${schema}.${table}) AS count
     FROM pg_class WHERE oid = '${schema}.${table}'::regclass`,
  );
  const { own = 0, indexes = 0, count = 0 } = rows[0] ?? {};
  return {
    what: `a row of ${table}, of ${count.toLocaleString('en')}, indexes included`,
    ours: `${Math.round((own + indexes) / count)} B`,
    floor: '',
    result: `indexes ${Math.round(indexes / count)} B`,
    target: '',
    met: undefined,
  };
}
