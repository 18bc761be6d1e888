import type { Server, ServerResponse } from 'node:http';
import underPressure from '@fastify/under-pressure';
import { fastify, LogController } from 'fastify';
import { Compile } from 'typebox/compile';
import type { TSchema } from 'typebox';
import { ERRORS } from '../errors.ts';
import type { ErrorCode } from '../errors.ts';
import type { ServerOptions } from './context.ts';
import { Freshness } from './freshness.ts';
import { Gate } from './gate.ts';
import { hotLookup } from './hot-lookup.ts';
import { whole } from './lean-request.ts';
import type { FrontRequest } from './lean-request.ts';
import { LIMITS } from './limits.ts';
import type { Limits } from './limits.ts';
import { bind, createListener, listenOn, unbind } from './listeners.ts';
import { Lookup } from './lookup.ts';
import { describe } from './openapi.ts';
import type { App, Parts } from './parts.ts';
import { PastLookup } from './past-lookup.ts';
import type { HttpPlug } from './plug.ts';
import { Room } from './outgoing.ts';
import { PodJson } from './pod-json.ts';
import { Problem } from './problem.ts';
import { faultOf, rawAnswer, refusals, refuseConnection, refuseRequest } from './refusals.ts';
import { healthRoutes } from './routes/health.ts';
import { historyRoutes } from './routes/history.ts';
import { listRoutes } from './routes/list.ts';
import { batchRoutes, lookupRoutes } from './routes/lookup.ts';
import { metricsRoutes } from './routes/metrics.ts';
import { openapiRoutes } from './routes/openapi.ts';
import { streamRoutes } from './routes/stream.ts';
import { TURNS } from '../turns.ts';
import { explain } from './validation.ts';
import { Waiters } from './waiters.ts';

export interface Urls {
  readonly url: string;
  /** undefined unless there is a PREFLIGHT_PORT. */
  readonly preflightUrl: string | undefined;
}

export interface PodwhoisServer {
  readonly app: App;
  /** Binds; before the first sync (rule C4). When it throws, `close` is still to be called. */
  listen(): Promise<Urls>;
  /**
   * Not ready from now on, still serving for `delayMs` (the setting SHUTDOWN_DELAY), then streams end, requests under way
   * finish, and the port is free. Called again with less it hurries.
   */
  close(options?: { readonly delayMs?: number }): Promise<void>;
}

/** Why a listener does not carry a request; undefined when it does. */
type Refusal = (request: FrontRequest) => ErrorCode | undefined;

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
  let preflight: Server | undefined;

  const app = fastify({
    // Fastify has little to say that is not said here.
    loggerInstance: log.child({}, { level: log.isLevelEnabled('warn') ? 'warn' : log.level }),
    logController: new LogController({ disableRequestLogging: true }),
    bodyLimit: limits.maxBody,
    // While draining, connections are closed after their answer instead.
    return503OnClosing: false,
    clientErrorHandler: (error, socket) => refuseConnection(error, socket, freshness),
    serverFactory: (handler) => {
      const listener = (refusal: Refusal): Server =>
        createListener({
          limits,
          tls: options.tls,
          answer: (req, res) => front(req, res, refusal) || handler(whole(req), res),
          refuseTunnel: (socket) => socket.end(rawAnswer('method_not_allowed', freshness), () => socket.destroy()),
        });
      if (settings.preflightPort !== undefined) {
        preflight = listener((req) => (gate.isOpen(req) ? undefined : 'route_not_found'));
        preflight.on('clientError', (error, socket) => refuseConnection(error, socket, freshness));
      }
      return listener((req) => (gate.lets(req) ? undefined : 'unauthorized'));
    },
  }) as unknown as App;

  /** What is done in front of the router; whether that was all. */
  function front(req: FrontRequest, res: ServerResponse, refusal: Refusal): boolean {
    if (draining) res.shouldKeepAlive = false;
    if (log.isLevelEnabled('debug')) logAccess(log, req, res);
    try {
      const refused = refusal(req);
      if (refused !== undefined) return refuse(res, refused, ERRORS[refused].meaning);
      if (hot(req, res)) return true;
      const fault = faultOf(req, limits.maxUrlLength);
      if (fault) return refuse(res, fault.code, fault.message);
      return additions.some((addition) => addition.front?.(req, res));
    } catch (err) {
      log.error({ err }, 'a request failed');
      refuseRequest(res, 'internal_error', ERRORS.internal_error.meaning, ['cache-control', 'no-store']);
      return true;
    }
  }

  function refuse(res: ServerResponse, code: ErrorCode, message: string): true {
    const challenge = code === 'unauthorized' ? ['www-authenticate', 'Bearer'] : [];
    refuseRequest(res, code, message, [...challenge, ...freshness.told()]);
    return true;
  }

  const parts: Parts = {
    ...options,
    limits,
    freshness,
    podJson,
    lookup,
    pastLookup: new PastLookup({ past: options.past, partial: view.partial, counters: metrics.counters }),
    waiters: new Waiters(index.changes, clock, limits.maxWaiters),
    turns: TURNS,
    room: new Room(limits.maxOutgoing),
    closing: closing.signal,
    draining: () => draining,
  };
  const additions = plugs.map((plug) => plug(parts));
  const gate = new Gate(options.tokens, additions);

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
      const headers = freshness.told();
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
    historyRoutes(bulk, parts);
    streamRoutes(bulk, parts);
  });
  await app.ready();

  const hurry = new AbortController();
  let closed: Promise<void> | undefined;

  async function shutDown(delayMs: number): Promise<void> {
    draining = true;
    if (delayMs > 0) await clock.sleep(delayMs, hurry.signal).catch(() => undefined);
    closing.abort();
    const late = setTimeout(() => {
      app.server.closeAllConnections();
      preflight?.closeAllConnections();
    }, limits.closeGrace);
    await Promise.all([app.close(), preflight && unbind(preflight)]);
    clearTimeout(late);
  }

  async function listen(): Promise<Urls> {
    const { host, port, preflightPort } = settings;
    const hosts = host === undefined ? ['::', '0.0.0.0'] : [host];
    const scheme = options.tls ? 'https' : 'http';
    const bound = await listenOn(hosts, async (host) => await app.listen({ host, port }), { setting: 'PORT', port });
    const url = bound.replace(/^http/, scheme);
    if (preflight === undefined || preflightPort === undefined) return { url, preflightUrl: undefined };
    const second = preflight;
    const place = { setting: 'PREFLIGHT_PORT', port: preflightPort } as const;
    const authority = await listenOn(hosts, async (host) => await bind(second, host, preflightPort), place);
    return { url, preflightUrl: `${scheme}://${authority}` };
  }

  return {
    app,
    listen,
    close({ delayMs = 0 } = {}) {
      if (closed && delayMs === 0) hurry.abort();
      return (closed ??= shutDown(delayMs));
    },
  };
}

function logAccess(log: ServerOptions['log'], { method, url, socket }: FrontRequest, res: ServerResponse): void {
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
