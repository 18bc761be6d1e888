import type { ResourceVersion } from '../pod.ts';
import type { NameKey } from './ordered-pods.ts';
import type { UnreadableObjects } from './unreadable-objects.ts';

/** What must be known of an object that is kept, a pod or another: who it is, and as of when. */
export interface Kept extends NameKey {
  readonly uid: string;
  readonly resourceVersion: ResourceVersion;
}

/** How many changes a list made. */
export interface Committed {
  readonly added: number;
  readonly modified: number;
  readonly deleted: number;
}

/** The objects there are, by uid and by name; what goes in and out is the slice's decision. */
export interface Live<T> {
  byUid(uid: string): T | undefined;
  byName(key: NameKey): T | undefined;
  /** Calls with every object of a namespace, or with every object. Nothing may be changed meanwhile. */
  each(namespace: string | undefined, visit: (object: T) => void): void;
  /** Puts an object whose uid is not held. When another one has its name, that one is returned and nothing changes. */
  add(object: T): T | undefined;
  /** Puts an object in the place of its stored record, which has the same uid, namespace and name. */
  replace(stored: T, object: T): void;
  delete(stored: T): void;
  clear(): void;
}

/** Who is told of every change, once the first list is committed. */
export interface Changes<T> {
  /** `version`: by what it is known: the object's, its deletion's, or that of the list without it; later eras come later (`inEra`). */
  push(type: keyof Committed, object: T, previous: T | undefined, version: ResourceVersion): void;
  restart(): void;
}

/** What the slices of an index share. */
export interface Shared<T> {
  readonly live: Live<T>;
  readonly changes: Changes<T>;
  readonly unreadable: UnreadableObjects;
  /** Whether two records of one uid and version say the same: see `samePod`. */
  readonly isSame: (a: T, b: T) => boolean;
  /** Of the lists that are being compared, whichever slice they are of: the uids that must be looked at when they are committed. */
  readonly suspects: Set<Set<string>>;
}
