/**
 * Who claims a key: all of them, never one slot that the last writer owns (rule A2). Nearly every key has one claimant, which
 * is stored as it is: a Set takes 200 bytes more. A claimant is an object of its own, never a Set.
 */
export class Claims<K, V extends object> {
  readonly #map = new Map<K, V | Set<V>>();

  /** How many keys are claimed. */
  get size(): number {
    return this.#map.size;
  }

  has(key: K): boolean {
    return this.#map.has(key);
  }

  /** A list of one's own: what happens to the claims later does not change it. */
  of(key: K): readonly V[] {
    const claim = this.#map.get(key);
    if (claim === undefined) return NOBODY;
    return claim instanceof Set ? [...claim] : [claim];
  }

  /** All claimants of all keys. What comes or goes meanwhile may be among them or not. */
  *all(): Generator<V, void, undefined> {
    for (const claim of this.#map.values()) {
      if (claim instanceof Set) yield* claim;
      else yield claim;
    }
  }

  /** Claiming twice is claiming once. */
  add(key: K, claimant: V): void {
    const claim = this.#map.get(key);
    if (claim === undefined) this.#map.set(key, claimant);
    else if (claim instanceof Set) claim.add(claimant);
    else if (claim !== claimant) this.#map.set(key, new Set([claim, claimant]));
  }

  remove(key: K, claimant: V): void {
    const claim = this.#map.get(key);
    if (claim === claimant) this.#map.delete(key);
    else if (claim instanceof Set && claim.delete(claimant) && claim.size === 1) {
      for (const last of claim) this.#map.set(key, last);
    }
  }

  clear(): void {
    this.#map.clear();
  }

  /**
   * One claimant steps into the place of another. A Map that sees a deletion and an insertion instead keeps a hole for each
   * until it is built anew, which takes tens of milliseconds at 300,000 keys.
   */
  replace(key: K, from: V, to: V): void {
    if (this.#map.get(key) === from) this.#map.set(key, to);
    else {
      this.add(key, to);
      this.remove(key, from);
    }
  }
}

const NOBODY: readonly never[] = Object.freeze([]);
