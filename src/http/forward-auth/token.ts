import { SignJWT } from 'jose';
import type { Pod } from '../../pod.ts';
import { WeakCache } from '../weak-cache.ts';
import { namedValues } from './identity-headers.ts';
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
  readonly values: readonly string[];
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
  readonly #issued = new WeakCache<Pod, Issued>(KEPT);

  constructor(options: TokensOptions) {
    this.#options = options;
  }

  /** `values` of its identity. At once where there is a token already. */
  of(pod: Pod, values: readonly string[]): string | Promise<string> {
    const key = this.#options.keys.first;
    const now = Math.floor(this.#options.wall() / 1000);
    const known = this.#issued.get(pod);
    // Not `at` alone: a clock that was set back must not hand out what is not valid yet.
    if (known?.key === key && known.values === values && known.at <= now && now - known.at <= LIFE / 2) {
      return known.token;
    }
    const token = this.#sign(key, pod, values, now);
    const issued: Issued = { key, values, at: now, token };
    token.then(
      (text) => (issued.token = text),
      // Whoever waits for it is told; the next one tries again.
      () => this.#issued.set(pod, { ...issued, at: -Infinity }, 1),
    );
    this.#issued.set(pod, issued, 1);
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
