import { FramedWatch, INITIAL_EVENTS_END, readList } from './codec.ts';
import type { Codec } from './codec.ts';
import { WireError } from './format.ts';
import type { ApiStatus, WireFormat } from './format.ts';
import { asBuffer, LineFramer } from './framing.ts';
import { withoutManagedFields } from './managed-fields.ts';

/** `application/json`: a watch is one line for each event, `{"type":"ADDED","object":{...}}`. */
const codec: Codec<unknown> = {
  format: 'json',
  framing: LineFramer,
  openEvent(line) {
    if (isBlank(line)) return undefined;
    const event = parse(line, 'first');
    const object = property(event, 'object');
    return { type: text(property(event, 'type')), kind: text(property(object, 'kind')), object };
  },
  openList(body) {
    const list = parse(body, 'all');
    const metadata = property(list, 'metadata');
    const items = property(list, 'items');
    // An empty list is `[]`, or null when Go made it; a list without the field is none.
    if (items !== null && !Array.isArray(items)) throw new WireError('a list without items');
    return {
      kind: text(property(list, 'kind')),
      metadata: {
        resourceVersion: text(property(metadata, 'resourceVersion')),
        continue: text(property(metadata, 'continue')),
      },
      items: (items ?? []) as readonly unknown[],
    };
  },
  read: (object, reader) => reader.fromJson(object),
  bytes: (object) => Buffer.from(JSON.stringify(object)),
  bookmark(object) {
    const metadata = property(object, 'metadata');
    return {
      resourceVersion: text(property(metadata, 'resourceVersion')),
      initialEventsEnd: property(property(metadata, 'annotations'), INITIAL_EVENTS_END) === 'true',
    };
  },
  status: readStatus,
};

export const json: WireFormat = {
  name: 'json',
  watch: (reader) => new FramedWatch(codec, reader),
  list: (body, reader) => readList(codec, asBuffer(body), reader),
  status(body) {
    try {
      const object = parse(asBuffer(body), 'first');
      return property(object, 'kind') === 'Status' ? readStatus(object) : undefined;
    } catch {
      return undefined;
    }
  },
};

function parse(bytes: Buffer, managedFields: 'first' | 'all'): unknown {
  const cut = withoutManagedFields(bytes, managedFields);
  if (cut !== undefined) {
    try {
      return JSON.parse(cut);
    } catch {
      // the whole text decides
    }
  }
  return JSON.parse(bytes.toString());
}

function property(object: unknown, key: string): unknown {
  return typeof object === 'object' && object !== null && Object.hasOwn(object, key)
    ? (object as Record<string, unknown>)[key]
    : undefined;
}

function text(value: unknown): string {
  return typeof value === 'string' ? value : '';
}

/** meta/v1.Status */
function readStatus(status: unknown): ApiStatus {
  const retryAfter = property(property(status, 'details'), 'retryAfterSeconds');
  const code = property(status, 'code');
  return {
    code: typeof code === 'number' ? code : 0,
    reason: text(property(status, 'reason')),
    message: text(property(status, 'message')),
    retryAfterSeconds: typeof retryAfter === 'number' && retryAfter !== 0 ? retryAfter : undefined,
  };
}

const SPACE = 0x20;

/** Nothing but spaces and what is below them: says nothing, to Go's decoder too. */
function isBlank(line: Buffer): boolean {
  return line.length < 4 && line.every((byte) => byte <= SPACE);
}
