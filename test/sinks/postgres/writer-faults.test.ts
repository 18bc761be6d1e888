import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { after, before, test } from 'node:test';
import type { TestContext } from 'node:test';
import type { ErrorClass } from '../../../src/sinks/postgres/error-class.ts';
import { startPostgres } from '../../support/real-postgres.ts';
import type { RealPostgres } from '../../support/real-postgres.ts';
import { TcpProxy } from '../../support/tcp-proxy.ts';
import { until } from '../../support/until.ts';
import { createTable, MapTruth, startStage } from './mirrored-table.ts';

// The rows of faults.md, "Postgres writers", on a real server.

let postgres: RealPostgres;
before(async () => void (postgres = await startPostgres()));
after(async () => await postgres.down());

/** 1,500 rows: so many that they go by COPY. */
function many(truth: MapTruth, value: string, count = 1_500): void {
  for (let i = 0; i < count; i++) truth.set(`key-${i}`, value);
}

test('down at start, long outage: on its return the table is compared once, deletions made meanwhile appear', async (t) => {
  const stage = await startStage(t, postgres);
  const { truth, writer } = stage;
  many(truth, 'first');
  await stage.settled();
  await postgres.stop('SIGKILL');
  many(truth, 'second', 1_000);
  for (let i = 1_000; i < 1_400; i++) truth.delete(`key-${i}`);
  await until('the outage is noticed', () => writer.counts.failures.connection > 0);
  const { comparisons } = writer.counts;
  await postgres.start();
  await stage.settled();
  assert.equal(writer.counts.comparisons, comparisons + 1);
});

test('long outage: what came and went meanwhile is not remembered without bound, and then everything is compared', async (t) => {
  const proxy = await TcpProxy.to(postgres.port);
  t.after(async () => await proxy.close());
  const stage = await startStage(t, postgres, { environment: { PGPORT: String(proxy.port) }, limits: { query: 300 } });
  const { truth, writer } = stage;
  truth.set('a', '1');
  await stage.settled();
  const { comparisons } = writer.counts;
  proxy.blackHole = true;
  let most = 0;
  // In one turn: nobody has noticed the outage yet.
  for (let i = 0; i < 50_000; i++) {
    truth.set(`passing-${i}`, 'x');
    truth.delete(`passing-${i}`);
    most = Math.max(most, writer.dirty);
  }
  assert.ok(most > 1_000 && most <= 2 * 2 + 10_000, `${most} are remembered`);
  await until('the outage is noticed', () => writer.counts.failures.connection > 0);
  proxy.blackHole = false;
  proxy.cut();
  await until('all is compared', () => writer.counts.comparisons > comparisons);
  await stage.settled();
});

test('down at start: the writer waits, and writes when the server is there', async (t) => {
  const proxy = await TcpProxy.to(postgres.port);
  t.after(async () => await proxy.close());
  proxy.blackHole = true;
  const stage = await startStage(t, postgres, {
    environment: { PGPORT: String(proxy.port) },
    limits: { connect: 200 },
  });
  stage.truth.set('a', '1');
  await until('it has tried', () => stage.writer.counts.failures.connection > 0);
  assert.equal(stage.writer.lagMs(), Infinity);
  proxy.blackHole = false;
  proxy.cut();
  await stage.settled();
});

test('dies in a transaction, before the commit is acknowledged: the outcome is read back, wherever it is cut', async (t) => {
  const proxy = await TcpProxy.to(postgres.port);
  t.after(async () => await proxy.close());
  const stage = await startStage(t, postgres, { environment: { PGPORT: String(proxy.port) } });
  many(stage.truth, 'start');
  await stage.settled();
  for (const [round, bytes] of [50, 200, 400, 800, 1_600, 20_000, 40_000, 55_000].entries()) {
    proxy.cutAfter = bytes;
    many(stage.truth, `round ${round}`);
    stage.truth.delete(`key-${1_499 - round}`);
    await until('the connection was cut', () => proxy.cutAfter === Infinity);
    await stage.settled();
  }
});

test('a commit that was done and whose acknowledgement was lost is not taken for one that was not', async (t) => {
  const proxy = await TcpProxy.to(postgres.port);
  t.after(async () => await proxy.close());
  const stage = await startStage(t, postgres, { environment: { PGPORT: String(proxy.port) }, limits: { query: 400 } });
  stage.truth.set('a', '1');
  await stage.settled();
  const { comparisons } = stage.writer.counts;
  proxy.deaf = 'COMMIT\0'; // not READ COMMITTED
  stage.truth.set('a', '2');
  await stage.settled(); // committed, and the writer has not heard of it
  await until('it is in doubt', () => stage.writer.counts.failures.connection > 0);
  stage.truth.set('a', '3');
  proxy.deaf = undefined;
  proxy.cut();
  await stage.settled();
  assert.ok(stage.writer.counts.comparisons > comparisons);
});

test('half-open connection: a silent server is left after the time limit, and the table follows by a new connection', async (t) => {
  const proxy = await TcpProxy.to(postgres.port);
  t.after(async () => await proxy.close());
  const stage = await startStage(t, postgres, {
    environment: { PGPORT: String(proxy.port) },
    limits: { query: 300, connect: 300 },
  });
  stage.truth.set('a', '1');
  await stage.settled();
  proxy.blackHole = true;
  stage.truth.set('a', '2');
  await until('it has given up', () => stage.writer.counts.failures.connection > 1);
  proxy.blackHole = false;
  await stage.settled();
});

test('failover, read-only standby (25006): the connection is dropped, and writing goes on when the server may be written', async (t) => {
  const stage = await startStage(t, postgres);
  stage.truth.set('a', '1');
  await stage.settled();
  // What a standby says, for every new transaction of whoever connects.
  await postgres.query('ALTER SYSTEM SET default_transaction_read_only = on');
  await postgres.query('SELECT pg_reload_conf()');
  try {
    stage.truth.set('a', '2');
    await until('it was refused', () => stage.writer.counts.failures['read-only'] > 0);
  } finally {
    await postgres.query('ALTER SYSTEM RESET default_transaction_read_only');
    await postgres.query('SELECT pg_reload_conf()');
  }
  await stage.settled();
});

test('failover while the connections are idle: what the new server does not have is written again', async (t) => {
  const proxy = await TcpProxy.to(postgres.port);
  t.after(async () => await proxy.close());
  const stage = await startStage(t, postgres, { environment: { PGPORT: String(proxy.port) } });
  stage.truth.set('a', '1');
  await stage.settled();
  const { comparisons } = stage.writer.counts;
  await postgres.query(`DELETE FROM ${stage.schema}.mirrored`);
  proxy.cut();
  await stage.settled();
  assert.equal(stage.writer.counts.comparisons, comparisons + 1);
});

test('a role whose transactions are serializable by default: the lease that is renewed during a long flush is no conflict', async (t) => {
  const schema = postgres.schema();
  await postgres.query(
    `CREATE ROLE ${schema} LOGIN SUPERUSER PASSWORD 'x'; ALTER ROLE ${schema} SET default_transaction_isolation = serializable`,
  );
  const expiry = async (): Promise<unknown> =>
    (await postgres.query(`SELECT epoch || ' ' || expires_at AS it FROM ${schema}.leases`))[0]?.['it'];
  const stage = await startStage(t, postgres, {
    schema,
    ttlMs: 600,
    environment: { PGUSER: schema, PGPASSWORD: 'x' },
    seen: (target) => ({
      ...target,
      ready: true,
      async flush(session, groups, manner) {
        await session.query(`SELECT 1 FROM ${schema}.leases`);
        const before = await expiry();
        await until('the lease is renewed', async () => (await expiry()) !== before);
        return await target.flush(session, groups, manner);
      },
    }),
  });
  stage.truth.set('a', '1');
  await stage.settled();
  assert.equal(stage.writer.counts.failures.conflict, 0);
});

test('no right to temporary tables: arrays do it too, in whichever language the server says so', async (t) => {
  const refusal = 'keine Berechtigung, um temporäre Tabellen in Datenbank »podwhois« zu erzeugen';
  const stage = await startStage(t, postgres, {
    seen: (target) => ({
      ...target,
      ready: true,
      flush: async (session, groups, manner) =>
        await target.flush(
          {
            ...session,
            write: async (sql, values) =>
              sql.startsWith('CREATE TEMPORARY')
                ? await Promise.reject(Object.assign(new Error(refusal), { code: '42501' }))
                : await session.write(sql, values),
          },
          groups,
          manner,
        ),
    }),
  });
  many(stage.truth, 'value');
  await stage.settled();
  assert.ok(stage.logged.some(({ message }) => /there are no temporary tables here/.test(message)));
});

test('a trigger that refuses rows: they are set aside, the others are written, and the log names no more than some', async (t) => {
  const schema = postgres.schema();
  await createTable(postgres, schema);
  await postgres.query(
    `CREATE FUNCTION ${schema}.refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'not wanted'; END $$;
     CREATE TRIGGER refuse BEFORE INSERT ON ${schema}.mirrored FOR EACH ROW WHEN (NEW.value = 'bad') EXECUTE FUNCTION ${schema}.refuse()`,
  );
  const truth = new MapTruth();
  many(truth, 'good', 50);
  for (let i = 0; i < 25; i++) truth.set(`bad-${i}`, 'bad');
  const stage = await startStage(t, postgres, { schema, truth });
  await until('they are set aside', () => stage.writer.quarantined.size === 25);
  assert.equal((await stage.table()).length, 50);
  const said = stage.logged.filter(({ message }) => message.startsWith('Postgres does not take'));
  assert.deepEqual([said.length, said.at(-1)?.fields], [11, { table: 'mirrored', rows: 15 }]);
});

test('doubt that is raised during a comparison: it is made again before anything is claimed', async (t) => {
  let compared = 0;
  const claimedAfter: number[] = [];
  const truth = new MapTruth();
  truth.set('a', '1');
  const stage = await startStage(t, postgres, {
    truth,
    seen: (table) => ({
      ...table,
      ready: true,
      size: 1,
      // The feed was overrun meanwhile.
      changed: () => (compared === 1 ? 'all' : table.changed()),
      async compare(session) {
        const found = await table.compare(session);
        compared++;
        return found;
      },
      claim: () => async () => await Promise.resolve(void claimedAfter.push(compared)),
    }),
  });
  await stage.settled();
  assert.equal(claimedAfter[0], 2);
});

/** Every flush fails with the code, as the server would fail it, until that is taken away. */
async function failing(t: TestContext, code: string, failure: ErrorClass, mostTries: number): Promise<void> {
  const stage = await startStage(t, postgres);
  stage.truth.set('a', '1');
  await stage.settled();
  const planted = await plant(stage.schema, code);
  stage.truth.set('a', '2');
  stage.truth.set('b', '1');
  await until('it has failed', () => stage.writer.counts.failures[failure] > 0);
  await sleep(300);
  assert.ok(stage.writer.counts.failures[failure] <= mostTries, 'no tight loop');
  await planted.remove();
  await stage.settled();
}

test('disk full 53100: it stops, tries again after seconds, and nothing is lost', async (t) => {
  await failing(t, '53100', 'full', 1);
});

test('too many connections 53300: it stops, tries again after seconds, and nothing is lost', async (t) => {
  await failing(t, '53300', 'full', 1);
});

test('serialization 40001: the whole transaction is made again, without haste', async (t) => {
  await failing(t, '40001', 'conflict', 8);
});

test('deadlock 40P01 again and again: the whole transaction is made again, without haste', async (t) => {
  await failing(t, '40P01', 'conflict', 8);
});

/** A trigger that fails every statement with a code, as the server would. */
async function plant(schema: string, code: string): Promise<{ remove(): Promise<void> }> {
  await postgres.query(
    `CREATE OR REPLACE FUNCTION ${schema}.fail() RETURNS trigger LANGUAGE plpgsql AS $$
     BEGIN RAISE EXCEPTION 'planted' USING ERRCODE = '${code}'; END $$;
     CREATE TRIGGER planted BEFORE INSERT OR UPDATE ON ${schema}.mirrored FOR EACH ROW EXECUTE FUNCTION ${schema}.fail()`,
  );
  return { remove: async () => void (await postgres.query(`DROP TRIGGER planted ON ${schema}.mirrored`)) };
}

test('deadlock 40P01, a real one: the whole transaction is made again', async (t) => {
  const stage = await startStage(t, postgres);
  stage.truth.set('a', '1');
  stage.truth.set('b', '1');
  await stage.settled();
  // Somebody else locks b, and a once the writer, who locks in the order of the keys, has that and waits for b.
  const table = `${stage.schema}.mirrored`;
  const other = postgres.query(
    `BEGIN; SET deadlock_timeout = '60s'; SELECT 1 FROM ${table} WHERE key = 'b' FOR UPDATE;
     DO $$ BEGIN WHILE NOT EXISTS (SELECT FROM pg_locks WHERE NOT granted) LOOP PERFORM pg_sleep(0.02); END LOOP; END $$;
     SELECT 1 FROM ${table} WHERE key = 'a' FOR UPDATE; COMMIT`,
  );
  const asleep = `SELECT FROM pg_stat_activity WHERE wait_event = 'PgSleep' AND query LIKE '%${table}%'`;
  await until('b is locked', async () => (await postgres.query(asleep)).length > 0);
  stage.truth.set('a', '2');
  stage.truth.set('b', '2');
  await other;
  await stage.settled();
  assert.equal(stage.writer.counts.failures.conflict, 1);
});

test('statement timeout 57014: the batch is halved until it fits, and grows back', async (t) => {
  const truth = new MapTruth();
  many(truth, 'first', 200);
  const schema = postgres.schema();
  const stage = await startStage(t, postgres, { schema, truth, limits: { statement: 500 } });
  await stage.settled();
  // Five milliseconds a row: 200 at once take too long, 50 do not.
  await postgres.query(
    `CREATE FUNCTION ${schema}.dawdle() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(0.005); RETURN NEW; END $$;
     CREATE TRIGGER dawdle BEFORE INSERT OR UPDATE ON ${schema}.mirrored FOR EACH ROW EXECUTE FUNCTION ${schema}.dawdle()`,
  );
  many(truth, 'second', 200);
  await stage.settled();
  assert.ok(stage.writer.counts.failures.timeout > 0);
});

test('table missing 42P01 and permission 42501: no crash loop, the fix is logged once, and it goes on when it is there', async (t) => {
  const stage = await startStage(t, postgres);
  stage.truth.set('a', '1');
  await stage.settled();
  await postgres.query(`ALTER TABLE ${stage.schema}.mirrored RENAME TO elsewhere`);
  stage.truth.set('a', '2');
  await until('it has tried twice', () => stage.writer.counts.failures.setup > 1);
  const said = stage.logged.filter(
    ({ fields }) => 'advice' in fields && String(fields.advice).includes('podwhois migrate'),
  );
  assert.equal(said.length, 1);
  // It has asked for its lease anew, and nobody else had it: nothing has begun.
  assert.equal(stage.logged.filter(({ message }) => message === 'this process writes the table now').length, 1);
  // Since the first one: what succeeds in between, schema and lease, is not what it is for.
  assert.ok(stage.writer.failingMs() > 1_000);
  await postgres.query(`ALTER TABLE ${stage.schema}.elsewhere RENAME TO mirrored`);
  await stage.settled();
  await until('nothing fails any more', () => stage.writer.failingMs() === 0);
});

test('password 28P01: it is tried again, and the fix is logged', async (t) => {
  await postgres.query(`CREATE ROLE changing LOGIN SUPERUSER PASSWORD 'later'`);
  const stage = await startStage(t, postgres, { environment: { PGUSER: 'changing', PGPASSWORD: 'now' } });
  stage.truth.set('a', '1');
  await until('it was refused', () => stage.writer.counts.failures.setup > 0);
  assert.ok(stage.logged.some(({ fields }) => 'advice' in fields && String(fields.advice).includes('PGPASSWORD_FILE')));
  await postgres.query(`ALTER ROLE changing PASSWORD 'now'`);
  await stage.settled();
});

test('one poisonous value (NUL byte, too long): it is set aside with its reason, and the others are written', async (t) => {
  const stage = await startStage(t, postgres);
  many(stage.truth, 'good');
  stage.truth.set('key-700', 'NUL \u0000 byte');
  stage.truth.set('key-900', 'x'.repeat(101));
  await until('both are found', () => stage.writer.quarantined.size === 2);
  const rows = await stage.table();
  assert.equal(rows.length, 1_498);
  assert.match(stage.writer.quarantined.get('key-900') ?? '', /too long/);
  // It goes on, and takes the row when it is well.
  stage.truth.set('key-1', 'better');
  stage.truth.set('key-700', 'well');
  stage.truth.set('key-900', 'well');
  await stage.settled();
  assert.equal(stage.writer.quarantined.size, 0);
});

test('while a row is set aside nothing is claimed of the table, and it is not called fresh', async (t) => {
  let claims = 0;
  const claim = () => async () => await Promise.resolve(void claims++);
  const stage = await startStage(t, postgres, {
    ttlMs: 60_000,
    seen: (target) => ({ ...target, ready: true, size: 3, claim }),
  });
  const flushedAt = async (): Promise<unknown> =>
    (await postgres.query(`SELECT flushed_at FROM ${stage.schema}.leases`))[0]?.['flushed_at'];
  stage.truth.set('a', '1');
  await stage.settled();
  const before = await flushedAt();
  stage.truth.set('b', 'x'.repeat(101));
  await until('it is set aside', () => stage.writer.quarantined.size === 1);
  const claimed = claims;
  stage.truth.set('a', '2');
  await until('others are written', async () => (await stage.table())[0]?.[1] === '2');
  assert.deepEqual([claims, await flushedAt()], [claimed, before]);
  stage.truth.set('b', 'well');
  await stage.settled();
  await until('it is claimed', () => claims > claimed);
  assert.notDeepEqual(await flushedAt(), before);
});

test('two replicas write: only the one with the lease does, and the other follows when it has gone', async (t) => {
  const schema = postgres.schema();
  const first = await startStage(t, postgres, { schema });
  first.truth.set('a', 'of the first');
  await first.settled();
  const second = await startStage(t, postgres, { schema });
  second.truth.set('a', 'of the second');
  second.truth.set('b', 'of the second');
  await sleep(1_000);
  assert.equal(second.writer.leading, false);
  assert.deepEqual(await first.table(), [['a', 'of the first']]);
  await first.stop();
  await second.settled();
  assert.equal(second.writer.leading, true);
});

/** Resolves when nobody else can use the table any more, for so long. */
async function holdTable(schema: string, seconds: number): Promise<{ readonly released: Promise<unknown> }> {
  const table = `${schema}.mirrored`;
  const released = postgres.query(`BEGIN; LOCK TABLE ${table}; SELECT pg_sleep(${seconds}); COMMIT`);
  const held = `SELECT FROM pg_locks WHERE relation = '${table}'::regclass AND mode = 'AccessExclusiveLock' AND granted`;
  await until('the table is held', async () => (await postgres.query(held)).length > 0, { everyMs: 5 });
  return { released };
}

test('a comparison or a flush that takes longer than the lease keeps it', async (t) => {
  const schema = postgres.schema();
  const truth = new MapTruth();
  many(truth, 'first');
  const groups = truth.groups.bind(truth);
  truth.groups = async function* () {
    await sleep(2_000);
    yield* groups();
  };
  const first = await startStage(t, postgres, { schema, truth, ttlMs: 1_200 });
  await until('the first leads', () => first.writer.leading);
  const second = await startStage(t, postgres, { schema, ttlMs: 1_200 });
  await first.settled();
  // What is staged waits for this, before it enters.
  const lock = await holdTable(schema, 2);
  many(truth, 'second');
  await lock.released;
  await first.settled();
  assert.equal(first.writer.counts.flushes, 2);
  const changes = [first, second]
    .flatMap(({ logged }) => logged)
    .filter(({ message }) => /process writes/.test(message));
  assert.equal(changes.length, 1);
});

test('a standby that waited in vain for the lease writes as much at once as ever', async (t) => {
  const schema = postgres.schema();
  await createTable(postgres, schema);
  const truth = new MapTruth();
  many(truth, 'x');
  await postgres.query(
    `CREATE TABLE ${schema}.statements (); CREATE FUNCTION ${schema}.count() RETURNS trigger LANGUAGE plpgsql AS $$
     BEGIN INSERT INTO ${schema}.statements DEFAULT VALUES; RETURN NULL; END $$;
     CREATE TRIGGER counted AFTER INSERT ON ${schema}.mirrored FOR EACH STATEMENT EXECUTE FUNCTION ${schema}.count()`,
  );
  // Whoever reads the table waits for this, longer than a statement may take.
  const lock = await holdTable(schema, 2.5);
  const stage = await startStage(t, postgres, { schema, truth, limits: { statement: 500 } });
  await until('it has waited in vain', () => stage.writer.counts.failures.timeout > 1);
  await lock.released;
  await stage.settled();
  assert.equal((await postgres.query(`SELECT FROM ${schema}.statements`)).length, 1);
});

test('readers see that the rows are fresh while nothing changes, and that they are not when nobody knows', async (t) => {
  const stage = await startStage(t, postgres, { ttlMs: 300 });
  stage.truth.set('a', '1');
  await stage.settled();
  const flushedAt = async (): Promise<Date | undefined> =>
    (await postgres.query<{ flushed_at: Date }>(`SELECT flushed_at FROM ${stage.schema}.leases`))[0]?.flushed_at;
  const before = await flushedAt();
  await until('it is said again', async () => Number(await flushedAt()) > Number(before));
  stage.truth.ready = false;
  await sleep(300);
  const last = await flushedAt();
  await sleep(300);
  assert.deepEqual(await flushedAt(), last);
});

test('a writer whose lease was taken writes nothing more until it has it again', async (t) => {
  const stage = await startStage(t, postgres, { ttlMs: 60_000 });
  stage.truth.set('a', '1');
  await stage.settled();
  const lease = `${stage.schema}.leases`;
  await postgres.query(`UPDATE ${lease} SET holder = 'somebody', epoch = epoch + 1`);
  stage.truth.set('a', '2');
  await until('it has noticed', () => !stage.writer.leading);
  await sleep(200);
  assert.deepEqual(await stage.table(), [['a', '1']]);
});

test('who lets the lease run out, for its truth is not to be believed, says neither that it writes nor who does nor how Postgres is', async (t) => {
  const proxy = await TcpProxy.to(postgres.port);
  t.after(async () => await proxy.close());
  const schema = postgres.schema();
  const faulty = { environment: { PGPORT: String(proxy.port) }, limits: { connect: 200 } };
  const first = await startStage(t, postgres, { schema, ttlMs: 600, ...faulty });
  const { truth, writer } = first;
  truth.set('a', '1');
  await first.settled();
  const second = await startStage(t, postgres, { schema, ttlMs: 600 });
  second.truth.set('a', '2');
  truth.ready = false;
  await second.settled();
  await until('it does not say that it writes', () => !writer.leading && !writer.asked);
  truth.ready = true;
  await until('it knows that another one does', () => !writer.leading && writer.asked);
  assert.deepEqual(await first.table(), [['a', '2']]);
  proxy.blackHole = true;
  proxy.cut();
  await until('Postgres does not answer', () => writer.failing === 'connection');
  truth.ready = false;
  assert.equal(writer.failing, undefined, 'nobody asks it');
});

test('a dump that is restored while nobody loses a connection: what it lacks is written again', async (t) => {
  const { schema, ...stage } = await startStage(t, postgres);
  stage.truth.set('a', '1');
  stage.truth.set('b', '1');
  await stage.settled();
  await postgres.query(
    `CREATE TABLE ${schema}.dump AS SELECT * FROM ${schema}.mirrored;
     CREATE TABLE ${schema}.dumped_leases AS SELECT * FROM ${schema}.leases`,
  );
  stage.truth.set('a', '2');
  stage.truth.set('c', '1');
  stage.truth.delete('b');
  await stage.settled();
  // Its last flush is committed, and it has proven the lease since.
  const flushed = async (): Promise<unknown> =>
    (await postgres.query(`SELECT flushed_at::text FROM ${schema}.leases`))[0]?.['flushed_at'];
  const before = await flushed();
  await until('the lease is proven again', async () => (await flushed()) !== before);
  const { comparisons } = stage.writer.counts;
  // As `pg_restore --clean --single-transaction` does it: under the same leader, whose epoch is in the dump.
  await postgres.query(
    `BEGIN;
     TRUNCATE ${schema}.mirrored, ${schema}.leases;
     INSERT INTO ${schema}.mirrored SELECT * FROM ${schema}.dump;
     INSERT INTO ${schema}.leases SELECT * FROM ${schema}.dumped_leases;
     COMMIT`,
  );
  await stage.settled();
  assert.equal(stage.writer.counts.comparisons, comparisons + 1);
});

test('a mass delete by mistake: when more than half would go, it looks twice', async (t) => {
  const schema = postgres.schema();
  const first = await startStage(t, postgres, { schema });
  many(first.truth, 'x', 100);
  await first.settled();
  await first.stop();
  // The next one knows of nothing yet, and is mistaken in that for a moment.
  const truth = new MapTruth();
  const second = await startStage(t, postgres, { schema, truth });
  await until('it looks again', () => second.logged.some(({ message }) => /looking again/.test(message)));
  assert.equal((await second.table()).length, 100);
  many(truth, 'x', 100);
  await second.settled();
  assert.equal(second.writer.counts.deleted, 0);
  // Meant, it is done.
  for (let i = 10; i < 100; i++) truth.delete(`key-${i}`);
  await second.settled();
});

test('nothing is retracted while the truth is not ready', async (t) => {
  const stage = await startStage(t, postgres);
  stage.truth.set('a', '1');
  stage.truth.set('b', '1');
  await stage.settled();
  stage.truth.ready = false;
  stage.truth.delete('b');
  await sleep(300);
  assert.equal((await stage.table()).length, 2);
  stage.truth.ready = true;
  await stage.settled();
  assert.deepEqual(await stage.table(), [['a', '1']]);
});

test('SIGTERM: what is dirty is flushed once more, and the lease is given up', async (t) => {
  const stage = await startStage(t, postgres);
  stage.truth.set('a', '1');
  await stage.settled();
  stage.truth.set('a', '2');
  await stage.stop();
  assert.deepEqual(await stage.table(), [['a', '2']]);
  const [lease] = await postgres.query(`SELECT expires_at <= clock_timestamp() AS free FROM ${stage.schema}.leases`);
  assert.deepEqual(lease, { free: true });
});

test('SIGTERM while the server is silent: the end does not wait for more than five seconds', async (t) => {
  const proxy = await TcpProxy.to(postgres.port);
  t.after(async () => await proxy.close());
  const stage = await startStage(t, postgres, { environment: { PGPORT: String(proxy.port) } });
  stage.truth.set('a', '1');
  await stage.settled();
  proxy.blackHole = true;
  stage.truth.set('a', '2');
  const begun = performance.now();
  await stage.stop();
  assert.ok(performance.now() - begun < 7_000);
});

test('nothing is written when nothing has changed, and rows of another cluster are never touched', async (t) => {
  const stage = await startStage(t, postgres);
  await postgres.query(`INSERT INTO ${stage.schema}.mirrored VALUES ('other', 'a', 'theirs', '')`);
  many(stage.truth, 'x');
  await stage.settled();
  const xmin = `SELECT DISTINCT xmin::text FROM ${stage.schema}.mirrored ORDER BY 1`;
  const before = await postgres.query(xmin);
  await stage.stop();
  const again = await startStage(t, postgres, { schema: stage.schema, truth: stage.truth });
  for (const [key] of stage.truth.expected()) stage.truth.set(key, 'x');
  await until('it was compared and flushed', () => again.writer.counts.flushes > 0 && again.writer.dirty === 0);
  assert.deepEqual(await postgres.query(xmin), before);
  assert.equal(again.writer.counts.written, 0);
  assert.deepEqual(await postgres.query(`SELECT key, value FROM ${stage.schema}.mirrored WHERE cluster = 'other'`), [
    { key: 'a', value: 'theirs' },
  ]);
});
