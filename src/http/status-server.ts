import type { Server, ServerResponse } from 'node:http';
import type { Logger } from 'pino';
import { ERRORS } from '../errors.ts';
import { JSON_TYPE } from './answering.ts';
import type { FrontRequest } from './lean-request.ts';
import { LIMITS } from './limits.ts';
import { bind, createListener, listenOn, unbind } from './listeners.ts';
import { refuseRequest } from './refusals.ts';

/** One thing that must be well, and how it is. */
export interface StatusCheck {
  readonly name: string;
  readonly ok: boolean;
  readonly message: string;
}

export interface StatusServerOptions {
  readonly host: string | undefined;
  readonly port: number;
  /** All of them well is ready. */
  readonly checks: () => readonly StatusCheck[];
  readonly metrics: { readonly contentType: string; text(): Promise<string> };
  readonly log: Logger;
}

export interface StatusServer {
  /** Where it listens. */
  readonly url: string;
  close(): Promise<void>;
}

const HEADERS = ['cache-control', 'no-store'];

/** `/health`, `/ready` and `/metrics` of a process that answers nothing else. Resolves when it listens. */
export async function startStatusServer(options: StatusServerOptions): Promise<StatusServer> {
  const { host, port, log } = options;
  const server: Server = createListener({
    limits: LIMITS,
    tls: undefined,
    answer: (request, response) => void answer(request, response, options),
    refuseTunnel: (socket) => socket.destroy(),
  });
  const hosts = host === undefined ? ['::', '0.0.0.0'] : [host];
  const authority = await listenOn(hosts, async (one) => await bind(server, one, port), { setting: 'PORT', port });
  return {
    url: `http://${authority}`,
    async close() {
      server.closeIdleConnections();
      const late = setTimeout(() => {
        log.warn('a connection was still open at the end');
        server.closeAllConnections();
      }, 1_000);
      await unbind(server);
      clearTimeout(late);
    },
  };
}

/** The same paths as the service has. */
const HEALTH = ['/health', '/healthz', '/livez'];
const READY = ['/ready', '/readyz'];

async function answer(
  request: FrontRequest,
  response: ServerResponse,
  { checks, metrics, log }: StatusServerOptions,
): Promise<void> {
  try {
    const [path = '', query = ''] = (request.url ?? '').split('?', 2);
    if (![...HEALTH, ...READY, '/metrics'].includes(path)) {
      return refuseRequest(response, 'route_not_found', ERRORS.route_not_found.meaning, HEADERS);
    }
    if (request.method !== 'GET' && request.method !== 'HEAD') {
      return refuseRequest(response, 'method_not_allowed', ERRORS.method_not_allowed.meaning, [
        ...HEADERS,
        'allow',
        'GET, HEAD',
      ]);
    }
    if (path === '/metrics') return send(response, 200, metrics.contentType, await metrics.text());
    const isVerbose = new URLSearchParams(query).has('verbose');
    if (HEALTH.includes(path)) return send(response, 200, JSON_TYPE, JSON.stringify({ status: 'healthy' }));
    const all = checks();
    const isReady = all.every(({ ok }) => ok);
    const body = { status: isReady ? 'ready' : 'not ready', ...(isVerbose && { checks: all }) };
    send(response, isReady ? 200 : 503, JSON_TYPE, JSON.stringify(body));
  } catch (err) {
    log.error({ err }, 'a request failed');
    refuseRequest(response, 'internal_error', ERRORS.internal_error.meaning, HEADERS);
  }
}

function send(response: ServerResponse, status: number, type: string, body: string): void {
  response.writeHead(status, [...HEADERS, 'content-type', type, 'content-length', String(Buffer.byteLength(body))]);
  response.end(body);
}
