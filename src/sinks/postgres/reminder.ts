import { advice } from './advice.ts';
import { classify, sqlState } from './error-class.ts';

const REMIND_MS = 60_000;

/** Whether a failure is to be said: one that goes on is said when it begins, and then once a minute. */
export class Reminder {
  #said: string | undefined;
  #saidAt = 0;

  /** Asked with each failure; `now` in milliseconds. */
  isDue(error: unknown, now: number): boolean {
    const failure = classify(error);
    // An outage shows in many ways, one after the other; what a person must put right, in one.
    const key = `${failure} ${sqlState(error)} ${failure === 'setup' ? advice(error) : ''}`;
    if (key === this.#said && now - this.#saidAt < REMIND_MS) return false;
    [this.#said, this.#saidAt] = [key, now];
    return true;
  }

  /** It is over: the next one begins anew. */
  forget(): void {
    this.#said = undefined;
  }
}
