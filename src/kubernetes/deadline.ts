import { DeadlineError } from './api-error.ts';
import type { Clock } from './clock.ts';

/**
 * A limit that moves while a request goes on: `by` sets it anew, and its `signal` is aborted with a `DeadlineError` when it
 * passes, or with the outer signal. One timer, however often the limit moves: a limit moved later is only seen when
 * the timer fires. Must be closed.
 */
export class Deadline {
  readonly #clock: Clock;
  readonly #outer: AbortSignal;
  readonly #controller = new AbortController();
  #nap = new AbortController();
  #what = '';
  #ms = 0;
  #due = Infinity;
  #wakesAt = Infinity;
  #closed = false;

  constructor(clock: Clock, outer: AbortSignal) {
    this.#clock = clock;
    this.#outer = outer;
    if (outer.aborted) this.#controller.abort(outer.reason);
    else outer.addEventListener('abort', this.#onOuter);
    void this.#watch();
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** From now on the limit is `ms` after `from`; `what` completes the sentence "… within 20 s". */
  by(ms: number, what: string, from = this.#clock.now()): void {
    this.#due = from + ms;
    this.#what = what;
    this.#ms = ms;
    if (this.#due < this.#wakesAt) this.#nap.abort();
  }

  close(): void {
    this.#closed = true;
    this.#outer.removeEventListener('abort', this.#onOuter);
    this.#nap.abort();
  }

  readonly #onOuter = (): void => {
    this.#controller.abort(this.#outer.reason);
    this.close();
  };

  async #watch(): Promise<void> {
    while (!this.#closed && !this.signal.aborted) {
      const now = this.#clock.now();
      if (this.#due <= now) {
        this.#controller.abort(new DeadlineError(`${this.#what} within ${this.#ms / 1000} s`));
        this.close();
        return;
      }
      this.#wakesAt = this.#due;
      this.#nap = new AbortController();
      await this.#clock.sleep(this.#due - now, this.#nap.signal);
    }
  }
}
