/** Names of headers, as HTTP, proxies and CGI-like back ends read them. */

/** Letters, digits and "-": proxies drop or rewrite what else a name may hold. */
export function isHeaderName(text: string): boolean {
  return text.length <= 64 && /^[A-Za-z][A-Za-z0-9]*(-[A-Za-z0-9]+)*$/.test(text);
}

/**
 * What is left of a name when only letters and digits count, without their case: CGI-like back ends make one variable of all
 * names with the same rest, whichever of the characters that a name may hold is between them (rule E5).
 */
export const bareName = (name: string): string => name.toLowerCase().replace(/[^a-z0-9]/g, '');

/** Whether `bareName(name) === bare`, for every header of every request: without making a string. */
export function hasBareName(name: string, bare: string): boolean {
  let next = 0;
  for (let i = 0; i < name.length; i++) {
    let code = name.charCodeAt(i);
    if (code >= UPPER_A && code <= UPPER_Z) code += LOWER_A - UPPER_A;
    else if (!isBare(code)) continue;
    if (code !== bare.charCodeAt(next++)) return false;
  }
  return next === bare.length;
}

/** What a message's own course through HTTP depends on, and what podwhois says of itself: nobody may give these another meaning. */
export function isReserved(name: string): boolean {
  const lower = name.toLowerCase();
  return OWN.has(lower) || OWN_FAMILIES.test(lower);
}

const OWN = new Set(
  (
    'age allow alt-svc authorization cache-control connection cookie date early-data etag expect expires forwarded from ' +
    'host keep-alive last-modified link location max-forwards origin pragma range referer refresh retry-after server ' +
    'set-cookie strict-transport-security te trailer transfer-encoding upgrade upgrade-insecure-requests user-agent vary ' +
    'via warning www-authenticate'
  ).split(' '),
);
const OWN_FAMILIES = /^(accept|access-control|content|cross-origin|if|proxy|sec|x-podwhois)(-|$)/;

/** Whether a character counts; of letters the small ones. */
const isBare = (code: number): boolean => (code >= LOWER_A && code <= LOWER_Z) || (code >= DIGIT_0 && code <= DIGIT_9);

/** `bareName(name).length`. */
export function bareLength(name: string): number {
  let length = 0;
  for (let i = 0; i < name.length; i++) {
    const code = name.charCodeAt(i);
    if (isBare(code) || (code >= UPPER_A && code <= UPPER_Z)) length++;
  }
  return length;
}

const DIGIT_0 = 0x30;
const DIGIT_9 = 0x39;
const UPPER_A = 0x41;
const UPPER_Z = 0x5a;
const LOWER_A = 0x61;
const LOWER_Z = 0x7a;
