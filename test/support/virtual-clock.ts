import { setImmediate } from 'node:timers/promises';
import type { Clock } from '../../src/kubernetes/clock.ts';

interface Sleeper {
  readonly due: number;
  readonly wake: () => void;
}

/** A clock that stands still until it is told to go on; who sleeps on it wakes in order of time. */
export class VirtualClock implements Clock {
  #now = 1_000_000;
  readonly #sleepers = new Set<Sleeper>();
  readonly #random: () => number;

  constructor(random: () => number = () => 0.5) {
    this.#random = random;
  }

  now(): number {
    return this.#now;
  }

  wall(): number {
    return this.#now + 1_700_000_000_000;
  }

  random(): number {
    return this.#random();
  }

  /** How many sleep. */
  get sleepers(): number {
    return this.#sleepers.size;
  }

  sleep(ms: number, signal: AbortSignal): Promise<void> {
    if (signal.aborted || ms <= 0) return Promise.resolve();
    return new Promise((resolve) => {
      const wake = (): void => {
        this.#sleepers.delete(sleeper);
        signal.removeEventListener('abort', wake);
        resolve();
      };
      const sleeper = { due: this.#now + ms, wake };
      this.#sleepers.add(sleeper);
      signal.addEventListener('abort', wake);
    });
  }

  /** Lets time pass, and everything happen that happens meanwhile. */
  async advance(ms: number): Promise<void> {
    const end = this.#now + ms;
    await this.settle();
    for (;;) {
      const next = [...this.#sleepers].sort((a, b) => a.due - b.due)[0];
      if (!next || next.due > end) break;
      this.#now = Math.max(this.#now, next.due);
      next.wake();
      await this.settle();
    }
    this.#now = Math.max(this.#now, end);
    await this.settle();
  }

  /** Time passes and nobody notices: a stopped process, a suspended machine. */
  freeze(ms: number): void {
    this.#now += ms;
  }

  /** Until nothing moves without time: all that is played to a loop here are promises. */
  async settle(): Promise<void> {
    await setImmediate();
    await setImmediate();
  }
}
