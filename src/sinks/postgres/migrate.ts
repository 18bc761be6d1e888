import type { Database, Session } from './database.ts';
import { INSUFFICIENT_PRIVILEGE, NewerSchema, OlderSchema, SetupError, sqlState } from './error-class.ts';
import { MIGRATIONS } from './migrations.ts';
import type { Migration } from './migrations.ts';
import { qualified, quoted } from './sql.ts';

export interface Migrated {
  /** The names of the changes that were made now; empty: all had been there. */
  readonly applied: readonly string[];
}

/**
 * Brings the schema to what this version needs. Where everything is there nothing but reading is done, so that a role without
 * rights to create may call it. Each change is one transaction that begins with its row: of two replicas one waits for the other
 * there, collides, and goes on with the next.
 */
export async function migrate(
  database: Database,
  schema: string,
  migrations: readonly Migration[] = MIGRATIONS,
): Promise<Migrated> {
  const applied: string[] = [];
  const table = qualified(schema, 'migrations');
  let done = await doneMigrations(database, table);
  if (done === undefined) {
    await createTable(database, schema, table);
    done = new Set();
  }
  const newest = Math.max(0, ...done);
  const known = migrations.at(-1)?.id ?? 0;
  if (newest > known) {
    throw new NewerSchema(
      `the schema ${schema} is at change ${newest}, and this version of podwhois knows up to ${known}: run a version at least as new as the one that made it`,
    );
  }
  for (const { id, name, statements } of migrations) {
    if (done.has(id)) continue;
    const collision = await collisionOf(database, async (session) => {
      await session.write(`INSERT INTO ${table} (id, name) VALUES ($1, $2)`, [id, name]);
      for (const statement of statements(schema)) await session.write(statement);
    }).catch((error: unknown) => {
      if (sqlState(error) !== INSUFFICIENT_PRIVILEGE) throw error;
      const missing = migrations.filter((migration) => migration.id >= id && !done.has(migration.id));
      throw olderSchema(schema, missing, error);
    });
    if (collision === undefined) applied.push(name);
    else if ((await doneMigrations(database, table))?.has(id) !== true) {
      const reason = `${collision.message}, and no change of podwhois has made it`;
      throw new SetupError(reason, 'the schema is used by somebody else: name another one in PODWHOIS_SCHEMA');
    }
  }
  return { applied };
}

/** Its own words, for those of Postgres are of a right that nobody is to grant: that to write down what was changed. */
function olderSchema(schema: string, missing: readonly Migration[], cause: unknown): OlderSchema {
  const names = missing.map(({ name }) => name);
  const message = `the schema ${schema} is of an earlier version: it lacks ${names.join(', ')}, which this role may not make`;
  return new OlderSchema(message, names, { cause });
}

/** undefined: there is no such table. */
async function doneMigrations(database: Database, table: string): Promise<ReadonlySet<number> | undefined> {
  try {
    const rows = await database.transaction(
      async (session) => await session.query<{ id: number }>(`SELECT id FROM ${table}`),
    );
    return new Set(rows.map(({ id }) => id));
  } catch (error) {
    if (sqlState(error) === '42P01') return undefined;
    throw error;
  }
}

async function createTable(database: Database, schema: string, table: string): Promise<void> {
  const columns =
    'id integer PRIMARY KEY, name text NOT NULL, applied_at timestamptz NOT NULL DEFAULT clock_timestamp()';
  await collisionOf(database, async (session) => {
    // Not IF NOT EXISTS alone: that needs the right to create schemas even where this one exists.
    const [there] = await session.query('SELECT 1 FROM pg_catalog.pg_namespace WHERE nspname = $1', [schema]);
    if (!there) await session.write(`CREATE SCHEMA ${quoted(schema)}`);
    await session.write(`CREATE TABLE IF NOT EXISTS ${table} (${columns})`);
  });
}

/** undefined: it is done. Else somebody else was there first, as this error says. */
async function collisionOf(database: Database, work: (session: Session) => Promise<void>): Promise<Error | undefined> {
  try {
    await database.transaction(work);
    return undefined;
  } catch (error) {
    // unique_violation, duplicate_schema, duplicate_table
    if (['23505', '42P06', '42P07'].includes(sqlState(error) ?? '')) return error as Error;
    throw error;
  }
}
