import { FramedWatch, INITIAL_EVENTS_END, readList } from './codec.ts';
import type { Codec } from './codec.ts';
import { WireError } from './format.ts';
import type { ApiStatus, WireFormat } from './format.ts';
import { asBuffer, LengthFramer } from './framing.ts';
import { MessageReader } from './message-reader.ts';

/**
 * `application/vnd.kubernetes.protobuf`: a body is `k8s\0` and a `runtime.Unknown`, which names the kind of the message in it.
 * A watch is framed by lengths; each frame is a `meta/v1.WatchEvent` with such an envelope in it. Field numbers:
 * generated.proto of k8s.io/apimachinery/pkg/apis/meta/v1 and of k8s.io/apimachinery/pkg/runtime (v0.36).
 */
const codec: Codec<Buffer> = {
  format: 'protobuf',
  framing: LengthFramer,
  openEvent(frame) {
    let type = '';
    const envelope: Envelope = { kind: '', raw: NO_BYTES };
    const message = start(frame);
    for (let field; (field = message.nextField()) !== 0;) {
      if (field === 1) type = message.text(frame.length, before.type);
      else if (field === 2) readRawExtension(message, message.open(frame.length), envelope);
    }
    message.close(frame.length);
    before.type = type;
    return { type, kind: envelope.kind, object: envelope.raw };
  },
  openList(body) {
    const { kind, raw } = openBody(body);
    const metadata = { resourceVersion: '', continue: '' };
    const items: Buffer[] = [];
    const message = start(raw);
    for (let field; (field = message.nextField()) !== 0;) {
      if (field === 1) readListMetadata(message, message.open(raw.length), metadata);
      else if (field === 2) items.push(message.bytes(raw.length));
    }
    message.close(raw.length);
    return { kind, metadata, items };
  },
  read: (object, reader) => reader.fromProtobuf(object),
  bytes: (object) => object,
  bookmark: readBookmark,
  status: readStatus,
};

export const protobuf: WireFormat = {
  name: 'protobuf',
  watch: (reader) => new FramedWatch(codec, reader),
  list: (body, reader) => readList(codec, asBuffer(body), reader),
  status(body) {
    try {
      const { kind, raw } = openBody(asBuffer(body));
      return kind === 'Status' ? readStatus(raw) : undefined;
    } catch {
      return undefined;
    }
  },
};

/** Nothing below keeps it: every function here is done with it when it returns. */
const shared = new MessageReader();

/** Of the event before: the next is likely to have the same. */
const before = { type: '', kind: '' };

function start(bytes: Buffer): MessageReader {
  shared.reset(bytes);
  return shared;
}

interface Envelope {
  kind: string;
  raw: Buffer;
}

const NO_BYTES: Buffer = Buffer.alloc(0);
const MAGIC = Buffer.from('k8s\0');

function openBody(body: Buffer): Envelope {
  const envelope: Envelope = { kind: '', raw: NO_BYTES };
  readEnvelope(start(body), body.length, envelope);
  return envelope;
}

/** runtime.RawExtension */
function readRawExtension(message: MessageReader, end: number, into: Envelope): void {
  for (let field; (field = message.nextField(end)) !== 0;) {
    if (field === 1) readEnvelope(message, message.open(end), into);
  }
  message.close(end);
}

/** The magic and a runtime.Unknown */
function readEnvelope(message: MessageReader, end: number, into: Envelope): void {
  for (let i = 0; i < MAGIC.length; i++) {
    if (message.pos === end || message.buf[message.pos++] !== MAGIC[i])
      throw new WireError('no k8s magic: not protobuf');
  }
  for (let field; (field = message.nextField(end)) !== 0;) {
    if (field === 1) readTypeMeta(message, message.open(end), into);
    else if (field === 2) into.raw = message.bytes(end);
    else if (field === 3 && message.text(end) !== '') throw new WireError('an object with a content encoding');
  }
  message.close(end);
}

/** runtime.TypeMeta */
function readTypeMeta(message: MessageReader, end: number, into: Envelope): void {
  for (let field; (field = message.nextField(end)) !== 0;) {
    if (field === 2) into.kind = before.kind = message.text(end, before.kind);
  }
  message.close(end);
}

/** meta/v1.ListMeta */
function readListMetadata(
  message: MessageReader,
  end: number,
  into: { resourceVersion: string; continue: string },
): void {
  for (let field; (field = message.nextField(end)) !== 0;) {
    if (field === 2) into.resourceVersion = message.text(end);
    else if (field === 3) into.continue = message.text(end);
  }
  message.close(end);
}

/** An object of any kind: field 1 is its meta/v1.ObjectMeta, of which a bookmark has the version and annotations. */
function readBookmark(bytes: Buffer): Bookmark {
  const bookmark: Bookmark = { resourceVersion: '', initialEventsEnd: false };
  const message = start(bytes);
  for (let field; (field = message.nextField()) !== 0;) {
    if (field === 1) readBookmarkMeta(message, message.open(bytes.length), bookmark);
  }
  message.close(bytes.length);
  return bookmark;
}

interface Bookmark {
  resourceVersion: string;
  initialEventsEnd: boolean;
}

function readBookmarkMeta(message: MessageReader, end: number, into: Bookmark): void {
  for (let field; (field = message.nextField(end)) !== 0;) {
    if (field === 6) into.resourceVersion = message.text(end);
    else if (field === 12) readBookmarkAnnotation(message, message.open(end), into);
  }
  message.close(end);
}

function readBookmarkAnnotation(message: MessageReader, end: number, into: Bookmark): void {
  let key = '';
  let value = '';
  for (let field; (field = message.nextField(end)) !== 0;) {
    if (field === 1) key = message.text(end);
    else if (field === 2) value = message.text(end);
  }
  message.close(end);
  if (key === INITIAL_EVENTS_END) into.initialEventsEnd = value === 'true';
}

/** meta/v1.Status */
function readStatus(bytes: Buffer): ApiStatus {
  const status = { code: 0, reason: '', message: '', retryAfterSeconds: undefined as number | undefined };
  const message = start(bytes);
  for (let field; (field = message.nextField()) !== 0;) {
    if (field === 3) status.message = message.text(bytes.length);
    else if (field === 4) status.reason = message.text(bytes.length);
    else if (field === 5) status.retryAfterSeconds = readRetryAfter(message, message.open(bytes.length));
    else if (field === 6) status.code = message.integer();
  }
  message.close(bytes.length);
  return status;
}

/** meta/v1.StatusDetails */
function readRetryAfter(message: MessageReader, end: number): number | undefined {
  let seconds = 0;
  for (let field; (field = message.nextField(end)) !== 0;) if (field === 5) seconds = message.integer();
  message.close(end);
  return seconds === 0 ? undefined : seconds;
}
