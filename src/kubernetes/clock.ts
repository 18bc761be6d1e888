/** Time, and chance: all that a loop takes from outside besides the API server. */
export interface Clock {
  /** Milliseconds that never go back: the monotonic clock, plus every forward jump of the wall clock against it (rule B11). */
  now(): number;
  /** Milliseconds since 1970. */
  wall(): number;
  /** Resolves after `ms`, or at once when the signal is aborted: who sleeps looks at the signal afterwards. */
  sleep(ms: number, signal: AbortSignal): Promise<void>;
  /** In [0, 1). */
  random(): number;
}

/** A suspended machine shows as a step; what NTP slews (at most 0.5 ms per second) and Date.now() rounds does not. */
const LEAST_JUMP_MS = 100;
const SAMPLE_EVERY_MS = 1_000;
const LONGEST_TIMER_MS = 2 ** 31 - 1;

export interface TimeSources {
  monotonic(): number;
  wall(): number;
}

const SYSTEM: TimeSources = { monotonic: () => performance.now(), wall: () => Date.now() };

/**
 * The real clock. A suspended machine stops the monotonic clock, and timers with it, but not the wall clock: both are
 * compared at every reading and once a second, and sleepers whose time has passed that way are woken.
 * The wall clock going back changes nothing.
 */
export class SystemClock implements Clock {
  readonly #sources: TimeSources;
  readonly #sleepers = new Set<() => void>();
  readonly #sampler: NodeJS.Timeout;
  #monotonic: number;
  #wall: number;
  #jumped = 0;

  constructor(sources: TimeSources = SYSTEM) {
    this.#sources = sources;
    this.#monotonic = sources.monotonic();
    this.#wall = sources.wall();
    this.#sampler = setInterval(() => void this.now(), SAMPLE_EVERY_MS).unref();
  }

  now(): number {
    const monotonic = this.#sources.monotonic();
    const wall = this.#sources.wall();
    const jump = wall - this.#wall - (monotonic - this.#monotonic);
    this.#monotonic = monotonic;
    this.#wall = wall;
    if (jump >= LEAST_JUMP_MS) {
      this.#jumped += jump;
      queueMicrotask(() => {
        for (const check of this.#sleepers) check();
      });
    }
    return monotonic + this.#jumped;
  }

  wall(): number {
    return this.#sources.wall();
  }

  random(): number {
    return Math.random();
  }

  sleep(ms: number, signal: AbortSignal): Promise<void> {
    if (signal.aborted || ms <= 0) return Promise.resolve();
    const due = this.now() + ms;
    return new Promise((resolve) => {
      let timer: NodeJS.Timeout | undefined;
      const end = (): void => {
        clearTimeout(timer);
        this.#sleepers.delete(check);
        signal.removeEventListener('abort', end);
        resolve();
      };
      const check = (): void => {
        clearTimeout(timer);
        const left = due - this.now();
        if (left <= 0) end();
        else if (left < Infinity) timer = setTimeout(check, Math.min(Math.ceil(left), LONGEST_TIMER_MS));
      };
      this.#sleepers.add(check);
      signal.addEventListener('abort', end);
      check();
    });
  }

  /** Stops the comparing; it keeps no process alive either way. */
  close(): void {
    clearInterval(this.#sampler);
  }
}
