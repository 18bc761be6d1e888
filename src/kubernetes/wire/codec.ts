import type { Unreadable } from '../../pod.ts';
import { isResourceVersion } from '../../resource-version.ts';
import { WireError } from './format.ts';
import type { ApiStatus, ListPage, ObjectReader, WatchDecoder, WatchEvent } from './format.ts';
import type { Framing } from './framing.ts';

/**
 * What a wire format must know; what follows from it is the same for both and stands below. `O` is an object of the API in
 * this format, not yet read. All may throw anything: it becomes a `WireError`, except what a reader throws.
 */
export interface Codec<O> {
  readonly format: 'protobuf' | 'json';
  readonly framing: Framing;
  /** One frame of a watch; undefined for one that says nothing. */
  openEvent(frame: Buffer): { readonly type: string; readonly kind: string; readonly object: O } | undefined;
  openList(body: Buffer): { readonly kind: string; readonly metadata: ListMetadata; readonly items: Iterable<O> };
  read<T>(object: O, reader: ObjectReader<T>): T;
  bytes(object: O): Uint8Array;
  bookmark(object: O): { readonly resourceVersion: string; readonly initialEventsEnd: boolean };
  status(object: O): ApiStatus;
}

export interface ListMetadata {
  readonly resourceVersion: string;
  readonly continue: string;
}

/** The annotation of the bookmark that ends the initial events of a watch with `sendInitialEvents`. */
export const INITIAL_EVENTS_END = 'k8s.io/initial-events-end';

export class FramedWatch<T, O> implements WatchDecoder<T> {
  readonly #codec: Codec<O>;
  readonly #reader: ObjectReader<T>;
  readonly #framer: InstanceType<Framing>;
  #events: WatchEvent<T>[] = [];
  #failed = false;

  constructor(codec: Codec<O>, reader: ObjectReader<T>) {
    this.#codec = codec;
    this.#reader = reader;
    this.#framer = new codec.framing((frame) => {
      const event = this.#event(frame);
      if (event) this.#events.push(event);
    });
  }

  get partial(): boolean {
    return this.#framer.partial;
  }

  push(chunk: Uint8Array): WatchEvent<T>[] {
    if (this.#failed) throw new WireError('the stream was corrupt before');
    this.#events = [];
    try {
      this.#framer.push(chunk);
    } catch (error) {
      this.#failed = true;
      throw wireError(error);
    }
    return this.#events;
  }

  #event(frame: Buffer): WatchEvent<T> | undefined {
    const opened = this.#codec.openEvent(frame);
    if (!opened) return undefined;
    const { type, kind, object } = opened;
    switch (type) {
      case 'ADDED':
      case 'MODIFIED':
      case 'DELETED': {
        requireKind(kind, this.#reader.kinds);
        const read = readObject(this.#codec, this.#reader, object);
        return 'value' in read
          ? { type, object: read.value }
          : { type: 'UNREADABLE', eventType: type, object: read.unreadable };
      }
      case 'BOOKMARK': {
        requireKind(kind, this.#reader.kinds);
        const { resourceVersion, initialEventsEnd } = this.#codec.bookmark(object);
        requireVersion(resourceVersion);
        return { type, resourceVersion, initialEventsEnd };
      }
      case 'ERROR':
        requireKind(kind, STATUS);
        return { type, status: this.#codec.status(object) };
      default:
        throw new WireError(`event type ${quoted(type)} is not known`);
    }
  }
}

export function readList<T, O>(codec: Codec<O>, body: Buffer, reader: ObjectReader<T>): ListPage<T> {
  try {
    const { kind, metadata, items: objects } = codec.openList(body);
    requireKind(
      kind,
      reader.kinds.map((one) => `${one}List`),
    );
    requireVersion(metadata.resourceVersion);
    const items: T[] = [];
    const unreadable: Unreadable[] = [];
    for (const object of objects) {
      const read = readObject(codec, reader, object);
      if ('value' in read) items.push(read.value);
      else unreadable.push(read.unreadable);
    }
    return { ...metadata, items, unreadable };
  } catch (error) {
    throw wireError(error);
  }
}

/** An intact object that its reader does not understand is told of, not thrown (rule B6). */
function readObject<T, O>(
  codec: Codec<O>,
  reader: ObjectReader<T>,
  object: O,
): { readonly value: T } | { readonly unreadable: Unreadable } {
  try {
    return { value: codec.read(object, reader) };
  } catch (error) {
    return { unreadable: reader.salvage(codec.bytes(object), codec.format, error) };
  }
}

const STATUS = ['Status'];

function requireKind(kind: string, expected: readonly string[]): void {
  if (!expected.includes(kind)) throw new WireError(`${quoted(kind)} where a ${expected.join(' or ')} was expected`);
}

function requireVersion(resourceVersion: string): void {
  if (!isResourceVersion(resourceVersion)) throw new WireError(`resource version ${quoted(resourceVersion)}`);
}

function quoted(text: string): string {
  return JSON.stringify(text.slice(0, 40));
}

function wireError(error: unknown): WireError {
  if (error instanceof WireError) return error;
  return new WireError(error instanceof Error ? error.message : 'unknown', { cause: error });
}
