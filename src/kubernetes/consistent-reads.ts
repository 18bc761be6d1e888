import { retryAfterOf } from './api-error.ts';
import { Backoff } from './backoff.ts';
import { Bell } from './bell.ts';
import { complain, works } from './slice.ts';
import type { ApiObject } from './api-object.ts';
import type { ListCause } from './reflector-metrics.ts';
import type { Slice } from './slice.ts';

/**
 * Short, for what comes back is noticed by a read, which then hurries lists and watches: within 6 s all is to be fresh, and one small
 * read in a second or two is no burden.
 */
const LONGEST_BACKOFF_MS = 2_000;

export interface ConsistentReadsOptions<T extends ApiObject> {
  readonly slice: Slice<T>;
  /** Rule C1: a third of READY_MAX_STALENESS. */
  readonly everyMs: number;
  readonly requestList: (cause: ListCause) => void;
  /** A read succeeded after one that failed. */
  readonly onRecovered: () => void;
}

/** Rules C1 and B8: asks for the version of the cluster as a quorum of etcd sees it, from the first list on. */
export class ConsistentReads<T extends ApiObject> {
  readonly #options: ConsistentReadsOptions<T>;
  readonly #bell: Bell;
  readonly #backoff: Backoff;
  #failed = false;

  constructor(options: ConsistentReadsOptions<T>) {
    const { clock } = options.slice;
    this.#options = options;
    this.#bell = new Bell(clock);
    this.#backoff = new Backoff({ firstMs: 500, capMs: LONGEST_BACKOFF_MS, random: () => clock.random() });
  }

  /** Now, not when its time has come. */
  soon(): void {
    this.#bell.ring();
  }

  async run(signal: AbortSignal): Promise<void> {
    const { clock, progress } = this.#options.slice;
    // A list proves itself: nothing is to be read before there is one.
    while (progress.version === '' && !signal.aborted) await this.#bell.wait(Infinity, signal);
    let delay = this.#options.everyMs;
    let mayHurry = true;
    while (!signal.aborted) {
      if (mayHurry) await this.#bell.wait(delay, signal);
      else await clock.sleep(delay, signal);
      if (signal.aborted) return;
      const sentAt = clock.now();
      try {
        await this.read(signal);
        mayHurry = true;
        if (this.#failed) this.#options.onRecovered();
        this.#failed = false;
        this.#backoff.reset();
        works(this.#options.slice, 'read');
        delay = this.#options.everyMs - (clock.now() - sentAt);
      } catch (error) {
        if (signal.aborted) return;
        this.#options.slice.metrics.consistent_reads_total.error++;
        this.#failed = true;
        // Honoured up to the usual pace: one small read that often is what freshness takes, and a server that says
        // "in a year" must not end it.
        const retryAfter = Math.min(retryAfterOf(error), this.#options.everyMs);
        mayHurry = retryAfter === 0;
        delay = Math.max(retryAfter, Math.min(this.#backoff.next(), this.#options.everyMs));
        complain(this.#options.slice, 'read', error, delay);
      }
    }
  }

  /** One read, beside those that have their time. Rejects when it fails. */
  async read(signal: AbortSignal): Promise<void> {
    const { slice, requestList } = this.#options;
    const { clock, listWatch, metrics, progress } = slice;
    const sent = progress.sending(clock.now());
    const version = await listWatch.read(signal);
    if (progress.judge(version, sent, clock.now()) === 'ok') {
      metrics.consistent_reads_total.ok++;
      return progress.read(sent, version);
    }
    metrics.consistent_reads_total.backwards++;
    slice.log.warn({ version, seen: sent.newestSeen }, 'a consistent read is older than what was seen before');
    requestList('backwards');
  }
}
