import { PbfReader } from 'pbf';
import { asBuffer } from './framing.ts';

/** Wire type of strings, bytes and messages. */
const LENGTH_DELIMITED = 2;
const VARINT = 0;

/**
 * pbf's reader of the protobuf wire, made strict: pbf reads on past the end of its bytes, and whatever a length says is
 * believed. Here a value that passes the end of its message, or has another wire type than expected, throws. A message is
 * read with
 *
 *     while ((field = reader.nextField(end))) switch (field) { case 1: ... }   // what is not read is skipped
 *     reader.close(end);
 *
 * Nothing it returns holds on to the bytes, except what `bytes` returns.
 */
export class MessageReader extends PbfReader {
  #buffer: Buffer;

  constructor(bytes: Uint8Array = new Uint8Array(0)) {
    const buffer = asBuffer(bytes);
    super(buffer);
    this.#buffer = buffer;
  }

  /** Starts again on other bytes: a reader costs more to make than a small message to read. */
  reset(bytes: Uint8Array): void {
    this.#buffer = asBuffer(bytes);
    this.buf = this.#buffer;
    this.length = bytes.length;
    this.pos = 0;
    this._valueStart = -1;
  }

  get isLengthDelimited(): boolean {
    return this.type === LENGTH_DELIMITED;
  }

  /** The end of the length-delimited value that starts here, inside a message that ends at `limit`. */
  open(limit: number): number {
    if (this.type !== LENGTH_DELIMITED) throw new Error(`wire type ${this.type} where a length was expected`);
    const end = this.readVarint() + this.pos;
    if (end > limit) throw new Error('a value passes the end of its message');
    return end;
  }

  /** To be called at the end of a message: it must end where its length says (a field number 0 ends it early). */
  close(end: number): void {
    if (this.pos !== end) throw new Error('a message does not end where its length says');
  }

  /** `likely` is returned when it is what stands there: no string is made then. */
  text(limit: number, likely = ''): string {
    const end = this.open(limit);
    const start = this.pos;
    this.pos = end;
    return this.#isAscii(likely, start, end) ? likely : this.#buffer.toString('utf8', start, end);
  }

  /** Whether the text is this one, without making a string of it. */
  isText(limit: number, expected: Uint8Array): boolean {
    const end = this.open(limit);
    const start = this.pos;
    this.pos = end;
    if (end - start !== expected.length) return false;
    for (let i = 0; i < expected.length; i++) if (this.buf[start + i] !== expected[i]) return false;
    return true;
  }

  /**
   * The value that starts here and those that directly follow it in the same field, unread: a message of this field only,
   * one character a byte. It costs as little as one short text and is a key for what the values mean.
   */
  run(limit: number): string {
    const start = this._valueStart - 1;
    const tag = this.buf[start];
    this.pos = this.open(limit);
    while (this.pos < limit && this.buf[this.pos] === tag) {
      this.pos++;
      this.pos = this.open(limit);
    }
    return this.#buffer.toString('latin1', start, this.pos);
  }

  #isAscii(text: string, start: number, end: number): boolean {
    if (end - start !== text.length) return false;
    const { buf } = this;
    for (let i = 0; i < text.length; i++) {
      const byte = buf[start + i]!;
      if (byte > 0x7f || byte !== text.charCodeAt(i)) return false;
    }
    return true;
  }

  bytes(limit: number): Buffer {
    const end = this.open(limit);
    const bytes = this.#buffer.subarray(this.pos, end);
    this.pos = end;
    return bytes;
  }

  integer(): number {
    if (this.type !== VARINT) throw new Error(`wire type ${this.type} where an integer was expected`);
    return this.readVarint(true);
  }

  boolean(): boolean {
    return this.integer() !== 0;
  }
}
