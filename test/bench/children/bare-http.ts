import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { answering } from './answering.ts';

/** The floor of answering: node:http, a Map, ready strings, the headers of an answer. */

const bodies = new Map<string, string>();

const server = createServer((req, res) => {
  const body = bodies.get((req.url ?? '').slice('/pod?ip='.length));
  if (body === undefined) {
    res.writeHead(404).end();
    return;
  }
  res.writeHead(200, {
    'content-type': 'application/json; charset=utf-8',
    'content-length': Buffer.byteLength(body),
    'cache-control': 'no-store',
    'x-podwhois-age': '0.123',
    'x-podwhois-resource-version': '123456',
  });
  res.end(body);
});

answering({
  load: (entries: [string, string][]) => {
    for (const [ip, body] of entries) bodies.set(ip, body);
    return bodies.size;
  },
  listen: () =>
    new Promise((resolve) => {
      server.listen(0, '127.0.0.1', () => resolve(`http://127.0.0.1:${(server.address() as AddressInfo).port}`));
    }),
});
