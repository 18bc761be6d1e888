import { HistoryTarget } from '../../src/sinks/snapshot/history-target.ts';
import type { Recorded } from '../../src/sinks/snapshot/history-target.ts';
import type { Piece } from '../../src/index/history/piece.ts';
import type { Compared } from '../../src/sinks/postgres/compare.ts';
import { accessOf } from '../../src/sinks/postgres/access.ts';
import { Database } from '../../src/sinks/postgres/database.ts';
import type { Session } from '../../src/sinks/postgres/database.ts';
import { migrate } from '../../src/sinks/postgres/migrate.ts';
import type { RealPostgres } from './real-postgres.ts';

export interface Place {
  readonly database: Database;
  readonly schema: string;
}

/** A schema that is up to date. */
export async function startPlace(postgres: RealPostgres): Promise<Place> {
  const log = { info: () => {}, warn: () => {}, error: () => {} };
  const database = new Database({ access: accessOf(postgres.settings()), poolSize: 1, log });
  const schema = postgres.schema();
  await migrate(database, schema);
  return { database, schema };
}

/** What a flush has done: what it took out of memory and out of Postgres, and the most rows that it wrote with one statement. */
export interface Work {
  heard: number;
  read: number;
  most: number;
  rests: number;
}

/** A writer without its loop: the test says when it compares, flushes, and whether the commit is done. */
export class Scribe {
  readonly work: Work = { heard: 0, read: 0, most: 0, rests: 0 };
  readonly #target: HistoryTarget;
  readonly #dirty = new Set<string>();
  readonly #database: Database;

  constructor({ database, schema }: Place, recorder: Recorded, cluster: string) {
    this.#database = database;
    const { work } = this;
    const count = (found: readonly Piece[] | undefined, since: string | undefined): void => {
      if (found === undefined) return;
      work.heard += found.length;
      if (since !== undefined) work.rests++;
    };
    const recorded: Recorded = {
      isReady: true,
      intervals: 0,
      now: () => recorder.now(),
      keys: () => recorder.keys(),
      whole(ip, uid, since) {
        const found = recorder.whole(ip, uid, since);
        count(found, since);
        return found;
      },
      *pieces(ip, uid, since) {
        const found = yield* recorder.pieces(ip, uid, since);
        count(found, since);
        return found;
      },
      isHeld: (ip, uid) => recorder.isHeld(ip, uid),
      stretches: () => recorder.stretches(),
      onChange: (listener) => recorder.onChange(listener),
    };
    this.#target = new HistoryTarget({ schema, cluster, recorded, source: { synced: true }, retentionMs: 1e12 });
    this.#target.onChange(() => {});
  }

  /** Whether that could be done. */
  async compare(): Promise<boolean> {
    const found = await this.forget();
    if (found === 'later') return false;
    for (const group of [...found.differing, ...found.gone]) this.#dirty.add(group);
    return true;
  }

  /** Whether it would take over from whoever writes. */
  async misses(): Promise<boolean> {
    return await this.#database.transaction(async (session) => await this.#target.misses(session));
  }

  /** What a comparison finds is left alone; but up to where it has written it knows no more. */
  async forget(): Promise<Compared | 'later'> {
    return await this.#database.transaction(async (session) => await this.#target.compare(session));
  }

  /** `outcome`: the transaction is rolled back, or it is committed and nobody hears of it. */
  async flush(outcome: 'committed' | 'unheard' | 'rolled back' = 'committed'): Promise<number> {
    const { work } = this;
    Object.assign(work, { heard: 0, read: 0, most: 0 });
    const claim = this.#target.claim();
    for (const group of this.#target.changed()) this.#dirty.add(group);
    const nothing = async (): Promise<void> => await Promise.resolve();
    const leave = async (session: Session): Promise<void> => {
      await claim(session);
      if (outcome === 'rolled back') throw new Error(outcome);
    };
    const counted = (session: Session): Session => ({
      ...session,
      query: async (sql, values) => {
        const rows = await session.query<never>(sql, values);
        work.read += rows.length;
        return rows;
      },
      write: async (sql, values) => {
        for (const value of values ?? []) if (Array.isArray(value)) work.most = Math.max(work.most, value.length);
        return await session.write(sql, values);
      },
    });
    const manner = { batch: 100, copy: false, careful: false, enter: nothing, leave };
    const groups = [...this.#dirty];
    try {
      const done = await this.#database.transaction(
        async (session) => await this.#target.flush(counted(session), groups, manner),
      );
      if (outcome !== 'committed') return done.written;
      done.committed?.();
      this.#dirty.clear();
      return done.written;
    } catch (error) {
      if ((error as Error).message !== 'rolled back') throw error;
      return 0;
    }
  }
}

/** All rows of a cluster, as texts, in order. */
export async function historyOf(postgres: RealPostgres, schema: string, cluster: string): Promise<readonly string[]> {
  const found = await postgres.query<{ row: string }>(
    `SELECT (to_jsonb(h) - 'cluster')::text AS row FROM ${schema}.ip_history AS h WHERE cluster = $1
     ORDER BY ip, uid, since_version, valid_from`,
    [cluster],
  );
  return found.map(({ row }) => row);
}
