import { keyOf } from './key.ts';
import { ObjectVersion } from './object-version.ts';
import type { StoredObject } from './object-version.ts';
import type { Revision, Snapshot } from './revision.ts';

export interface StoreEvent<T extends StoredObject> {
  readonly version: number;
  readonly type: 'ADDED' | 'MODIFIED' | 'DELETED';
  /** The object after the event; of a deletion the last one, carrying the deletion's version. */
  readonly current: ObjectVersion<T>;
  readonly previous: ObjectVersion<T> | undefined;
}

export interface StoreOptions {
  /** Events remembered; a watch from before them gets 410. */
  readonly history: number;
  /** Shared by the stores of all kinds. */
  readonly revision: Revision;
  /** Whether every object's bytes are kept once encoded: fast to serve again, some 16 KB per object with both formats. */
  readonly keepBytes: boolean;
}

/**
 * What etcd and the watch cache are to the real server: objects by key, one version counter for everything, a bounded history.
 * In the order of keys ("namespace/name"), as etcd has it.
 */
export class ObjectStore<T extends StoredObject> {
  readonly revision: Revision;
  #floor: number;
  #objects = new Map<string, ObjectVersion<T>>();
  #sorted: ObjectVersion<T>[] = [];
  #log: StoreEvent<T>[] = [];
  readonly #snapshots = new Map<number, readonly ObjectVersion<T>[]>();
  readonly #options: StoreOptions;

  constructor(options: StoreOptions) {
    this.#options = options;
    this.revision = options.revision;
    this.#floor = this.revision.version;
    this.revision.join({
      forget: (version) => this.#forget(version),
      snapshot: () => {
        const objects = [...this.#sorted];
        return { restore: () => this.#restore(objects) };
      },
    });
  }

  /** The newest version of all kinds; it also moves when no object changes (`tick`). */
  get version(): number {
    return this.revision.version;
  }

  /** Events at or below this version are forgotten. */
  get floor(): number {
    return this.#floor;
  }

  get size(): number {
    return this.#objects.size;
  }

  /** In the order of keys. Valid only until the next change; `at` gives what stays. */
  get objects(): readonly ObjectVersion<T>[] {
    return this.#sorted;
  }

  /** The remembered events, oldest first. */
  get log(): readonly StoreEvent<T>[] {
    return this.#log;
  }

  find(namespace: string | undefined, name: string): ObjectVersion<T> | undefined {
    return this.#objects.get(keyOf(namespace, name));
  }

  get(namespace: string | undefined, name: string): T | undefined {
    return this.find(namespace, name)?.object;
  }

  /** Creates or replaces; the object gets the next version. */
  put(object: T): T {
    const current = this.#next(object);
    const previous = this.#objects.get(current.key);
    this.#set(current);
    this.#record({ version: current.version, type: previous ? 'MODIFIED' : 'ADDED', current, previous });
    return current.object;
  }

  /** Many at once, with versions but without history: how a cluster of 150,000 objects begins. */
  load(objects: Iterable<T>): void {
    for (const object of objects) {
      const first = this.#next(object);
      this.#objects.set(first.key, first);
    }
    this.#sorted = sorted(this.#objects.values());
    this.#floor = this.version;
    this.#log = [];
  }

  delete(namespace: string | undefined, name: string): T | undefined {
    const previous = this.#objects.get(keyOf(namespace, name));
    if (!previous) return undefined;
    const current = this.#next(previous.object);
    this.#objects.delete(previous.key);
    this.#sorted.splice(this.#indexOf(previous.key), 1);
    this.#record({ version: current.version, type: 'DELETED', current, previous });
    return current.object;
  }

  /** See `Revision`; this and what follows is done to all kinds alike. */
  tick(by?: number): void {
    this.revision.tick(by);
  }

  /** Forgets the history up to a version, as etcd's compaction and a restart of the API server do. */
  compact(version?: number): void {
    this.revision.compact(version);
  }

  snapshot(): Snapshot {
    return this.revision.snapshot();
  }

  /** An etcd restored from an older snapshot: the objects and the version counter go back. */
  restore(snapshot: Snapshot): void {
    this.revision.restore(snapshot);
  }

  /** The events after a version, oldest first; undefined when they are forgotten. */
  since(version: number): readonly StoreEvent<T>[] | undefined {
    return version < this.#floor ? undefined : this.#log.slice(this.#after(version));
  }

  /** All objects as they were at a version; undefined when that is forgotten. */
  at(version: number): readonly ObjectVersion<T>[] | undefined {
    if (version < this.#floor) return undefined;
    let objects = this.#snapshots.get(version);
    if (!objects) {
      objects = this.#undo(version);
      // Paging clients ask for the same version again and again; a handful of them is what a test has.
      const oldest = this.#snapshots.keys().next();
      if (this.#snapshots.size >= 8 && !oldest.done) this.#snapshots.delete(oldest.value);
      this.#snapshots.set(version, objects);
    }
    return objects;
  }

  #forget(version: number): void {
    this.#floor = Math.max(this.#floor, version);
    this.#log = this.#log.slice(this.#after(this.#floor));
    for (const known of this.#snapshots.keys()) if (known < this.#floor) this.#snapshots.delete(known);
  }

  #restore(objects: readonly ObjectVersion<T>[]): void {
    this.#floor = this.version;
    this.#objects = new Map(objects.map((object) => [object.key, object]));
    this.#sorted = [...objects];
    this.#log = [];
    this.#snapshots.clear();
  }

  #undo(version: number): readonly ObjectVersion<T>[] {
    const newer = this.#log.slice(this.#after(version));
    if (newer.length === 0) return [...this.#sorted];
    const objects = new Map(this.#objects);
    for (const { current, previous } of newer.reverse()) {
      if (previous) objects.set(previous.key, previous);
      else objects.delete(current.key);
    }
    return sorted(objects.values());
  }

  #next(object: T): ObjectVersion<T> {
    const version = this.revision.next();
    const metadata = { ...object.metadata, resourceVersion: String(version) };
    return new ObjectVersion<T>({ ...object, metadata }, version, this.#options.keepBytes);
  }

  #set(object: ObjectVersion<T>): void {
    const at = this.#indexOf(object.key);
    this.#sorted.splice(at, this.#objects.has(object.key) ? 1 : 0, object);
    this.#objects.set(object.key, object);
  }

  #record(event: StoreEvent<T>): void {
    this.#log.push(event);
    if (this.#log.length > 2 * this.#options.history) {
      const dropped = this.#log.splice(0, this.#log.length - this.#options.history);
      this.#floor = dropped.at(-1)?.version ?? this.#floor;
    }
    this.revision.wake();
  }

  /** Index of the first remembered event after a version. */
  #after(version: number): number {
    return lowerBound(this.#log.length, (i) => (this.#log[i]?.version ?? 0) <= version);
  }

  #indexOf(key: string): number {
    return lowerBound(this.#sorted.length, (i) => (this.#sorted[i]?.key ?? '') < key);
  }
}

/** The first index in [0, length) for which `before` is false, or length. */
export function lowerBound(length: number, before: (index: number) => boolean): number {
  let low = 0;
  for (let high = length; low < high;) {
    const middle = (low + high) >>> 1;
    if (before(middle)) low = middle + 1;
    else high = middle;
  }
  return low;
}

function sorted<T extends StoredObject>(objects: Iterable<ObjectVersion<T>>): ObjectVersion<T>[] {
  return [...objects].sort((a, b) => (a.key < b.key ? -1 : 1));
}
