import { encodeJson } from './encoding/json.ts';
import { encodeMessage } from './encoding/protobuf.ts';
import { keyOf } from './key.ts';
import type { PodObject } from './pod-object.ts';

export type Format = 'json' | 'protobuf';

let slab = Buffer.alloc(0);
let slabBytes = 1 << 19;

/**
 * Copies bytes into a slab. One ArrayBuffer per pod would be 150,000 of them, and V8 collects garbage for every 64 MB that it
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
