/**
 * Values made of objects that never change, kept while the object lives and there is room. Bounded by two generations: what was
 * made longer ago than a whole generation takes to fill is forgotten, and made anew when it is asked for again.
 */
export class Generations<K extends object, V> {
  readonly #capacity: number;
  #young = new WeakMap<K, V>();
  #old = new WeakMap<K, V>();
  #size = 0;

  /** `capacity`: what one generation may hold, in the unit of `set`. */
  constructor(capacity: number) {
    this.#capacity = capacity;
  }

  get(key: K): V | undefined {
    return this.#young.get(key) ?? this.#old.get(key);
  }

  set(key: K, value: V, size: number): V {
    if (this.#size + size > this.#capacity) {
      this.#old = this.#young;
      this.#young = new WeakMap();
      this.#size = 0;
    }
    this.#size += size;
    this.#young.set(key, value);
    return value;
  }
}
