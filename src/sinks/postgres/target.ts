import { compare } from './compare.ts';
import type { Compared } from './compare.ts';
import type { Session } from './database.ts';
import { flush } from './flush.ts';
import type { Flushed } from './flush.ts';
import type { MirroredTable, Truth } from './mirrored-table.ts';
import { statementsOf } from './statements.ts';

/** How a flush is to be made. */
export interface Manner {
  /** How many groups one statement writes at most. */
  readonly batch: number;
  /** False where there are no temporary tables. */
  readonly copy: boolean;
  /** A value was refused the last time: find it, set it aside and write the others. */
  readonly careful: boolean;
  /** Proves that this process is the one that writes, and holds that until the commit. */
  readonly enter: (session: Session) => Promise<void>;
  /** With what Postgres would not take. */
  readonly leave: (session: Session, poison: ReadonlyMap<string, string>) => Promise<void>;
}

/** `refused`: the groups that are not as they should be once this is committed. */
export type Beside = () => (session: Session, refused: ReadonlySet<string>) => Promise<void>;

/** What a `Writer` keeps in Postgres: in groups, of which it knows which may differ. */
export interface Target extends Pick<Truth, 'ready' | 'size' | 'changed' | 'onChange'> {
  /** The table, for the log. */
  readonly name: string;
  /** Finds out which groups differ, in a transaction of its own. Writes nothing. 'later': that cannot be told yet. */
  compare(session: Session): Promise<Compared | 'later'>;
  /** Makes groups what they should be; in a transaction, which is all or nothing. */
  flush(session: Session, groups: readonly string[], manner: Manner): Promise<Flushed>;
  /**
   * What may be said once all groups are written that have changed until now: asked at one moment with them, written by what it
   * gives back, in the same transaction.
   */
  claim?(): (session: Session) => Promise<void>;
  /**
   * What is written with every flush, also where Postgres does not take some groups: asked at one moment with the groups, written by
   * what it gives back, in the same transaction.
   */
  beside?: Beside;
  /**
   * Whether something is missing in the table that this process knows and the one that writes does not, all of whose claims are there: then
   * the writing is taken over from it. To be true only of what a comparison, a flush and its claim put right.
   */
  misses?(session: Session): Promise<boolean>;
  /** Deletes some of what is too old, in a transaction of its own: how many rows, and whether there may be more. */
  prune?(session: Session): Promise<{ readonly deleted: number; readonly more: boolean }>;
}

/** A table that mirrors a truth in memory. */
export function mirrored(table: MirroredTable, truth: Truth, beside?: Beside): Target {
  const statements = statementsOf(table);
  const mayDelete = (group: string): boolean => truth.mayDelete?.(group) ?? true;
  return {
    name: table.name,
    get ready() {
      return truth.ready;
    },
    get size() {
      return truth.size;
    },
    changed: () => truth.changed(),
    onChange: (wake) => truth.onChange(wake),
    async compare(session) {
      const { gone, ...found } = await compare(session, { table, statements, truth });
      return { ...found, gone: new Set([...gone].filter(mayDelete)) };
    },
    ...(beside && { beside }),
    flush: async (session, groups, manner) =>
      await flush(session, groups, { table, statements, rows: (group) => truth.rows(group), mayDelete, ...manner }),
  };
}
