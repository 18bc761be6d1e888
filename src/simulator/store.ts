import { keyOf } from './key.ts';
import { PodVersion } from './pod-version.ts';
import type { PodObject } from './pod-object.ts';

export interface StoreEvent {
  readonly version: number;
  readonly type: 'ADDED' | 'MODIFIED' | 'DELETED';
  /** The object after the event; of a deletion the last one, carrying the deletion's version. */
  readonly current: PodVersion;
  readonly previous: PodVersion | undefined;
}

/** A state of the store to go back to, as `etcdctl snapshot save` makes one. */
export interface Snapshot {
  readonly version: number;
  readonly pods: readonly PodVersion[];
}

export interface StoreOptions {
  /** Events remembered; a watch from before them gets 410. */
  readonly history: number;
  readonly firstVersion: number;
  /** Whether every object's bytes are kept once encoded: fast to serve again, some 16 KB per pod with both formats. */
  readonly keepBytes: boolean;
}

/**
 * What etcd and the watch cache are to the real server: objects by key, one version counter for everything, a bounded history.
 * In the order of keys ("namespace/name"), as etcd has it.
 */
export class PodStore {
  #version: number;
  #floor: number;
  #pods = new Map<string, PodVersion>();
  #sorted: PodVersion[] = [];
  #log: StoreEvent[] = [];
  #epoch = 0;
  readonly #listeners = new Set<() => void>();
  readonly #snapshots = new Map<number, readonly PodVersion[]>();
  readonly #options: StoreOptions;

  constructor(options: StoreOptions) {
    this.#options = options;
    this.#version = options.firstVersion;
    this.#floor = options.firstVersion;
  }

  /** The newest version; it also moves when no pod changes (`tick`). */
  get version(): number {
    return this.#version;
  }

  /** Events at or below this version are forgotten. */
  get floor(): number {
    return this.#floor;
  }

  /** Changes when `restore` made the history void: watches end. */
  get epoch(): number {
    return this.#epoch;
  }

  get size(): number {
    return this.#pods.size;
  }

  /** In the order of keys. Valid only until the next change; `at` gives what stays. */
  get pods(): readonly PodVersion[] {
    return this.#sorted;
  }

  /** The remembered events, oldest first. */
  get log(): readonly StoreEvent[] {
    return this.#log;
  }

  find(namespace: string, name: string): PodVersion | undefined {
    return this.#pods.get(keyOf(namespace, name));
  }

  get(namespace: string, name: string): PodObject | undefined {
    return this.find(namespace, name)?.object;
  }

  /** Creates or replaces; the object gets the next version. */
  put(object: PodObject): PodObject {
    const current = this.#next(object);
    const previous = this.#pods.get(current.key);
    this.#set(current);
    this.#record({ version: current.version, type: previous ? 'MODIFIED' : 'ADDED', current, previous });
    return current.object;
  }

  /** Many at once, with versions but without history: how a cluster of 150,000 pods begins. */
  load(objects: Iterable<PodObject>): void {
    for (const object of objects) {
      const pod = this.#next(object);
      this.#pods.set(pod.key, pod);
    }
    this.#sorted = sorted(this.#pods.values());
    this.#floor = this.#version;
    this.#log = [];
  }

  delete(namespace: string, name: string): PodObject | undefined {
    const previous = this.#pods.get(keyOf(namespace, name));
    if (!previous) return undefined;
    const current = this.#next(previous.object);
    this.#pods.delete(previous.key);
    this.#sorted.splice(this.#indexOf(previous.key), 1);
    this.#record({ version: current.version, type: 'DELETED', current, previous });
    return current.object;
  }

  /** Something else in the cluster changed (a Lease): versions move on, no pod does. */
  tick(by = 1): void {
    this.#version += by;
    this.#wake();
  }

  /** Forgets the history up to a version, as etcd's compaction and a restart of the API server do. */
  compact(version = this.#version): void {
    this.#floor = Math.max(this.#floor, Math.min(version, this.#version));
    this.#log = this.#log.slice(this.#after(this.#floor));
    for (const known of this.#snapshots.keys()) if (known < this.#floor) this.#snapshots.delete(known);
  }

  snapshot(): Snapshot {
    return { version: this.#version, pods: [...this.#sorted] };
  }

  /** An etcd restored from an older snapshot: the objects and the version counter go back. */
  restore(snapshot: Snapshot): void {
    this.#version = snapshot.version;
    this.#floor = snapshot.version;
    this.#pods = new Map(snapshot.pods.map((pod) => [pod.key, pod]));
    this.#sorted = [...snapshot.pods];
    this.#log = [];
    this.#snapshots.clear();
    this.#epoch++;
    this.#wake();
  }

  /** The events after a version, oldest first; undefined when they are forgotten. */
  since(version: number): readonly StoreEvent[] | undefined {
    return version < this.#floor ? undefined : this.#log.slice(this.#after(version));
  }

  /** All pods as they were at a version; undefined when that is forgotten. */
  at(version: number): readonly PodVersion[] | undefined {
    if (version < this.#floor) return undefined;
    let pods = this.#snapshots.get(version);
    if (!pods) {
      pods = this.#undo(version);
      // Paging clients ask for the same version again and again; a handful of them is what a test has.
      const oldest = this.#snapshots.keys().next();
      if (this.#snapshots.size >= 8 && !oldest.done) this.#snapshots.delete(oldest.value);
      this.#snapshots.set(version, pods);
    }
    return pods;
  }

  /** Calls back after every change of the version. Returns how to stop that. */
  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  #undo(version: number): readonly PodVersion[] {
    const newer = this.#log.slice(this.#after(version));
    if (newer.length === 0) return [...this.#sorted];
    const pods = new Map(this.#pods);
    for (const { current, previous } of newer.reverse()) {
      if (previous) pods.set(previous.key, previous);
      else pods.delete(current.key);
    }
    return sorted(pods.values());
  }

  #next(object: PodObject): PodVersion {
    const version = ++this.#version;
    const metadata = { ...object.metadata, resourceVersion: String(version) };
    return new PodVersion({ ...object, metadata }, version, this.#options.keepBytes);
  }

  #set(pod: PodVersion): void {
    const at = this.#indexOf(pod.key);
    this.#sorted.splice(at, this.#pods.has(pod.key) ? 1 : 0, pod);
    this.#pods.set(pod.key, pod);
  }

  #record(event: StoreEvent): void {
    this.#log.push(event);
    if (this.#log.length > 2 * this.#options.history) {
      const dropped = this.#log.splice(0, this.#log.length - this.#options.history);
      this.#floor = dropped.at(-1)?.version ?? this.#floor;
    }
    this.#wake();
  }

  #wake(): void {
    for (const listener of this.#listeners) listener();
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

function sorted(pods: Iterable<PodVersion>): PodVersion[] {
  return [...pods].sort((a, b) => (a.key < b.key ? -1 : 1));
}
