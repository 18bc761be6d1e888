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
    const { rows: sizes } = await client.query<{ own: string; indexes: string }>(
      `SELECT pg_table_size(oid) AS own, pg_indexes_size(oid) AS indexes FROM pg_class WHERE oid = '${schema}.pods'::regclass`,
    );
    const each = (bytes: string | undefined): number => Math.round(Number(bytes) / pods);
    const [own, indexes] = [each(sizes[0]?.own), each(sizes[0]?.indexes)];
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
      {
        what: `a row of pods, of ${name}, indexes included`,
        ours: `${own + indexes} B`,
        floor: '',
        result: `indexes ${indexes} B`,
        target: '',
        met: undefined,
      },
    ];
  } finally {
    await client.end();
  }
}
