import { ApiError, DeadlineError, isGone, isThrottled, retryAfterOf } from './api-error.ts';
import { refusedByStore } from './api-object.ts';
import { Backoff } from './backoff.ts';
import { Bell } from './bell.ts';
import { complain, works } from './slice.ts';
import { WireError } from './wire/format.ts';
import type { ResourceVersion, Unreadable } from '../pod.ts';
import type { ApiObject } from './api-object.ts';
import type { Batch } from './list-watch.ts';
import type { ListCause, WatchEnd } from './reflector-metrics.ts';
import type { Slice } from './slice.ts';
import type { WatchEvent } from './wire/format.ts';

export interface WatchesOptions<T extends ApiObject> {
  readonly slice: Slice<T>;
  /** Rule B2: a third of READY_MAX_STALENESS. */
  readonly watchMs: number;
  readonly requestList: (cause: ListCause) => void;
  readonly requestAnotherList: (cause: ListCause) => void;
  /** Whether such a request would have to wait. */
  readonly isPaced: () => boolean;
  /** A watch was accepted after one that failed: rule B8 wants a consistent read. */
  readonly onRecovered: () => void;
}

/**
 * Decision 0006. Nothing heard for so long, and then accepted again: behind it an etcd may have been restored, and its
 * versions have come past ours. No API server starts in less.
 */
const OUTAGE_MS = 2_000;

/** A watch that ended sooner than this and brought nothing is not worth the next one at once: else a broken server makes us spin. */
const WORTHWHILE_MS = 500;
/** And one that brought something is, but not more than so often: half of what rule B3 lets us be blind. */
const APART_MS = 50;
/** A second until its bookmark. */
const SHORT_SECONDS = 3;

/** Something in the stream needs a list (rule B6). */
class Corrupt extends Error {
  readonly listCause: ListCause;

  constructor(listCause: ListCause, message: string) {
    super(message);
    this.listCause = listCause;
  }
}

/** One watch after the other, from where the store has come to; waits for a list where none can start. */
export class Watches<T extends ApiObject> {
  readonly #slice: Slice<T>;
  readonly #options: WatchesOptions<T>;
  readonly #bell: Bell;
  readonly #backoff: Backoff;
  readonly #spin: Backoff;
  readonly #retryBell: Bell;
  #mayRetrySoon = false;
  #current: AbortController | undefined;
  #failed = false;
  #isOpen = false;
  /** The next one. */
  #isShort = false;
  /** When something was heard of the API server last. */
  #heardAt = -Infinity;
  /** While watching fails: when something was heard last before. */
  #outageSince: number | undefined;

  constructor(options: WatchesOptions<T>) {
    const { clock } = options.slice;
    const random = () => clock.random();
    this.#slice = options.slice;
    this.#options = options;
    this.#bell = new Bell(clock);
    this.#retryBell = new Bell(clock);
    this.#backoff = new Backoff({ firstMs: 200, capMs: 5_000, random });
    this.#spin = new Backoff({ firstMs: 50, capMs: 5_000, random });
  }

  /** The server has accepted the current watch. */
  get isOpen(): boolean {
    return this.#isOpen;
  }

  /** A list was committed. After a rebuild (B8) the running watch belongs to a history that is no more. */
  listed(rebuilt: boolean): void {
    if (rebuilt) this.#current?.abort();
    this.#heard();
    this.#bell.ring();
  }

  /**
   * Begins the current watch anew, so short that a bookmark comes after a second: the API server sends one 2 s before it ends a watch.
   * Without it the stream says only after up to `watchMs` how far it has come, where pods do not change and other objects do.
   */
  askHowFar(): void {
    if (!this.#isOpen) return;
    this.#isShort = true;
    this.#current?.abort();
  }

  /** The API server answers again: a watch that waits for nothing but its back-off need not. */
  retrySoon(): void {
    if (this.#mayRetrySoon) this.#retryBell.ring();
  }

  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const from = this.#slice.progress.resumeFrom;
      if (from === undefined) await this.#bell.wait(Infinity, signal);
      else await this.#watch(from, signal);
    }
  }

  async #watch(from: ResourceVersion, signal: AbortSignal): Promise<void> {
    const { clock, metrics, progress } = this.#slice;
    const current = new AbortController();
    const stop = (): void => current.abort(signal.reason);
    signal.addEventListener('abort', stop);
    this.#current = current;
    const startedAt = clock.now();
    const onOpen = (): void => {
      this.#isOpen = true;
      works(this.#slice, 'watch');
      const outage = clock.now() - (this.#outageSince ?? Infinity);
      if (this.#failed) this.#options.onRecovered();
      this.#failed = false;
      this.#heard();
      if (outage >= OUTAGE_MS) this.#resumedAfter(outage);
    };
    let delay: number;
    try {
      const options = { seconds: this.#seconds(), signal: current.signal, onOpen };
      for await (const batch of this.#slice.listWatch.watch(from, options)) {
        current.signal.throwIfAborted();
        this.#heard();
        this.#apply(batch);
        this.#settled();
      }
      metrics.watches_total.clean++;
      this.#heard();
      const lasted = clock.now() - startedAt;
      const worthwhile = progress.version !== from || lasted >= WORTHWHILE_MS;
      if (worthwhile) this.#settled();
      delay = worthwhile ? APART_MS - lasted : this.#spin.next();
    } catch (error) {
      if (current.signal.aborted) return;
      const end = endOf(error, this.#isOpen);
      metrics.watches_total[end]++;
      if (end === 'gone' || end === 'corrupt') {
        progress.lost();
        this.#slice.log.warn(
          { end, from: progress.version, reason: (error as Error).message },
          'the watch needs a list',
        );
        return this.#options.requestList(error instanceof Corrupt ? error.listCause : end);
      }
      this.#failed = true;
      // Whoever is too busy is there.
      if (!isThrottled(error)) this.#outageSince ??= this.#heardAt;
      delay = this.#backoff.next(retryAfterOf(error));
      this.#mayRetrySoon = retryAfterOf(error) === 0;
      complain(this.#slice, 'watch', error, delay);
    } finally {
      signal.removeEventListener('abort', stop);
      this.#current = undefined;
      this.#isOpen = false;
    }
    if (this.#mayRetrySoon) await this.#retryBell.wait(delay, signal);
    else await clock.sleep(delay, signal);
    this.#mayRetrySoon = false;
  }

  /** Shorter than asked for by up to a fifth, so that a bookmark always comes within a third of READY_MAX_STALENESS. */
  #seconds(): number {
    const { watchMs, slice } = this.#options;
    const isShort = this.#isShort;
    this.#isShort = false;
    if (isShort) return SHORT_SECONDS;
    return Math.max(5, Math.round((watchMs / 1000) * (1 - slice.clock.random() / 5)));
  }

  #heard(): void {
    this.#heardAt = this.#slice.clock.now();
    this.#outageSince = undefined;
  }

  /**
   * The watch goes on, and a list says beside it whether this is the history that we know: a watch does not, when the versions
   * of another one have come past ours, and a consistent read neither. Until then nothing is proof of freshness.
   */
  #resumedAfter(outageMs: number): void {
    const { log, progress } = this.#slice;
    log.info(
      { from: progress.version, outageMs: Math.round(outageMs) },
      'the API server is back, everything is listed',
    );
    progress.withhold();
    this.#options.requestList('outage');
  }

  #settled(): void {
    this.#backoff.reset();
    this.#spin.reset();
  }

  /**
   * All of the batch is applied, also what stands behind an event that cannot be (CoreDNS 7119); but the store has come
   * only as far as what was before that event.
   */
  #apply(batch: Batch<T>): void {
    const { metrics, progress } = this.#slice;
    let reached: ResourceVersion | undefined;
    let fault: Error | undefined;
    for (const event of batch) {
      metrics.watch_events_total[COUNTED[event.type === 'UNREADABLE' ? event.eventType : event.type]]++;
      const problem = this.#applyOne(event);
      fault ??= problem;
      if (fault === undefined) reached = versionOf(event) ?? reached;
    }
    if (reached !== undefined) progress.advance(reached);
    if (fault !== undefined) throw fault;
  }

  #applyOne(event: WatchEvent<T>): Error | undefined {
    if (event.type === 'BOOKMARK') return undefined;
    if (event.type === 'ERROR') return ApiError.fromStatus(event.status);
    if (event.type === 'UNREADABLE') return this.#unreadable(event.object, event.eventType, 'corrupt');
    const { store, addressesOf } = this.#slice;
    try {
      if (event.type === 'DELETED') store.remove(event.object);
      else store.upsert(event.object);
      return undefined;
    } catch (error) {
      return this.#unreadable(refusedByStore(event.object, error, addressesOf), event.type, 'error');
    }
  }

  /**
   * Rule B6. Its addresses are nobody's from now on, not only once a list has failed to read it too: what stands behind it in the
   * stream is applied, and may claim the same ones. The first one closes the watch. What is known to be so costs no list, but for finding out that it is gone. And
   * while lists back off, because there was one a short time ago, the rest goes on being served and watched: each new one is set
   * aside at once, and nothing is proof of freshness until a list has spoken.
   */
  #unreadable(object: Unreadable, eventType: string, cause: ListCause): Error | undefined {
    const { progress, setAside, store } = this.#slice;
    const { requestAnotherList, isPaced } = this.#options;
    const known = setAside.isKnown(object);
    store.setAside(object);
    if (!known && !isPaced()) return new Corrupt(cause, `an object cannot be read: ${object.reason}`);
    if (!known) progress.withhold();
    if (!known || eventType === 'DELETED') requestAnotherList(cause);
    return undefined;
  }
}

const COUNTED = {
  ADDED: 'added',
  MODIFIED: 'modified',
  DELETED: 'deleted',
  BOOKMARK: 'bookmark',
  ERROR: 'error',
} as const;

function versionOf<T extends ApiObject>(event: WatchEvent<T>): ResourceVersion | undefined {
  if (event.type === 'BOOKMARK') return event.resourceVersion;
  return event.type === 'ERROR' || event.type === 'UNREADABLE' ? undefined : event.object.resourceVersion;
}

function endOf(error: unknown, opened: boolean): WatchEnd {
  if (isGone(error)) return 'gone';
  if (error instanceof Corrupt || error instanceof WireError) return 'corrupt';
  return opened && error instanceof DeadlineError ? 'idle' : 'error';
}
