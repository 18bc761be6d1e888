/** Characters a generation may hold: two generations of four caches make 8 MiB of one-byte characters at most. */
const CAPACITY = 1024 * 1024;

/**
 * Text made of objects that never change, kept as long as the object lives and there is room. Bounded by two generations: what
 * was not asked for while a whole generation filled up is forgotten, and made anew when it comes again.
 */
export class FragmentCache<K extends object> {
  readonly #make: (object: K) => string;
  readonly #capacity: number;
  #young = new WeakMap<K, string>();
  #old = new WeakMap<K, string>();
  #characters = 0;

  constructor(make: (object: K) => string, capacity: number = CAPACITY) {
    this.#make = make;
    this.#capacity = capacity;
  }

  of(object: K): string {
    const young = this.#young.get(object);
    if (young !== undefined) return young;
    const text = this.#old.get(object) ?? this.#make(object);
    if (this.#characters > this.#capacity) {
      this.#old = this.#young;
      this.#young = new WeakMap();
      this.#characters = 0;
    }
    // An entry of its own costs some 64 bytes beside its characters.
    this.#characters += text.length + 64;
    this.#young.set(object, text);
    return text;
  }
}
