import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import { servePostgres } from './postgres-server.ts';
import type { Session } from './postgres-server.ts';

/** Postgres in this process' memory, for everybody on this machine. */
export interface EmbeddedPostgres {
  readonly port: number;
  /** For `psql` and others. There is no password. */
  readonly url: string;
  /** Resolves when the database is there, in a second or two; clients that came before wait for it. */
  readonly ready: Promise<void>;
  close(): Promise<void>;
}

/**
 * Listens as Postgres on loopback. undefined: the optional package is not installed. Nothing of it reaches this machine's files: it is
 * WebAssembly, with a file system of its own in memory.
 */
export async function listenAsPostgres(port: number, idleMs?: number): Promise<EmbeddedPostgres | undefined> {
  const url = packageUrl();
  if (url === undefined) return undefined;
  const { promise: session, resolve, reject } = Promise.withResolvers<Session>();
  const server = await servePostgres(port, session, idleMs);
  const thread = new Worker(THREAD, { workerData: { url } });
  sessionOf(thread).then(resolve, reject);
  const ready = session.then(() => undefined);
  ready.catch(() => {}); // told to whoever waits for it
  return {
    port: server.port,
    url: `postgres://postgres@127.0.0.1:${server.port}/postgres`,
    ready,
    async close() {
      await server.close();
      await thread.terminate();
    },
  };
}

/** Beside this file; in what is released, beside the bundle. */
const THREAD = new URL(`./postgres-thread.${import.meta.url.endsWith('.ts') ? 'ts' : 'mjs'}`, import.meta.url);

function packageUrl(): string | undefined {
  try {
    return import.meta.resolve('@electric-sql/pglite');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ERR_MODULE_NOT_FOUND') return undefined;
    throw error;
  }
}

/** Resolves when Postgres is ready. */
async function sessionOf(thread: Worker): Promise<Session> {
  const { promise: ended, reject } = Promise.withResolvers<never>();
  ended.catch(() => {}); // whoever waits for an answer is told
  thread.once('error', reject);
  thread.once('exit', () => reject(new Error('the thread of Postgres has ended')));
  const next = async (): Promise<unknown> => await Promise.race([ended, once(thread, 'message').then(([one]) => one)]);
  return {
    version: (await next()) as string,
    async run(messages) {
      const own = new Uint8Array(messages);
      thread.postMessage(own, [own.buffer]);
      return Buffer.from((await next()) as Uint8Array);
    },
  };
}
