import type { Database } from '../postgres/database.ts';
import { SetupError, sqlState } from '../postgres/error-class.ts';
import type { Column } from '../postgres/mirrored-table.ts';
import { qualified } from '../postgres/sql.ts';
import type { TableName } from './table-name.ts';

/** Somebody else makes the same at this moment: unique_violation in the catalogue, duplicate_table, duplicate_object. */
const COLLISIONS = ['23505', '42P07', '42710'];

/**
 * Sees to it that the table is there. One that is is used as it is, whatever it has besides, and is never altered: others read it. Else
 * it is made as the observer's documentation has it, with the columns that are asked for besides, which takes the right to create in
 * its schema. The schema itself is never made. Throws `SetupError` when a table that is there lacks one of those columns.
 */
export async function prepareTable(database: Database, named: TableName, more: readonly Column[]): Promise<void> {
  const table = qualified(named.schema, named.name);
  const found = async (): Promise<readonly string[] | undefined> => {
    const [row] = await database.transaction(
      async (session) =>
        await session.query<{ columns: readonly string[] | null }>(
          `SELECT array_agg(attname::text) AS columns FROM pg_attribute
           WHERE attrelid = to_regclass($1) AND attnum > 0 AND NOT attisdropped`,
          [table],
        ),
    );
    return row?.columns ?? undefined;
  };
  let columns = await found();
  if (columns === undefined) {
    try {
      await database.transaction(async (session) => {
        for (const statement of definition(table, more)) await session.write(statement);
      });
      return;
    } catch (error) {
      if (!COLLISIONS.includes(sqlState(error) ?? '')) throw notMade(named, error);
      columns = (await found()) ?? [];
    }
  }
  const missing = more.filter((column) => !columns?.includes(column.name));
  if (missing.length === 0) return;
  const added = missing.map((column) => `ADD COLUMN ${column.name} ${column.type}`).join(', ');
  throw new SetupError(
    `the table ${named.text} has no ${missing.map((column) => column.name).join(' and no ')}`,
    `ALTER TABLE ${named.text} ${added}; or switch ENRICH_PODS off`,
  );
}

/** Why the table could not be made, with advice about TABLE_NAME, which nothing else of podwhois' is about. */
function notMade({ schema, text }: TableName, error: unknown): unknown {
  const advice = {
    '3F000': `there is no schema ${schema}: make it, or name another one in TABLE_NAME`,
    '42501': `the table ${text} (TABLE_NAME) is missing, and this role may not create it: docs/endpoint-mirror.md has the table and the grants`,
  }[sqlState(error) ?? ''];
  return advice === undefined ? error : new SetupError((error as Error).message, advice, { cause: error });
}

const definition = (table: string, more: readonly Column[]): readonly string[] => [
  `CREATE TABLE ${table} (
    cluster     text        NOT NULL,
    namespace   text        NOT NULL,
    service     text        NOT NULL,
    pod_uid     text        NOT NULL,
    pod_name    text,
    pod_ip      inet        NOT NULL,
    ready       boolean     NOT NULL DEFAULT true,${more
      .map(
        (column) => `
    ${column.name} ${column.type},`,
      )
      .join('')}
    first_seen  timestamptz NOT NULL DEFAULT now(),
    last_seen   timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (cluster, namespace, service, pod_uid)
  )`,
  // Postgres finds names: those of the observer's documentation may be an older table's in this schema.
  `CREATE INDEX ON ${table} (namespace, service)`,
  `CREATE INDEX ON ${table} (pod_ip)`,
];
