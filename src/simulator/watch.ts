import { encodeJson } from './encoding/json.ts';
import { apiVersionOf, frame, typeHead } from './encoding/framing.ts';
import { encodeMessage } from './encoding/protobuf.ts';
import type { ObjectsRequest } from './api-request.ts';
import type { Body } from './body.ts';
import type { FaultActions } from './faults.ts';
import { page } from './list.ts';
import type { ObjectVersion, Shape, StoredObject } from './object-version.ts';
import { spoiled } from './spoiled.ts';
import { ApiError, expired, tooLarge } from './status.ts';
import type { StatusObject } from './status.ts';
import type { ObjectStore, StoreEvent } from './store.ts';

export interface WatchTimes {
  /** A bookmark comes this often (60 s in the real server) ... */
  bookmarkEveryMs: number;
  /** ... and this long before the watch ends (2 s), if it lasts that long. */
  bookmarkBeforeEndMs: number;
  /** How long a watch lasts that asks for no timeoutSeconds (30 to 60 minutes). */
  defaultTimeoutMs: number;
}

const JSON_END = Buffer.from('}\n');

/** What Go writes of an object that has nothing, beside its metadata. */
const NOTHING: Readonly<Record<string, object>> = {
  Pod: { spec: { containers: null }, status: {} },
  Namespace: { spec: {}, status: {} },
  EndpointSlice: { addressType: '', endpoints: null, ports: null },
};

/** Writes frames of one shape. */
class Frames {
  readonly #body: Body;
  readonly #shape: Shape;
  readonly #faults: FaultActions;
  readonly #heads = new Map<string, Buffer>();

  constructor(body: Body, shape: Shape, faults: FaultActions) {
    this.#body = body;
    this.#shape = shape;
    this.#faults = faults;
  }

  object(type: string, object: ObjectVersion<StoredObject>): void {
    const { format, kind } = this.#shape;
    const bytes = spoiled(object, this.#shape, this.#faults);
    if (format === 'json') {
      this.#body.write(this.#head(type));
      this.#body.write(bytes.subarray(1));
      this.#body.write(JSON_END);
    } else this.#message(type, kind, bytes);
  }

  bookmark(version: number, initialEventsEnd: boolean): void {
    const { format, kind } = this.#shape;
    const annotations = initialEventsEnd ? { annotations: { 'k8s.io/initial-events-end': 'true' } } : {};
    const metadata = { resourceVersion: String(version), ...annotations };
    if (format === 'protobuf') return this.#message('BOOKMARK', kind, encodeMessage(kind, { metadata }));
    const object = { kind, apiVersion: apiVersionOf(kind), metadata, ...NOTHING[kind] };
    this.#body.write(Buffer.from(`${encodeJson({ type: 'BOOKMARK', object })}\n`));
  }

  error(status: StatusObject): void {
    if (this.#shape.format === 'protobuf') return this.#message('ERROR', 'Status', encodeMessage('Status', status));
    this.#body.write(Buffer.from(`${encodeJson({ type: 'ERROR', object: status })}\n`));
  }

  /** The object's own `{` gives way to one with kind and apiVersion in front. */
  #head(type: string): Buffer {
    let head = this.#heads.get(type);
    if (!head) {
      head = Buffer.from(`{"type":"${type}","object":${typeHead(this.#shape.kind)}`);
      this.#heads.set(type, head);
    }
    return head;
  }

  #message(type: string, kind: string, message: Uint8Array): void {
    const { head, tail } = frame(type, kind, message.length);
    this.#body.write(head);
    this.#body.write(message);
    this.#body.write(tail);
  }
}

interface Seen {
  readonly type: string;
  readonly object: ObjectVersion<StoredObject>;
}

/** What a watcher with a selector sees of an event (cacher's convertToWatchEvent); undefined: nothing. */
function seen(event: StoreEvent<StoredObject>, request: ObjectsRequest): Seen | undefined {
  if (request.namespace !== undefined && event.current.object.metadata.namespace !== request.namespace)
    return undefined;
  const { type, current, previous, version } = event;
  if (request.everything) return { type, object: current };
  const fits = type !== 'DELETED' && request.matches(current.object);
  const fitted = previous !== undefined && request.matches(previous.object);
  if (fits) return { type: fitted ? 'MODIFIED' : 'ADDED', object: current };
  return fitted ? { type: 'DELETED', object: previous.leaving(version) } : undefined;
}

/** Changes the order and number of events by script. */
function script(faults: FaultActions): (event: Seen) => readonly Seen[] {
  let count = 0;
  let held: Seen | undefined;
  return (event) => {
    if (faults.bookmarksOnly) return [];
    count++;
    if (count === faults.dropEvent) return [];
    if (count === faults.duplicateEvent) return [event, event];
    if (count === faults.unknownEvent) return [{ ...event, type: 'SURPRISE' }];
    if (count === faults.reorderEvent) {
      held = event;
      return [];
    }
    const behind = held;
    held = undefined;
    return behind ? [event, behind] : [event];
  };
}

/** When the next bookmark is due: every so often, and once shortly before the end. */
function nextBookmark(now: number, ends: number, times: WatchTimes): number {
  const beforeEnd = ends - times.bookmarkBeforeEndMs;
  return now < beforeEnd ? Math.min(now + times.bookmarkEveryMs, beforeEnd) : Infinity;
}

export interface WatchOptions {
  readonly shape: Shape;
  readonly faults: FaultActions;
  readonly times: WatchTimes;
}

/** Serves one watch until it times out, the client goes, or the history it needs is gone. */
export async function serveWatch(
  store: ObjectStore<StoredObject>,
  request: ObjectsRequest,
  body: Body,
  options: WatchOptions,
): Promise<void> {
  const frames = new Frames(body, options.shape, options.faults);
  const from = request.resourceVersion ?? 0;
  try {
    if (request.verb === 'sync' && from > store.version) throw tooLarge(from, store.version);
    let version = from;
    if (request.verb === 'sync' || from === 0) version = await sendInitialEvents(store, request, body, frames, options);
    else if (from < store.floor) throw expired(from, store.floor);
    await sendChanges(store, { ...request, resourceVersion: version }, body, frames, options);
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    frames.error(error.status);
  }
  await body.end();
}

/** All objects as ADDED, in the order of keys, and the bookmark that ends them. Returns the version they are of. */
async function sendInitialEvents(
  store: ObjectStore<StoredObject>,
  request: ObjectsRequest,
  body: Body,
  frames: Frames,
  { faults }: WatchOptions,
): Promise<number> {
  const initial = page(store, { ...request, verb: 'list', limit: 0, resourceVersion: undefined }, faults);
  for (const object of initial.objects) {
    frames.object('ADDED', object);
    if (!body.full) continue;
    await body.flush();
    if (body.closed) break;
  }
  if (request.verb === 'sync' && request.bookmarks) frames.bookmark(initial.version, true);
  return initial.version;
}

/** The changes after `request.resourceVersion`, with bookmarks, until the end. Throws ApiError for a scripted in-stream ERROR. */
async function sendChanges(
  store: ObjectStore<StoredObject>,
  request: ObjectsRequest,
  body: Body,
  frames: Frames,
  { faults, times }: WatchOptions,
): Promise<void> {
  const { epoch } = store.revision;
  const started = request.resourceVersion ?? 0;
  const lasts = Math.min(faults.closeAfterMs ?? Infinity, request.timeoutSeconds * 1000 || times.defaultTimeoutMs);
  const ends = performance.now() + lasts;
  const reshape = script(faults);
  const { events: errorAfter, code, reason = 'InternalError', message = 'a scripted error' } = faults.errorAfter ?? {};
  let version = started;
  let sent = 0;
  let bookmark = request.bookmarks ? nextBookmark(performance.now(), ends, times) : Infinity;
  let wake = (): void => {};
  const unsubscribe = store.revision.onChange(() => wake());
  void body.gone.then(() => wake());
  try {
    while (!body.closed) {
      if (store.revision.epoch !== epoch) return body.destroy();
      const upTo = store.version;
      const events = upTo > version ? store.since(version) : [];
      if (!events) return; // too slow for the history: the real server ends such a watch too
      for (const event of events) {
        if (code !== undefined && sent === errorAfter) break;
        const visible = seen(event, request);
        if (!visible) continue;
        sent++;
        for (const { type, object } of reshape(visible)) frames.object(type, object);
        if (!body.full) continue;
        await body.flush();
        if (body.closed) return;
      }
      version = Math.max(version, upTo);
      if (code !== undefined && sent === errorAfter) throw new ApiError(code, reason, message);
      const now = performance.now();
      if (now >= bookmark) {
        // The real server is silent too while no version at all passed since the watch began.
        if (version > started) frames.bookmark(version, false);
        bookmark = nextBookmark(now, ends, times);
      }
      await body.flush();
      if (now >= ends) return;
      if (store.version > version) continue;
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, Math.max(0, Math.ceil(Math.min(bookmark, ends) - performance.now())));
        wake = (): void => {
          clearTimeout(timer);
          resolve();
        };
        if (body.closed || store.revision.epoch !== epoch) wake();
      });
    }
  } finally {
    unsubscribe();
  }
}
