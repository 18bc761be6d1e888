import { compareResourceVersions } from './resource-version.ts';

/** What a reflector says of its slice. */
export interface Slice {
  readonly synced: boolean;
  /** Infinity until synced. */
  ageMs(): number;
  readonly resourceVersion: string;
  /** A sentence for `/ready?verbose`. */
  readonly problem: string | undefined;
  /** Resolves when it is as fresh as this call, or when the signal is aborted; rejects when that cannot be found out. */
  prove(signal: AbortSignal): Promise<void>;
}

/** One per slice, for `/ready?verbose`. */
export interface SliceDetail {
  readonly slice: string;
  readonly synced: boolean;
  readonly ageMs: number;
  readonly resourceVersion: string;
  readonly problem: string | undefined;
}

/**
 * All slices as the one source that answers are drawn from (rule A10): nothing is synced until all are; age and version are those
 * of the oldest slice. `partial`: what is watched is not the whole cluster.
 */
export class Slices {
  readonly partial: boolean;
  readonly #slices: ReadonlyMap<string, Slice>;
  /** The same: every answer looks at all of them. */
  readonly #all: readonly Slice[];

  /** By the slice's name: its namespace, or whatever stands for all. There is at least one. */
  constructor(slices: ReadonlyMap<string, Slice>, options: { readonly partial: boolean }) {
    this.#slices = slices;
    this.#all = [...slices.values()];
    this.partial = options.partial;
  }

  get synced(): boolean {
    for (const slice of this.#all) if (!slice.synced) return false;
    return true;
  }

  ageMs(): number {
    let age = this.#all.length === 0 ? Infinity : -1;
    for (const slice of this.#all) age = Math.max(age, slice.ageMs());
    return age;
  }

  get resourceVersion(): string {
    return (this.#all.length === 1 ? this.#all[0] : this.#oldest())?.resourceVersion ?? '';
  }

  /** Up to this version all slices have everything. It moves while no pod changes, too. */
  get reachedVersion(): string {
    return this.#all.map(({ resourceVersion }) => resourceVersion).reduce(older, this.#all[0]?.resourceVersion ?? '');
  }

  /** Resolves when all are as fresh as this call, or when the signal is aborted; rejects when that cannot be found out of one. */
  async prove(signal: AbortSignal): Promise<void> {
    await Promise.all(this.#all.map(async (slice) => await slice.prove(signal)));
  }

  details(): readonly SliceDetail[] {
    return Array.from(this.#slices, ([name, slice]) => ({
      slice: name,
      synced: slice.synced,
      ageMs: slice.ageMs(),
      resourceVersion: slice.resourceVersion,
      problem: slice.problem,
    }));
  }

  #oldest(): Slice | undefined {
    let oldest: Slice | undefined;
    let age = -1;
    for (const slice of this.#all) {
      const own = slice.ageMs();
      if (own > age) [oldest, age] = [slice, own];
    }
    return oldest;
  }
}

const older = (a: string, b: string): string => (compareResourceVersions(a, b) <= 0 ? a : b);
