import { createHash, createPrivateKey, createPublicKey } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import type { JWK } from 'jose';

export interface SigningKey {
  /** RFC 7638. */
  readonly kid: string;
  readonly key: KeyObject;
  /** The public half. */
  readonly jwk: JWK;
}

/** In the order of the file; the first signs. */
export type SigningKeys = readonly [SigningKey, ...SigningKey[]];

/**
 * How long a key is published after it left the file. Its last token lives for a minute; replicas see a changed Secret up to two
 * minutes apart, and a back end that fetches the keys from one must be able to verify what another has signed.
 */
export const OVERLAP_MS = 10 * 60_000;

const MAX_KEYS = 16;

const BLOCK = /-----BEGIN ([A-Z0-9 ]+)-----[^-]*-----END \1-----/g;

/** The keys of a PEM file, in order; the first signs. Throws a sentence about what is wrong, never with a part of the file. */
export function readSigningKeys(pem: string): SigningKeys {
  const blocks = [...pem.matchAll(BLOCK)];
  if (pem.replace(BLOCK, '').includes('-----')) throw new Error('a PEM block has no end, or no beginning');
  if (blocks.length > MAX_KEYS) throw new Error(`it holds more than ${MAX_KEYS} keys`);
  const keys = blocks.map(([block, label], i) => readKey(block, label ?? '', i + 1));
  if (new Set(keys.map(({ kid }) => kid)).size < keys.length) throw new Error('it holds a key twice');
  const [first, ...others] = keys;
  if (first === undefined) throw new Error('it holds no "PRIVATE KEY" in PEM');
  return [first, ...others];
}

function readKey(block: string, label: string, position: number): SigningKey {
  if (label !== 'PRIVATE KEY') throw new Error(`its block ${position} is a "${label}", not a "PRIVATE KEY" (PKCS#8)`);
  let key: KeyObject;
  try {
    key = createPrivateKey(block);
  } catch {
    throw new Error(`its block ${position} is not a private key that can be read`);
  }
  if (key.asymmetricKeyType !== 'ed25519') {
    throw new Error(`the key in its block ${position} is ${key.asymmetricKeyType ?? 'unknown'}, not Ed25519`);
  }
  const { x = '' } = createPublicKey(key).export({ format: 'jwk' });
  // RFC 7638: of exactly these members, in this order.
  const kid = createHash('sha256')
    .update(JSON.stringify({ crv: 'Ed25519', kty: 'OKP', x }))
    .digest('base64url');
  return { kid, key, jwk: { kty: 'OKP', crv: 'Ed25519', x, kid, alg: 'EdDSA', use: 'sig' } };
}

/** The keys of the file, and those that left it a short while ago. */
export class KeyRing {
  #keys: SigningKeys;
  #retired: readonly { readonly jwk: JWK; readonly until: number }[] = [];

  constructor(keys: SigningKeys) {
    this.#keys = keys;
  }

  /** The one that signs. */
  get first(): SigningKey {
    return this.#keys[0];
  }

  /** `now` on a clock that only goes forward. */
  replace(keys: SigningKeys, now: number): void {
    const left = this.#keys.map(({ jwk }) => ({ jwk, until: now + OVERLAP_MS }));
    const present = new Set(keys.map(({ kid }) => kid));
    this.#retired = [...this.#retired, ...left].filter(
      ({ jwk, until }) => until > now && jwk.kid !== undefined && !present.has(jwk.kid),
    );
    this.#keys = keys;
  }

  /** As RFC 7517 wants it. */
  published(now: number): { readonly keys: readonly JWK[] } {
    return {
      keys: [
        ...this.#keys.map(({ jwk }) => jwk),
        ...this.#retired.filter(({ until }) => until > now).map(({ jwk }) => jwk),
      ],
    };
  }
}
