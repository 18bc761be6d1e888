import { once } from 'node:events';
import { createServer as createHttpServer } from 'node:http';
import { createServer as createHttpsServer } from 'node:https';
import { connect, createServer as createTcpServer } from 'node:net';
import type { IncomingMessage, RequestListener, Server } from 'node:http';
import type { Server as TlsServer } from 'node:https';
import type { AddressInfo, Server as TcpServer, Socket } from 'node:net';
import type { TestContext } from 'node:test';
import type { Certificate } from './test-certificates.ts';

export interface ScriptedServer {
  readonly url: string;
  readonly port: number;
  readonly server: Server | TlsServer;
  readonly requests: IncomingMessage[];
  /** How many connections were opened. */
  readonly connections: () => number;
  readonly close: () => Promise<void>;
}

/** A real HTTP or HTTPS server on a free port, which answers as the test says. */
export async function scriptedServer(
  t: TestContext,
  answer: RequestListener,
  certificate?: Certificate,
): Promise<ScriptedServer> {
  const requests: IncomingMessage[] = [];
  let connections = 0;
  const listener: RequestListener = (request, response) => {
    requests.push(request);
    answer(request, response);
  };
  const server = certificate ? createHttpsServer(certificate, listener) : createHttpServer(listener);
  server.on(certificate ? 'secureConnection' : 'connection', () => connections++);
  const port = await listening(server);
  const close = async (): Promise<void> => {
    server.closeAllConnections();
    if (server.listening) await new Promise((resolve) => server.close(resolve));
  };
  t.after(close);
  const url = `${certificate ? 'https' : 'http'}://127.0.0.1:${port}`;
  return { url, port, server, requests, connections: () => connections, close };
}

async function listening(server: TcpServer): Promise<number> {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return (server.address() as AddressInfo).port;
}

/** A TCP proxy that can swallow everything: the connections stay, and nothing comes through any more. */
export async function blackHoleProxy(t: TestContext, port: number) {
  const sockets = new Set<Socket>();
  let dark = false;
  const server = createTcpServer((near) => {
    const far = connect(port, '127.0.0.1');
    for (const [from, to] of [
      [near, far],
      [far, near],
    ] as const) {
      sockets.add(from);
      from.on('data', (chunk) => void (dark || to.write(chunk)));
      from.on('end', () => void (dark || to.end()));
      from.on('error', () => {});
      from.on('close', () => sockets.delete(from));
    }
  });
  const own = await listening(server);
  t.after(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return {
    url: `http://127.0.0.1:${own}`,
    setDark: (value: boolean): void => {
      dark = value;
    },
  };
}
