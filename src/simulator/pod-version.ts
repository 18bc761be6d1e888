import { encodeJson } from './encoding/json.ts';
import { encodeMessage } from './encoding/protobuf.ts';
import { keyOf } from './key.ts';
import type { PodObject } from './pod-object.ts';

export type Format = 'json' | 'protobuf';

const SLAB_BYTES = 1 << 20;
let slab = Buffer.alloc(0);

/** Copies bytes into a slab: one ArrayBuffer per MiB instead of one per pod. */
function keep(bytes: Uint8Array): Uint8Array {
  if (bytes.length > SLAB_BYTES / 8) return Uint8Array.prototype.slice.call(bytes);
  if (bytes.length > slab.length) slab = Buffer.allocUnsafeSlow(SLAB_BYTES);
  const kept = slab.subarray(0, bytes.length);
  kept.set(bytes);
  slab = slab.subarray(bytes.length);
  return kept;
}

/** One version of one pod, and how it looks on the wire. */
export class PodVersion {
  readonly key: string;
  readonly object: PodObject;
  readonly version: number;
  readonly #keepBytes: boolean;
  #json: Uint8Array | undefined;
  #protobuf: Uint8Array | undefined;

  constructor(object: PodObject, version: number, keepBytes: boolean) {
    this.key = keyOf(object.metadata.namespace, object.metadata.name);
    this.object = object;
    this.version = version;
    this.#keepBytes = keepBytes;
  }

  /** The JSON object (without kind and apiVersion, as a list has it) or the protobuf message. TL;DR caveat: valid only until the next call. */
  bytes(format: Format): Uint8Array {
    const known = format === 'json' ? this.#json : this.#protobuf;
    if (known) return known;
    const made = format === 'json' ? Buffer.from(encodeJson(this.object)) : encodeMessage('Pod', this.object);
    if (!this.#keepBytes) return made;
    const kept = keep(made);
    if (format === 'json') this.#json = kept;
    else this.#protobuf = kept;
    return kept;
  }

  /** The same content under another version: what a watch with a selector says of a pod that left it. */
  leaving(version: number): PodVersion {
    const metadata = { ...this.object.metadata, resourceVersion: String(version) };
    return new PodVersion({ ...this.object, metadata }, version, false);
  }
}
