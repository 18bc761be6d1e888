import { SignJWT } from 'jose';
import type { Pod } from '../../pod.ts';
import { WeakCache } from '../weak-cache.ts';
import { namedValues } from './identity-headers.ts';
import type { Identity } from './identity-headers.ts';
import type { KeyRing, SigningKey } from './signing-keys.ts';

/** Seconds. */
export const LIFE = 60;

/** Pods; a kilobyte each. */
const KEPT = 8_192;

export interface TokensOptions {
  readonly keys: KeyRing;
  readonly issuer: string;
  readonly audience: string;
  /** Milliseconds since 1970. */
  readonly wall: () => number;
}

interface Issued {
  readonly key: SigningKey;
  /** Seconds since 1970. */
  readonly at: number;
  token: string | Promise<string>;
}

/**
 * Signed tokens (JWT, EdDSA) that say who calls, for back ends that do not trust the network between the proxy and them. A signature
 * takes ten times as long as the rest of a preflight, so one token serves all calls of a pod while at least half of its life is left.
 */
export class Tokens {
  readonly #options: TokensOptions;
  /** By the address it calls from. */
  readonly #issued = new WeakCache<Pod, Map<string, Issued>>(KEPT);

  constructor(options: TokensOptions) {
    this.#options = options;
  }

  /** At once where there is a token already. */
  of(pod: Pod, { ip, values }: Identity): string | Promise<string> {
    const key = this.#options.keys.first;
    const now = Math.floor(this.#options.wall() / 1000);
    const issued = this.#issued.get(pod) ?? this.#issued.set(pod, new Map(), 1);
    const known = issued.get(ip);
    // Not `at` alone: a clock that was set back must not hand out what is not valid yet.
    if (known?.key === key && known.at <= now && now - known.at <= LIFE / 2) return known.token;
    const token = this.#sign(key, pod, values, now);
    const fresh: Issued = { key, at: now, token };
    issued.set(ip, fresh);
    token.then(
      (text) => (fresh.token = text),
      // Whoever waits for it is told; the next one tries again.
      () => issued.delete(ip),
    );
    return token;
  }

  /**
   * Not to be taken for a token of a Kubernetes service account: another issuer, no `kubernetes.io` claim, and a subject that is
   * no `system:serviceaccount:…`.
   */
  async #sign(key: SigningKey, pod: Pod, values: readonly string[], now: number): Promise<string> {
    const { issuer, audience } = this.#options;
    return await new SignJWT({ pod: namedValues(values) })
      .setProtectedHeader({ alg: 'EdDSA', typ: 'JWT', kid: key.kid })
      .setIssuer(issuer)
      .setAudience(audience)
      .setSubject(`pod:${pod.uid}`)
      .setIssuedAt(now)
      .setExpirationTime(now + LIFE)
      .sign(key.key);
  }
}
