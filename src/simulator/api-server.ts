import type { IncomingMessage, ServerResponse } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { readPodsRequest, target } from './api-request.ts';
import type { PodsRequest, Verb } from './api-request.ts';
import { Body } from './body.ts';
import type { Cluster } from './cluster.ts';
import { DISCOVERY } from './discovery.ts';
import { envelope } from './encoding/framing.ts';
import type { FaultActions, Faults } from './faults.ts';
import { page, writePage } from './list.ts';
import { CONTENT_TYPE, negotiate } from './negotiate.ts';
import type { Representation } from './negotiate.ts';
import type { Format } from './pod-version.ts';
import * as status from './status.ts';
import { others, podTable } from './table.ts';
import { serveWatch } from './watch.ts';
import type { WatchTimes } from './watch.ts';

/** Who may do what. */
export interface Access {
  /** The bearer token asked for; undefined: none. */
  token: string | undefined;
  /** Whether pods may be listed (get too) and watched. */
  list: boolean;
  watch: boolean;
  /** The name in a 403. */
  user: string;
}

/** A request for pods that came. */
export interface Served {
  readonly verb: Verb;
  readonly path: string;
  readonly query: URLSearchParams;
  readonly headers: IncomingMessage['headers'];
  /** By the monotonic clock, in ms. */
  readonly at: number;
}

export interface ApiServerOptions {
  readonly cluster: Cluster;
  readonly faults: Faults;
  readonly access: Readonly<Access>;
  readonly times: Readonly<WatchTimes>;
}

const PODS = /^\/api\/v1(?:\/namespaces\/([^/]+))?\/pods(?:\/([^/]+))?$/;
const OTHERS = /^\/api\/v1\/(nodes|namespaces)(?:\/([^/]+))?$/;
const FORMATS: readonly Format[] = ['json', 'protobuf'];

/** Answers requests as kube-apiserver does, as far as it can; the rest is a 501. */
export class ApiServer {
  readonly requests: Served[] = [];
  readonly #options: ApiServerOptions;
  #etcd = Promise.withResolvers<void>();

  constructor(options: ApiServerOptions) {
    this.#options = options;
    this.#etcd.resolve();
  }

  /** See `Simulator.cutOffFromEtcd`. */
  cutOff(cut: boolean): void {
    this.#etcd.resolve();
    if (cut) this.#etcd = Promise.withResolvers<void>();
  }

  async handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    response.on('error', () => {}); // the client has gone
    try {
      await this.#route(request, response);
    } catch (error) {
      if (response.headersSent) return void response.destroy();
      const answer =
        error instanceof status.ApiError ? error : new status.ApiError(500, 'InternalError', String(error));
      sendStatus(request, response, answer.status);
    }
  }

  async #route(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { cluster, access } = this.#options;
    const { path, query } = target(request);
    if (access.token !== undefined && request.headers.authorization !== `Bearer ${access.token}`)
      throw status.unauthorized();
    if (path === '/healthz' || path === '/livez' || path === '/readyz') return void response.end('ok');
    const pods = PODS.exec(path);
    const other = OTHERS.exec(path);
    const discovery = Object.hasOwn(DISCOVERY, path) ? DISCOVERY[path] : undefined;
    if (!pods && !other && !discovery) {
      if (path.startsWith('/api/v1/')) throw status.notImplemented(`${request.method} ${path}`);
      throw status.notFound();
    }
    if (request.method !== 'GET') throw status.methodNotAllowed();
    if (discovery) {
      negotiate(request.headers.accept, ['json']);
      return sendJson(response, discovery);
    }
    if (other) return this.#others(request, response, other[1] as 'nodes' | 'namespaces', other[2]);
    const asked = readPodsRequest(query, pods?.[1], pods?.[2]);
    this.requests.push({ verb: asked.verb, path, query, headers: request.headers, at: performance.now() });
    if (this.requests.length > 1000) this.requests.shift();
    const watches = asked.verb === 'watch' || asked.verb === 'sync';
    if (watches ? !access.watch : !access.list)
      throw status.forbidden(
        access.user,
        asked.verb === 'get' ? 'get' : watches ? 'watch' : 'list',
        'pods',
        asked.namespace,
      );
    if (asked.verb === 'get') return this.#one(request, response, asked, cluster);
    return this.#many(request, response, asked);
  }

  async #many(request: IncomingMessage, response: ServerResponse, asked: PodsRequest): Promise<void> {
    const { cluster, faults, times } = this.#options;
    const { store } = cluster;
    const actions = faults.take(asked);
    const gone = new Promise<void>((resolve) => response.once('close', resolve));
    if (actions.delayMs !== undefined) await Promise.race([sleep(actions.delayMs), gone]);
    if (actions.reset) return void response.destroy();
    if (actions.withhold) return gone;
    if (actions.status !== undefined) return sendScripted(request, response, actions);
    const watches = asked.verb === 'watch' || asked.verb === 'sync';
    const consistent = (asked.verb === 'sync' || asked.verb === 'list') && asked.resourceVersion === undefined;
    if (consistent) await Promise.race([this.#etcd.promise, gone]);
    if (response.destroyed) return;
    if (asked.verb === 'sync' && actions.sendInitialEvents === 'refuse') throw REFUSED;
    const verb = asked.verb === 'sync' && actions.sendInitialEvents === 'ignore' ? 'watch' : asked.verb;
    const offered: Representation[] = actions.jsonOnly ? ['json'] : [...FORMATS];
    const as = negotiate(request.headers.accept, watches ? offered : [...offered, 'table']);
    if (as === 'table') {
      const { version, pods, continue: next } = page(store, asked, actions);
      const metadata = { resourceVersion: String(version), ...(next === '' ? {} : { continue: next }) };
      return sendJson(
        response,
        podTable(
          metadata,
          pods.map((pod) => pod.object),
          Date.parse(cluster.time),
        ),
      );
    }
    response.setHeader(
      'Content-Type',
      watches && as === 'protobuf' ? `${CONTENT_TYPE[as]};stream=watch` : CONTENT_TYPE[as],
    );
    if (!watches) {
      const answer = page(store, asked, actions);
      return writePage(new Body(response, actions), answer, as, actions);
    }
    // The headers go out at once, also while there is nothing to tell.
    response.flushHeaders();
    await serveWatch(store, { ...asked, verb }, new Body(response, actions), { format: as, faults: actions, times });
  }

  #one(request: IncomingMessage, response: ServerResponse, asked: PodsRequest, cluster: Cluster): void {
    const name = asked.name ?? '';
    const pod = asked.namespace === undefined ? undefined : cluster.store.find(asked.namespace, name);
    if (!pod) throw asked.namespace === undefined ? status.notFound() : status.podNotFound(name);
    const as = negotiate(request.headers.accept, [...FORMATS, 'table']);
    if (as === 'table')
      return sendJson(
        response,
        podTable({ resourceVersion: String(pod.version) }, [pod.object], Date.parse(cluster.time)),
      );
    if (as === 'json') return sendJson(response, { kind: 'Pod', apiVersion: 'v1', ...pod.object });
    const message = pod.bytes('protobuf');
    const { head, tail } = envelope('Pod', message.length);
    response.setHeader('Content-Type', CONTENT_TYPE.protobuf);
    response.end(Buffer.concat([head, message, tail]));
  }

  #others(
    request: IncomingMessage,
    response: ServerResponse,
    kind: 'nodes' | 'namespaces',
    name: string | undefined,
  ): void {
    const { cluster } = this.#options;
    for (const key of target(request).query.keys())
      if (key !== 'limit') throw status.notImplemented(`${key} for ${kind}`);
    const { items, table } = others(cluster, kind, Date.parse(cluster.time));
    const as = negotiate(request.headers.accept, ['json', 'table']);
    const chosen = items.filter((item) => name === undefined || item.metadata.name === name);
    if (name !== undefined && chosen.length === 0)
      throw new status.ApiError(404, 'NotFound', `${kind} ${JSON.stringify(name)} not found`, { name, kind });
    if (as === 'table') return sendJson(response, table(chosen.map((item) => item.metadata.name)));
    if (name !== undefined) return sendJson(response, chosen[0] ?? {});
    const listKind = kind === 'nodes' ? 'NodeList' : 'NamespaceList';
    return sendJson(response, {
      kind: listKind,
      apiVersion: 'v1',
      metadata: { resourceVersion: String(cluster.store.version) },
      items,
    });
  }
}

/** What a server without the WatchList feature says. */
const REFUSED = status.invalidOptions([
  {
    reason: 'FieldValueForbidden',
    message: 'Forbidden: sendInitialEvents is forbidden for watch unless the WatchList feature gate is enabled',
    field: 'sendInitialEvents',
  },
]);

function sendJson(response: ServerResponse, body: object): void {
  response.setHeader('Content-Type', CONTENT_TYPE.json);
  response.end(`${JSON.stringify(body)}\n`);
}

/** Errors come in the format that was asked for, where it is one of ours. */
function sendStatus(request: IncomingMessage, response: ServerResponse, body: status.StatusObject): void {
  const format = /^\s*application\/vnd\.kubernetes\.protobuf/.test(request.headers.accept ?? '') ? 'protobuf' : 'json';
  const bytes = status.encodeStatus(body, body.code === 406 ? 'json' : format);
  response.statusCode = body.code;
  const retryAfter = body.details?.retryAfterSeconds;
  if (retryAfter !== undefined) response.setHeader('Retry-After', retryAfter);
  response.setHeader('Content-Type', CONTENT_TYPE[body.code === 406 ? 'json' : format]);
  response.end(bytes);
}

const REASONS: Readonly<Record<number, string>> = {
  401: 'Unauthorized',
  403: 'Forbidden',
  410: 'Expired',
  429: 'TooManyRequests',
  500: 'InternalError',
  503: 'ServiceUnavailable',
  504: 'Timeout',
};

function sendScripted(request: IncomingMessage, response: ServerResponse, actions: FaultActions): void {
  const { status: code = 500, retryAfterSeconds } = actions;
  const reason = actions.reason ?? REASONS[code] ?? 'Unknown';
  const details = retryAfterSeconds === undefined ? undefined : { retryAfterSeconds };
  sendStatus(
    request,
    response,
    new status.ApiError(code, reason, actions.message ?? `a scripted ${code}`, details).status,
  );
}
