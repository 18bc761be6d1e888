import { createServer as createHttpServer } from 'node:http';
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import underPressure from '@fastify/under-pressure';
import { fastify, LogController } from 'fastify';
import { Compile } from 'typebox/compile';
import type { TSchema } from 'typebox';
import { ERRORS } from '../errors.ts';
import type { ServerOptions } from './context.ts';
import { Freshness } from './freshness.ts';
import { hotLookup } from './hot-lookup.ts';
import { LIMITS } from './limits.ts';
import type { Limits } from './limits.ts';
import { Lookup } from './lookup.ts';
import { describe } from './openapi.ts';
import type { App, Parts } from './parts.ts';
import type { HttpPlug } from './plug.ts';
import { PodJson } from './pod-json.ts';
import { Problem } from './problem.ts';
import { faultOf, rawAnswer, refusals, refuseConnection, refuseRequest } from './refusals.ts';
import { healthRoutes } from './routes/health.ts';
import { listRoutes } from './routes/list.ts';
import { batchRoutes, lookupRoutes } from './routes/lookup.ts';
import { metricsRoutes } from './routes/metrics.ts';
import { openapiRoutes } from './routes/openapi.ts';
import { streamRoutes } from './routes/stream.ts';
import { Turns } from './turns.ts';
import { explain } from './validation.ts';
import { Waiters } from './waiters.ts';

export interface PodwhoisServer {
  readonly app: App;
  /** Binds; before the first sync (rule C4). Returns the URL. */
  listen(): Promise<string>;
  /**
   * Not ready from now on, still serving for `delayMs` (the setting SHUTDOWN_DELAY), then streams end, requests under way
   * finish, and the port is free. Called again with less it hurries.
   */
  close(options?: { readonly delayMs?: number }): Promise<void>;
}

/** `plugs` are those of the capabilities that are on; in front of the router they are asked in this order. */
export async function createServer(options: ServerOptions, plugs: readonly HttpPlug[] = []): Promise<PodwhoisServer> {
  const { index, source, view, settings, log, metrics, clock } = options;
  const limits: Limits = { ...LIMITS, ...options.limits };
  const freshness = new Freshness(source, settings.serveMaxStaleness);
  const podJson = new PodJson(view.partial);
  const lookup = new Lookup({ index, view, freshness, podJson, counters: metrics.counters });
  const hot = hotLookup(lookup, freshness);
  const closing = new AbortController();
  let draining = false;

  const app = fastify({
    // Fastify has little to say that is not said here.
    loggerInstance: log.child({}, { level: log.isLevelEnabled('warn') ? 'warn' : log.level }),
    logController: new LogController({ disableRequestLogging: true }),
    bodyLimit: limits.maxBody,
    // While draining, connections are closed after their answer instead.
    return503OnClosing: false,
    clientErrorHandler: (error, socket) => refuseConnection(error, socket, freshness),
    serverFactory: (handler) => {
      const front = (req: IncomingMessage, res: ServerResponse): void => {
        if (draining) res.shouldKeepAlive = false;
        if (log.isLevelEnabled('debug')) logAccess(log, req, res);
        try {
          if (hot(req, res)) return;
          const fault = faultOf(req, limits.maxUrlLength);
          if (fault) return refuseRequest(res, fault.code, fault.message, freshness.headers());
          for (const addition of additions) if (addition.front?.(req, res)) return;
        } catch (err) {
          log.error({ err }, 'a request failed');
          return refuseRequest(res, 'internal_error', ERRORS.internal_error.meaning, ['cache-control', 'no-store']);
        }
        handler(req, res);
      };
      const server = httpServer(limits, front);
      // An expectation that nobody knows may be ignored (RFC 9110, 10.1.1).
      server.on('checkExpectation', front);
      server.on('connect', (_request, socket) => {
        // Node has taken all its listeners off this socket: without one of ours its reset would end the process.
        socket.on('error', () => socket.destroy());
        socket.end(rawAnswer('method_not_allowed', freshness), () => socket.destroy());
      });
      return server;
    },
  }) as unknown as App;
  const parts: Parts = {
    ...options,
    limits,
    freshness,
    podJson,
    lookup,
    waiters: new Waiters(index.changes, clock, limits.maxWaiters),
    turns: new Turns(),
    closing: closing.signal,
    draining: () => draining,
  };
  const additions = plugs.map((plug) => plug(parts));

  refusals(app, options);
  app.setValidatorCompiler(({ schema, httpPart }) => {
    const compiled = Compile(schema as TSchema);
    return (value) => (compiled.Check(value) ? { value } : { error: explain(compiled.Errors(value), httpPart) });
  });
  // Bodies are made by hand, as text.
  app.setSerializerCompiler(() => JSON.stringify);
  app.removeContentTypeParser('text/plain');
  app.addHook('onSend', (_request, reply, _payload, done) => {
    try {
      const headers = freshness.headers();
      for (let i = 0; i < headers.length; i += 2) {
        // Set already where an answer was begun before now.
        if (!reply.hasHeader(headers[i] as string)) reply.header(headers[i] as string, headers[i + 1]);
      }
    } catch (err) {
      // Left to Fastify, the answer would be this error's message.
      log.error({ err }, 'the age is not known');
    }
    done();
  });

  await describe(app, options.version);
  lookupRoutes(app, parts);
  healthRoutes(app, parts);
  metricsRoutes(app, parts);
  openapiRoutes(app);
  for (const addition of additions) addition.routes?.(app);
  await app.register(async (bulk: App) => {
    await bulk.register(underPressure, {
      maxEventLoopDelay: limits.shedDelay,
      sampleInterval: limits.shedInterval,
      customError: Overloaded,
    });
    listRoutes(bulk, parts);
    batchRoutes(bulk, parts);
    streamRoutes(bulk, parts);
  });
  await app.ready();

  const hurry = new AbortController();
  let closed: Promise<void> | undefined;

  async function shutDown(delayMs: number): Promise<void> {
    draining = true;
    if (delayMs > 0) await clock.sleep(delayMs, hurry.signal).catch(() => undefined);
    closing.abort();
    const late = setTimeout(() => app.server.closeAllConnections(), limits.closeGrace);
    await app.close();
    clearTimeout(late);
  }

  return {
    app,
    listen: () => listenOn(app, settings.port, settings.host === undefined ? ['::', '0.0.0.0'] : [settings.host]),
    close({ delayMs = 0 } = {}) {
      if (closed && delayMs === 0) hurry.abort();
      return (closed ??= shutDown(delayMs));
    },
  };
}

function logAccess(log: ServerOptions['log'], { method, url, socket }: IncomingMessage, res: ServerResponse): void {
  const began = performance.now();
  const peer = socket.remoteAddress;
  res.once('close', () => {
    const ms = Math.round((performance.now() - began) * 1000) / 1000;
    log.debug({ method, url, peer, status: res.statusCode, ms }, res.writableFinished ? 'answered' : 'not answered');
  });
}

class Overloaded extends Problem {
  constructor() {
    super('overloaded', 'busy; ask again later');
  }
}

function httpServer(limits: Limits, handler: Parameters<typeof createHttpServer>[1]): Server {
  const { requestTimeout, connectionsCheckingInterval, keepAliveTimeout, maxHeaderSize } = limits;
  const server = createHttpServer(
    {
      requestTimeout,
      headersTimeout: requestTimeout,
      connectionsCheckingInterval,
      keepAliveTimeout,
      maxHeaderSize,
      // A request without a body gets no stream to read it from: 5 to 10 % of a lookup. `refusals` sees to a POST without one.
      optimizeEmptyRequests: true,
      // Its absence is answered in the shape of all errors.
      requireHostHeader: false,
    },
    handler,
  );
  server.timeout = limits.socketTimeout;
  server.maxConnections = limits.maxConnections;
  // Full of connections that nobody uses: they make room for those who come. At most once a second, for it looks at all of them.
  let swept = -Infinity;
  server.on('drop', () => {
    if (performance.now() - swept < 1000) return;
    swept = performance.now();
    server.closeIdleConnections();
  });
  return server;
}

/** On the first host that this machine has: without IPv6 there is no `::`. */
export async function listenOn(app: App, port: number, hosts: readonly string[]): Promise<string> {
  for (const [i, host] of hosts.entries()) {
    try {
      return await app.listen({ host, port });
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (i === hosts.length - 1 || (code !== 'EAFNOSUPPORT' && code !== 'EADDRNOTAVAIL')) throw error;
    }
  }
  throw new Error('no host to listen on');
}
