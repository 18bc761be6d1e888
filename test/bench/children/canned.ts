import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { answering } from './answering.ts';

/** The floor of a preflight: a 200 with the headers that a caller is told by. Also the service behind the proxy. */

const server = createServer((_request, response) => {
  response.writeHead(200, {
    'x-pod-name': 'caller',
    'x-pod-namespace': 'team-a',
    'x-pod-uid': '0a1b2c3d-0000-4000-8000-000000000000',
    'x-pod-ip': '127.0.0.2',
    'x-pod-node': 'node-1',
    'x-pod-service-account': 'team-a/caller',
    'x-pod-workload': 'team-a/Pod/caller',
    'x-podwhois-age': '0.123',
    'x-podwhois-resource-version': '123456',
    'cache-control': 'no-store',
    'content-length': 0,
  });
  response.end();
});

answering({
  listen: () =>
    new Promise((resolve) => {
      server.listen(0, '127.0.0.1', () => resolve(`http://127.0.0.1:${(server.address() as AddressInfo).port}`));
    }),
});
