/** A server's Retry-After is honoured up to this; a faulty one must not silence us for a year. */
const LONGEST_RETRY_AFTER_MS = 5 * 60_000;

/** Exponential back-off with jitter (rule B5): half to the whole of first · 2ⁿ, at most the cap; `reset` by success. */
export class Backoff {
  readonly #firstMs: number;
  readonly #capMs: number;
  readonly #random: () => number;
  #failures = 0;

  constructor(options: { readonly firstMs: number; readonly capMs: number; readonly random: () => number }) {
    this.#firstMs = options.firstMs;
    this.#capMs = options.capMs;
    this.#random = options.random;
  }

  /** How long to wait after one more failure. What the server asked for is the least, and gets up to a tenth on top. */
  next(retryAfterMs = 0): number {
    const ceiling = Math.min(this.#capMs, this.#firstMs * 2 ** this.#failures);
    this.#failures = Math.min(this.#failures + 1, 30);
    const asked = Math.min(retryAfterMs, LONGEST_RETRY_AFTER_MS) * (1 + this.#random() / 10);
    return Math.max(ceiling * (0.5 + this.#random() / 2), asked);
  }

  reset(): void {
    this.#failures = 0;
  }
}
