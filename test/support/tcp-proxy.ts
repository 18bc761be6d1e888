import { once } from 'node:events';
import { createServer, connect } from 'node:net';
import type { AddressInfo, Server, Socket } from 'node:net';

/**
 * A TCP proxy on loopback that makes a network fail on purpose: cuts connections, holds bytes back, or swallows them while the
 * connection stays open.
 */
export class TcpProxy {
  /** Swallows everything both ways from now on, also of new connections, which it still accepts. */
  blackHole = false;
  /** Every piece arrives this much later. */
  delayMs = 0;
  /** Cuts all connections once so many bytes have come from the client over it; counted from when it was set; then it is Infinity again. */
  cutAfter = Infinity;
  /** Once the client has sent a piece with this text in it, nothing that the server says arrives any more on that connection. */
  deaf: string | undefined;
  /** Connections that were accepted. */
  connections = 0;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();

  constructor(targetPort: number) {
    this.#server = createServer((client) => this.#accept(client, connect(targetPort, '127.0.0.1')));
  }

  static async to(targetPort: number): Promise<TcpProxy> {
    const proxy = new TcpProxy(targetPort);
    proxy.#server.listen(0, '127.0.0.1');
    await once(proxy.#server, 'listening');
    return proxy;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  /** Resets every connection. */
  cut(): void {
    for (const socket of this.#sockets) socket.resetAndDestroy();
  }

  async close(): Promise<void> {
    this.cut();
    this.#server.close();
    await once(this.#server, 'close');
  }

  #accept(client: Socket, server: Socket): void {
    this.connections++;
    let isDeaf = false;
    for (const [from, to] of [
      [client, server],
      [server, client],
    ] as const) {
      this.#sockets.add(from);
      from.on('error', () => {});
      from.on('close', () => {
        this.#sockets.delete(from);
        if (!this.blackHole) to.destroy();
      });
      from.on('data', (bytes) => {
        if (this.blackHole) return;
        if (from === client && this.deaf !== undefined && bytes.includes(this.deaf)) isDeaf = true;
        if (from === server && isDeaf) return;
        if (from === client && (this.cutAfter -= bytes.length) < 0) {
          this.cutAfter = Infinity;
          return this.cut();
        }
        if (this.delayMs === 0) to.write(bytes);
        else setTimeout(() => to.destroyed || to.write(bytes), this.delayMs);
      });
    }
  }
}
