/** Names of headers, as HTTP, proxies and CGI-like back ends read them. */

/** Letters, digits and "-": proxies drop or rewrite what else a name may hold. */
export function isHeaderName(text: string): boolean {
  return text.length <= 64 && /^[A-Za-z][A-Za-z0-9]*(-[A-Za-z0-9]+)*$/.test(text);
}

/** What is left of a name when case and `_`, `.`, `-` do not count: names with the same rest are told apart by nobody (rule E5). */
export const bareName = (name: string): string => name.toLowerCase().replace(/[-_.]/g, '');

/** Whether `bareName(name) === bare`, for every header of every request: without making a string. */
export function hasBareName(name: string, bare: string): boolean {
  let next = 0;
  for (let i = 0; i < name.length; i++) {
    let code = name.charCodeAt(i);
    if (code === HYPHEN || code === DOT || code === UNDERSCORE) continue;
    if (code >= UPPER_A && code <= UPPER_Z) code += LOWER_A - UPPER_A;
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

const HYPHEN = 0x2d;
const DOT = 0x2e;
const UNDERSCORE = 0x5f;
const UPPER_A = 0x41;
const UPPER_Z = 0x5a;
const LOWER_A = 0x61;
