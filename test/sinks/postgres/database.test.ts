import assert from 'node:assert/strict';
import { once } from 'node:events';
import { writeFileSync, mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import { Session as Profiler } from 'node:inspector/promises';
import type { HeapProfiler } from 'node:inspector';
import { createServer as createTcpServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { after, before, test } from 'node:test';
import { setFlagsFromString } from 'node:v8';
import { setTimeout as sleep } from 'node:timers/promises';
import { accessOf } from '../../../src/sinks/postgres/access.ts';
import { advice } from '../../../src/sinks/postgres/advice.ts';
import { Database, TIME_LIMITS } from '../../../src/sinks/postgres/database.ts';
import type { TimeLimits } from '../../../src/sinks/postgres/database.ts';
import { classify, sqlState } from '../../../src/sinks/postgres/error-class.ts';
import { freePorts } from '../../support/free-ports.ts';
import { startPostgres } from '../../support/real-postgres.ts';
import type { RealPostgres } from '../../support/real-postgres.ts';
import { TcpProxy } from '../../support/tcp-proxy.ts';

let postgres: RealPostgres;
before(async () => void (postgres = await startPostgres({ unix_socket_directories: tmpdir() })));
after(async () => await postgres.down());

const silent = { info: () => {}, warn: () => {}, error: () => {} };

function open(environment: Readonly<Record<string, string>> = {}, limits: Partial<TimeLimits> = {}): Database {
  const access = accessOf(postgres.settings(environment));
  return new Database({ access, poolSize: 1, log: silent, limits: { ...TIME_LIMITS, ...limits } });
}

const failure = async (work: Promise<unknown>): Promise<unknown> =>
  await work.then(
    () => assert.fail('it should have failed'),
    (error: unknown) => error,
  );

test('a transaction commits when its work is done, and nothing of it is there when it fails', async () => {
  const database = open();
  await postgres.query('CREATE TABLE commits (n int)');
  try {
    assert.equal(
      await database.transaction(async (session) => await session.write('INSERT INTO commits VALUES (1)')),
      1,
    );
    const planted = new Error('planted');
    const error = await failure(
      database.transaction(async (session) => {
        await session.write('INSERT INTO commits VALUES (2)');
        throw planted;
      }),
    );
    assert.equal(error, planted);
    const rows = await database.transaction(async (session) => await session.query('SELECT n FROM commits'));
    assert.deepEqual(rows, [{ n: 1 }]);
  } finally {
    await database.close();
  }
});

test('what reads sees one moment in all statements of a transaction, and cannot write', async () => {
  const access = accessOf(postgres.settings());
  const database = new Database({ access, poolSize: 1, log: silent, snapshot: true });
  await postgres.query('CREATE TABLE moments (n int)');
  try {
    await database.transaction(async (session) => {
      assert.deepEqual(await session.query('SELECT n FROM moments'), []);
      await postgres.query('INSERT INTO moments VALUES (1)');
      assert.deepEqual(await session.query('SELECT n FROM moments'), []);
    });
    const error = await failure(database.transaction(async (session) => await session.write('DELETE FROM moments')));
    assert.equal(sqlState(error), '25006');
  } finally {
    await database.close();
  }
});

test('a socket of this machine has no TLS, whatever PGSSLMODE asks for, as libpq has it', async () => {
  const database = open({ PGHOST: tmpdir(), PGSSLMODE: 'require' });
  try {
    assert.equal((await database.transaction(async (session) => await session.query('SELECT 1'))).length, 1);
  } finally {
    await database.close();
  }
});

test('the limits of faults.md, where no others are given: connect 5 s, query 15 s, statement 10 s, idle in a transaction 15 s', async () => {
  assert.deepEqual(TIME_LIMITS, { connect: 5_000, query: 15_000, statement: 10_000, idleInTransaction: 15_000 });
  const database = new Database({ access: accessOf(postgres.settings()), poolSize: 1, log: silent });
  try {
    const [limits] = await database.transaction(
      async (session) =>
        await session.query(
          `SELECT current_setting('statement_timeout') AS statement, current_setting('idle_in_transaction_session_timeout') AS idle`,
        ),
    );
    assert.deepEqual(limits, { statement: '10s', idle: '15s' });
  } finally {
    await database.close();
  }
});

test('half-open: a server that goes silent is given up after the time limit, and the next connection is a new one', async () => {
  const proxy = await TcpProxy.to(postgres.port);
  const database = open({ PGPORT: String(proxy.port) }, { query: 300, connect: 300 });
  try {
    await database.transaction(async (session) => await session.query('SELECT 1'));
    proxy.blackHole = true;
    const error = await failure(database.transaction(async (session) => await session.query('SELECT 1')));
    assert.equal(classify(error), 'connection');
    assert.match(String(error), /no answer within 300 ms/);
    // Nor does a new connection wait for ever.
    assert.equal(
      classify(await failure(database.transaction(async (session) => await session.query('SELECT 1')))),
      'connection',
    );
    proxy.blackHole = false;
    proxy.cut();
    assert.equal((await database.transaction(async (session) => await session.query('SELECT 1'))).length, 1);
    assert.ok(proxy.connections >= 3);
  } finally {
    await database.close();
    await proxy.close();
  }
});

test('half-open in the middle of a COPY: it is given up, and nothing of it is there', async () => {
  const proxy = await TcpProxy.to(postgres.port);
  const database = open({ PGPORT: String(proxy.port) }, { query: 300 });
  await postgres.query('CREATE TABLE copied (n int)');
  try {
    const error = await failure(
      database.transaction(async (session) => {
        proxy.blackHole = true;
        await session.copyIn('COPY copied FROM STDIN', Readable.from(['1\n', '2\n']));
      }),
    );
    assert.equal(classify(error), 'connection');
    assert.match(String(error), /no answer within 300 ms/);
    proxy.blackHole = false;
    proxy.cut();
    assert.deepEqual(await postgres.query('SELECT * FROM copied'), []);
    await database.transaction(
      async (session) => await session.copyIn('COPY copied FROM STDIN', Readable.from(['7\n'])),
    );
    assert.deepEqual(await postgres.query('SELECT * FROM copied'), [{ n: 7 }]);
  } finally {
    await database.close();
    await proxy.close();
  }
});

test('the time limit of a COPY ends with it: the connection is used on', async () => {
  const database = open({}, { query: 300 });
  await postgres.query('CREATE TABLE twice (n int)');
  const pid = async (): Promise<unknown> =>
    await database.transaction(async (session) => {
      await session.copyIn('COPY twice FROM STDIN', Readable.from(['1\n']));
      const [row] = await session.query('SELECT pg_backend_pid() AS pid');
      return row?.['pid'];
    });
  try {
    const first = await pid();
    await sleep(500);
    assert.equal(await pid(), first);
  } finally {
    await database.close();
  }
});

test('statement timeout 57014: the server ends a statement that takes too long', async () => {
  const database = open({}, { statement: 200 });
  try {
    const error = await failure(database.transaction(async (session) => await session.query('SELECT pg_sleep(5)')));
    assert.equal(sqlState(error), '57014');
    assert.equal(classify(error), 'timeout');
  } finally {
    await database.close();
  }
});

test('a transaction that stands still is ended by the server, so that a frozen process holds no lock', async () => {
  const database = open({}, { idleInTransaction: 100 });
  try {
    const error = await failure(
      database.transaction(async (session) => {
        await session.query('SELECT 1');
        await sleep(400);
        await session.query('SELECT 1');
      }),
    );
    assert.equal(classify(error), 'connection');
  } finally {
    await database.close();
  }
});

test('password 28P01: it is read from its file with every connection, so that a new one is believed', async () => {
  const dir = mkdtempSync(join(tmpdir(), 'podwhois-password-'));
  const file = join(dir, 'password');
  writeFileSync(file, 'wrong\n');
  const database = open({ PGPASSWORD: '', PGPASSWORD_FILE: file });
  try {
    const error = await failure(database.transaction(async (session) => await session.query('SELECT 1')));
    assert.equal(sqlState(error), '28P01');
    assert.equal(classify(error), 'setup');
    writeFileSync(file, `${postgres.password}\n`);
    assert.equal((await database.transaction(async (session) => await session.query('SELECT 1'))).length, 1);
  } finally {
    await database.close();
    rmSync(dir, { recursive: true });
  }
});

test('what is wrong with the settings is told by their names, whatever pg makes of it', async () => {
  for (const [environment, name] of [
    [{ PGSSLMODE: 'require' }, /PGSSLMODE=disable/],
    [{ PGPASSWORD: '' }, /set PGPASSWORD, PGPASSWORD_FILE/],
    [{ PGPASSWORD: '', PGPASSWORD_FILE: '/nope' }, /^see PGPASSWORD_FILE$/],
    [{ PGPASSWORD: 'wrong' }, /PGUSER, and PGPASSWORD,/],
    [{ PGUSER: 'nobody-here' }, /PGUSER, and PGPASSWORD,/],
  ] as const) {
    const database = open(environment);
    const error = await failure(database.transaction(async (session) => await session.query('SELECT 1')));
    assert.match(advice(error) ?? '', name);
    assert.equal(classify(error), 'setup');
    await database.close();
  }
  const [port = 0] = await freePorts(1);
  const database = open({ PGHOST: 'localhost', PGPORT: String(port) });
  const error = await failure(database.transaction(async (session) => await session.query('SELECT 1')));
  assert.match(advice(error) ?? '', /PGHOST and PGPORT/);
  await database.close();
});

test('what listens there and is no Postgres is told by the settings that lead there', async () => {
  const other = createServer((_request, response) => response.end()).listen(0, '127.0.0.1');
  await once(other, 'listening');
  const { port } = other.address() as AddressInfo;
  try {
    for (const mode of ['disable', 'require']) {
      const database = open({ PGHOST: '127.0.0.1', PGPORT: String(port), PGSSLMODE: mode });
      const error = await failure(database.transaction(async (session) => await session.query('SELECT 1')));
      assert.match(advice(error) ?? '', /no Postgres to be reached: see PGHOST and PGPORT/, mode);
      assert.equal(classify(error), 'connection');
      await database.close();
    }
  } finally {
    other.close();
  }
});

test('a server that goes in the moment in which a connection begins ends no process', async () => {
  const message = (type: string, body: Buffer): Buffer => {
    const head = Buffer.from(`${type}....`);
    head.writeInt32BE(body.length + 4, 1);
    return Buffer.concat([head, body]);
  };
  const goes = Buffer.concat([
    message('R', Buffer.alloc(4)),
    message('Z', Buffer.from('I')),
    message('E', Buffer.from('SFATAL\0VFATAL\0C57P01\0Mterminating connection due to administrator command\0\0')),
  ]);
  const server = createTcpServer((socket) => {
    socket.on('error', () => {});
    // All at once, as it is where many connections begin when it is told to go.
    socket.once('data', () => socket.end(goes));
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const database = open({ PGHOST: '127.0.0.1', PGPORT: String(port), PGSSLMODE: 'disable' });
  try {
    const error = await failure(database.transaction(async (session) => await session.query('SELECT 1')));
    assert.equal(classify(error), 'connection');
  } finally {
    await database.close();
    server.close();
  }
});

test('after one connection has broken the others are not used again: a failover breaks all', async () => {
  const access = accessOf(postgres.settings());
  const database = new Database({ access, poolSize: 2, log: silent });
  const pid = async (): Promise<unknown> =>
    await database.transaction(async (session) => (await session.query('SELECT pg_backend_pid() AS pid'))[0]?.['pid']);
  try {
    const both = await Promise.all([pid(), pid()]);
    await failure(
      database.transaction(async (session) => await session.query('SELECT pg_terminate_backend(pg_backend_pid())')),
    );
    assert.ok(!both.includes(await pid()));
  } finally {
    await database.close();
  }
});

test('what was read is gone with the next short collection of garbage: dead statements hold no rows', async () => {
  const database = open();
  // 5 KB a row.
  const columns = Array.from({ length: 20 }, (_, i) => `repeat('x', 200) || g || $1 AS c${i}`);
  const read = async (times: number): Promise<void> => {
    for (let i = 0; i < times; i++) {
      await database.transaction(async (session) => {
        const rows = await session.query(`SELECT ${columns.join(', ')} FROM generate_series(1, 200) AS g`, ['y']);
        assert.equal(rows.length, 200);
      });
    }
  };
  // As in the image: V8 would make rows old from the beginning, now and then.
  setFlagsFromString('--no-allocation-site-pretenuring');
  const profiler = new Profiler();
  profiler.connect();
  try {
    await read(20);
    await profiler.post('HeapProfiler.enable');
    // Of what is allocated from here on: that which outlives the collections of the young generation.
    await profiler.post('HeapProfiler.startSampling', {
      samplingInterval: 32_768,
      includeObjectsCollectedByMajorGC: true,
    });
    await read(100);
    const { profile } = await profiler.post('HeapProfiler.stopSampling');
    const mb = bytesOf(profile.head) / 2 ** 20;
    assert.ok(mb < 40, `${mb.toFixed(0)} MB of 100 have outlived it`);
  } finally {
    profiler.disconnect();
    await database.close();
  }
});

const bytesOf = ({ selfSize, children }: HeapProfiler.SamplingHeapProfileNode): number =>
  children.reduce((sum, child) => sum + bytesOf(child), selfSize);
