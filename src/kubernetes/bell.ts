import type { Clock } from './clock.ts';

/** Wakes one sleeping loop before its time. A ring that nobody waits for is kept for the next wait; two rings are one. */
export class Bell {
  readonly #clock: Clock;
  #rung = false;
  #wake: (() => void) | undefined;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  ring(): void {
    this.#rung = true;
    this.#wake?.();
  }

  /** Waits until it rings (true), or until `ms` have passed or the signal is aborted (false). */
  async wait(ms: number, signal: AbortSignal): Promise<boolean> {
    if (!this.#rung) {
      const nap = new AbortController();
      const wake = (): void => nap.abort();
      signal.addEventListener('abort', wake);
      this.#wake = wake;
      if (!signal.aborted) await this.#clock.sleep(ms, nap.signal);
      this.#wake = undefined;
      signal.removeEventListener('abort', wake);
    }
    const rung = this.#rung;
    this.#rung = false;
    return rung;
  }
}
