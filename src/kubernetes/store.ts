import type { ResourceVersion, Unreadable } from '../pod.ts';

/**
 * What a reflector needs of whoever keeps its objects: one slice of a store (rule A10). The index fits it without knowing it.
 * All calls are synchronous; readers see either the state before a call or after it.
 */
export interface SliceStore<T> {
  /** ADDED and MODIFIED (rules A2, A3). Older versions and what a finished list has superseded change nothing. */
  upsert(object: T): void;
  /** DELETED: by the payload's uid and version only (rule A3). */
  remove(object: T): void;
  /** An object that cannot be read is set aside: its addresses answer `unreadable` until it is read, removed, or a list is without it. */
  setAside(object: Unreadable): void;
  /** Starts a list aside of what is served (rule A8). Any number may be begun; only `commit` shows anything. */
  beginReplace(): Replacement<T>;
}

export interface Replacement<T> {
  /** An object added again under its uid replaces the former one: while a streamed list is sent, its objects change. */
  add(object: T): void;
  /** An object of the list was deleted before the list was at its end (a streamed list says so): the list is without its uid. */
  remove(object: T): void;
  addUnreadable(object: Unreadable): void;
  /** How many objects the list holds that can be read. */
  readonly size: number;
  /**
   * Compares the list with what is served, a piece at each step, so that `shrinkage` and `commit` need only look at what differs,
   * and at what changes from then on. Needs not be called: then they do it at once.
   */
  compare(): Iterable<void>;
  /**
   * What a commit at `version` would take away of what is served now: for rule B9. `total` counts what is served now,
   * `lost` how many of these the list is without, not counting what is newer than the list.
   */
  shrinkage(version: ResourceVersion): { readonly total: number; readonly lost: number };
  /** Whether two lists say nearly the same (rule B9: "two alike are believed"): neither is without more than half of the other. */
  alike(other: Replacement<T>): boolean;
  /**
   * Makes the list the truth at `version`, in one step. Records newer than the list stay; deletions newer than the list
   * stay deleted; afterwards events at or below `version` are ignored. A list older than the one committed last changes
   * nothing. `forget: true` (rule B8): versions went backwards, so the list alone is the truth and what was remembered of
   * versions and deletions is forgotten. Returns how many changes it made.
   */
  commit(
    version: ResourceVersion,
    options?: { readonly forget?: boolean },
  ): { readonly added: number; readonly modified: number; readonly deleted: number };
}
