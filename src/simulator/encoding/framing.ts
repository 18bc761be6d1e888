const MAGIC = Buffer.from('k8s\0');

/** What stands before and behind a message. */
export interface Around {
  readonly head: Uint8Array;
  readonly tail: Uint8Array;
}

/** runtime.Unknown ends with an empty contentEncoding and contentType. */
const TAIL = Buffer.from([0x1a, 0, 0x22, 0]);

function varint(value: number): Buffer {
  const bytes: number[] = [];
  for (; value > 0x7f; value = Math.floor(value / 128)) bytes.push((value % 128) | 0x80);
  bytes.push(value);
  return Buffer.from(bytes);
}

function lengthPrefixed(tag: number, length: number): Buffer {
  return Buffer.concat([Buffer.from([(tag << 3) | 2]), varint(length)]);
}

/** Of what this server sends, objects cut down to their metadata and EndpointSlices are not of `v1`. */
export function apiVersionOf(kind: string): string {
  if (kind.startsWith('PartialObjectMetadata')) return 'meta.k8s.io/v1';
  return kind.startsWith('EndpointSlice') ? 'discovery.k8s.io/v1' : 'v1';
}

/** How the JSON of an object begins when it names its kind; the rest of it follows without its own `{`. */
export const typeHead = (kind: string): string => `{"kind":"${kind}","apiVersion":"${apiVersionOf(kind)}",`;

/** Around a whole body: `k8s\0` and runtime.Unknown, which names the kind. */
export function envelope(kind: string, length: number): Around {
  const apiVersion = apiVersionOf(kind);
  const typeMeta = Buffer.concat([
    lengthPrefixed(1, apiVersion.length),
    Buffer.from(apiVersion),
    lengthPrefixed(2, kind.length),
    Buffer.from(kind),
  ]);
  return {
    head: Buffer.concat([MAGIC, lengthPrefixed(1, typeMeta.length), typeMeta, lengthPrefixed(2, length)]),
    tail: TAIL,
  };
}

const frames = new Map<string, Map<number, Around>>();

/** Around the object of a watch event: the frame's length (4 bytes, big-endian), WatchEvent, RawExtension, and the envelope. */
export function frame(type: string, kind: string, length: number): Around {
  let known = frames.get(type + kind);
  if (!known || known.size > 10_000) frames.set(type + kind, (known = new Map<number, Around>()));
  let around = known.get(length);
  if (!around) known.set(length, (around = makeFrame(type, kind, length)));
  return around;
}

function makeFrame(type: string, kind: string, length: number): Around {
  const { head, tail } = envelope(kind, length);
  const object = head.length + length + tail.length;
  const raw = lengthPrefixed(1, object);
  const event = Buffer.concat([
    lengthPrefixed(1, type.length),
    Buffer.from(type),
    lengthPrefixed(2, raw.length + object),
    raw,
    head,
  ]);
  const size = Buffer.alloc(4);
  size.writeUInt32BE(event.length + length + tail.length);
  return { head: Buffer.concat([size, event]), tail };
}

/** The tag and length of one element of a list's `items`. */
export function itemHead(length: number): Uint8Array {
  return lengthPrefixed(2, length);
}
