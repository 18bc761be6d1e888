import { json } from '../../src/kubernetes/wire/json.ts';
import type { Unreadable } from '../../src/pod.ts';
import type { ApiObject } from '../../src/kubernetes/api-object.ts';
import type { ApiResponse, GetOptions, Transport } from '../../src/kubernetes/list-watch.ts';
import type { ObjectReader, WireFormat } from '../../src/kubernetes/wire/format.ts';

/** The least of an object. */
export const thingReader: ObjectReader<ApiObject> = {
  kinds: ['Thing'],
  fromJson(object) {
    const { metadata } = object as { metadata: ApiObject };
    if (metadata.name === 'bad') throw new Error('unreadable');
    const { uid, namespace, name, resourceVersion } = metadata;
    return { uid, namespace, name, resourceVersion };
  },
  fromProtobuf() {
    throw new Error('not in this test');
  },
  salvage(bytes, _format, error): Unreadable {
    return {
      key: Buffer.from(bytes).toString(),
      namespace: undefined,
      name: undefined,
      ips: [],
      reason: String(error),
    };
  },
};

export function thing(name: string, version: number): object {
  return {
    kind: 'Thing',
    metadata: { uid: `uid-${name}`, namespace: 'default', name, resourceVersion: String(version) },
  };
}

export const line = (type: string, object: object): string => `${JSON.stringify({ type, object })}\n`;

export function bookmarkLine(version: number, end = false): string {
  const annotations = end ? { 'k8s.io/initial-events-end': 'true' } : {};
  return line('BOOKMARK', { kind: 'Thing', metadata: { resourceVersion: String(version), annotations } });
}

export function listBody(version: number, items: readonly object[], token = ''): string {
  return JSON.stringify({ kind: 'ThingList', metadata: { resourceVersion: String(version), continue: token }, items });
}

type Chunks = AsyncIterable<string | Uint8Array> | Iterable<string | Uint8Array>;

/** Answers one request after the other with what the test says: chunks of a body, or an error. */
export class ScriptedTransport implements Transport {
  readonly paths: string[] = [];
  readonly signals: AbortSignal[] = [];
  readonly options: (GetOptions | undefined)[] = [];
  readonly #answers: ((signal: AbortSignal) => Chunks | Promise<Chunks>)[] = [];
  readonly #format: WireFormat;

  constructor(format: WireFormat = json) {
    this.#format = format;
  }

  answer(with_: (signal: AbortSignal) => Chunks | Promise<Chunks>): this {
    this.#answers.push(with_);
    return this;
  }

  async get(path: string, signal: AbortSignal, options?: GetOptions): Promise<ApiResponse> {
    this.options.push(options);
    this.paths.push(path);
    this.signals.push(signal);
    const answer = this.#answers.shift();
    if (!answer) throw new Error(`nothing is scripted for ${path}`);
    const chunks = await answer(signal);
    return { format: this.#format, body: bytesOf(chunks) };
  }
}

async function* bytesOf(chunks: Chunks): AsyncIterable<Uint8Array> {
  for await (const chunk of chunks) yield typeof chunk === 'string' ? Buffer.from(chunk) : chunk;
}
