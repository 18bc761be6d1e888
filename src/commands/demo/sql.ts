import { Client } from 'pg';
import { columns } from '../lookup/render.ts';
import { oneLine } from '../../terminal.ts';

/**
 * `podwhois demo sql`: asks the Postgres of a running demo, for those who have no psql. Writes a table. Throws what Postgres says, or a
 * sentence that names the setting when it cannot connect.
 */
export async function sql(query: string, port: number, write: (text: string) => void): Promise<void> {
  // Everything is said: what the environment has for another Postgres must not lead there.
  const at = { host: '127.0.0.1', port, user: 'postgres', password: '', database: 'postgres', ssl: false };
  const client = new Client({ ...at, connectionTimeoutMillis: 10_000, query_timeout: 20_000 });
  try {
    await client.connect();
  } catch (error) {
    // Nobody listens, or somebody else does.
    const why = oneLine(error instanceof Error ? error.message : String(error));
    throw new Error(
      `no demo's Postgres on port ${port} (${why}): start a demo, or set --postgres-port to what it printed`,
      { cause: error },
    );
  }
  try {
    const results = [await client.query({ text: query, rowMode: 'array', types: TEXT })].flat();
    for (const { fields, rows, command, rowCount } of results) {
      if (fields.length === 0) write(`${[command, rowCount].filter((part) => part !== null).join(' ')}\n`);
      else
        write(
          columns([
            fields.map(({ name }) => oneLine(name)),
            ...(rows as (string | null)[][]).map((row) => row.map(cell)),
          ]),
        );
    }
  } finally {
    await client.end();
  }
}

/** Values as Postgres writes them. */
const TEXT = { getTypeParser: () => (text: string) => text };

const cell = (value: string | null): string => (value === null ? '-' : oneLine(value, 253));
