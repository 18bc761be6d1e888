import type { Steps } from './index/history/steps.ts';

/**
 * Long work is cut into pieces, and the event loop runs one piece of one task per turn, whoever asks and however many ask at
 * once: so a lookup never waits for more than one piece. First come, first served.
 */
export class Turns {
  readonly #waiting: ((ms: number) => void)[] = [];
  #scheduledAt = 0;

  /** Resolves in a later turn with what the event loop took until then, in milliseconds: lookups, watches, pieces of other work. */
  next(): Promise<number> {
    return new Promise((resolve) => {
      this.#waiting.push(resolve);
      if (this.#waiting.length === 1) this.#schedule();
    });
  }

  #schedule(): void {
    this.#scheduledAt = performance.now();
    setImmediate(this.#give);
  }

  readonly #give = (): void => {
    const ms = performance.now() - this.#scheduledAt;
    const resolve = this.#waiting.shift();
    if (this.#waiting.length > 0) this.#schedule();
    resolve?.(ms);
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
