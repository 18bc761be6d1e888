/**
 * The query of a preflight, still encoded; undefined: the request is none. The path is exactly `/authorize` or `/auth`, perhaps with
 * scheme and host before it; spelt in any other way it is left to the router, which refuses it.
 *
 * `behind`: the proxy writes the caller's own path and query behind `/authorize` (Envoy). Then every path below is a preflight too,
 * and no query is read: it would be the caller who constrains himself.
 */
export function preflightQuery(url: string, behind: boolean): string | undefined {
  const start = url.charCodeAt(0) === SLASH ? 0 : (/^https?:\/\/[^/?#]*/i.exec(url)?.[0].length ?? url.length);
  if (!url.startsWith('/auth', start)) return undefined;
  const long = url.startsWith('orize', start + SHORT);
  const end = start + (long ? LONG : SHORT);
  if (end === url.length) return '';
  const next = url.charCodeAt(end);
  if (next === QUESTION) return behind ? '' : url.slice(end + 1);
  return behind && long && next === SLASH ? '' : undefined;
}

const SLASH = 0x2f;
const QUESTION = 0x3f;
const SHORT = '/auth'.length;
const LONG = '/authorize'.length;

/** The second one is what people know from other authorizers. */
export const PATHS = ['/authorize', '/auth'] as const;
