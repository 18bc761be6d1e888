import { createServer as createPlainServer } from 'node:http';
import type { Server, ServerResponse } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { isIPv6 } from 'node:net';
import type { Duplex } from 'node:stream';
import type { Certificate } from './certificate.ts';
import type { Replaceable } from './context.ts';
import { LeanRequest } from './lean-request.ts';
import type { FrontRequest } from './lean-request.ts';
import type { Limits } from './limits.ts';
import { settleLayout } from './object-layout.ts';
import { StillConnections } from './still-connections.ts';

/** Before it reads other headers than the essential ones it takes the `whole` request. */
type Answer = (request: FrontRequest, response: ServerResponse) => void;

export interface ListenerOptions {
  readonly limits: Limits;
  readonly tls: Replaceable<Certificate> | undefined;
  /** Everything that is a request. */
  readonly answer: Answer;
  /** A CONNECT: its socket is ours alone from then on. */
  readonly refuseTunnel: (socket: Duplex) => void;
}

/** A server for one port, with all limits, plain or with TLS; it is not bound yet. */
export function createListener({ limits, tls, answer, refuseTunnel }: ListenerOptions): Server {
  settleLayout();
  const { requestTimeout, connectionsCheckingInterval, keepAliveTimeout, maxHeaderSize } = limits;
  const options = {
    requestTimeout,
    headersTimeout: requestTimeout,
    connectionsCheckingInterval,
    keepAliveTimeout,
    maxHeaderSize,
    // A request without a body gets no stream to read it from: 5 to 10 % of a lookup. `refusals` sees to a POST without one.
    optimizeEmptyRequests: true,
    IncomingMessage: LeanRequest,
    // Its absence is answered in the shape of all errors.
    requireHostHeader: false,
  };
  const server = tls ? secured(options, tls, requestTimeout, answer) : createPlainServer(options, answer);
  server.timeout = limits.socketTimeout;
  server.on(tls ? 'secureConnection' : 'connection', new StillConnections(connectionsCheckingInterval).add);
  // Bounded by their bytes. By their number Node (not every 24 answers 431) drops the last, which may be what a preflight denies for.
  server.maxHeadersCount = 0;
  server.maxConnections = limits.maxConnections;
  // Full of connections that nobody uses: they make room for those who come. At most once a second, for it looks at all of them.
  let swept = -Infinity;
  server.on('drop', () => {
    if (performance.now() - swept < 1000) return;
    swept = performance.now();
    server.closeIdleConnections();
  });
  // An expectation that nobody knows may be ignored (RFC 9110, 10.1.1).
  server.on('checkExpectation', answer);
  server.on('connect', (_request, socket) => {
    // Node has taken all its listeners off this socket: without one of ours its reset would end the process.
    socket.on('error', () => socket.destroy());
    refuseTunnel(socket);
  });
  return server;
}

/** Until the handshake is done there is no HTTP, and so none of its time limits. */
function secured(options: object, tls: Replaceable<Certificate>, handshakeTimeout: number, answer: Answer): Server {
  const server = createTlsServer({ ...options, handshakeTimeout, ...tls.value }, answer);
  // Connections that are there go on with what they were opened with.
  tls.onChange((certificate) => server.setSecureContext(certificate));
  return server;
}

/** Binds to the first host that this machine has: without IPv6 there is no `::`. What `bind` throws otherwise says what to set. */
export async function listenOn<T>(
  hosts: readonly string[],
  bind: (host: string) => Promise<T>,
  place: { readonly setting: 'PORT' | 'PREFLIGHT_PORT'; readonly port: number },
): Promise<T> {
  for (const [i, host] of hosts.entries()) {
    try {
      return await bind(host);
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (i < hosts.length - 1 && (code === 'EAFNOSUPPORT' || code === 'EADDRNOTAVAIL')) continue;
      throw cannotListen(error, hosts.length > 1 ? 'all addresses' : host, place);
    }
  }
  throw new Error('no host to listen on');
}

/** Binds a server that is not Fastify's own; its URL, without the scheme. */
export async function bind(server: Server, host: string, port: number): Promise<string> {
  server.listen({ host, port });
  await once(server, 'listening');
  const bound = server.address() as AddressInfo;
  return `${isIPv6(bound.address) ? `[${bound.address}]` : bound.address}:${bound.port}`;
}

/** Resolves when the last connection has gone; idle ones go at once. */
export async function unbind(server: Server): Promise<void> {
  if (!server.listening) return;
  const closed = once(server, 'close');
  server.close();
  await closed;
}

/** Node's error with the settings to change in its message. */
function cannotListen(
  error: unknown,
  host: string,
  place: { readonly setting: string; readonly port: number },
): unknown {
  if (!(error instanceof Error)) return error;
  const reasons: Readonly<Record<string, string>> = {
    EADDRINUSE: 'it is already in use',
    EACCES: 'not allowed',
    EADDRNOTAVAIL: 'this machine does not have the address',
    ENOTFOUND: 'the host name is not known',
  };
  const reason = reasons[(error as NodeJS.ErrnoException).code ?? ''] ?? error.message;
  error.message = `cannot listen on ${host}, port ${place.port}: ${reason}; set ${place.setting} or HOST`;
  return error;
}
