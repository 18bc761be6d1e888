/**
 * The seam between this room and its users. A user describes a table and the truth about its rows, in memory; the writer
 * (`writer.ts`) makes the table equal the truth, whatever happens to the database.
 */

export interface Column {
  /** Matches `^[a-z_][a-z0-9_]{0,62}$`, or is quoted all the same: the writer quotes every name. */
  readonly name: string;
  /**
   * As SQL writes it, without a length: `text`, `inet[]`, `jsonb`, `timestamptz`. A cast to `varchar(9)` would cut what is longer, where
   * an assignment refuses it. Never anybody's input.
   */
  readonly type: string;
}

/** A column that has one value in all rows that are this writer's: what it may delete, and nothing else. */
export interface ScopeColumn extends Column {
  readonly value: string;
}

/**
 * A value in the text form of its column's type: what `value::type` reads (see `values.ts` for arrays and times). null is NULL. A
 * NUL character makes the row poison, for Postgres has no place for it.
 */
export type Value = string | null;

/** The values of the keys, then of the values, in the order of their columns. */
export type Row = readonly Value[];

/**
 * Rows are written and deleted by groups: all rows that have the same values in the group's columns, which are the first
 * `groupColumns` of the keys. A group changes in one transaction. A pod is a group of one row, a Service of all its endpoints.
 */
export interface MirroredTable {
  /** undefined: found by the search path. */
  readonly schema: string | undefined;
  readonly name: string;
  /** The same in all rows that are ours. Together with `keys` they are unique in the table. */
  readonly scope: readonly ScopeColumn[];
  readonly keys: readonly Column[];
  readonly groupColumns: number;
  readonly values: readonly Column[];
  /**
   * A text column that the writer fills with a digest of the row: then a full comparison reads keys and digests only, and nothing is
   * sent that is the same. Without one, a full comparison sends all rows, and Postgres writes those that differ.
   */
  readonly digest?: string;
}

/** The group a row belongs to: the values of its columns, joined by what no value can hold. */
export const groupKey = (values: readonly string[]): string => values.join('\u0000');

export const groupValues = (group: string): readonly string[] => group.split('\u0000');

/** What the rows should be. All of it is asked between two turns of the event loop, and none of it may throw. */
export interface Truth {
  /** False: nothing may be concluded from what there is now, so nothing is written and nothing deleted. */
  readonly ready: boolean;
  /** How many groups there are, more or less: so many are remembered as changed, beyond that all are compared. */
  readonly size: number;
  /** Which groups may be other ones than at the last call, in bounded work; 'all': that is not known. */
  changed(): Iterable<string> | 'all';
  /** The rows of a group as they should be now; none: the group is to go. */
  rows(group: string): readonly Row[];
  /** Every group, in pieces, each a turn of the event loop of its own. What changes meanwhile comes with `changed` besides. */
  groups(): AsyncIterable<readonly string[]>;
  /**
   * Whether a group that is in the table and has no rows is ours to delete; all are where this is missing. For the mirror: a Service
   * outside of its selector stays.
   */
  mayDelete?(group: string): boolean;
  /** Wakes after each burst of changes. Returns how to stop that. */
  onChange(wake: () => void): () => void;
}
