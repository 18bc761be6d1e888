import { encodeJson } from './encoding/json.ts';
import { encodeMessage } from './encoding/protobuf.ts';
import { keyOf } from './key.ts';

export type Format = 'json' | 'protobuf';

/** What every object has. Objects are never changed after they were stored: a change is a new object that shares what stayed the same. */
export interface StoredObject {
  readonly metadata: {
    readonly name: string;
    readonly namespace?: string;
    readonly uid: string;
    readonly resourceVersion?: string;
    readonly creationTimestamp: string;
    readonly labels?: Readonly<Record<string, string>>;
  };
}

/** How an object is sent. The kind is its own, or that of what is left when only its metadata was asked for. */
export interface Shape {
  readonly format: Format;
  readonly kind: string;
}

export const PARTIAL = 'PartialObjectMetadata';

let slab = Buffer.alloc(0);
let slabBytes = 1 << 19;

/**
 * Copies bytes into a slab. One ArrayBuffer per object would be 150,000 of them, and V8 collects garbage for every 64 MB that it
 * sees allocated outside its heap, whether one keeps them or not; so the slabs double, up to 256 MB.
 */
function keep(bytes: Uint8Array): Uint8Array {
  if (bytes.length > slab.length) {
    slabBytes = Math.min(2 * slabBytes, 1 << 28);
    slab = Buffer.allocUnsafeSlow(Math.max(slabBytes, bytes.length));
  }
  const kept = slab.subarray(0, bytes.length);
  kept.set(bytes);
  slab = slab.subarray(bytes.length);
  return kept;
}

/** The JSON object (without kind and apiVersion) or the protobuf message. TL;DR caveat: valid only until the next call. */
export function encode(object: StoredObject, { format, kind }: Shape): Uint8Array {
  const sent = kind === PARTIAL ? { metadata: object.metadata } : object;
  return format === 'json' ? Buffer.from(encodeJson(sent)) : encodeMessage(kind, sent);
}

/** One version of one object, and how it looks on the wire. */
export class ObjectVersion<T extends StoredObject> {
  readonly key: string;
  readonly object: T;
  readonly version: number;
  readonly #keepBytes: boolean;
  #json: Uint8Array | undefined;
  #protobuf: Uint8Array | undefined;

  constructor(object: T, version: number, keepBytes: boolean) {
    this.key = keyOf(object.metadata.namespace, object.metadata.name);
    this.object = object;
    this.version = version;
    this.#keepBytes = keepBytes;
  }

  /** As `encode`; what is sent whole may be kept. */
  bytes(shape: Shape): Uint8Array {
    if (shape.kind === PARTIAL) return encode(this.object, shape);
    const known = shape.format === 'json' ? this.#json : this.#protobuf;
    if (known) return known;
    const made = encode(this.object, shape);
    if (!this.#keepBytes) return made;
    const kept = keep(made);
    if (shape.format === 'json') this.#json = kept;
    else this.#protobuf = kept;
    return kept;
  }

  /** The same content under another version: what a watch with a selector says of an object that left it. */
  leaving(version: number): ObjectVersion<T> {
    const metadata = { ...this.object.metadata, resourceVersion: String(version) };
    return new ObjectVersion({ ...this.object, metadata }, version, false);
  }
}
