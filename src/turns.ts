import type { Steps } from './index/history/steps.ts';

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

/** Of the whole process. */
export const TURNS = new Turns();

/** Each step in a turn of the event loop of its own, which no other long work shares. */
export async function inTurns<T>(steps: Steps<T>): Promise<T> {
  for (;;) {
    const { done, value } = steps.next();
    if (done) return value;
    await TURNS.next();
  }
}
