import { once } from 'node:events';
import { createServer } from 'node:http';
import { connect } from 'node:net';
import type { Socket } from 'node:net';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';

/**
 * What leads an API server to the pods of a cluster that has none: whatever address it connects to, it comes to `port` on loopback.
 * (Endpoints must not be loopback addresses.) Its way there is `--egress-selector-config-file`.
 */
export class EgressProxy {
  readonly configFile: string;
  /** Where connections are led. */
  port = 0;
  /** What the API server asked to be connected to. */
  readonly targets: string[] = [];
  readonly #server = createServer((_request, response) => response.writeHead(405).end());
  readonly #sockets = new Set<Socket>();

  private constructor(dir: string) {
    this.configFile = join(dir, 'egress.json');
    const transport = { uds: { udsName: join(dir, 'egress.sock') } };
    const selection = { name: 'cluster', connection: { proxyProtocol: 'HTTPConnect', transport } };
    const config = {
      apiVersion: 'apiserver.k8s.io/v1beta1',
      kind: 'EgressSelectorConfiguration',
      egressSelections: [selection],
    };
    writeFileSync(this.configFile, JSON.stringify(config));
    this.#server.on('connect', (request, client: Socket, head: Buffer) => {
      this.targets.push(request.url ?? '');
      const pod = connect(this.port, '127.0.0.1', () => {
        client.write('HTTP/1.1 200 OK\r\n\r\n');
        pod.write(head);
        client.pipe(pod).pipe(client);
      });
      for (const socket of [client, pod]) {
        this.#sockets.add(socket);
        socket.on('error', () => {}).on('close', () => [client, pod].forEach((one) => one.destroy()));
      }
    });
    this.#server.listen(transport.uds.udsName);
  }

  /** In a folder of the test's own, whose path is short (a socket's has at most 107 characters). */
  static async start(dir: string): Promise<EgressProxy> {
    const proxy = new EgressProxy(dir);
    await once(proxy.#server, 'listening');
    return proxy;
  }

  close(): void {
    for (const socket of this.#sockets) socket.destroy();
    this.#server.close();
  }
}
