import { ApiError, DeadlineError } from './api-error.ts';
import type { ResourceVersion, Unreadable } from '../pod.ts';
import type { ApiObject } from './api-object.ts';
import type { Clock } from './clock.ts';
import type { Batch, ListWatch } from './list-watch.ts';
import type { Replacement, SliceStore } from './store.ts';

/** A list that is whole, beside what is served, and not yet judged. */
export interface FetchedList<T> {
  readonly replacement: Replacement<T>;
  readonly version: ResourceVersion;
  /** What is in the list and could not be read; none of it is in the replacement yet. */
  readonly unreadable: ReadonlyMap<string, Unreadable>;
}

/** Statuses by which servers refuse a streamed list: unknown parameters, no `watch` verb, a proxy that knows only lists. */
const REFUSALS = new Set([400, 403, 404, 405, 406, 422, 501]);

/** A server that sends changes this long before the end of the list does not know that it was to send a list. */
const CHANGES_BEFORE_END_MS = 10_000;
/** How long a server that could not stream is asked for pages at once. It may have been upgraded since. */
const PAGED_FOR_MS = 3_600_000;

/** The server took a streamed list for an ordinary watch: it sent what there is, and never said that this was all. */
class StreamIgnored extends Error {}

/**
 * Rule B1: one consistent list, streamed where the server can, else in pages. Which it can shows only by trying: a server
 * refuses the parameters (422 from Kubernetes without WatchList), or ignores them, starts a watch "at most recent" with what
 * exists as ADDED, and goes on without the bookmark that ends a list. That is told by silence (`DEADLINES.streamIdle`) or,
 * where pods keep changing, by changes that go on for 10 s. Whatever else a stream fails of, the next list is paged.
 */
export class ConsistentLists<T extends ApiObject> {
  readonly #listWatch: ListWatch<T>;
  readonly #store: SliceStore<T>;
  readonly #clock: Clock;
  readonly #asUnreadable: (object: T, error: unknown) => Unreadable;
  #pagedUntil = -Infinity;
  #pagedNext = false;

  constructor(options: {
    readonly listWatch: ListWatch<T>;
    readonly store: SliceStore<T>;
    readonly clock: Clock;
    /** For an object that the store would not take. */
    readonly asUnreadable: (object: T, error: unknown) => Unreadable;
  }) {
    this.#listWatch = options.listWatch;
    this.#store = options.store;
    this.#clock = options.clock;
    this.#asUnreadable = options.asUnreadable;
  }

  async fetch(signal: AbortSignal): Promise<FetchedList<T>> {
    const paged = this.#pagedNext || this.#clock.now() < this.#pagedUntil;
    if (paged) return await this.#paged(signal);
    try {
      return await this.#streamed(signal);
    } catch (error) {
      signal.throwIfAborted();
      this.#pagedNext = true;
      if (!isRefusal(error)) throw error;
    }
    const list = await this.#paged(signal);
    this.#pagedUntil = this.#clock.now() + PAGED_FOR_MS;
    return list;
  }

  async #streamed(signal: AbortSignal): Promise<FetchedList<T>> {
    const filling = new Filling(this.#store.beginReplace(), this.#asUnreadable);
    let changingSince: number | undefined;
    for await (const batch of this.#listWatch.stream(signal)) {
      signal.throwIfAborted();
      const end = filling.take(batch);
      if (end !== undefined) return filling.list(end);
      if (filling.changes > 0) changingSince ??= this.#clock.now();
      if (this.#clock.now() - (changingSince ?? Infinity) > CHANGES_BEFORE_END_MS) break;
    }
    throw new StreamIgnored('the streamed list had no end');
  }

  async #paged(signal: AbortSignal): Promise<FetchedList<T>> {
    const filling = new Filling(this.#store.beginReplace(), this.#asUnreadable);
    let version: ResourceVersion | undefined;
    for await (const page of this.#listWatch.pages(signal)) {
      signal.throwIfAborted();
      version = page.resourceVersion;
      for (const object of page.items) filling.add(object);
      for (const object of page.unreadable) filling.unreadable.set(object.key, object);
    }
    if (version === undefined) throw new Error('a list without a page');
    this.#pagedNext = false;
    return filling.list(version);
  }
}

const isRefusal = (error: unknown): boolean =>
  (error instanceof ApiError && REFUSALS.has(error.status)) ||
  error instanceof StreamIgnored ||
  error instanceof DeadlineError;

class Filling<T extends ApiObject> {
  readonly unreadable = new Map<string, Unreadable>();
  /** MODIFIED and DELETED: the server has sent all that there was, and waits until it is sure to be current. */
  changes = 0;
  readonly #replacement: Replacement<T>;
  readonly #asUnreadable: (object: T, error: unknown) => Unreadable;

  constructor(replacement: Replacement<T>, asUnreadable: (object: T, error: unknown) => Unreadable) {
    this.#replacement = replacement;
    this.#asUnreadable = asUnreadable;
  }

  add(object: T): void {
    try {
      this.#replacement.add(object);
      this.unreadable.delete(object.uid);
    } catch (error) {
      const unreadable = this.#asUnreadable(object, error);
      this.unreadable.set(unreadable.key, unreadable);
    }
  }

  /** Returns the list's version when the batch holds its end. */
  take(batch: Batch<T>): ResourceVersion | undefined {
    for (const event of batch) {
      if (event.type === 'MODIFIED' || event.type === 'DELETED') this.changes++;
      switch (event.type) {
        case 'ADDED':
        case 'MODIFIED':
          this.add(event.object);
          break;
        case 'DELETED':
          this.#replacement.remove(event.object);
          this.unreadable.delete(event.object.uid);
          break;
        case 'UNREADABLE':
          this.unreadable.set(event.object.key, event.object);
          break;
        case 'BOOKMARK':
          if (event.initialEventsEnd) return event.resourceVersion;
          break;
        case 'ERROR':
          throw ApiError.fromStatus(event.status);
      }
    }
    return undefined;
  }

  list(version: ResourceVersion): FetchedList<T> {
    return { replacement: this.#replacement, version, unreadable: this.unreadable };
  }
}
