import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { accessOf } from '../../../src/sinks/postgres/access.ts';
import { advice } from '../../../src/sinks/postgres/advice.ts';
import { Database } from '../../../src/sinks/postgres/database.ts';
import { classify, NewerSchema, OlderSchema, sqlState } from '../../../src/sinks/postgres/error-class.ts';
import { migrate } from '../../../src/sinks/postgres/migrate.ts';
import { MIGRATIONS } from '../../../src/sinks/postgres/migrations.ts';
import { startPostgres } from '../../support/real-postgres.ts';
import type { RealPostgres } from '../../support/real-postgres.ts';

let postgres: RealPostgres;
before(async () => void (postgres = await startPostgres()));
after(async () => await postgres.down());

const silent = { info: () => {}, warn: () => {}, error: () => {} };

const open = (environment: Readonly<Record<string, string>> = {}): Database =>
  new Database({ access: accessOf(postgres.settings(environment)), poolSize: 2, log: silent });

const names = MIGRATIONS.map(({ name }) => name);

test('the schema is made once, in the order of its changes; the second time there is nothing to do', async () => {
  const database = open();
  const schema = postgres.schema();
  try {
    assert.deepEqual((await migrate(database, schema)).applied, names);
    assert.deepEqual((await migrate(database, schema)).applied, []);
    assert.deepEqual(
      MIGRATIONS.map(({ id }) => id),
      names.map((_, i) => i + 1),
    );
  } finally {
    await database.close();
  }
});

test('replicas that begin together collide, and all carry on: each change is made once', async () => {
  const databases = [open(), open(), open(), open()];
  const schema = postgres.schema();
  try {
    const all = await Promise.all(databases.map(async (database) => await migrate(database, schema)));
    assert.deepEqual(all.flatMap(({ applied }) => applied).toSorted(), names.toSorted());
  } finally {
    for (const database of databases) await database.close();
  }
});

test('a change that fails leaves nothing of itself, and is made the next time', async () => {
  const database = open();
  const schema = postgres.schema();
  const broken = [
    ...MIGRATIONS,
    { id: names.length + 1, name: 'new', statements: () => ['CREATE TABLE half (n int)', 'nonsense'] },
  ];
  const whole = [
    ...MIGRATIONS,
    { id: names.length + 1, name: 'new', statements: () => [`CREATE TABLE ${schema}.half (n int)`] },
  ];
  try {
    await assert.rejects(migrate(database, schema, broken));
    assert.deepEqual((await migrate(database, schema, whole)).applied, ['new']);
  } finally {
    await database.close();
  }
});

test("a table of somebody else's in the schema is not taken for one that another replica has made", async () => {
  const database = open();
  const schema = postgres.schema();
  try {
    await postgres.query(`CREATE SCHEMA ${schema}; CREATE TABLE ${schema}.ip_history (n int)`);
    for (let i = 0; i < 2; i++) {
      const error = await migrate(database, schema).catch((error: unknown) => error);
      assert.match(String(error), /relation "ip_history" already exists, and no change of podwhois has made it/);
      assert.match(advice(error) ?? '', /PODWHOIS_SCHEMA/);
      assert.equal(classify(error), 'setup');
    }
    await postgres.query(`DROP TABLE ${schema}.ip_history`);
    assert.ok((await migrate(database, schema)).applied.includes('ip_history'));
  } finally {
    await database.close();
  }
});

test('a newer schema is refused, with what to do', async () => {
  const database = open();
  const schema = postgres.schema();
  const newest = MIGRATIONS.at(-1)?.id ?? 0;
  try {
    await migrate(database, schema);
    await postgres.query(`INSERT INTO ${schema}.migrations (id, name) VALUES (${newest + 1}, 'of tomorrow')`);
    const error = await migrate(database, schema).catch((error: unknown) => error);
    assert.ok(error instanceof NewerSchema);
    const said = `is at change ${newest + 1}, and this version of podwhois knows up to ${newest}: run a version at least as new`;
    assert.ok(error.message.includes(said), error.message);
    assert.equal(classify(error), 'setup');
  } finally {
    await database.close();
  }
});

test('a role that may create nothing needs nothing where all is there, and is told what is missing where it is not', async () => {
  const administrator = open();
  const schema = postgres.schema();
  await postgres.query(`CREATE ROLE reader_of_${schema} LOGIN PASSWORD 'x'`);
  const database = open({ PGUSER: `reader_of_${schema}`, PGPASSWORD: 'x' });
  try {
    const refused = async (what: RegExp): Promise<unknown> => {
      const error = await migrate(database, schema).catch((error: unknown) => error);
      assert.match(String(error), what);
      assert.match(advice(error) ?? '', /podwhois migrate/);
      assert.equal(classify(error), 'setup');
      return error;
    };
    // Postgres' own word with its code: by it the mirror knows that it has no right to a schema.
    assert.equal(sqlState(await refused(/permission denied for database/)), '42501');
    const former = MIGRATIONS.slice(0, -2);
    await migrate(administrator, schema, former);
    await postgres.query(
      `GRANT USAGE ON SCHEMA ${schema} TO reader_of_${schema}; GRANT SELECT ON ${schema}.migrations TO reader_of_${schema}`,
    );
    assert.deepEqual((await migrate(database, schema, former)).applied, []);
    const lacks = names.slice(-2);
    const older = await refused(
      new RegExp(`is of an earlier version: it lacks ${lacks.join(', ')}, which this role may not make$`),
    );
    assert.deepEqual(older instanceof OlderSchema && older.missing, lacks);
    await migrate(administrator, schema);
    assert.deepEqual((await migrate(database, schema)).applied, []);
  } finally {
    await database.close();
    await administrator.close();
  }
});
