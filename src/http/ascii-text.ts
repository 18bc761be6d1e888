/** Larger ones, and more, are not kept from one text to the next. */
const KEPT_BYTES = 2 * 1024 * 1024;
const KEPT_TEXTS = 4;

const START_BYTES = 64 * 1024;

/**
 * A long text of ASCII, put together piece by piece: each is copied to its place while it is at hand. Joined as strings first, the
 * pieces of a thousand answers would all be fetched again at the end.
 */
export class AsciiText {
  #bytes = Buffer.allocUnsafeSlow(START_BYTES);
  #length = 0;

  get length(): number {
    return this.#length;
  }

  /** What the memory takes. */
  get capacity(): number {
    return this.#bytes.length;
  }

  /** Valid until the text is used again. */
  get bytes(): Buffer {
    return this.#bytes.subarray(0, this.#length);
  }

  clear(): void {
    this.#length = 0;
  }

  add(text: string): void {
    const length = this.#length + text.length;
    if (length > this.#bytes.length) {
      const larger = Buffer.allocUnsafeSlow(Math.max(length, 2 * this.#bytes.length));
      this.#bytes.copy(larger, 0, 0, this.#length);
      this.#bytes = larger;
    }
    this.#bytes.write(text, this.#length, 'latin1');
    this.#length = length;
  }
}

/** Texts to be used again: new memory for each costs as much as all that is written to it. */
export class AsciiTexts {
  readonly #free: AsciiText[] = [];

  /** Empty. Whoever takes it gives it back when nobody reads its bytes any more, or never. */
  take(): AsciiText {
    return this.#free.pop() ?? new AsciiText();
  }

  giveBack(text: AsciiText): void {
    if (this.#free.length === KEPT_TEXTS || text.capacity > KEPT_BYTES) return;
    text.clear();
    this.#free.push(text);
  }
}
