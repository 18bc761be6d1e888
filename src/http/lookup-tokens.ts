import { hash, timingSafeEqual } from 'node:crypto';

/** A token as RFC 6750 writes one. */
const TOKEN = '[A-Za-z0-9._~+/-]+=*';
const LINE = new RegExp(`^${TOKEN}$`);
const HEADER = new RegExp(`^Bearer +(${TOKEN}) *$`, 'i');
/** Shorter ones can be guessed. */
const SHORTEST = 16;
/** Each is compared with every request. */
const MOST = 100;

/** One per line; empty lines and those that begin with # do not count. Throws an Error that never shows a token. */
export function tokensIn(text: string): readonly string[] {
  const tokens: string[] = [];
  for (const [i, raw] of text.split('\n').entries()) {
    const line = raw.trim();
    if (line === '' || line.startsWith('#')) continue;
    if (!LINE.test(line))
      throw new Error(`line ${i + 1} is not a bearer token: letters, digits, "-._~+/" and "=" at the end`);
    if (line.length < SHORTEST) throw new Error(`the token in line ${i + 1} is shorter than ${SHORTEST} characters`);
    tokens.push(line);
  }
  if (tokens.length === 0) throw new Error('there is no token in it');
  if (tokens.length > MOST) throw new Error(`there are more than ${MOST} tokens in it`);
  return tokens;
}

/** The tokens of LOOKUP_TOKEN_FILE. */
export class LookupTokens {
  readonly #digests: readonly Buffer[];

  constructor(text: string) {
    this.#digests = tokensIn(text).map(digest);
  }

  /** Whether an Authorization header holds one. How long that takes says nothing about any of them. */
  accepts(authorization: string | undefined): boolean {
    const token = HEADER.exec(authorization ?? '')?.[1];
    if (token === undefined) return false;
    const given = digest(token);
    let accepted = false;
    for (const known of this.#digests) if (timingSafeEqual(known, given)) accepted = true;
    return accepted;
  }
}

const digest = (token: string): Buffer => hash('sha256', token, 'buffer');
