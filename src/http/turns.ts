/**
 * Long work is cut into pieces, and the event loop runs one piece of one task per turn, whoever asks and however many ask at
 * once: so a lookup never waits for more than one piece. First come, first served.
 */
export class Turns {
  readonly #waiting: (() => void)[] = [];

  next(): Promise<void> {
    return new Promise((resolve) => {
      this.#waiting.push(resolve);
      if (this.#waiting.length === 1) setImmediate(this.#give);
    });
  }

  readonly #give = (): void => {
    const resolve = this.#waiting.shift();
    if (this.#waiting.length > 0) setImmediate(this.#give);
    resolve?.();
  };
}
