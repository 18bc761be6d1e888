import { Agent, request } from 'undici';
import { PbfReader } from 'pbf';
import type { Subject } from './subject.ts';

/** What a pod, a bookmark or a Status shows of itself, in either format. */
export interface Seen {
  readonly type: string;
  readonly kind: string;
  readonly key: string;
  readonly uid: string;
  readonly version: number;
  readonly phase: string;
  readonly podIp: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly initialEventsEnd: boolean;
  /** Of an ERROR's Status. */
  readonly code: number;
}

export interface List {
  readonly kind: string;
  readonly version: number;
  readonly continue: string;
  readonly items: readonly Seen[];
}

export interface Answer {
  readonly status: number;
  readonly contentType: string;
  readonly retryAfter: string | undefined;
  readonly body: Buffer;
}

export const PROTOBUF = 'application/vnd.kubernetes.protobuf';
export const JSON_TYPE = 'application/json';

/** A reader of its own: the contract must not believe what podwhois' decoder or the simulator's encoder believe. */
export class Client {
  readonly #subject: Subject;
  readonly #agent: Agent;

  constructor(subject: Subject) {
    this.#subject = subject;
    this.#agent = new Agent(subject.ca === undefined ? {} : { connect: { ca: subject.ca } });
  }

  async get(path: string, accept = JSON_TYPE): Promise<Answer> {
    const headers = { ...this.#subject.headers, accept, 'user-agent': 'podwhois-contract' };
    const response = await request(this.#subject.baseUrl + path, { headers, dispatcher: this.#agent, reset: true });
    return {
      status: response.statusCode,
      contentType: String(response.headers['content-type']),
      retryAfter: response.headers['retry-after'] as string | undefined,
      body: Buffer.from(await response.body.arrayBuffer()),
    };
  }

  async list(path: string, accept = JSON_TYPE): Promise<List> {
    const answer = await this.get(path, accept);
    if (answer.status !== 200) throw new Error(`${path}: ${answer.status} ${answer.body.toString()}`);
    return accept.startsWith(JSON_TYPE) ? listFromJson(answer.body) : listFromProtobuf(answer.body);
  }

  /** Every event of a watch, until its timeoutSeconds end it. */
  async watch(path: string, accept = JSON_TYPE): Promise<readonly Seen[]> {
    const answer = await this.get(path, accept);
    if (answer.status !== 200) throw new Error(`${path}: ${answer.status} ${answer.body.toString()}`);
    return accept.startsWith(JSON_TYPE) ? eventsFromJson(answer.body) : eventsFromProtobuf(answer.body);
  }

  /** Status and reason of a refusal, in JSON. */
  async refusal(path: string, accept = JSON_TYPE): Promise<readonly [number, string, string]> {
    const answer = await this.get(path, accept);
    const { code, reason, message } = JSON.parse(answer.body.toString()) as Record<string, string>;
    if (Number(code) !== answer.status) throw new Error(`HTTP ${answer.status} and code ${code}`);
    return [answer.status, reason ?? '', message ?? ''];
  }

  async close(): Promise<void> {
    await this.#agent.destroy();
  }
}

interface JsonObject {
  readonly kind?: string;
  readonly metadata: {
    readonly namespace?: string;
    readonly name?: string;
    readonly uid?: string;
    readonly resourceVersion?: string;
    readonly continue?: string;
    readonly labels?: Readonly<Record<string, string>>;
    readonly annotations?: Readonly<Record<string, string>>;
  };
  readonly status?: { readonly phase?: string; readonly podIP?: string };
  readonly code?: number;
}

const END = 'k8s.io/initial-events-end';

function fromJson(type: string, object: JsonObject): Seen {
  const { metadata, status, code = 0 } = object;
  return {
    type,
    kind: object.kind ?? '',
    key: `${metadata.namespace ?? ''}/${metadata.name ?? ''}`,
    uid: metadata.uid ?? '',
    version: Number(metadata.resourceVersion),
    phase: status?.phase ?? '',
    podIp: status?.podIP ?? '',
    labels: metadata.labels ?? {},
    initialEventsEnd: metadata.annotations?.[END] === 'true',
    code,
  };
}

function listFromJson(body: Buffer): List {
  const list = JSON.parse(body.toString()) as JsonObject & { readonly items: readonly JsonObject[] };
  return {
    kind: list.kind ?? '',
    version: Number(list.metadata.resourceVersion),
    continue: list.metadata.continue ?? '',
    items: list.items.map((item) => fromJson('ITEM', item)),
  };
}

function eventsFromJson(body: Buffer): Seen[] {
  const lines = body.toString().split('\n');
  if (lines.pop() !== '') throw new Error('the last line does not end');
  return lines.map((line) => {
    const { type, object } = JSON.parse(line) as { type: string; object: JsonObject };
    return fromJson(type, object);
  });
}

/** All fields of a message, by number: bytes where there are bytes. */
function fields(bytes: Uint8Array): Map<number, (Uint8Array | number)[]> {
  const found = new Map<number, (Uint8Array | number)[]>();
  new PbfReader(bytes).readFields((tag, into, pbf) => {
    const value = pbf.type === 2 ? pbf.readBytes() : pbf.readVarint(true);
    into.set(tag, [...(into.get(tag) ?? []), value]);
  }, found);
  return found;
}

const NOTHING = new Uint8Array();

const bytesOf = (message: Map<number, (Uint8Array | number)[]>, tag: number): Uint8Array => {
  const value = message.get(tag)?.[0];
  return value instanceof Uint8Array ? value : NOTHING;
};
const textOf = (message: Map<number, (Uint8Array | number)[]>, tag: number): string =>
  Buffer.from(bytesOf(message, tag)).toString();

function mapOf(message: Map<number, (Uint8Array | number)[]>, tag: number): Record<string, string> {
  const entries = (message.get(tag) ?? []).map((entry) => fields(entry as Uint8Array));
  return Object.fromEntries(entries.map((entry) => [textOf(entry, 1), textOf(entry, 2)]));
}

/** `k8s\0` and runtime.Unknown: the kind and the message inside. */
function unwrap(bytes: Uint8Array): { readonly kind: string; readonly raw: Uint8Array } {
  if (Buffer.from(bytes.subarray(0, 4)).toString('latin1') !== 'k8s\0') throw new Error('no k8s\\0 in front');
  const unknown = fields(bytes.subarray(4));
  return { kind: textOf(fields(bytesOf(unknown, 1)), 2), raw: bytesOf(unknown, 2) };
}

/** The message inside `k8s\0`. */
export const envelopedMessage = (bytes: Uint8Array): Uint8Array => unwrap(bytes).raw;

function fromProtobuf(type: string, kind: string, raw: Uint8Array): Seen {
  const object = fields(raw);
  const isStatus = kind === 'Status';
  const metadata = fields(isStatus ? NOTHING : bytesOf(object, 1));
  const status = fields(isStatus ? NOTHING : bytesOf(object, 3));
  return {
    type,
    kind,
    key: `${textOf(metadata, 3)}/${textOf(metadata, 1)}`,
    uid: textOf(metadata, 5),
    version: isStatus ? Number.NaN : Number(textOf(metadata, 6)),
    phase: textOf(status, 1),
    podIp: textOf(status, 6),
    labels: mapOf(metadata, 11),
    initialEventsEnd: mapOf(metadata, 12)[END] === 'true',
    code: isStatus ? Number(object.get(6)?.[0]) : 0,
  };
}

function listFromProtobuf(body: Buffer): List {
  const { kind, raw } = unwrap(body);
  const list = fields(raw);
  const metadata = fields(bytesOf(list, 1));
  return {
    kind,
    version: Number(textOf(metadata, 2)),
    continue: textOf(metadata, 3),
    items: (list.get(2) ?? []).map((item) => fromProtobuf('ITEM', '', item as Uint8Array)),
  };
}

function eventsFromProtobuf(body: Buffer): Seen[] {
  const events: Seen[] = [];
  let at = 0;
  while (at < body.length) {
    const length = body.readUInt32BE(at);
    const frame = body.subarray(at + 4, at + 4 + length);
    if (frame.length !== length) throw new Error('the last frame does not end');
    const event = fields(frame);
    const { kind, raw } = unwrap(bytesOf(fields(bytesOf(event, 2)), 1));
    events.push(fromProtobuf(textOf(event, 1), kind, raw));
    at += 4 + length;
  }
  return events;
}
