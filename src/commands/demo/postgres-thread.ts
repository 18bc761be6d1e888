import { parentPort, workerData } from 'node:worker_threads';
import type { PGlite } from '@electric-sql/pglite';

/**
 * The thread that Postgres runs in: making the database takes a second or two of computing, and nobody knows how long a person's query
 * takes; the service must answer meanwhile. Says its version when it is ready; then answers each batch of messages by one.
 */

/** Where the package is, for who starts this has found it. */
const { url } = workerData as { readonly url: string };
const { PGlite: Database } = (await import(url)) as { PGlite: typeof PGlite };
// 16 MB of buffers instead of 128 are plenty for some hundred rows.
const own = ['-c', 'shared_buffers=16MB', '-c', 'timezone=UTC'];
const database = await Database.create({ startParams: [...Database.defaultStartParams, ...own] });
const [row] = (await database.query<{ server_version: string }>('SHOW server_version')).rows;
parentPort?.postMessage(row?.server_version ?? '', []);
parentPort?.on('message', (messages: Uint8Array) => void answer(messages));

async function answer(messages: Uint8Array): Promise<void> {
  const answers: Buffer[] = [];
  // Copied: what is handed over is the database's own memory.
  await database.execProtocolRawStream(messages, { onRawData: (part) => answers.push(Buffer.from(part)) });
  const answer = new Uint8Array(Buffer.concat(answers));
  parentPort?.postMessage(answer, [answer.buffer]);
}
