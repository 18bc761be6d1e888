import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { connect } from 'node:net';
import type { Socket } from 'node:net';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { text } from 'node:stream/consumers';
import { after, before, test } from 'node:test';
import type { TestContext } from 'node:test';
import { Client } from 'pg';
import copy from 'pg-copy-streams';
import { listenAsPostgres } from '../../../src/commands/demo/embedded-postgres.ts';
import type { EmbeddedPostgres } from '../../../src/commands/demo/embedded-postgres.ts';
import { startSimulator } from '../../../src/simulator/simulator.ts';
import { serveSnapshot } from '../../support/snapshot-service.ts';
import { until } from '../../support/until.ts';

const IDLE_MS = 200;
let postgres: EmbeddedPostgres;
/** One that came before the database was there. */
let first: Client;

before(async () => {
  const listening = await listenAsPostgres(0, IDLE_MS);
  assert.ok(listening, '@electric-sql/pglite is an optional package, and the tests need it');
  postgres = listening;
  first = new Client({ connectionString: postgres.url });
  await first.connect();
  await postgres.ready;
});
after(async () => {
  await first.end();
  await postgres.close();
});

async function client(t: TestContext): Promise<Client> {
  const one = new Client({ connectionString: postgres.url });
  one.on('error', () => {}); // some are cut off on purpose
  await one.connect();
  t.after(async () => await one.end());
  return one;
}

test('who comes before the database is there waits for it', async () => {
  const { rows } = await first.query<{ version: string }>('SELECT version()');
  assert.match(rows[0]?.version ?? '', /^PostgreSQL \d+.* \(PGlite/);
});

test('the transactions of several clients do not get into each other', async (t) => {
  const clients = await Promise.all(Array.from({ length: 6 }, async () => await client(t)));
  await first.query('CREATE TABLE counter (n integer); INSERT INTO counter VALUES (0)');
  const add = async (one: Client, i: number): Promise<void> => {
    await one.query('BEGIN');
    // Without a lock: another one in between would lose an addition.
    const { rows } = await one.query<{ n: number }>('SELECT n FROM counter WHERE n >= $1', [0]);
    await one.query('CREATE TEMPORARY TABLE mine ON COMMIT DROP AS SELECT 1');
    await one.query('UPDATE counter SET n = $1', [(rows[0]?.n ?? 0) + 1]);
    await one.query(i % 3 === 0 ? 'ROLLBACK' : 'COMMIT');
  };
  await Promise.all(
    clients.map(async (one) => {
      for (let i = 0; i < 12; i++) await add(one, i);
    }),
  );
  const { rows } = await first.query<{ n: number }>('SELECT n FROM counter');
  assert.equal(rows[0]?.n, 6 * 8);
});

test('after an error a client goes on, in a transaction as Postgres has it', async (t) => {
  const one = await client(t);
  await assert.rejects(one.query('SELECT 1 / $1::integer', [0]), { code: '22012' });
  await one.query('BEGIN');
  await one.query('SAVEPOINT here');
  await assert.rejects(one.query('SELECT 1 / 0'), { code: '22012' });
  await assert.rejects(one.query('SELECT 1'), { code: '25P02' });
  await one.query('ROLLBACK TO here');
  assert.equal((await one.query('SELECT $1::text AS x', ['fine'])).rows[0].x, 'fine');
  await one.query('COMMIT');
});

test('COPY goes in and out, and one that fails leaves the client and the others well', async (t) => {
  const one = await client(t);
  await one.query('CREATE TABLE copied (id integer PRIMARY KEY, name text)');
  const copyIn = async (sql: string, lines: Iterable<string>) =>
    await pipeline(Readable.from(lines), one.query(copy.from(sql)));
  await one.query('BEGIN');
  await copyIn(
    '/* all */ COPY copied (id, name) FROM STDIN',
    Array.from({ length: 20_000 }, (_, i) => `${i}\tnumber ${i}\n`),
  );
  await one.query('COMMIT');
  const out = await text(one.query(copy.to('COPY (SELECT * FROM copied ORDER BY id LIMIT 2) TO STDOUT')));
  assert.equal(out, '0\tnumber 0\n1\tnumber 1\n');
  await assert.rejects(copyIn('COPY copied FROM STDIN', ['1\n']), { code: '22P04' });
  await assert.rejects(copyIn('COPY nowhere FROM STDIN', ['1\n']), { code: '42P01' });
  // Those that cannot be followed from outside would end the database.
  await assert.rejects(copyIn('SELECT 1; COPY copied FROM STDIN', ['1\tx\n']), { code: '0A000' });
  await assert.rejects(one.query({ text: 'COPY copied FROM STDIN', values: [], name: 'prepared' }), { code: '0A000' });
  const { rows } = await first.query<{ count: string }>("SELECT count(*), 'copy from stdin' AS not_a_copy FROM copied");
  assert.equal(rows[0]?.count, '20000');
});

test('a client that goes away in a transaction leaves nothing of it, nor of its session', async (t) => {
  await first.query('CREATE TABLE left_behind (n integer)');
  const one = new Client({ connectionString: postgres.url });
  one.on('error', () => {});
  await one.connect();
  await one.query("BEGIN; INSERT INTO left_behind VALUES (1); SET search_path = 'nowhere'");
  await one.query('SAVEPOINT here; PREPARE nothing AS SELECT 1');
  const other = await client(t);
  const waiting = other.query('SELECT * FROM left_behind');
  (one as unknown as { connection: { stream: Socket } }).connection.stream.destroy();
  assert.equal((await waiting).rowCount, 0);
  assert.equal((await first.query('SELECT FROM pg_prepared_statements')).rowCount, 0);
});

test('a transaction that stands still while others wait is ended', async (t) => {
  await first.query('CREATE TABLE awaited (n integer)');
  const slow = await client(t);
  const ended = once(slow, 'error');
  await slow.query('BEGIN');
  await slow.query('INSERT INTO awaited VALUES (1)');
  assert.equal((await (await client(t)).query('SELECT * FROM awaited')).rowCount, 0);
  assert.equal(((await ended)[0] as { code: string }).code, '25P03');
});

test('what is sent up to a Flush is answered, and belongs together with what follows', async (t) => {
  const other = await client(t);
  const socket = connect(postgres.port, '127.0.0.1');
  t.after(() => void socket.destroy());
  const number = (value: number, bytes: number): Buffer => {
    const buffer = Buffer.alloc(bytes);
    buffer.writeUIntBE(value, 0, bytes);
    return buffer;
  };
  const message = (type: string, body: Buffer): Buffer =>
    Buffer.concat([Buffer.from(type), number(body.length + 4, 4), body]);
  const received = async (type: string): Promise<void> => {
    let all = Buffer.alloc(0);
    for (;;) {
      all = Buffer.concat([all, ((await once(socket, 'data')) as [Buffer])[0]]);
      for (let at = 0; at + 5 <= all.length; at += 1 + all.readUInt32BE(at + 1)) {
        if (String.fromCharCode(all[at] ?? 0) === type) return;
      }
    }
  };
  // In two pieces, and with the question whether there is TLS before.
  socket.write(Buffer.concat([number(8, 4), number(80877103, 4)]));
  assert.equal(String((await once(socket, 'data'))[0]), 'N');
  const hello = Buffer.concat([number(0x30000, 4), Buffer.from('user\0postgres\0\0')]);
  const startup = Buffer.concat([number(hello.length + 4, 4), hello]);
  socket.write(startup.subarray(0, 6));
  await new Promise(setImmediate);
  socket.write(startup.subarray(6));
  await received('Z');
  const flush = message('H', Buffer.alloc(0));
  socket.write(Buffer.concat([message('P', Buffer.from('\0SELECT 41 + 1\0\0\0')), flush]));
  await received('1');
  // The unnamed statement of the others would take the place of this one's.
  const others = other.query('SELECT $1::text AS x', ['other']);
  socket.write(Buffer.concat([message('B', Buffer.from([0, 0, 0, 0, 0, 0, 0, 0])), flush]));
  await received('2');
  const execute = message('E', Buffer.alloc(5));
  socket.write(Buffer.concat([execute, message('S', Buffer.alloc(0))]));
  await received('Z');
  assert.equal((await others).rows[0].x, 'other');
});

test('what does not speak the protocol is sent away', async () => {
  for (const bytes of ['GET / HTTP/1.1\r\nHost: localhost\r\n\r\n', '\0\0\0\x08\0\0\0\0', '\0\0\0\x04\0\x03\0\0']) {
    const socket = connect(postgres.port, '127.0.0.1');
    socket.write(bytes);
    assert.equal(await text(socket), '');
  }
  assert.equal((await first.query('SELECT 1')).rowCount, 1);
});

const hasPsql = spawnSync('psql', ['--version']).status === 0;
test('psql finds its way', { skip: !hasPsql && 'there is no psql on this machine' }, async () => {
  await first.query('CREATE TABLE seen (n integer)');
  const child = spawn('psql', ['-X', postgres.url, '-c', '\\d seen', '-c', '\\copy seen from stdin'], {
    stdio: 'pipe',
  });
  child.stdin.end('1\n2\n');
  const [stdout, stderr] = await Promise.all([text(child.stdout), text(child.stderr), once(child, 'close')]);
  assert.deepEqual([child.exitCode, stderr], [0, '']);
  assert.match(stdout, /n +\| integer[^]*COPY 2/);
});

test('thousands of pods are written and read back as into any Postgres', async (t) => {
  const simulator = await startSimulator({ pods: 1_500, churn: 100 });
  t.after(async () => await simulator.close());
  const at = { PGHOST: '127.0.0.1', PGPORT: String(postgres.port), PGUSER: 'postgres', PGSSLMODE: 'disable' };
  await serveSnapshot(t, { K8S_API_SERVER: simulator.url, ...at });
  await until('there are rows', async () => (await first.query('SELECT FROM podwhois.pods LIMIT 1')).rowCount === 1);
  simulator.setChurn(0);
  const versions = (pods: Iterable<{ uid: string; resourceVersion: string }>): string[] =>
    [...pods].map(({ uid, resourceVersion }) => `${uid} ${resourceVersion}`).sort();
  await until('the table is the cluster', async () => {
    const { rows } = await first.query<{ uid: string; resourceVersion: string }>(
      'SELECT uid, resource_version AS "resourceVersion" FROM podwhois.pods',
    );
    const pods = simulator.cluster.store.objects.map(({ object: { metadata } }) => metadata);
    assert.deepEqual(versions(rows), versions(pods as { uid: string; resourceVersion: string }[]));
    return true;
  });
  const copied = await first.query<{ n: number }>('SELECT count(*)::int AS n FROM podwhois.pods');
  assert.ok((copied.rows[0]?.n ?? 0) > 1_000, 'by COPY');
});
