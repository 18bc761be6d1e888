import { setImmediate } from 'node:timers/promises';
import { compareResourceVersions } from '../resource-version.ts';
import { isGone, retryAfterOf } from './api-error.ts';
import { refusedByStore } from './api-object.ts';
import { Backoff } from './backoff.ts';
import { Bell } from './bell.ts';
import { ConsistentLists } from './consistent-list.ts';
import { CONFIRM_AFTER_MS } from './progress.ts';
import { complain, works } from './slice.ts';
import type { ResourceVersion } from '../pod.ts';
import type { ApiObject } from './api-object.ts';
import type { FetchedList } from './consistent-list.ts';
import type { Sent } from './progress.ts';
import type { ListCause } from './reflector-metrics.ts';
import type { Slice } from './slice.ts';
import type { Replacement } from './store.ts';

/** Rule B4: more objects than this are listed by each replica at a time of its own. */
const LARGE = 5_000;
const LARGE_JITTER_MS = 5_000;
/** The first relist is at once; another one asked for within this time backs off. */
const PACED_WITHIN_MS = 60_000;
/** A watch gets this long to bring what a periodic list has already seen, before a difference counts as drift. */
const WATCH_CATCHES_UP_MS = 2_000;
const CATCH_UP_STEP_MS = 200;

export interface ListsOptions<T extends ApiObject> {
  readonly slice: Slice<T>;
  readonly resyncIntervalMs: number;
  /** Whether a watch is open: only then is a difference that a periodic list finds something that it lost. */
  readonly isWatching: () => boolean;
  /** `rebuilt`: versions began again (rule B8), and whatever watches must begin again too. */
  readonly onCommit: (rebuilt: boolean) => void;
}

/** Lists that came, and were not taken as they are. */
const REFUSED = {
  older: 'a list is older than what was seen before',
  unreadable: 'objects in a list cannot be read, it is made again',
  shrunken: 'a list lost most of what is served, a second one must say so too',
} as const;

type Outcome = 'committed' | 'older' | 'shrunken' | 'unreadable';

/**
 * All lists of a slice, one at a time: the first, the periodic ones (rule B7), and those that are asked for. Each is fetched
 * beside what is served and beside the running watch, judged (B8, B6, B9), and committed in one step or dropped.
 * A list that is refused proves nothing.
 */
export class Lists<T extends ApiObject> {
  readonly #slice: Slice<T>;
  readonly #options: ListsOptions<T>;
  readonly #fetcher: ConsistentLists<T>;
  readonly #bell: Bell;
  readonly #retryBell: Bell;
  readonly #pacing: Backoff;
  #pacedAt = -Infinity;
  #wanted: ListCause | undefined = 'start';
  #round: { readonly cause: ListCause; readonly stop: AbortController } | undefined;
  #mayRetrySoon = false;
  #resyncAt = -Infinity;
  #size = 0;
  #suspect: Replacement<T> | undefined;

  constructor(options: ListsOptions<T>) {
    this.#options = options;
    this.#slice = options.slice;
    const { listWatch, store, clock, addressesOf } = options.slice;
    const asUnreadable = (object: T, error: unknown) => refusedByStore(object, error, addressesOf);
    this.#fetcher = new ConsistentLists({ listWatch, store, clock, asUnreadable });
    this.#bell = new Bell(clock);
    this.#retryBell = new Bell(clock);
    this.#pacing = new Backoff({ firstMs: 1_000, capMs: 30_000, random: () => clock.random() });
  }

  /**
   * Asks for a list that is sent after this call, in the place of one that is under way: but not of one that was asked for by
   * the same cause, else a slow one would never end. For a 410 any list under way will do: the watch starts from where it
   * ends, and if that is too old as well it asks again.
   */
  request(cause: ListCause): void {
    if (this.#round && (cause === 'gone' || cause === this.#round.cause)) return;
    this.requestAnother(cause);
    this.#round?.stop.abort();
  }

  /** Asks for a list that is sent after this call, and after the one under way. */
  requestAnother(cause: ListCause): void {
    this.#wanted = cause;
    this.#bell.ring();
  }

  /** The API server answers again: a list that waits for nothing but its back-off need not. */
  retrySoon(): void {
    if (this.#mayRetrySoon) this.#retryBell.ring();
  }

  /** Whether a list was asked for a short time ago, so that the next one will have to wait. */
  get isPaced(): boolean {
    return this.#slice.clock.now() - this.#pacedAt < PACED_WITHIN_MS;
  }

  async run(signal: AbortSignal): Promise<void> {
    const { clock, metrics } = this.#slice;
    while (!signal.aborted) {
      const wait = this.#resyncAt - clock.now();
      if (this.#wanted === undefined && wait > 0) {
        await this.#bell.wait(wait, signal);
        continue;
      }
      const cause = this.#wanted ?? 'periodic';
      metrics.relists_total[cause]++;
      await clock.sleep(this.#pause(cause), signal);
      await this.#untilCommitted(cause, signal);
      this.#resyncAt = clock.now() + this.#options.resyncIntervalMs * (0.9 + clock.random() / 5);
    }
  }

  #pause(cause: ListCause): number {
    if (cause === 'start' || cause === 'periodic') return 0;
    // The list is the second answer of rule B8: if it is older too it makes the rebuild, else it repairs what a restored etcd left.
    const { clock, progress } = this.#slice;
    if (cause === 'backwards') return progress.confirmInMs(clock.now());
    const jitter =
      (cause === 'gone' || cause === 'outage') && this.#size > LARGE ? clock.random() * LARGE_JITTER_MS : 0;
    const again = this.isPaced;
    this.#pacedAt = clock.now();
    if (again) return this.#pacing.next() + jitter;
    this.#pacing.reset();
    return jitter;
  }

  /** Lists until one is committed, or until another one is asked for in its place. */
  async #untilCommitted(cause: ListCause, signal: AbortSignal): Promise<void> {
    const { clock, metrics } = this.#slice;
    const backoff = new Backoff({ firstMs: 500, capMs: 30_000, random: () => clock.random() });
    this.#wanted = undefined;
    let startedAnew = false;
    while (!signal.aborted && this.#wanted === undefined) {
      const round = new AbortController();
      const stop = (): void => round.abort(signal.reason);
      signal.addEventListener('abort', stop);
      this.#round = { cause, stop: round };
      try {
        const outcome = await this.#attempt(cause, round.signal);
        this.#round = undefined;
        if (outcome === 'committed') return;
        await clock.sleep(Math.max(CONFIRM_AFTER_MS, backoff.next()), signal);
      } catch (error) {
        this.#round = undefined;
        if (round.signal.aborted) continue;
        metrics.lists_total.error++;
        // Rule B4: the version went away between two pages.
        const atOnce = isGone(error) && !startedAnew;
        startedAnew = true;
        const delay = atOnce ? 0 : backoff.next(retryAfterOf(error));
        complain(this.#slice, 'list', error, delay);
        this.#mayRetrySoon = retryAfterOf(error) === 0;
        await this.#retryBell.wait(delay, signal);
        this.#mayRetrySoon = false;
      } finally {
        signal.removeEventListener('abort', stop);
      }
    }
  }

  async #attempt(cause: ListCause, signal: AbortSignal): Promise<Outcome> {
    const { clock, metrics, progress, setAside } = this.#slice;
    const sent = progress.sending(clock.now());
    const list = await this.#fetcher.fetch(signal);
    if (cause === 'periodic' && this.#options.isWatching()) await this.#letTheWatchCatchUp(list, signal);
    for (const _ of list.replacement.compare()) {
      await setImmediate();
      signal.throwIfAborted();
    }
    signal.throwIfAborted();
    const verdict = progress.judge(list.version, sent, clock.now());
    if (verdict === 'older') {
      metrics.lists_total.older++;
      this.#refuse(REFUSED.older, { version: list.version, seen: sent.newestSeen });
      return 'older';
    }
    if (!setAside.allFailedBefore(list.unreadable)) {
      metrics.lists_total.error++;
      this.#refuse(REFUSED.unreadable, { unreadable: list.unreadable.size });
      return 'unreadable';
    }
    for (const object of list.unreadable.values()) list.replacement.addUnreadable(object);
    const rebuild = verdict === 'backwards';
    // After a rebuild no served record is newer than the list: they are of another history.
    const against = rebuild ? progress.sending(0).newestSeen : list.version;
    if (!this.#isBelieved(list.replacement, against)) {
      metrics.lists_total.shrunken++;
      progress.withhold();
      return 'shrunken';
    }
    this.#commit(cause, list, sent, rebuild);
    return 'committed';
  }

  /** Rule B9. Between two attempts lies a second at least. */
  #isBelieved(replacement: Replacement<T>, against: ResourceVersion): boolean {
    const { total, lost } = replacement.shrinkage(against);
    const shrunken = (replacement.size === 0 && lost > 0) || (total >= 5 && lost * 2 > total);
    const before = this.#suspect;
    if (!shrunken || before?.alike(replacement)) {
      this.#suspect = undefined;
      return true;
    }
    this.#suspect = replacement;
    this.#refuse(REFUSED.shrunken, { total, lost });
    return false;
  }

  #commit(cause: ListCause, list: FetchedList<T>, sent: Sent, rebuild: boolean): void {
    const { clock, log, metrics, progress, setAside } = this.#slice;
    const { replacement, version, unreadable } = list;
    const size = replacement.size;
    const changes = replacement.commit(version, rebuild ? { forget: true } : {});
    this.#size = size;
    setAside.committed(unreadable);
    metrics.lists_total.ok++;
    works(this.#slice, 'list');
    for (const message of Object.values(REFUSED)) this.#slice.complaints.settled(message);
    const fields = { cause, version, size, ms: Math.round(clock.now() - sent.at), ...changes };
    if (rebuild) {
      metrics.backwards_total.all++;
      log.error(
        { ...fields, seen: sent.newestSeen },
        'the API server went back to an older state: rebuilt from a list',
      );
      progress.rebuilt(sent, version);
    } else {
      progress.listed(sent, version);
      if (cause === 'periodic' && this.#options.isWatching()) this.#countDrift(changes);
      log.info(fields, 'listed');
    }
    this.#options.onCommit(rebuild);
  }

  #refuse(message: string, fields: object): void {
    const { complaints, what } = this.#slice;
    complaints.warn(message, `${message}: ${what}`, fields);
  }

  #countDrift(changes: { readonly added: number; readonly modified: number; readonly deleted: number }): void {
    const { log, metrics } = this.#slice;
    metrics.drift_total.added += changes.added;
    metrics.drift_total.modified += changes.modified;
    metrics.drift_total.deleted += changes.deleted;
    if (changes.added + changes.modified + changes.deleted > 0) {
      log.warn(changes, 'a periodic list repaired what the watch had lost');
    }
  }

  /** Else what the watch is about to bring would look like drift. On a quiet cluster it brings nothing, and nothing differs. */
  async #letTheWatchCatchUp(list: FetchedList<T>, signal: AbortSignal): Promise<void> {
    const { clock, progress } = this.#slice;
    const end = clock.now() + WATCH_CATCHES_UP_MS;
    while (clock.now() < end && !signal.aborted && compareResourceVersions(progress.version, list.version) < 0) {
      await clock.sleep(CATCH_UP_STEP_MS, signal);
    }
  }
}
