import { isUnsafe } from '../../terminal.ts';

/**
 * The path of a held-back request, as far as every server reads it alike. A rule for `/admin` must hold for whatever a back end takes
 * for `/admin`, so a path with two readings is no path at all (`unsafe-path`), instead of one that some later, laxer rule may fit.
 *
 * Denied, each because some server reads it as another path:
 * - what does not begin with one `/`: absolute-form (`http://host/a`), `*`, and `//host/a`, whose first segment URL parsers take for a host;
 * - `.` and `..` segments, also as `%2e`, and as `..;x`, of which servlet containers cut the parameter first: RFC 3986 resolves them,
 *   others pass them on, so `/admin/../public` lies under /admin or does not;
 * - an encoded delimiter, `%2f %5c %3b %3f %23`, and a raw `\` or `#`: it ends a segment, or the path, for those who decode first;
 * - `%25` in front of what becomes another escape: who decodes twice sees that one. `%u002f`, `%2`, `%zz` are no escapes;
 * - UTF-8 that is none (overlong `%c0%af`, half characters), and raw bytes outside ASCII: guessed at differently;
 * - control and invisible characters, raw or encoded: `%00` ends a C string, a tab or line end is dropped by URL parsers, and
 *   white space beside a `/` by those who trim;
 * - characters that folding makes ASCII: U+212A is a `k` in lower case, U+017F an `S` in upper case, U+FF0F a `/` under NFKC.
 *
 * The same to everybody, or else on the safe side: inner slashes are merged, one at the end does not count, `;parameters` of a
 * segment are cut (a segment of nothing else is denied), harmless escapes are decoded, and case is folded. Names that only Windows'
 * file systems hold equal (`admin.`, `ADMINI~1`) are not looked for.
 */
export type RequestPath = string;

/** `/a/b`, never with a slash at the end, so that `/` is the empty path; undefined: servers read it differently. */
export function requestPath(uri: string): RequestPath | undefined {
  if (uri.charCodeAt(0) !== SLASH || uri.charCodeAt(1) === SLASH) return undefined;
  let end = 0;
  let plain = true;
  for (; end < uri.length; end++) {
    const code = uri.charCodeAt(end);
    if ((code >= LOWER_A && code <= LOWER_Z) || (code >= ZERO && code <= NINE) || code === DASH) continue;
    if (code === QUESTION) break;
    if (code <= SPACE || code >= DELETE || code === HASH || code === BACKSLASH) return undefined;
    // A dot or a slash behind a slash may be a segment that is none; an underscore is as plain as a letter.
    if (code === SLASH || code === DOT) plain &&= end === 0 || uri.charCodeAt(end - 1) !== SLASH;
    else plain &&= code === UNDERSCORE;
  }
  if (!plain) return normalised(uri.slice(0, end));
  return uri.slice(0, uri.charCodeAt(end - 1) === SLASH ? end - 1 : end);
}

const ENCODED_DELIMITER = /%(?:2f|5c|3b|3f|23)/i;
const ESCAPE = /%(?:[0-9a-f]{2}|u)/i;

function normalised(raw: string): RequestPath | undefined {
  if (ENCODED_DELIMITER.test(raw)) return undefined;
  const decoded = decode(raw);
  if (decoded === undefined || ESCAPE.test(decoded) || isUnsafe(decoded) || foldsIntoAscii(decoded)) return undefined;
  let path = '';
  for (const segment of decoded.split('/')) {
    if (segment === '') continue;
    const [name = ''] = segment.split(';', 1);
    if (name === '' || name === '.' || name === '..' || name !== name.trim()) return undefined;
    path += `/${name}`;
  }
  return fold(path);
}

/** Strict: neither a broken escape nor broken UTF-8. */
function decode(text: string): string | undefined {
  try {
    return decodeURIComponent(text);
  } catch {
    return undefined;
  }
}

/** Equal for what differs in case only, in one direction or back (`ß`, `ς`), or in how accents are composed. */
const fold = (text: string): string => text.normalize('NFC').toUpperCase().toLowerCase().normalize('NFC');

function foldsIntoAscii(text: string): boolean {
  for (const character of text) {
    if (character <= '\x7f') continue;
    const upper = character.toUpperCase();
    // A longer upper case (`ß`, `SS`) is what `fold` makes of it as well.
    const simple = upper.length === character.length ? upper : '';
    if (ASCII.test(character.normalize('NFKC') + character.toLowerCase() + simple)) return true;
  }
  return false;
}

const ASCII = /\p{ASCII}/u;

/** A pattern of whole segments; what each stands for: a text, folded like a path, or any one segment (undefined). */
export interface PathPattern {
  readonly segments: readonly (string | undefined)[];
  /** It ended in `**`: any number of segments may follow, none too. */
  readonly open: boolean;
  /** The number of the segment that each `{name}` captures. */
  readonly captures: ReadonlyMap<string, number>;
}

/** Reads `/fn/{namespace}/*` and the like; a text says what is wrong. */
export function parsePathPattern(text: string): PathPattern | string {
  if (!text.startsWith('/')) return 'a path begins with "/"';
  if (text.length > 1024) return 'a path has at most 1,024 characters';
  const parts = text === '/' ? [] : text.slice(1).split('/');
  if (parts.at(-1) === '')
    return 'a slash at the end does not count: leave it out, or end in "/**" for all that is below';
  const open = parts.at(-1) === '**';
  if (open) parts.pop();
  const segments: (string | undefined)[] = [];
  const captures = new Map<string, number>();
  for (const part of parts) {
    const [, name] = /^\{([a-z][a-zA-Z0-9_]*)\}$/.exec(part) ?? [];
    if (name !== undefined) {
      if (captures.has(name)) return `{${name}} stands twice`;
      captures.set(name, segments.length);
    } else if (part !== '*') {
      const wrong = wrongLiteral(part);
      if (wrong !== undefined) return wrong;
    }
    segments.push(part === '*' || name !== undefined ? undefined : fold(part));
  }
  return { segments, open, captures };
}

function wrongLiteral(part: string): string | undefined {
  if (part === '') return 'doubled slashes are merged: write one';
  if (part === '.' || part === '..') return 'a request with "." or ".." segments is always denied: leave them out';
  if (part === '**') return '"**" stands for all that is below, and only at the end';
  if (part.includes('*')) return '"*" stands for one whole segment, and nothing beside it';
  if (/[{}]/.test(part)) return 'a capture is one whole segment, like {namespace}';
  if (part.includes('%')) return 'a path is written without escapes: write the character itself';
  if (/[?#;\\]/.test(part)) return 'a path holds none of ? # ; \\: requests are matched without query and parameters';
  if (isUnsafe(part) || part !== part.trim() || foldsIntoAscii(part))
    return 'a request with such a character is always denied: invisible, or read as another one';
  return undefined;
}

export function pathMatches(pattern: PathPattern, path: RequestPath): boolean {
  let at = 0;
  for (const segment of pattern.segments) {
    if (at === path.length) return false;
    if (segment === undefined) {
      const next = path.indexOf('/', at + 1);
      at = next < 0 ? path.length : next;
    } else {
      if (!path.startsWith(segment, at + 1)) return false;
      at += segment.length + 1;
      if (at !== path.length && path.charCodeAt(at) !== SLASH) return false;
    }
  }
  return pattern.open || at === path.length;
}

/** The segment of that number, which the path has when a pattern with such a capture matches. */
export function segmentOf(path: RequestPath, number: number): string {
  let at = 0;
  for (let i = 0; i < number; i++) at = path.indexOf('/', at + 1);
  const end = path.indexOf('/', at + 1);
  return path.slice(at + 1, end < 0 ? path.length : end);
}

const SPACE = 0x20;
const HASH = 0x23;
const DASH = 0x2d;
const DOT = 0x2e;
const SLASH = 0x2f;
const ZERO = 0x30;
const NINE = 0x39;
const QUESTION = 0x3f;
const BACKSLASH = 0x5c;
const UNDERSCORE = 0x5f;
const LOWER_A = 0x61;
const LOWER_Z = 0x7a;
const DELETE = 0x7f;
