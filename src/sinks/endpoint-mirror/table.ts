import type { Database } from '../postgres/database.ts';
import { sqlState } from '../postgres/error-class.ts';
import { qualified, quoted } from '../postgres/sql.ts';
import type { TableName } from './table-name.ts';

/** Somebody else makes the same at this moment: unique_violation in the catalogue, duplicate_table, duplicate_object. */
const COLLISIONS = ['23505', '42P07', '42710'];

/**
 * Sees to it that the table is there. One that is is used as it is, whatever it has besides; else it is made as the observer's
 * documentation has it, which takes the right to create in its schema. The schema itself is never made.
 */
export async function prepareTable(database: Database, { schema, name }: TableName): Promise<void> {
  const table = qualified(schema, name);
  const isThere = async (): Promise<boolean> => {
    const [row] = await database.transaction(
      async (session) =>
        await session.query<{ there: boolean }>('SELECT to_regclass($1) IS NOT NULL AS there', [table]),
    );
    return row?.there === true;
  };
  if (await isThere()) return;
  try {
    await database.transaction(async (session) => {
      for (const statement of definition(table, name)) await session.write(statement);
    });
  } catch (error) {
    if (!COLLISIONS.includes(sqlState(error) ?? '')) throw error;
  }
}

/** An index's name has 63 characters at most. */
const indexName = (table: string, ending: string): string => quoted(`${table.slice(0, 55)}_${ending}`);

const definition = (table: string, name: string): readonly string[] => [
  `CREATE TABLE ${table} (
    cluster     text        NOT NULL,
    namespace   text        NOT NULL,
    service     text        NOT NULL,
    pod_uid     text        NOT NULL,
    pod_name    text,
    pod_ip      inet        NOT NULL,
    ready       boolean     NOT NULL DEFAULT true,
    first_seen  timestamptz NOT NULL DEFAULT now(),
    last_seen   timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (cluster, namespace, service, pod_uid)
  )`,
  `CREATE INDEX ${indexName(name, 'ns_svc')} ON ${table} (namespace, service)`,
  `CREATE INDEX ${indexName(name, 'pod_ip')} ON ${table} (pod_ip)`,
];
