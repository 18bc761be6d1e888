import type { IncomingMessage, ServerResponse } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { readRequest, target } from './api-request.ts';
import type { ObjectsRequest, Verb } from './api-request.ts';
import { Body } from './body.ts';
import type { Cluster } from './cluster.ts';
import { DISCOVERY } from './discovery.ts';
import { envelope, typeHead } from './encoding/framing.ts';
import type { FaultActions, Faults } from './faults.ts';
import { page, writePage } from './list.ts';
import { CONTENT_TYPE, negotiate } from './negotiate.ts';
import type { Representation } from './negotiate.ts';
import { PARTIAL } from './object-version.ts';
import type { Format, Shape } from './object-version.ts';
import { resourcesOf } from './resources.ts';
import type { Resource } from './resources.ts';
import * as status from './status.ts';
import { nodes } from './table.ts';
import { serveWatch } from './watch.ts';
import type { WatchTimes } from './watch.ts';

/** Who may do what. */
export interface Access {
  /** The bearer token asked for; undefined: none. */
  token: string | undefined;
  /** Whether pods may be listed (get too) and watched. */
  list: boolean;
  watch: boolean;
  /** Whether namespaces may be listed and watched. */
  namespaces: boolean;
  /** Whether EndpointSlices may be listed and watched. */
  endpointSlices: boolean;
  /** The name in a 403. */
  user: string;
}

/** A request for objects that came. */
export interface Served {
  readonly resource: Resource['name'];
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
const NAMESPACES = /^\/api\/v1\/namespaces(?:\/([^/]+))?$/;
const ENDPOINT_SLICES = /^\/apis\/discovery\.k8s\.io\/v1(?:\/namespaces\/([^/]+))?\/endpointslices(?:\/([^/]+))?$/;
const NODES = /^\/api\/v1\/nodes(?:\/([^/]+))?$/;
const FORMATS: readonly Format[] = ['json', 'protobuf'];
const PARTIAL_LIST = 'PartialObjectMetadataList';

/** Answers requests as kube-apiserver does, as far as it can; the rest is a 501. */
export class ApiServer {
  readonly requests: Served[] = [];
  readonly #options: ApiServerOptions;
  readonly #resources: ReturnType<typeof resourcesOf>;
  #etcd = Promise.withResolvers<void>();

  constructor(options: ApiServerOptions) {
    this.#options = options;
    this.#resources = resourcesOf(options.cluster);
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
    const { access } = this.#options;
    const { path, query } = target(request);
    if (access.token !== undefined && request.headers.authorization !== `Bearer ${access.token}`)
      throw status.unauthorized();
    if (path === '/healthz' || path === '/livez' || path === '/readyz') return void response.end('ok');
    const pods = PODS.exec(path);
    const namespaces = NAMESPACES.exec(path);
    const slices = ENDPOINT_SLICES.exec(path);
    const node = NODES.exec(path);
    const discovery = Object.hasOwn(DISCOVERY, path) ? DISCOVERY[path] : undefined;
    if (!pods && !namespaces && !slices && !node && !discovery) {
      if (path.startsWith('/api/v1/')) throw status.notImplemented(`${request.method} ${path}`);
      throw status.notFound();
    }
    if (request.method !== 'GET') throw status.methodNotAllowed();
    if (discovery) {
      negotiate(request.headers.accept, { formats: ['json'] });
      return sendJson(response, discovery);
    }
    if (node) return this.#nodes(request, response, node[1]);
    const { pods: ofPods, namespaces: ofNamespaces, endpointslices: ofSlices } = this.#resources;
    const resource = pods ? ofPods : slices ? ofSlices : ofNamespaces;
    if (slices) this.#options.cluster.keepEndpointSlices();
    const inNamespace = pods ?? slices;
    const asked = readRequest(resource, query, inNamespace?.[1], inNamespace ? inNamespace[2] : namespaces?.[1]);
    const { verb } = asked;
    const { headers } = request;
    this.requests.push({ resource: resource.name, verb, path, query, headers, at: performance.now() });
    if (this.requests.length > 1000) this.requests.shift();
    const watches = verb === 'watch' || verb === 'sync';
    const allowed = {
      pods: watches ? access.watch : access.list,
      namespaces: access.namespaces,
      endpointslices: access.endpointSlices,
    };
    if (!allowed[resource.name])
      throw status.forbidden(
        access.user,
        verb === 'get' ? 'get' : watches ? 'watch' : 'list',
        resource,
        asked.namespace,
      );
    if (verb === 'get') return this.#one(request, response, asked, resource);
    return this.#many(request, response, asked, resource);
  }

  async #many(
    request: IncomingMessage,
    response: ServerResponse,
    asked: ObjectsRequest,
    resource: Resource,
  ): Promise<void> {
    const { cluster, faults, times } = this.#options;
    const { store } = resource;
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
    const chosen = negotiate(request.headers.accept, {
      formats: actions.jsonOnly ? ['json'] : FORMATS,
      transforms: watches ? [PARTIAL] : ['Table', PARTIAL, PARTIAL_LIST],
    });
    if (!watches && chosen.as === PARTIAL) throw status.partialOfList(resource);
    if (chosen.as === 'Table') {
      const { version, objects, continue: next } = page(store, asked, actions);
      const metadata = { resourceVersion: String(version), ...(next === '' ? {} : { continue: next }) };
      const rows = objects.map(({ object }) => object);
      return sendJson(response, resource.table(metadata, rows, Date.parse(cluster.time)));
    }
    const shape = shapeOf(resource, actions.wholeObjects ? { ...chosen, as: undefined } : chosen);
    const type = CONTENT_TYPE[shape.format];
    response.setHeader('Content-Type', watches && shape.format === 'protobuf' ? `${type};stream=watch` : type);
    if (!watches) return writePage(new Body(response, actions), page(store, asked, actions), shape, actions);
    // The headers go out at once, also while there is nothing to tell.
    response.flushHeaders();
    await serveWatch(store, { ...asked, verb }, new Body(response, actions), { shape, faults: actions, times });
  }

  #one(
    request: IncomingMessage,
    response: ServerResponse,
    { namespace, name = '' }: ObjectsRequest,
    resource: Resource,
  ): void {
    if (resource.name !== 'namespaces' && namespace === undefined) throw status.notFound();
    const found = resource.store.find(namespace, name);
    if (!found) throw status.objectNotFound(resource.name, name, resource.group);
    const chosen = negotiate(request.headers.accept, { formats: FORMATS, transforms: ['Table', PARTIAL] });
    if (chosen.as === 'Table') {
      const { time } = this.#options.cluster;
      return sendJson(
        response,
        resource.table({ resourceVersion: String(found.version) }, [found.object], Date.parse(time)),
      );
    }
    const shape = shapeOf(resource, chosen);
    const bytes = found.bytes(shape);
    response.setHeader('Content-Type', CONTENT_TYPE[shape.format]);
    if (shape.format === 'json')
      return void response.end(`${typeHead(shape.kind)}${Buffer.from(bytes).toString('utf8', 1)}\n`);
    const { head, tail } = envelope(shape.kind, bytes.length);
    response.end(Buffer.concat([head, bytes, tail]));
  }

  #nodes(request: IncomingMessage, response: ServerResponse, name: string | undefined): void {
    const { cluster } = this.#options;
    for (const key of target(request).query.keys())
      if (key !== 'limit') throw status.notImplemented(`${key} for nodes`);
    const { items, table } = nodes(cluster, Date.parse(cluster.time));
    const { as } = negotiate(request.headers.accept, { formats: ['json'], transforms: ['Table'] });
    const chosen = items.filter((item) => name === undefined || item.metadata.name === name);
    if (name !== undefined && chosen.length === 0) throw status.objectNotFound('nodes', name);
    if (as === 'Table') return sendJson(response, table(chosen.map((item) => item.metadata.name)));
    if (name !== undefined) return sendJson(response, chosen[0] ?? {});
    const metadata = { resourceVersion: String(cluster.store.version) };
    return sendJson(response, { kind: 'NodeList', apiVersion: 'v1', metadata, items });
  }
}

const shapeOf = ({ kind }: Resource, { format, as }: Representation): Shape => ({
  format,
  kind: as === undefined ? kind : PARTIAL,
});

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
