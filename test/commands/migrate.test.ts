import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { MIGRATIONS } from '../../src/sinks/postgres/migrations.ts';
import { podwhois } from '../support/cli.ts';
import { startPostgres } from '../support/real-postgres.ts';
import type { RealPostgres } from '../support/real-postgres.ts';

let postgres: RealPostgres;
before(async () => void (postgres = await startPostgres()));
after(async () => await postgres?.down());

test('migrate makes the schema and says so; a second time there is nothing to do', async () => {
  const environment = postgres.environment({ PODWHOIS_SCHEMA: 'own' });
  const where = `schema own of postgres@127.0.0.1:${postgres.port}/postgres\n`;
  const made = MIGRATIONS.map(({ name }) => name).join(', ');
  assert.deepEqual(await podwhois(['migrate'], { environment }), {
    code: 0,
    stdout: `made ${made}: ${where}`,
    stderr: '',
  });
  assert.deepEqual(await podwhois(['migrate'], { environment }), {
    code: 0,
    stdout: `nothing to do: ${where}`,
    stderr: '',
  });
});

test('migrate says what keeps it from Postgres, with the setting to change, no stack and no password, and exits with 1', async () => {
  const refused = await podwhois(['migrate'], { environment: postgres.environment({ PGPASSWORD: 'hush-hush' }) });
  assert.deepEqual([refused.code, refused.stdout], [1, '']);
  assert.match(refused.stderr, /^podwhois: schema podwhois of .*password authentication failed.*PGPASSWORD.*\n$/);
  assert.doesNotMatch(refused.stderr, /hush-hush/);
  const nobody = await podwhois(['migrate'], { environment: postgres.environment({ PGPORT: '1' }) });
  assert.deepEqual([nobody.code, nobody.stdout], [1, '']);
  assert.match(nobody.stderr, /^podwhois: schema podwhois of .*ECONNREFUSED.*\n$/);
});

test('tables that somebody has dropped are made again when their rows of migrations are deleted, as docs/postgres.md says', async () => {
  const environment = postgres.environment({ PODWHOIS_SCHEMA: 'dropped' });
  await podwhois(['migrate'], { environment });
  for (const [dropped, changes] of [
    ['TABLE dropped.leases', ['leases']],
    ['TABLE dropped.pods', ['pods', 'pods_by_ip_indexed', 'pods_by_ip_unanswered']],
    ['TABLE dropped.unanswered', ['unanswered', 'pods_by_ip_unanswered']],
    ['VIEW dropped.pods_by_ip', ['pods_by_ip_unanswered']],
    ['TABLE dropped.ip_history, dropped.ip_history_watched', ['ip_history']],
  ] as const) {
    await postgres.query(`DROP ${dropped} CASCADE`);
    await postgres.query('DELETE FROM dropped.migrations WHERE name = ANY($1)', [changes]);
    const { stdout } = await podwhois(['migrate'], { environment });
    assert.match(stdout, new RegExp(`^made ${changes.join(', ')}: `));
  }
  const there = await postgres.query(
    "SELECT FROM pg_class WHERE relnamespace = 'dropped'::regnamespace AND relkind IN ('r', 'v')",
  );
  assert.equal(there.length, 7);
});

test('migrate leaves a schema alone that a later version has made, and exits with 1', async () => {
  const environment = postgres.environment({ PODWHOIS_SCHEMA: 'later' });
  await podwhois(['migrate'], { environment });
  await postgres.query(`INSERT INTO later.migrations (id, name) VALUES (1000, 'of tomorrow')`);
  const { code, stderr } = await podwhois(['migrate'], { environment });
  assert.equal(code, 1);
  assert.match(stderr, /the schema later is at change 1000/);
});
