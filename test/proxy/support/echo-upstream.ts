import { once } from 'node:events';
import { createServer } from 'node:http';
import type { IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';

/** A request as the service behind the proxy got it. */
export interface Seen {
  readonly method: string;
  readonly url: string;
  readonly headers: readonly (readonly [name: string, value: string])[];
  readonly body: string;
}

/** The service behind the proxy: answers 200 to everything and remembers it. A WebSocket handshake is accepted, and what comes then is sent back. */
export class EchoUpstream implements AsyncDisposable {
  readonly #server = createServer((request, response) => {
    void (async () => {
      this.#seen.push(remembered(request, await text(request)));
      response.end('the app');
    })();
  });
  #seen: Seen[] = [];

  static async start(): Promise<EchoUpstream> {
    const upstream = new EchoUpstream();
    const server = upstream.#server;
    server.on('upgrade', (request, socket) => {
      upstream.#seen.push(remembered(request, ''));
      socket.on('error', () => socket.destroy());
      socket.write('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n');
      socket.pipe(socket);
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    return upstream;
  }

  get address(): string {
    return `127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  /** What came since the last call. */
  take(): readonly Seen[] {
    const seen = this.#seen;
    this.#seen = [];
    return seen;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections();
    this.#server.close();
    await once(this.#server, 'close');
  }
}

function remembered({ method = '', url = '', rawHeaders }: IncomingMessage, body: string): Seen {
  const headers: [string, string][] = [];
  for (let i = 0; i < rawHeaders.length; i += 2) headers.push([rawHeaders[i] ?? '', rawHeaders[i + 1] ?? '']);
  return { method, url, headers, body };
}

/**
 * A header as CGI, WSGI and PHP read it, to whom case and everything that is no letter and no digit is the same: all values
 * that they may take it from.
 */
export function readLoosely(seen: Seen | undefined, name: string): readonly string[] {
  const loose = (text: string): string => text.toLowerCase().replace(/[^a-z0-9]/g, '_');
  return (seen?.headers ?? []).filter(([key]) => loose(key) === loose(name)).map(([, value]) => value);
}
