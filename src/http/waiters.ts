import type { ChangeFeed } from '../index/change-feed.ts';
import type { Clock } from './context.ts';

export interface WaitOptions<T> {
  readonly ip: string;
  readonly ms: number;
  /** Asked now and after every change of a pod that has the address, or had it. */
  readonly ask: () => T;
  readonly done: (answer: T) => boolean;
  /** The caller has gone. */
  readonly signal: AbortSignal;
}

/** Lookups that wait for their pod (rule C5). Bounded; driven by the index's changes, not by polling. */
export class Waiters {
  readonly #feed: ChangeFeed;
  readonly #clock: Clock;
  readonly #max: number;
  readonly #byIp = new Map<string, Set<() => void>>();
  #size = 0;
  #seen = 0;
  #unsubscribe: (() => void) | undefined;

  constructor(feed: ChangeFeed, clock: Clock, max: number) {
    this.#feed = feed;
    this.#clock = clock;
    this.#max = max;
  }

  get size(): number {
    return this.#size;
  }

  get full(): boolean {
    return this.#size >= this.#max;
  }

  /** How many wait for this address. */
  waitingFor(ip: string): number {
    return this.#byIp.get(ip)?.size ?? 0;
  }

  /** The first answer that is `done`, else the last one when the time is up or the caller has gone. */
  async wait<T>({ ip, ms, ask, done, signal }: WaitOptions<T>): Promise<T> {
    const over = new AbortController();
    const end = AbortSignal.any([signal, over.signal]);
    let wake = (): void => undefined;
    const woken = (): void => wake();
    end.addEventListener('abort', woken);
    this.#add(ip, woken);
    const timer = this.#clock.sleep(ms, end).then(
      () => over.abort(),
      () => over.abort(),
    );
    try {
      for (;;) {
        const answer = ask();
        if (done(answer) || end.aborted) return answer;
        await new Promise<void>((resolve) => (wake = resolve));
      }
    } finally {
      this.#remove(ip, woken);
      over.abort();
      await timer;
    }
  }

  #add(ip: string, wake: () => void): void {
    if (this.#size++ === 0) {
      this.#seen = this.#feed.sequence;
      this.#unsubscribe = this.#feed.onChange(this.#onChange);
    }
    const here = this.#byIp.get(ip);
    if (here) here.add(wake);
    else this.#byIp.set(ip, new Set([wake]));
  }

  #remove(ip: string, wake: () => void): void {
    const here = this.#byIp.get(ip);
    here?.delete(wake);
    if (here?.size === 0) this.#byIp.delete(ip);
    if (--this.#size === 0) this.#unsubscribe?.();
  }

  readonly #onChange = (): void => {
    const changes = this.#feed.since(this.#seen);
    this.#seen = this.#feed.sequence;
    // More changes than the feed holds: any address may be among them.
    const ips = changes
      ? new Set(changes.flatMap(({ pod, previous }) => [...pod.podIps, ...(previous?.podIps ?? [])]))
      : this.#byIp.keys();
    for (const ip of ips) for (const wake of this.#byIp.get(ip) ?? []) wake();
  };
}
