import { setTimeout as sleep } from 'node:timers/promises';
import { Client } from 'pg';
import { markerUid, TABLES, wallMs } from '../marker.ts';
import type { Marker } from '../marker.ts';
import { answering } from './answering.ts';

/** A reader of the tables in a connection of its own, which notes when it first sees that a marker's row is there, or over. */

/** For each table: which of some pods have a row, and whether it is over. What is over in `pods` is not there. */
const QUESTIONS = {
  pods: (schema: string) => `SELECT uid, false AS over FROM ${schema}.pods WHERE cluster = $1 AND uid = ANY($2)`,
  ip_history: (schema: string) =>
    `SELECT uid, bool_and(valid_until < 'infinity') AS over FROM ${schema}.ip_history WHERE cluster = $1 AND uid = ANY($2) GROUP BY uid`,
} as const;
/**
 * What is another with each flush, and each proof of the lease. Whoever asks for the rows 40 times a second takes more of Postgres than who writes them, and the flushes
 * wait for it.
 */
const flushed = (schema: string): string =>
  `SELECT xmin::text AS flush FROM ${schema}.leases WHERE cluster = $1 AND sink = $2`;
/** Markers that may be made and not seen yet. */
const AHEAD = 512;

interface Watching {
  readonly table: keyof typeof QUESTIONS;
  readonly schema: string;
  readonly everyMs: number;
  /** The number of the first marker. */
  readonly first: number;
}

let client: Client | undefined;
let watching: Promise<void> | undefined;
let ending = new AbortController();
const seen = new Map<string, Marker>();

async function watch(reader: Client, signal: AbortSignal, of: Watching): Promise<void> {
  const { table, schema, everyMs, first } = of;
  const open = new Set<string>();
  let next = first;
  let last: string | undefined;
  for (; !signal.aborted; await sleep(everyMs)) {
    const [lease] = (await reader.query<{ flush: string }>(flushed(schema), ['default', TABLES[table]])).rows;
    if (lease?.flush === last) continue;
    last = lease?.flush;
    while (open.size < AHEAD) open.add(markerUid(next++));
    const { rows } = await reader.query<{ uid: string; over: boolean }>(QUESTIONS[table](schema), [
      'default',
      [...open],
    ]);
    const now = wallMs();
    const lasting = new Set(rows.flatMap(({ uid, over }) => (over ? [] : [uid])));
    for (const uid of rows.map((row) => row.uid)) if (!seen.has(uid)) seen.set(uid, { uid, came: now });
    for (const uid of open) {
      const marker = seen.get(uid);
      if (marker === undefined || lasting.has(uid)) continue;
      marker.gone = now;
      open.delete(uid);
    }
  }
}

answering({
  connect: async (config: { host: string; port: number; user: string; password: string; database: string }) => {
    client = new Client(config);
    await client.connect();
  },
  /** Looks for the markers until the next `watch`. */
  watch: async (of: Watching) => {
    if (client === undefined) throw new Error('not connected');
    ending.abort();
    await watching;
    ending = new AbortController();
    seen.clear();
    watching = watch(client, ending.signal, of);
    watching.catch((error: unknown) => console.error(error));
  },
  seen: () => [...seen.values()],
});
