import { createServer } from 'node:http';
import { once } from 'node:events';
import { text } from 'node:stream/consumers';
import type { AddressInfo } from 'node:net';

/** How one address is answered: as a row of POST /pods/lookup without its `ip`. */
export interface Canned {
  readonly status: number;
  readonly [key: string]: unknown;
}

export interface CannedServer extends AsyncDisposable {
  readonly url: string;
  readonly requests: { readonly method: string; readonly url: string; readonly ips?: readonly string[] }[];
}

export const pod = (name: string, more: Readonly<Record<string, unknown>> = {}): Canned => ({
  status: 200,
  pod: {
    name,
    namespace: 'shop',
    uid: `uid-${name}`,
    node_name: 'worker-1',
    phase: 'Running',
    ready: true,
    terminating: false,
    host_ip: '192.0.2.1',
    service_account: 'default',
    owner: { kind: 'ReplicaSet', name: 'web-5d' },
    workload: { kind: 'Deployment', name: 'web', source: 'pod-template-hash' },
    labels: { app: 'web' },
    ...more,
  },
});

export const miss = (reason: string): Canned => ({ status: 404, code: 'not_found', reason });

/** A server that answers lookups in podwhois' shapes with what it was told; what it was not told is `no-pod`. */
export async function cannedPodwhois(
  answers: Readonly<Record<string, Canned>>,
  { age }: { readonly age?: string } = {},
): Promise<CannedServer> {
  const requests: { method: string; url: string; ips?: readonly string[] }[] = [];
  const answerOf = (ip: string): Canned => answers[ip] ?? miss('no-pod');
  const server = createServer((request, response) => {
    void (async () => {
      const { method = '', url = '' } = request;
      response.setHeader('content-type', 'application/json');
      if (age !== undefined) response.setHeader('x-podwhois-age', age);
      if (method === 'POST' && url === '/pods/lookup') {
        const { ips } = JSON.parse(await text(request)) as { ips: string[] };
        requests.push({ method, url, ips });
        response.end(JSON.stringify({ results: ips.map((ip) => ({ ip, ...answerOf(ip) })) }));
        return;
      }
      requests.push({ method, url });
      const [, ip = ''] = /^\/pod\?ip=(.*)$/.exec(url) ?? [];
      const { status, pod, ...error } = answerOf(decodeURIComponent(ip));
      response.statusCode = status;
      response.end(
        JSON.stringify(
          status === 200 ? pod : { statusCode: status, error: 'Error', message: `${status} for ${ip}`, ...error },
        ),
      );
    })();
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    requests,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}
