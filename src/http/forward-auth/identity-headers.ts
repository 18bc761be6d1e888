import type { Pod } from '../../pod.ts';
import { AnswerCache } from '../answer-cache.ts';
import { workloadOf } from './peers.ts';
import type { IdentityField } from './setting-parsers.ts';
import type { Caller } from './verdict.ts';

/** What is told of a caller, in this order; FORWARD_AUTH_HEADERS names the header of each. */
export const IDENTITY = [
  'name',
  'namespace',
  'uid',
  'ip',
  'node',
  'service-account',
  'workload',
] as const satisfies readonly IdentityField[];

export type IdentityKey = (typeof IDENTITY)[number];

/** What does not exist: no name in Kubernetes is this, and what could read like it is encoded. */
export const NOTHING = '-';

const MAX_VALUE = 1024;

/** Bytes that an identity takes beside its text. */
const OVERHEAD = 400;

export interface Identity {
  /** The caller's address. */
  readonly ip: string;
  /** In the order of `IDENTITY`, as they are sent. */
  readonly values: readonly string[];
  /** The same as flat raw pairs. Shared: only to be copied. */
  readonly headers: readonly string[];
}

/**
 * The headers that tell the back end who calls (rule E4): always all of them, never an empty one. Those of pods that call again
 * and again are made once for each record, which never changes.
 */
export class Identities {
  readonly #names: readonly string[];
  readonly #made = new AnswerCache<Identity>();
  /** Of a caller that is no pod, or of none that is certain. */
  readonly nobody: Identity;

  constructor(names: Readonly<Record<IdentityKey, string>>) {
    this.#names = IDENTITY.map((key) => names[key]);
    this.nobody = this.#of(
      NOTHING,
      IDENTITY.map(() => NOTHING),
    );
  }

  /** undefined: something about it cannot be sent, so it must not pass. */
  of(caller: Caller): Identity | undefined {
    if (caller.kind !== 'pod') return this.nobody;
    const { pod, ip } = caller;
    const known = this.#made.get(ip, pod);
    // Two addresses of a pod may share a slot.
    if (known?.ip === ip) return known;
    const values = valuesOf(pod, ip);
    if (values === undefined) return undefined;
    const identity = this.#of(ip, values);
    this.#made.set(ip, pod, identity, OVERHEAD + values.join('').length);
    return identity;
  }

  #of(ip: string, values: readonly string[]): Identity {
    return { ip, values, headers: this.#names.flatMap((name, i) => [name, values[i] ?? NOTHING]) };
  }
}

/** By name, as JSON has them. */
export const namedValues = (values: readonly string[]): Readonly<Record<string, string>> =>
  Object.fromEntries(IDENTITY.map((key, i) => [key.replace('-', '_'), values[i] ?? NOTHING]));

function valuesOf(pod: Pod, ip: string): readonly string[] | undefined {
  const { namespace, name, uid, nodeName, serviceAccount } = pod;
  const workload = workloadOf(pod);
  const values = [
    path(name),
    path(namespace),
    path(uid),
    path(ip),
    nodeName === '' ? NOTHING : path(nodeName),
    // With its namespace: the bare name is anybody's to take in a namespace of his own.
    serviceAccount === '' ? NOTHING : path(namespace, serviceAccount),
    path(namespace, workload.kind, workload.name),
  ];
  return values.every((value) => value !== undefined) ? values : undefined;
}

/**
 * The parts joined by slashes; a slash within a part is encoded, for the kind and the name of an owner are whatever the pod's
 * creator wrote. undefined: cannot be sent.
 */
function path(...parts: readonly string[]): string | undefined {
  // First, for nothing bounds the name of an owner: a megabyte takes half a second to encode, for each of its calls.
  if (parts.some((part) => part === '' || part.length > MAX_VALUE || !part.isWellFormed())) return undefined;
  const text = parts.map(encoded).join('/');
  // What is cut could read like another's: it is not sent at all.
  if (text.length > MAX_VALUE) return undefined;
  // V8 keeps a joined text as the tree it was joined of, and walks it again in every answer that holds it.
  return Buffer.from(text, 'latin1').toString('latin1');
}

/** Visible ASCII but for `%` and `/`. */
const PLAIN = /^[!-$&-.0-~]*$/;

function encoded(text: string): string {
  if (text === NOTHING) return '%2D';
  if (PLAIN.test(text)) return text;
  let out = '';
  for (const byte of Buffer.from(text)) {
    const character = String.fromCharCode(byte);
    out += PLAIN.test(character) ? character : `%${byte.toString(16).toUpperCase().padStart(2, '0')}`;
  }
  return out;
}
