/** Who keeps objects under a common revision. */
interface Keeper {
  /** Forgets the history up to a version. */
  forget(version: number): void;
  /** What is there, to go back to: `restore` brings it back, at the version that the revision then has. */
  snapshot(): { restore(): void };
}

/** A state to go back to, as `etcdctl snapshot save` makes one. */
export interface Snapshot {
  readonly version: number;
  readonly kept: readonly { restore(): void }[];
}

/** etcd's revision: one counter of versions for objects of all kinds, and who waits for it to move. */
export class Revision {
  #version: number;
  #epoch = 0;
  readonly #keepers: Keeper[] = [];
  readonly #listeners = new Set<() => void>();

  constructor(first: number) {
    this.#version = first;
  }

  join(keeper: Keeper): void {
    this.#keepers.push(keeper);
  }

  get version(): number {
    return this.#version;
  }

  /** Changes when `restore` made the history void: watches end. */
  get epoch(): number {
    return this.#epoch;
  }

  next(): number {
    return ++this.#version;
  }

  /** Something else in the cluster changed (a Lease): versions move on, no object that is kept here does. */
  tick(by = 1): void {
    this.#version += by;
    this.wake();
  }

  compact(version = this.#version): void {
    for (const keeper of this.#keepers) keeper.forget(Math.min(version, this.#version));
  }

  snapshot(): Snapshot {
    return { version: this.#version, kept: this.#keepers.map((keeper) => keeper.snapshot()) };
  }

  restore({ version, kept }: Snapshot): void {
    this.#version = version;
    for (const one of kept) one.restore();
    this.#epoch++;
    this.wake();
  }

  /** Calls back after every change of the version. Returns how to stop that. */
  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  wake(): void {
    for (const listener of this.#listeners) listener();
  }
}
