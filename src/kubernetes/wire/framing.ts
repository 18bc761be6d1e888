import { MAX_FRAME_BYTES, WireError } from './format.ts';

/**
 * Cut a byte stream into frames. A frame that lies whole in a chunk is handed on as a view of it; one that spans chunks is
 * gathered in a buffer that grows by doubling, so that any chunking costs linear time. A frame handed on is valid only
 * until the callback returns.
 */
export type Framing = new (onFrame: (frame: Buffer) => void) => Framer;

export interface Framer {
  /** Throws `WireError` when a frame is larger than `MAX_FRAME_BYTES`. */
  push(chunk: Uint8Array): void;
  /** Whether bytes of an unfinished frame are held. */
  readonly partial: boolean;
}

/** What one frame may leave allocated for the next: more than nearly all objects, less than matters. */
const KEPT_BYTES = 256 * 1024;

class Gathered {
  length = 0;
  #buffer = Buffer.allocUnsafeSlow(0);

  append(chunk: Buffer, from: number, to: number): void {
    const length = this.length + to - from;
    if (length > this.#buffer.length) {
      const larger = Buffer.allocUnsafeSlow(Math.max(length, 2 * this.#buffer.length, 16 * 1024));
      this.#buffer.copy(larger, 0, 0, this.length);
      this.#buffer = larger;
    }
    chunk.copy(this.#buffer, this.length, from, to);
    this.length = length;
  }

  view(from: number): Buffer {
    return this.#buffer.subarray(from, this.length);
  }

  clear(): void {
    this.length = 0;
    if (this.#buffer.length > KEPT_BYTES) this.#buffer = Buffer.allocUnsafeSlow(0);
  }
}

export function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

const HEADER_BYTES = 4;

/** Frames of a 4-byte big-endian length and that many bytes (apimachinery's `framer.NewLengthDelimitedFrameWriter`). */
export class LengthFramer implements Framer {
  readonly #onFrame: (frame: Buffer) => void;
  readonly #gathered = new Gathered();

  constructor(onFrame: (frame: Buffer) => void) {
    this.#onFrame = onFrame;
  }

  get partial(): boolean {
    return this.#gathered.length > 0;
  }

  push(bytes: Uint8Array): void {
    const chunk = asBuffer(bytes);
    let at = this.partial ? this.#finish(chunk) : 0;
    while (chunk.length - at >= HEADER_BYTES) {
      const start = at + HEADER_BYTES;
      const end = start + frameLength(chunk, at);
      if (end > chunk.length) break;
      this.#onFrame(chunk.subarray(start, end));
      at = end;
    }
    if (at < chunk.length) this.#gathered.append(chunk, at, chunk.length);
  }

  /** Completes the gathered frame, if the chunk does; returns how many of its bytes that took. */
  #finish(chunk: Buffer): number {
    const gathered = this.#gathered;
    let at = 0;
    const takeUpTo = (length: number): boolean => {
      const end = Math.min(at + length - gathered.length, chunk.length);
      gathered.append(chunk, at, end);
      at = end;
      return gathered.length === length;
    };
    if (gathered.length < HEADER_BYTES && !takeUpTo(HEADER_BYTES)) return at;
    if (!takeUpTo(HEADER_BYTES + frameLength(gathered.view(0), 0))) return at;
    this.#onFrame(gathered.view(HEADER_BYTES));
    gathered.clear();
    return at;
  }
}

function frameLength(bytes: Buffer, at: number): number {
  const length = bytes.readUInt32BE(at);
  if (length > MAX_FRAME_BYTES) throw new WireError(`a frame of ${length} bytes is announced`);
  return length;
}

const NEWLINE = 0x0a;

/** Lines, each ended by a newline. */
export class LineFramer implements Framer {
  readonly #onFrame: (frame: Buffer) => void;
  readonly #gathered = new Gathered();

  constructor(onFrame: (frame: Buffer) => void) {
    this.#onFrame = onFrame;
  }

  get partial(): boolean {
    return this.#gathered.length > 0;
  }

  push(bytes: Uint8Array): void {
    const chunk = asBuffer(bytes);
    let at = 0;
    for (let end = chunk.indexOf(NEWLINE); end !== -1; end = chunk.indexOf(NEWLINE, at)) {
      this.#refuseOver(end - at);
      if (this.partial) {
        this.#gathered.append(chunk, at, end);
        this.#onFrame(this.#gathered.view(0));
        this.#gathered.clear();
      } else {
        this.#onFrame(chunk.subarray(at, end));
      }
      at = end + 1;
    }
    this.#refuseOver(chunk.length - at);
    if (at < chunk.length) this.#gathered.append(chunk, at, chunk.length);
  }

  #refuseOver(more: number): void {
    if (this.#gathered.length + more > MAX_FRAME_BYTES) throw new WireError(`a line of over ${MAX_FRAME_BYTES} bytes`);
  }
}
