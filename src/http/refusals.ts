import { STATUS_CODES } from 'node:http';
import type { ServerResponse } from 'node:http';
import type { FastifyError } from 'fastify';
import type { Duplex } from 'node:stream';
import { codeOfStatus, errorBody, ERRORS } from '../errors.ts';
import type { ErrorCode } from '../errors.ts';
import { JSON_TYPE, sendError } from './answering.ts';
import type { Freshness } from './freshness.ts';
import type { FrontRequest } from './lean-request.ts';
import type { App } from './parts.ts';
import { Problem } from './problem.ts';
import type { ServerOptions } from './context.ts';

/** Everything that is refused before or instead of a route's answer is refused here, in one shape. */
export function refusals(app: App, { log, metrics }: ServerOptions): void {
  const methods = new Map<string, Set<string>>();
  app.addHook('onRoute', ({ url, method }) => {
    const known = methods.get(url) ?? new Set(['OPTIONS']);
    for (const one of [method].flat()) known.add(one);
    methods.set(url, known);
  });

  // Before the body's parser: a form posted to /pod is a 405 and not a 415.
  app.addHook('onRequest', (request, reply, done) => {
    if (!request.is404) {
      const { 'content-length': length, 'transfer-encoding': coding } = request.headers;
      if (request.method !== 'POST' || length !== undefined || coding !== undefined) return done();
      // Its parser would wait for the end of a stream that never says so (`optimizeEmptyRequests`).
      return void sendError(reply, 'invalid_request', 'the body is missing');
    }
    const known = methods.get(pathOf(request.raw.url ?? ''));
    if (!known) return void sendError(reply, 'route_not_found', ERRORS.route_not_found.meaning);
    reply.header('allow', [...known].sort().join(', '));
    if (request.method === 'OPTIONS') return void reply.code(204).send();
    sendError(reply, 'method_not_allowed', ERRORS.method_not_allowed.meaning);
  });

  app.setErrorHandler((error: unknown, _request, reply) => {
    if (error instanceof Problem) {
      if (error.code === 'overloaded') metrics.counters.shed_total.all++;
      return sendError(reply, error.code, error.message);
    }
    // Only what Fastify says of a body is the caller's fault.
    const code = isBodyError(error) ? codeOfStatus(error.statusCode ?? 500) : undefined;
    if (code === 'invalid_request') return sendError(reply, code, 'the body is not JSON');
    if (code !== undefined) return sendError(reply, code, ERRORS[code].meaning);
    log.error({ err: error }, 'a request failed');
    return sendError(reply, 'internal_error', ERRORS.internal_error.meaning);
  });
}

const isBodyError = (error: unknown): error is FastifyError =>
  error instanceof Error && 'code' in error && String(error.code).startsWith('FST_ERR_CTP_');

const pathOf = (url: string): string => decodeURIComponent(url.replace(/^https?:\/\/[^/?]*/i, '').split('?')[0] ?? '');

/** What is wrong with a request before it is anything's. Fastify would answer some of these in a shape of its own. */
export function faultOf(
  { url = '', headers, httpVersion }: FrontRequest,
  maxUrlLength: number,
): { readonly code: ErrorCode; readonly message: string } | undefined {
  if (url.length > maxUrlLength) return { code: 'url_too_long', message: ERRORS.url_too_long.meaning };
  // llhttp still reads HTTP/0.9, even with headers.
  if (httpVersion === '0.9') return { code: 'invalid_request', message: NOT_HTTP };
  if (httpVersion === '1.1' && headers.host === undefined) {
    return { code: 'invalid_request', message: 'the Host header is missing' };
  }
  if (!url.startsWith('/') && url !== '*' && !(HAS_HOST.test(url) && URL.canParse(url))) {
    return { code: 'invalid_request', message: 'the URL has no host, or none that can be' };
  }
  if (!isDecodable(url)) return { code: 'invalid_request', message: 'the URL is not percent-encoded UTF-8' };
  return undefined;
}

/** To `URL` the host of `http:///a` is a. */
const HAS_HOST = /^[^:/?#]+:\/\/[^/?#]/;

const NOT_HTTP = 'this is not HTTP as it should be';

function isDecodable(url: string): boolean {
  if (!url.includes('%')) return true;
  try {
    decodeURIComponent(url);
    return true;
  } catch {
    return false;
  }
}

/** In front of Fastify. */
export function refuseRequest(res: ServerResponse, code: ErrorCode, message: string, headers: readonly string[]): void {
  if (res.headersSent) return void res.destroy();
  const body = JSON.stringify(errorBody(code, message));
  res.writeHead(ERRORS[code].status, [
    'content-type',
    JSON_TYPE,
    ...headers,
    'content-length',
    String(Buffer.byteLength(body)),
  ]);
  res.end(body);
}

/** What the parser of HTTP could not read: no request, so no Fastify. */
export function refuseConnection(error: NodeJS.ErrnoException, socket: Duplex, freshness: Freshness): void {
  const { code } = error;
  // An answer that has begun must not be mixed with this one; Node's own handler looks at the same field.
  const answering = (socket as { _httpMessage?: { headersSent: boolean } })._httpMessage?.headersSent;
  // What went wrong below HTTP, a handshake or the connection itself, is not answered in HTTP.
  const isHttp = /^(HPE_|ERR_HTTP_)/.test(code ?? '');
  if (socket.writable && !answering && isHttp) socket.write(rawAnswer(parserCode(code), freshness));
  socket.destroy();
}

function parserCode(code: string | undefined): ErrorCode {
  if (code === 'HPE_HEADER_OVERFLOW') return 'headers_too_large';
  return code === 'ERR_HTTP_REQUEST_TIMEOUT' ? 'request_timeout' : 'invalid_request';
}

export function rawAnswer(code: ErrorCode, freshness: Freshness): string {
  const { status } = ERRORS[code];
  const message = code === 'invalid_request' ? NOT_HTTP : ERRORS[code].meaning;
  const body = JSON.stringify(errorBody(code, message));
  const headers = ['content-type', JSON_TYPE, ...freshness.told(), 'content-length', `${body.length}`];
  let text = `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ''}\r\n`;
  for (let i = 0; i < headers.length; i += 2) text += `${headers[i]}: ${headers[i + 1]}\r\n`;
  return `${text}connection: close\r\n\r\n${body}`;
}
