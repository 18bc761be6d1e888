/** What an entry takes beside its characters: empty keys count too. */
const ENTRY = 32;

/**
 * Shares equal values: what has the same key is the same object. Bounded, so that churn cannot fill it: it holds two
 * generations, and what was not asked for while a whole generation filled up is forgotten (and made anew when it comes
 * again: sharing is lost then, never correctness). A generation is full when its keys hold `capacity` characters, each
 * entry counted as some more.
 */
export class Interner<T> {
  readonly #capacity: number;
  #young = new Map<string, T>();
  #old = new Map<string, T>();
  #characters = 0;
  /** What was asked for last: lists come in the order of names, so pods that have much in common come in a row. */
  #lastKey: string | undefined;
  #lastValue: T | undefined;

  constructor(capacity: number) {
    this.#capacity = capacity;
  }

  get size(): number {
    return this.#young.size + this.#old.size;
  }

  /** The key must tell apart whatever is not equal: user text can stand in it, so join parts unambiguously. */
  get(key: string): T | undefined {
    if (key === this.#lastKey) return this.#lastValue;
    const young = this.#young.get(key);
    const value = young ?? this.#old.get(key);
    if (value === undefined) return undefined;
    if (young === undefined) this.set(key, value);
    this.#lastKey = key;
    this.#lastValue = value;
    return value;
  }

  set(key: string, value: T): T {
    if (this.#characters > this.#capacity) {
      this.#old = this.#young;
      this.#young = new Map();
      this.#characters = 0;
    }
    this.#characters += key.length + ENTRY;
    this.#young.set(key, value);
    return value;
  }
}
