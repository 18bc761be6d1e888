import { STATUS_CODES } from 'node:http';
import type { FastifyError, FastifyReply, FastifyRequest } from 'fastify';
import type { Duplex } from 'node:stream';
import { codeOfStatus, errorBody, ERRORS } from '../errors.ts';
import type { ErrorCode } from '../errors.ts';
import { JSON_TYPE, sendError } from './answering.ts';
import type { Freshness } from './freshness.ts';
import type { Limits } from './limits.ts';
import type { App } from './parts.ts';
import { Problem } from './problem.ts';
import type { ServerOptions } from './context.ts';

/** Everything that is refused before or instead of a route's answer is refused here, in one shape. */
export function refusals(app: App, { log, metrics }: ServerOptions, limits: Limits): void {
  const methods = new Map<string, Set<string>>();
  app.addHook('onRoute', ({ url, method }) => {
    const known = methods.get(url) ?? new Set(['OPTIONS']);
    for (const one of [method].flat()) known.add(one);
    methods.set(url, known);
  });

  // In front of everything, the body's parser too: a form posted to /pod is a 405 and not a 415.
  app.addHook('onRequest', (request, reply, done) => {
    const { url = '', headers, httpVersion } = request.raw;
    if (url.length > limits.maxUrlLength) return void sendError(reply, 'url_too_long', ERRORS.url_too_long.meaning);
    if (headers.host === undefined && httpVersion === '1.1') {
      return void sendError(reply, 'invalid_request', 'the Host header is missing');
    }
    const path = decoded(url);
    if (path === undefined) return void sendError(reply, 'invalid_request', 'the URL is not percent-encoded UTF-8');
    if (!request.is404) return done();
    const known = methods.get(path);
    if (!known) return void sendError(reply, 'route_not_found', ERRORS.route_not_found.meaning);
    reply.header('allow', [...known].sort().join(', '));
    if (request.method === 'OPTIONS') return void reply.code(204).send();
    sendError(reply, 'method_not_allowed', ERRORS.method_not_allowed.meaning);
  });

  app.setErrorHandler((error: FastifyError | Problem, _request: FastifyRequest, reply: FastifyReply) => {
    if (error instanceof Problem) {
      if (error.code === 'overloaded') metrics.counters.shed_total.all++;
      return sendError(reply, error.code, error.message);
    }
    const code = codeOfStatus(error.statusCode ?? 500);
    if (code === 'invalid_request') return sendError(reply, code, 'the body is not JSON');
    if (code !== undefined) return sendError(reply, code, ERRORS[code].meaning);
    log.error({ err: error }, 'a request failed');
    return sendError(reply, 'internal_error', ERRORS.internal_error.meaning);
  });
}

/** The path, decoded; undefined when the URL cannot be. */
function decoded(url: string): string | undefined {
  const path = url.replace(/^https?:\/\/[^/?]*/i, '').split('?')[0] ?? '';
  if (!url.includes('%')) return path;
  try {
    decodeURIComponent(url);
    return decodeURIComponent(path);
  } catch {
    return undefined;
  }
}

/** What the parser of HTTP could not read: no request, so no Fastify. */
export function refuseConnection(error: NodeJS.ErrnoException, socket: Duplex, freshness: Freshness): void {
  const { code } = error;
  // An answer that has begun must not be mixed with this one; Node's own handler looks at the same field.
  const answering = (socket as { _httpMessage?: { headersSent: boolean } })._httpMessage?.headersSent;
  if (socket.writable && !answering && code !== 'ECONNRESET') socket.write(rawAnswer(parserCode(code), freshness));
  socket.destroy();
}

function parserCode(code: string | undefined): ErrorCode {
  if (code === 'HPE_HEADER_OVERFLOW') return 'headers_too_large';
  return code === 'ERR_HTTP_REQUEST_TIMEOUT' ? 'request_timeout' : 'invalid_request';
}

export function rawAnswer(code: ErrorCode, freshness: Freshness): string {
  const { status } = ERRORS[code];
  const message = code === 'invalid_request' ? 'this is not HTTP as it should be' : ERRORS[code].meaning;
  const body = JSON.stringify(errorBody(code, message));
  const headers = ['content-type', JSON_TYPE, ...freshness.headers(), 'content-length', `${body.length}`];
  let text = `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ''}\r\n`;
  for (let i = 0; i < headers.length; i += 2) text += `${headers[i]}: ${headers[i + 1]}\r\n`;
  return `${text}connection: close\r\n\r\n${body}`;
}
