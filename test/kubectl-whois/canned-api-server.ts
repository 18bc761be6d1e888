import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';

export interface Answer {
  readonly status?: number;
  /** As it goes over the wire. */
  readonly body: string;
}

export interface CannedApiServer extends AsyncDisposable {
  readonly url: string;
  /** Which kubectl sent, but for discovery: method and path, with the body's addresses, and its Impersonate-User. */
  readonly requests: { readonly target: string; readonly ips?: readonly string[]; readonly as?: string }[];
  /** What it answers, by the beginning of the path; what is not there is 404. */
  readonly answers: Record<string, Answer | ((ips: readonly string[]) => Answer)>;
}

const json = (object: unknown): Answer => ({ body: JSON.stringify(object) });

export const SERVICES = '/api/v1/services';
export const PODS = '/api/v1/pods';
export const LOOKUP = '/api/v1/namespaces/podwhois/services/podwhois:http/proxy/pods/lookup';

export const list = (kind: string, items: readonly object[]): Answer =>
  json({ kind: `${kind}List`, apiVersion: 'v1', metadata: { resourceVersion: '1' }, items });

export const service = (namespace: string, ports: readonly object[] = [{ name: 'http', port: 80 }]): object => ({
  kind: 'Service',
  apiVersion: 'v1',
  metadata: { namespace, name: 'podwhois' },
  spec: { ports },
});

const resource = (name: string, kind: string): object => ({
  name,
  singularName: kind.toLowerCase(),
  namespaced: true,
  kind,
  verbs: ['get', 'list', 'create'],
});

const DISCOVERY: CannedApiServer['answers'] = {
  '/apis': json({ kind: 'APIGroupList', apiVersion: 'v1', groups: [] }),
  '/api/v1': json({
    kind: 'APIResourceList',
    groupVersion: 'v1',
    resources: [resource('pods', 'Pod'), resource('services', 'Service')],
  }),
  // kubectl's wrapper in Google's SDK asks for it.
  '/version': json({ major: '1', minor: '36', gitVersion: 'v1.36.0' }),
  '/api': json({ kind: 'APIVersions', versions: ['v1'] }),
};

/** As much of an API server as kubectl needs, that says what it was told, however hostile. */
export async function cannedApiServer(answers: CannedApiServer['answers'] = {}): Promise<CannedApiServer> {
  const requests: { target: string; ips?: readonly string[]; as?: string }[] = [];
  const server = createServer((request, response) => {
    void (async () => {
      const { method = '', url = '', headers } = request;
      const [path = ''] = url.split('?');
      const body = await text(request);
      const { ips } = (body.startsWith('{') ? JSON.parse(body) : {}) as { ips?: string[] };
      if (!(path in DISCOVERY)) {
        const as = headers['impersonate-user'];
        requests.push({ target: `${method} ${url}`, ...(ips && { ips }), ...(typeof as === 'string' && { as }) });
      }
      const found = answers[path] ?? DISCOVERY[path] ?? { status: 404, body: '{}' };
      const { status = 200, body: sent } = typeof found === 'function' ? found(ips ?? []) : found;
      response.writeHead(status, { 'content-type': 'application/json' }).end(sent);
    })();
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    requests,
    answers,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}
