import { createLog } from '../log.ts';
import { accessOf } from '../sinks/postgres/access.ts';
import { Database } from '../sinks/postgres/database.ts';
import { advice, messageOf } from '../sinks/postgres/advice.ts';
import { migrate as bringUp } from '../sinks/postgres/migrate.ts';
import type { MigrateSettings } from './settings.ts';

/** `podwhois migrate`: makes or brings up the schema in Postgres and says what it did. */
export async function migrate(settings: MigrateSettings, write: (text: string) => void): Promise<void> {
  const log = createLog({ level: 'fatal', format: 'text' });
  const database = new Database({ access: accessOf(settings), poolSize: 1, log });
  const where = `schema ${settings.podwhoisSchema} of ${database.place}`;
  try {
    const { applied } = await bringUp(database, settings.podwhoisSchema);
    write(applied.length === 0 ? `nothing to do: ${where}\n` : `made ${applied.join(', ')}: ${where}\n`);
  } catch (error) {
    const hint = advice(error);
    const message = `${where}: ${messageOf(error)}`;
    throw new Error(hint === undefined ? message : `${message} (${hint})`, { cause: error });
  } finally {
    await database.close();
  }
}
