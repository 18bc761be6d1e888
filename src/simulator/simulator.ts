import { createServer } from 'node:http';
import type { RequestListener, Server } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import type { Socket } from 'node:net';
import { ApiServer } from './api-server.ts';
import type { Access, Served } from './api-server.ts';
import { Cluster } from './cluster.ts';
import type { ClusterOptions } from './cluster.ts';
import { Faults } from './faults.ts';
import type { WatchTimes } from './watch.ts';

export interface SimulatorOptions extends ClusterOptions {
  /** A cluster made elsewhere; then the other options of a cluster are not read. */
  readonly cluster?: Cluster;
  /** Events per second of the cluster's daily life; default 0. */
  readonly churn?: number;
  /** Default 0: any free port. */
  readonly port?: number;
  /** Default 127.0.0.1. */
  readonly host?: string;
  /** HTTPS with this certificate. */
  readonly tls?: { readonly key: string; readonly cert: string };
  readonly access?: Partial<Access>;
  readonly times?: Partial<WatchTimes>;
}

export interface Simulator {
  readonly url: string;
  readonly port: number;
  readonly cluster: Cluster;
  readonly faults: Faults;
  /** Who may do what; may be changed at any time. */
  readonly access: Access;
  /** When bookmarks come; may be changed at any time. */
  readonly times: WatchTimes;
  /** What was asked for objects, oldest first, the last thousand. */
  readonly requests: readonly Served[];
  /** Open connections. */
  readonly connections: number;
  /** Sets the churn to so many events per second; 0 stops it. */
  setChurn(eventsPerSecond: number): void;
  /**
   * From true on no consistent read is answered (lists, syncs), while watches go on with bookmarks: an API server that lost its
   * etcd. false answers what is waiting.
   */
  cutOffFromEtcd(cut: boolean): void;
  /** Breaks off all connections and refuses new ones, until `up`. */
  down(): Promise<void>;
  /** Listens again, on the same port, as a restarted API server: watches from before answer in-stream 410. */
  up(): Promise<void>;
  /** Breaks off all connections. */
  dropConnections(): void;
  /** Encodes all pods in a format, so that the first client is served as fast as the later ones (with `keepBytes`). */
  warm(format: 'json' | 'protobuf'): void;
  close(): Promise<void>;
}

/** How often events are made up: at 1,000 a second, ten at a time. */
const CHURN_MS = 10;

/** Starts a small Kubernetes API server on loopback, with a made-up cluster. */
export async function startSimulator(options: SimulatorOptions = {}): Promise<Simulator> {
  const cluster = options.cluster ?? new Cluster(options);
  const faults = new Faults();
  const access: Access = {
    token: undefined,
    list: true,
    watch: true,
    namespaces: true,
    endpointSlices: true,
    user: 'system:serviceaccount:podwhois:podwhois',
    ...options.access,
  };
  const times: WatchTimes = {
    bookmarkEveryMs: 60_000,
    bookmarkBeforeEndMs: 2000,
    defaultTimeoutMs: 1_800_000,
    ...options.times,
  };
  const api = new ApiServer({ cluster, faults, access, times });
  const sockets = new Set<Socket>();
  const host = options.host ?? '127.0.0.1';
  let server: Server;
  let port = options.port ?? 0;
  let timer: NodeJS.Timeout | undefined;

  const dropConnections = (): void => {
    for (const socket of sockets) socket.destroy();
  };
  const listen = async (): Promise<void> => {
    const handle: RequestListener = (request, response) => void api.handle(request, response);
    server = options.tls ? createTlsServer(options.tls, handle) : createServer(handle);
    server.keepAliveTimeout = 180_000; // as patient as Go's
    server.on('connection', (socket: Socket) => {
      sockets.add(socket);
      socket.once('close', () => sockets.delete(socket));
      socket.on('error', () => {}); // a client that went away is nothing to report
    });
    server.listen(port, host);
    await once(server, 'listening');
    ({ port } = server.address() as AddressInfo);
  };
  const down = async (): Promise<void> => {
    if (!server.listening) return;
    const closed = once(server, 'close');
    server.close();
    dropConnections();
    await closed;
  };
  const setChurn = (eventsPerSecond: number): void => {
    clearInterval(timer);
    if (eventsPerSecond <= 0) return;
    let last = performance.now();
    let owed = 0;
    timer = setInterval(() => {
      const now = performance.now();
      // A process that was stopped does not catch up on all it missed.
      owed = Math.min(owed + ((now - last) * eventsPerSecond) / 1000, Math.max(1, eventsPerSecond));
      last = now;
      const events = Math.floor(owed);
      owed -= events;
      cluster.step(events);
    }, CHURN_MS);
    timer.unref();
  };

  await listen();
  setChurn(options.churn ?? 0);
  return {
    url: `${options.tls ? 'https' : 'http'}://${host.includes(':') ? `[${host}]` : host}:${port}`,
    port,
    cluster,
    faults,
    access,
    times,
    requests: api.requests,
    get connections() {
      return sockets.size;
    },
    setChurn,
    cutOffFromEtcd: (cut) => api.cutOff(cut),
    down,
    async up() {
      if (server.listening) return;
      cluster.store.compact();
      await listen();
    },
    dropConnections,
    warm(format) {
      for (const pod of cluster.store.objects) pod.bytes({ format, kind: 'Pod' });
    },
    async close() {
      setChurn(0);
      api.cutOff(false);
      await down();
    },
  };
}
