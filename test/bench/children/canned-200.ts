import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { answering } from './answering.ts';

/** The floor of a preflight: bare node:http, which looks at nothing and sends the headers of one of our answers. */

answering({
  listen: (headers: readonly string[]) =>
    new Promise((resolve) => {
      const server = createServer((_request, response) => {
        response.writeHead(200, headers.slice());
        response.end();
      });
      server.listen(0, '127.0.0.1', () => resolve(`http://127.0.0.1:${(server.address() as AddressInfo).port}`));
    }),
});
