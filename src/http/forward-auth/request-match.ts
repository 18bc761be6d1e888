import { METHODS } from 'node:http';
import { nearest } from './nearest.ts';
import { pathMatches, requestPath } from './request-path.ts';
import type { PathPattern, RequestPath } from './request-path.ts';
import type { RequestFacts } from './verdict.ts';

/** Which requests a rule is about; what is undefined is not asked. */
export interface RequestMatch {
  readonly methods: readonly string[] | undefined;
  readonly host: HostPattern | undefined;
  readonly path: PathPattern | undefined;
}

export interface HostPattern {
  readonly text: string;
  /** `text` is a suffix that begins with a dot, and at least one label stands before it. */
  readonly isSuffix: boolean;
}

/** The facts in the form that patterns are compared with. undefined: not said, or not in a form that means one thing. */
export interface MatchedRequest {
  readonly method: string | undefined;
  readonly host: string | undefined;
  /** null: said, but servers read it differently. */
  readonly path: RequestPath | undefined | null;
}

/** Which facts any rule asks for; the others need not be read. */
export interface Asked {
  readonly method: boolean;
  readonly host: boolean;
  readonly path: boolean;
}

export function matchedRequest({ method, host, uri }: RequestFacts, asked: Asked): MatchedRequest {
  return {
    method: asked.method && method !== undefined ? requestMethod(method) : undefined,
    host: asked.host && host !== undefined ? requestHost(host) : undefined,
    path: asked.path && uri !== undefined ? (requestPath(uri) ?? null) : undefined,
  };
}

function requestMethod(text: string): string | undefined {
  if (KNOWN_METHODS.has(text)) return text;
  return TOKEN.test(text) ? text.toUpperCase() : undefined;
}

const KNOWN_METHODS: ReadonlySet<string> = new Set(METHODS);

/** Methods differ in case (RFC 9110), but there are servers that do not care. */
const TOKEN = /^[A-Za-z]+(?:-[A-Za-z]+)*$/;

const HOST = /^([A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)*)\.?(?::[0-9]{0,5})?$/;
const IPV6_HOST = /^(\[[0-9A-Fa-f:.]+\])(?::[0-9]{0,5})?$/;

/** Lower case, without the port and the dot at the end. Case is folded in ASCII only: nothing else is in a host. */
function requestHost(text: string): string | undefined {
  if (text.length > MAX_HOST) return undefined;
  if (isPlainHost(text)) return text;
  return (HOST.exec(text) ?? IPV6_HOST.exec(text))?.[1]?.toLowerCase();
}

/** In the form that is wanted beyond doubt; false says nothing. Nearly every host is, and a regular expression makes two texts of it. */
function isPlainHost(text: string): boolean {
  let isLabel = false;
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    const isDot = code === DOT;
    if (isDot ? !isLabel : !isPlain(code)) return false;
    isLabel = !isDot;
  }
  return isLabel;
}

const isPlain = (code: number): boolean =>
  (code >= LOWER_A && code <= LOWER_Z) || (code >= ZERO && code <= NINE) || code === DASH || code === UNDERSCORE;

const DASH = 0x2d;
const DOT = 0x2e;
const ZERO = 0x30;
const NINE = 0x39;
const UNDERSCORE = 0x5f;
const LOWER_A = 0x61;
const LOWER_Z = 0x7a;

/** The longest name there is, its dot and a port. */
const MAX_HOST = 253 + 1 + 6;

/**
 * Why the rule is not about the request; undefined: it is. `unknown` and `unsafe` deny: to skip the rule could lead to a laxer one,
 * so a missing fact counts whatever the other parts say. A path is only unsafe for a rule that its method and host fit.
 */
export type Mismatch = 'methods' | 'host' | 'path' | 'unknown method' | 'unknown host' | 'unknown path' | 'unsafe path';

export function mismatch({ methods, host, path }: RequestMatch, request: MatchedRequest): Mismatch | undefined {
  if (methods && request.method === undefined) return 'unknown method';
  if (host && request.host === undefined) return 'unknown host';
  if (path && request.path === undefined) return 'unknown path';
  if (!methodFits(methods, request)) return 'methods';
  if (!hostFits(host, request)) return 'host';
  if (!path) return undefined;
  if (request.path === null || request.path === undefined) return 'unsafe path';
  return pathMatches(path, request.path) ? undefined : 'path';
}

export const methodFits = (methods: RequestMatch['methods'], { method = '' }: MatchedRequest): boolean =>
  methods === undefined || methods.includes(method);

/** No host begins with a dot, so that something stands before a suffix. */
export function hostFits(pattern: RequestMatch['host'], { host = '' }: MatchedRequest): boolean {
  if (pattern === undefined) return true;
  const { text, isSuffix } = pattern;
  return isSuffix ? host.endsWith(text) : host === text;
}

/** Reads `a.example` or `*.example`; a text says what is wrong. */
export function parseHostPattern(text: string): HostPattern | string {
  const isSuffix = text.startsWith('*.');
  const name = isSuffix ? text.slice(2) : text;
  if (text === '*') return 'leave host out for all hosts';
  if (name.includes('*')) return '"*." stands at the beginning, for one label or more';
  if (name.includes(':'))
    return 'a host is written without a port, which is not looked at; IPv6 addresses cannot be written';
  if (name.endsWith('.')) return 'a host is written without a dot at the end';
  if (name.length > 253 || !HOST.test(name)) return 'a host is a name like shop.example, or *.example';
  return { text: (isSuffix ? `.${name}` : name).toLowerCase(), isSuffix };
}

/** The methods that a rule for this one holds for; undefined: there is no such method. */
export function methodsOf(method: string): readonly string[] | undefined {
  if (!METHODS.includes(method)) return undefined;
  return method === 'GET' ? ['GET', 'HEAD'] : [method];
}

/** In upper case if it is only that, or the one that is mistyped. */
export const nearestMethod = (text: string): string | undefined => nearest(text, METHODS);
