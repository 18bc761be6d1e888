import type { ResourceVersion, Unreadable } from '../../pod.ts';

/**
 * The small interface behind which both wire formats stand: bytes in, events out. A format knows how lists and watch
 * streams are framed; an `ObjectReader` knows one kind of object in both formats. Decoders are pure: no I/O, no clock.
 */

/** How one kind of API object is read. Both functions return the same record for the same object, or throw. */
export interface ObjectReader<T> {
  /** What it reads, as the API calls it (`Pod`): an object of another kind on the wire is a `WireError`. */
  readonly kinds: readonly string[];
  /** From a parsed JSON object. */
  fromJson(object: unknown): T;
  /** From the bytes of the protobuf message (inside `runtime.Unknown.raw`, or a list's `items` element). */
  fromProtobuf(bytes: Uint8Array): T;
  /** What can be salvaged from an object that could not be read. Never throws. */
  salvage(bytes: Uint8Array, format: 'json' | 'protobuf', error: unknown): Unreadable;
}

/** metav1.Status, cut down. */
export interface ApiStatus {
  readonly code: number;
  readonly reason: string;
  readonly message: string;
  readonly retryAfterSeconds: number | undefined;
}

export type WatchEvent<T> =
  | { readonly type: 'ADDED' | 'MODIFIED' | 'DELETED'; readonly object: T }
  | { readonly type: 'BOOKMARK'; readonly resourceVersion: ResourceVersion; readonly initialEventsEnd: boolean }
  | { readonly type: 'ERROR'; readonly status: ApiStatus }
  /** An object inside an intact frame that could not be read. `eventType` is what happened to it. */
  | {
      readonly type: 'UNREADABLE';
      readonly eventType: 'ADDED' | 'MODIFIED' | 'DELETED';
      readonly object: Unreadable;
    };

/** One watch response. Not reusable after it threw. */
export interface WatchDecoder<T> {
  /** Takes the next bytes; returns the events completed by them, in order. Throws `WireError` on a corrupt frame or unknown event type. */
  push(chunk: Uint8Array): WatchEvent<T>[];
  /** Whether bytes of an unfinished frame are held: the stream was cut in the middle. The partial frame is dropped (faults.md). */
  readonly partial: boolean;
}

export interface ListPage<T> {
  readonly resourceVersion: ResourceVersion;
  /** Token of the next page, or empty. */
  readonly continue: string;
  readonly items: readonly T[];
  readonly unreadable: readonly Unreadable[];
}

export interface WireFormat {
  readonly name: 'protobuf' | 'json';
  watch<T>(reader: ObjectReader<T>): WatchDecoder<T>;
  /** Throws `WireError` when the body is not a list with a resource version. */
  list<T>(body: Uint8Array, reader: ObjectReader<T>): ListPage<T>;
  /** An error body (`Status`); undefined when it is not one. Never throws. */
  status(body: Uint8Array): ApiStatus | undefined;
}

/** The bytes are not what the API server says it sends. The stream must be closed and relisted (rule B6). */
export class WireError extends Error {
  override readonly name = 'WireError';
}

/** The largest single frame or line: etcd's limit is 1.5 MiB an object; twice that and its base64, rounded up. */
export const MAX_FRAME_BYTES = 8 * 1024 * 1024;
