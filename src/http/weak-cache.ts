/**
 * Values made of objects that never change, kept while the object lives and there is room. When there is no more, all are
 * forgotten, and made anew when they are asked for again: so what is asked for together is kept together, up to the bound.
 */
export class WeakCache<K extends object, V> {
  readonly #capacity: number;
  #values = new WeakMap<K, V>();
  #size = 0;

  /** `capacity`: what may be held, in the unit of `set`. */
  constructor(capacity: number) {
    this.#capacity = capacity;
  }

  get(key: K): V | undefined {
    return this.#values.get(key);
  }

  set(key: K, value: V, size: number): V {
    if (this.#size + size > this.#capacity) {
      this.#values = new WeakMap();
      this.#size = 0;
    }
    this.#size += size;
    this.#values.set(key, value);
    return value;
  }
}
