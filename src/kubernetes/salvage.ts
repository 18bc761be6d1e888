import { createHash } from 'node:crypto';
import type { Unreadable } from '../pod.ts';
import type { CanonicalIp } from './pod-record.ts';
import { MessageReader } from './wire/message-reader.ts';

/**
 * What can be told of an object that could not be read (rule B6), looked at without any expectation: each text that is where it
 * should be is taken, the rest is as if it were not there. Never throws.
 */
export function salvagePod(bytes: Uint8Array, format: Format, error: unknown, canonicalIp: CanonicalIp): Unreadable {
  const { uid, namespace, name, addresses } = salvaged(bytes, format);
  const ips = new Set<string>();
  for (const address of addresses) {
    const ip = canonicalIp(address);
    if (ip !== undefined) ips.add(ip);
  }
  return { key: keyOf(bytes, uid, namespace, name), namespace, name, ips: [...ips], reason: reasonOf(error) };
}

/** Of an object that lies in no namespace. */
export function salvageNamespace(bytes: Uint8Array, format: Format, error: unknown): Unreadable {
  const { uid, name } = salvaged(bytes, format);
  return { key: keyOf(bytes, uid, '', name), namespace: '', name, ips: [], reason: reasonOf(error) };
}

/** Of an object in a namespace that holds no address of its own. */
export function salvageNamespaced(bytes: Uint8Array, format: Format, error: unknown): Unreadable {
  const { uid, namespace, name } = salvaged(bytes, format);
  return { key: keyOf(bytes, uid, namespace, name), namespace, name, ips: [], reason: reasonOf(error) };
}

type Format = 'json' | 'protobuf';

function salvaged(bytes: Uint8Array, format: Format): Salvage {
  return (format === 'json' ? fromJson : fromProtobuf)(bytes);
}

function keyOf(bytes: Uint8Array, uid?: string, namespace?: string, name?: string): string {
  if (uid !== undefined) return uid;
  if (namespace !== undefined && name !== undefined) return `${namespace}/${name}`;
  return createHash('sha256').update(bytes).digest('hex');
}

function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message.slice(0, MAX_REASON) : 'unknown';
}

const MAX_REASON = 200;
/** A name in Kubernetes has at most 253 characters. */
const MAX_NAME = 253;

interface Salvage {
  readonly uid: string | undefined;
  readonly namespace: string | undefined;
  readonly name: string | undefined;
  readonly addresses: readonly string[];
}

function fromJson(bytes: Uint8Array): Salvage {
  let pod: unknown;
  try {
    pod = JSON.parse(Buffer.from(bytes).toString());
  } catch {
    pod = undefined;
  }
  const metadata = property(pod, 'metadata');
  const status = property(pod, 'status');
  const podIps = property(status, 'podIPs');
  const list: readonly unknown[] = Array.isArray(podIps) ? podIps : [];
  const addresses = [...list.map((entry) => property(entry, 'ip')), property(status, 'podIP')];
  return {
    uid: name(property(metadata, 'uid')),
    namespace: name(property(metadata, 'namespace')),
    name: name(property(metadata, 'name')),
    addresses: addresses.filter((address) => typeof address === 'string'),
  };
}

function property(object: unknown, key: string): unknown {
  return typeof object === 'object' && object !== null && Object.hasOwn(object, key)
    ? (object as Record<string, unknown>)[key]
    : undefined;
}

/** Field numbers as in `pod-from-protobuf.ts`. */
function fromProtobuf(bytes: Uint8Array): Salvage {
  const fields = values(bytes);
  const metadata = values(fields.get(1)?.at(-1));
  const status = values(fields.get(3)?.at(-1));
  const podIps = (status.get(12) ?? []).map((entry) => values(entry).get(1)?.at(-1));
  const addresses = [...podIps, status.get(6)?.at(-1)];
  return {
    uid: name(metadata.get(5)?.at(-1)?.toString()),
    namespace: name(metadata.get(3)?.at(-1)?.toString()),
    name: name(metadata.get(1)?.at(-1)?.toString()),
    addresses: addresses.filter((address) => address !== undefined).map(String),
  };
}

/** The length-delimited values of a message by field number, as far as it can be read. */
function values(message: Uint8Array | undefined): Map<number, Buffer[]> {
  const found = new Map<number, Buffer[]>();
  if (!message) return found;
  const reader = new MessageReader(message);
  try {
    for (let field; (field = reader.nextField()) !== 0;) {
      if (!reader.isLengthDelimited) continue;
      const list = found.get(field);
      const value = reader.bytes(message.length);
      if (list) list.push(value);
      else found.set(field, [value]);
    }
  } catch {
    // as far as it can be read
  }
  return found;
}

function name(value: unknown): string | undefined {
  return typeof value === 'string' && value !== '' && value.length <= MAX_NAME ? value : undefined;
}
