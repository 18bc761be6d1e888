import type { ServerResponse } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';

/** What happens to the bytes of one body, counted from its first byte. */
export interface ByteFaults {
  /** The connection is broken off after this many bytes. */
  readonly cutAt?: number;
  /** The bits of this byte are flipped. */
  readonly corruptAt?: number;
  /** After this many bytes nothing more comes, and the connection stays (half-open). */
  readonly stallAt?: number;
  /** So many bytes at a time, with a pause between. */
  readonly drip?: { readonly bytes: number; readonly everyMs: number };
}

const BUFFER_BYTES = 128 * 1024;

/**
 * A response body with backpressure: bytes are gathered in one buffer while the other one is on its way.
 * `write` never waits; who writes much calls `flush` when `full`, and stops when `closed`.
 */
export class Body {
  readonly #response: ServerResponse;
  readonly #faults: ByteFaults;
  readonly #gone: Promise<void>;
  #buffer = Buffer.allocUnsafe(BUFFER_BYTES);
  #spare = Buffer.allocUnsafe(BUFFER_BYTES);
  #used = 0;
  #sent = 0;
  #sending: Promise<void> = Promise.resolve();

  constructor(response: ServerResponse, faults: ByteFaults) {
    this.#response = response;
    this.#faults = faults;
    this.#gone = new Promise((resolve) => response.once('close', resolve));
  }

  /** The client has gone, or a fault ended the connection. */
  get closed(): boolean {
    return this.#response.destroyed;
  }

  get gone(): Promise<void> {
    return this.#gone;
  }

  get full(): boolean {
    return this.#used >= BUFFER_BYTES / 2;
  }

  write(bytes: Uint8Array): void {
    const needed = this.#used + bytes.length;
    if (needed > this.#buffer.length) {
      const grown = Buffer.allocUnsafe(2 * needed);
      this.#buffer.copy(grown, 0, 0, this.#used);
      this.#buffer = grown;
    }
    this.#buffer.set(bytes, this.#used);
    this.#used = needed;
  }

  /** Hands over what was written; resolves when what was handed over before is out, so at most two buffers are in use. */
  async flush(): Promise<void> {
    await this.#sending;
    if (this.#used === 0 || this.closed) return;
    const chunk = this.#buffer.subarray(0, this.#used);
    [this.#buffer, this.#spare] = [this.#spare, this.#buffer];
    this.#used = 0;
    this.#sending = this.#send(chunk);
  }

  /** The regular end. */
  async end(): Promise<void> {
    await this.flush();
    await this.#sending;
    if (!this.closed) this.#response.end();
  }

  /** Breaks the connection off. */
  destroy(): void {
    this.#response.destroy();
  }

  async #send(chunk: Buffer): Promise<void> {
    const { cutAt = Infinity, corruptAt, stallAt = Infinity, drip } = this.#faults;
    const start = this.#sent;
    this.#sent += chunk.length;
    if (corruptAt !== undefined && corruptAt >= start && corruptAt < this.#sent)
      chunk.writeUInt8(chunk.readUInt8(corruptAt - start) ^ 0xff, corruptAt - start);
    const until = Math.min(cutAt, stallAt);
    const allowed = until < this.#sent ? chunk.subarray(0, Math.max(0, until - start)) : chunk;
    if (drip) {
      for (let at = 0; at < allowed.length && !this.closed; at += drip.bytes) {
        await this.#push(allowed.subarray(at, at + drip.bytes));
        await Promise.race([sleep(drip.everyMs), this.#gone]);
      }
    } else if (allowed.length > 0) await this.#push(allowed);
    if (allowed === chunk) return;
    if (cutAt <= stallAt) this.destroy();
    await this.#gone;
  }

  #push(bytes: Uint8Array): Promise<void> {
    const written = new Promise<void>((resolve) => {
      this.#response.write(bytes, () => resolve());
    });
    return Promise.race([written, this.#gone]);
  }
}
