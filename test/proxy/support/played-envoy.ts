import { once } from 'node:events';
import { createServer, request as ask } from 'node:http';
import type { IncomingMessage } from 'node:http';
import { buffer } from 'node:stream/consumers';
import { parse } from 'yaml';
import type { Places, Started } from './proxies.ts';

interface Pattern {
  readonly exact?: string;
  readonly prefix?: string;
  readonly safe_regex?: { readonly regex: string };
}

interface Patterns {
  readonly patterns: readonly Pattern[];
}

/** Of `ext_authz`, as far as it is played. */
interface ExtAuthz {
  readonly failure_mode_allow: boolean;
  readonly allowed_headers?: Patterns;
  readonly http_service: {
    readonly path_prefix: string;
    readonly authorization_response: { readonly allowed_upstream_headers: Patterns };
  };
}

interface Manager {
  readonly use_remote_address: boolean;
  readonly merge_slashes: boolean;
  readonly http_filters: readonly { readonly name: string; readonly typed_config: unknown }[];
}

type Headers = Record<string, string>;

/** Its own address, which Envoy before 1.29 appends to the X-Forwarded-For of the permission's request (envoyproxy/envoy#21519). */
const OWN_ADDRESS = '127.0.0.1';

/**
 * Plays Envoy by its documentation: sends the permission's request that a configuration asks for, and does with the answer what
 * `ext_authz` does. It is no proof of how Envoy behaves; docs/proxies/envoy.md says so.
 */
export async function playEnvoy(config: string, places: Places, addsItself: boolean): Promise<Started> {
  const { port, podwhois, app } = places;
  const manager = managerOf(config);
  const filter = manager.http_filters.find(({ name }) => name === 'envoy.filters.http.ext_authz');
  const authz = filter?.typed_config as ExtAuthz;
  const { path_prefix: prefix, authorization_response: response } = authz.http_service;

  const server = createServer((request, reply) => {
    void (async () => {
      const body = await buffer(request);
      const path = normalised(request.url ?? '', manager);
      if (path === undefined || request.rawHeaders.some((name, i) => i % 2 === 0 && name.includes('_'))) {
        reply.writeHead(400).end();
        return;
      }
      const headers = headersOf(request);
      const peer = request.socket.remoteAddress ?? '';
      if (manager.use_remote_address) headers['x-forwarded-for'] = listOf(headers['x-forwarded-for'], peer);
      for (const name of Object.keys(headers)) if (name.startsWith('x-envoy-')) delete headers[name];
      const { method = 'GET' } = request;

      const check: Headers = { 'content-length': '0', 'x-envoy-internal': 'true' };
      for (const [name, value] of Object.entries(headers)) {
        const always = name === 'host' || name === 'authorization';
        if (always || matches(authz.allowed_headers, name)) check[name] = value;
      }
      if (addsItself) check['x-forwarded-for'] = listOf(check['x-forwarded-for'], OWN_ADDRESS);
      const answer = await send(podwhois, { method, path: prefix + path, headers: check }).catch(() => undefined);
      const failed = answer === undefined || answer.status >= 500;
      if (failed ? !authz.failure_mode_allow : answer.status !== 200) {
        reply.writeHead(failed ? 403 : answer.status).end(answer?.body);
        return;
      }
      for (const [name, value] of Object.entries(answer?.headers ?? {})) {
        if (matches(response.allowed_upstream_headers, name)) headers[name] = value;
      }
      delete headers['connection'];
      const passed = await send(app, { method, path, headers }, body);
      reply.writeHead(passed.status, { 'content-type': 'text/plain' }).end(passed.body);
    })().catch(() => reply.destroy());
  });
  server.listen(port, '127.0.0.1');
  await once(server, 'listening');
  return {
    stop: async () => {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}

function managerOf(config: string): Manager {
  const { static_resources: all } = parse(config) as {
    static_resources: { listeners: [{ filter_chains: [{ filters: [{ typed_config: Manager }] }] }] };
  };
  return all.listeners[0].filter_chains[0].filters[0].typed_config;
}

const matches = (list: Patterns | undefined, name: string): boolean =>
  (list?.patterns ?? []).some(
    ({ exact, prefix, safe_regex: whole }) =>
      exact === name ||
      (prefix !== undefined && name.startsWith(prefix)) ||
      (whole !== undefined && new RegExp(`^(?:${whole.regex})$`).test(name)),
  );

const listOf = (before: string | undefined, last: string): string =>
  before === undefined ? last : `${before},${last}`;

/** Lines of one name are joined, as Envoy's rules read them. */
function headersOf({ headersDistinct }: IncomingMessage): Headers {
  const headers: Headers = {};
  for (const [name, values = []] of Object.entries(headersDistinct)) headers[name] = values.join(',');
  return headers;
}

/** normalize_path, merge_slashes and path_with_escaped_slashes_action: REJECT_REQUEST; undefined is refused. */
function normalised(url: string, { merge_slashes: merge }: Manager): string | undefined {
  const [path = '', ...query] = url.split('?');
  if (!path.startsWith('/') || /%2f|%5c|[#\\]/i.test(path)) return undefined;
  const segments: string[] = [];
  const all = (merge ? path.replace(/\/+/g, '/') : path).split('/').slice(1);
  for (const [i, segment] of all.entries()) {
    const dots = segment.replace(/%2e/gi, '.');
    if (dots === '..') segments.pop();
    if (dots !== '..' && dots !== '.') segments.push(segment);
    else if (i === all.length - 1) segments.push('');
  }
  return [`/${segments.join('/')}`, ...query].join('?');
}

async function send(
  to: string,
  options: { readonly method: string; readonly path: string; readonly headers: Headers },
  body?: Buffer,
): Promise<{ readonly status: number; readonly headers: Headers; readonly body: Buffer }> {
  const [host, port] = to.split(':');
  const sent = ask({ host, port, ...options, agent: false }).end(body);
  const [response] = (await once(sent, 'response')) as [IncomingMessage];
  return { status: response.statusCode ?? 0, headers: headersOf(response), body: await buffer(response) };
}
