const HEX = Array.from({ length: 256 }, (_, i) => i.toString(16).padStart(2, '0'));

/** Seeded random numbers: the same seed gives the same cluster and the same churn (mulberry32). */
export class Random {
  #state: number;

  constructor(seed: number) {
    this.#state = seed >>> 0;
  }

  /** In [0, 1). */
  next(): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let t = this.#state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  }

  /** An integer in [0, below). */
  below(below: number): number {
    return Math.floor(this.next() * below);
  }

  pick<T>(items: readonly T[]): T {
    const item = items[this.below(items.length)];
    if (item === undefined) throw new Error('nothing to pick from');
    return item;
  }

  /** Lower-case hexadecimal digits, 8 for each number drawn. */
  hex(digits: number): string {
    let text = '';
    while (text.length < digits) {
      const drawn = this.next() * 2 ** 32;
      text += `${HEX[drawn & 255]}${HEX[(drawn >>> 8) & 255]}${HEX[(drawn >>> 16) & 255]}${HEX[drawn >>> 24]}`;
    }
    return text.slice(0, digits);
  }

  /** As a random (version 4) UUID looks. */
  uid(): string {
    const hex = this.hex(32);
    return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-4${hex.slice(13, 16)}-a${hex.slice(17, 20)}-${hex.slice(20)}`;
  }

  /** The endings Kubernetes gives to generated names (apimachinery's rand.SafeEncodeString alphabet). */
  suffix(length: number): string {
    let text = '';
    while (text.length < length) text += 'bcdfghjklmnpqrstvwxz2456789'[this.below(27)];
    return text;
  }
}
