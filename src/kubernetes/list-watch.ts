import { DeadlineError } from './api-error.ts';
import { Deadline } from './deadline.ts';
import { WireError } from './wire/format.ts';
import type { ResourceVersion } from '../pod.ts';
import type { Clock } from './clock.ts';
import type { ListPage, ObjectReader, WatchEvent, WireFormat } from './wire/format.ts';

/** One GET to the API server. Throws `ApiError` when it is refused, `UnexpectedAnswer` when it is not the API's. */
export interface Transport {
  get(path: string, signal: AbortSignal, options?: GetOptions): Promise<ApiResponse>;
}

export interface GetOptions {
  /** Whether objects, or a list of them, are asked for cut down to their metadata. A server that does not know how sends them whole. */
  readonly as?: 'PartialObjectMetadata' | 'PartialObjectMetadataList' | undefined;
}

export interface ApiResponse {
  /** By the response's content type. */
  readonly format: WireFormat;
  /** Must be read to its end or returned, else its connection stays. */
  readonly body: AsyncIterable<Uint8Array>;
}

/** What is listed and watched. */
export interface Resource<T> {
  /** `/api/v1/pods`, or `/api/v1/namespaces/NAMESPACE/pods`. */
  readonly path: string;
  readonly reader: ObjectReader<T>;
  readonly labelSelector?: string | undefined;
  readonly fieldSelector?: string | undefined;
  /** The metadata of objects is all that is read. */
  readonly metadataOnly?: boolean;
}

export type Batch<T> = readonly WatchEvent<T>[];

export interface WatchOptions {
  /** After this many seconds the server ends the watch by itself. */
  readonly seconds: number;
  readonly signal: AbortSignal;
  /** The server has accepted the watch. */
  readonly onOpen?: () => void;
}

/** The four questions a reflector asks. Every one is bounded in time and throws when its signal is aborted. */
export interface ListWatch<T> {
  /** Events after `from`, a batch per chunk that arrived; ends when the server closes cleanly. */
  watch(from: ResourceVersion, options: WatchOptions): AsyncIterable<Batch<T>>;
  /** Rule B1: a consistent list as a stream. What exists comes as ADDED (and changes meanwhile), then a bookmark with `initialEventsEnd`. */
  stream(signal: AbortSignal): AsyncIterable<Batch<T>>;
  /** Rule B1: a consistent list in pages. Throws a 410 when it took so long that its version is gone: begin anew. */
  pages(signal: AbortSignal): AsyncIterable<ListPage<T>>;
  /** Rule C1: the version of the cluster now, as a quorum of etcd sees it. */
  read(signal: AbortSignal): Promise<ResourceVersion>;
}

/** Milliseconds. */
export const DEADLINES = {
  /** Until the headers of a watch, and for all of a consistent read: API priority and fairness may queue a request for 15 s. */
  answer: 20_000,
  /** For a page, its last byte included. The API server itself gives up after 60 s. */
  page: 60_000,
  /** For all pages of a list: the API server forgets a list's version after 5 to 10 minutes. */
  pages: 600_000,
  /** For one event, from its first byte to its last. */
  event: 10_000,
  /** Without a byte in a watch. Bookmarks come once a minute, the first after up to two (B2). */
  idle: 150_000,
  /** How much longer than asked for a watch may last. */
  grace: 10_000,
  /** Without a byte in a streamed list before its end. A server that does not know `sendInitialEvents` says nothing more. */
  streamIdle: 10_000,
  /** For a whole streamed list, once it has begun: 1.3 GB at 5 MB/s. */
  stream: 300_000,
};

const PAGE_SIZE = 500;
/** 500 pods of 8 KB are 4 MB; a server that ignores `limit` sends all of them. Beyond it, memory is in danger. */
const MAX_PAGE_BYTES = 256 * 1024 * 1024;

export interface ListWatchOptions<T> {
  readonly transport: Transport;
  readonly resource: Resource<T>;
  readonly clock: Clock;
  readonly deadlines?: Partial<typeof DEADLINES>;
}

export class ApiListWatch<T> implements ListWatch<T> {
  readonly #transport: Transport;
  readonly #resource: Resource<T>;
  readonly #clock: Clock;
  readonly #deadlines: typeof DEADLINES;

  constructor({ transport, resource, clock, deadlines }: ListWatchOptions<T>) {
    this.#transport = transport;
    this.#resource = resource;
    this.#clock = clock;
    this.#deadlines = { ...DEADLINES, ...deadlines };
  }

  watch(from: ResourceVersion, { seconds, signal, onOpen }: WatchOptions): AsyncIterable<Batch<T>> {
    const query = { watch: '1', resourceVersion: from, allowWatchBookmarks: 'true', timeoutSeconds: `${seconds}` };
    const { idle, grace } = this.#deadlines;
    return this.#events(query, { idle, whole: seconds * 1000 + grace, signal, onOpen });
  }

  stream(signal: AbortSignal): AsyncIterable<Batch<T>> {
    const { streamIdle: idle, stream: whole } = this.#deadlines;
    const query = {
      watch: '1',
      sendInitialEvents: 'true',
      resourceVersionMatch: 'NotOlderThan', // with resourceVersion unset: not older than now
      allowWatchBookmarks: 'true',
      timeoutSeconds: `${Math.ceil(whole / 1000)}`,
    };
    return this.#events(query, { idle, whole, signal });
  }

  async *pages(signal: AbortSignal): AsyncIterable<ListPage<T>> {
    let version: ResourceVersion | undefined;
    let token = '';
    const end = this.#clock.now() + this.#deadlines.pages;
    do {
      const left = end - this.#clock.now();
      if (left <= 0) throw new DeadlineError(`a list not at its end within ${this.#deadlines.pages / 1000} s`);
      const query = { limit: `${PAGE_SIZE}`, ...(token && { continue: token }) };
      const page = await this.#page({ ...this.#selectors(), ...query }, Math.min(left, this.#deadlines.page), signal);
      version ??= page.resourceVersion;
      if (page.resourceVersion !== version) throw new WireError('the pages of a list are of different versions');
      if (page.continue && page.continue === token) throw new WireError('a page of a list leads to itself');
      yield page;
      token = page.continue;
    } while (token);
  }

  /**
   * Without the selectors: the version is the same, and before Kubernetes 1.31 an API server would search all of etcd for
   * the one object that fits them.
   */
  async read(signal: AbortSignal): Promise<ResourceVersion> {
    return (await this.#page({ limit: '1' }, this.#deadlines.answer, signal)).resourceVersion;
  }

  async *#events(
    query: Readonly<Record<string, string>>,
    limits: { idle: number; whole: number; signal: AbortSignal; onOpen?: (() => void) | undefined },
  ): AsyncIterable<Batch<T>> {
    const deadline = new Deadline(this.#clock, limits.signal);
    try {
      deadline.by(this.#deadlines.answer, 'no answer');
      const response = await this.#get({ ...this.#selectors(), ...query }, 'PartialObjectMetadata', deadline.signal);
      limits.onOpen?.();
      const decoder = response.format.watch(this.#resource.reader);
      const openedAt = this.#clock.now();
      const end = openedAt + limits.whole;
      let eventSince = openedAt;
      deadline.by(Math.min(limits.idle, limits.whole), 'not a byte');
      for await (const chunk of response.body) {
        const now = this.#clock.now();
        if (!decoder.partial) eventSince = now;
        const events = decoder.push(chunk);
        if (events.length > 0) eventSince = now;
        if (decoder.partial) deadline.by(this.#deadlines.event, 'an event not complete', eventSince);
        else if (now + limits.idle < end) deadline.by(limits.idle, 'not a byte');
        else deadline.by(limits.whole, 'the watch not ended', openedAt);
        deadline.signal.throwIfAborted();
        if (events.length > 0) yield events;
      }
      if (decoder.partial) throw new Error('the stream was cut in the middle of an event');
    } catch (error) {
      throw deadline.signal.aborted ? deadline.signal.reason : error;
    } finally {
      deadline.close();
    }
  }

  async #page(query: Readonly<Record<string, string>>, limit: number, signal: AbortSignal): Promise<ListPage<T>> {
    const deadline = new Deadline(this.#clock, signal);
    try {
      deadline.by(limit, 'no complete answer');
      const response = await this.#get(query, 'PartialObjectMetadataList', deadline.signal);
      return response.format.list(await wholeBody(response.body, deadline.signal), this.#resource.reader);
    } catch (error) {
      throw deadline.signal.aborted ? deadline.signal.reason : error;
    } finally {
      deadline.close();
    }
  }

  #selectors(): Readonly<Record<string, string>> {
    const { labelSelector, fieldSelector } = this.#resource;
    return { ...(labelSelector && { labelSelector }), ...(fieldSelector && { fieldSelector }) };
  }

  #get(query: Readonly<Record<string, string>>, as: GetOptions['as'], signal: AbortSignal): Promise<ApiResponse> {
    const { path, metadataOnly } = this.#resource;
    const options = metadataOnly ? { as } : {};
    return this.#transport.get(`${path}?${new URLSearchParams(query).toString()}`, signal, options);
  }
}

async function wholeBody(body: AsyncIterable<Uint8Array>, signal: AbortSignal): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of body) {
    signal.throwIfAborted();
    size += chunk.length;
    if (size > MAX_PAGE_BYTES) throw new WireError(`a page of a list is larger than ${MAX_PAGE_BYTES} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks, size);
}
