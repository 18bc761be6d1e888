import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { answering } from './answering.ts';

/** The floor of a preflight: bare node:http, which looks at nothing and sends the headers of our answers in turn: of one, or of many. */

answering({
  listen: (answers: readonly (readonly string[])[]) =>
    new Promise((resolve) => {
      let next = 0;
      const server = createServer((_request, response) => {
        next = (next + 1) % answers.length;
        response.writeHead(200, answers[next]?.slice());
        response.end();
      });
      server.listen(0, '127.0.0.1', () => resolve(`http://127.0.0.1:${(server.address() as AddressInfo).port}`));
    }),
});
