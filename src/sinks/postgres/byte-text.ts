/** So many times what is usual is kept. */
const MOST_SPARE = 16;

/**
 * A text that is put together as UTF-8, outside of V8's heap: what is made of thousands of rows a second leaves nothing for the collector
 * there, which lookups would wait for.
 */
export class ByteText {
  readonly #size: number;
  #bytes: Buffer;
  #length = 0;

  /** `size`: bytes, as many as are usual; there is place for more. */
  constructor(size: number) {
    this.#size = size;
    this.#bytes = Buffer.allocUnsafeSlow(size);
  }

  /** Bytes. */
  get length(): number {
    return this.#length;
  }

  /** An ASCII character. */
  byte(code: number): void {
    this.#reserve(1);
    this.#bytes[this.#length++] = code;
  }

  text(text: string): void {
    const most = 3 * text.length;
    if (this.#length + most > this.#bytes.length) this.#reserve(Buffer.byteLength(text));
    this.#length += this.#bytes.write(text, this.#length);
  }

  /** What there is, until the next change. */
  view(): Buffer {
    return this.#bytes.subarray(0, this.#length);
  }

  /** What there is, for good; it is empty then. */
  take(): Buffer {
    const taken = Buffer.allocUnsafeSlow(this.#length);
    this.#bytes.copy(taken, 0, 0, this.#length);
    this.clear();
    return taken;
  }

  /** What one huge text took is given back. */
  clear(): void {
    this.#length = 0;
    if (this.#bytes.length > MOST_SPARE * this.#size) this.#bytes = Buffer.allocUnsafeSlow(this.#size);
  }

  #reserve(more: number): void {
    const needed = this.#length + more;
    if (needed <= this.#bytes.length) return;
    const larger = Buffer.allocUnsafeSlow(2 * needed);
    this.#bytes.copy(larger, 0, 0, this.#length);
    this.#bytes = larger;
  }
}
