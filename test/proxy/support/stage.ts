import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startSimulator } from '../../../src/simulator/simulator.ts';
import type { Cluster } from '../../../src/simulator/cluster.ts';
import type { Simulator } from '../../../src/simulator/simulator.ts';
import { freePorts } from '../../support/free-ports.ts';
import { PodwhoisProcess } from '../../support/podwhois-process.ts';
import { until } from '../../support/until.ts';
import { callFrom } from './caller.ts';
import type { Request } from './caller.ts';
import { EchoUpstream } from './echo-upstream.ts';
import type { Seen } from './echo-upstream.ts';
import type { By, Proxy } from './proxies.ts';

/** Callers are loopback addresses that simulated pods carry. */
export const CALLERS = {
  teamA: '127.0.0.21',
  teamB: '127.0.0.22',
  /** Two pods of team-a claim it. */
  twice: '127.0.0.23',
  /** A pod of team-a that has finished. */
  finished: '127.0.0.24',
  /** A pod of team-a on its node's network. */
  hostNetwork: '127.0.0.25',
  nobody: '127.0.0.26',
  /** A pod of team-a that a finalizer keeps, long after its deletion time. */
  overdue: '127.0.0.27',
} as const;

export function populate(cluster: Cluster): void {
  const team = { namespace: 'team-a' };
  cluster.createPod({ ...team, name: 'hello', uid: 'uid-of-hello', ips: [CALLERS.teamA], node: 'node-1' });
  cluster.createPod({ namespace: 'team-b', name: 'other', ips: [CALLERS.teamB] });
  cluster.createPod({ ...team, name: 'twin-a', ips: [CALLERS.twice] });
  cluster.createPod({ ...team, name: 'twin-b', ips: [CALLERS.twice] });
  cluster.createPod({ ...team, name: 'job', ips: [CALLERS.finished], phase: 'Succeeded' });
  cluster.createPod({ ...team, name: 'agent', ips: [CALLERS.hostNetwork], hostNetwork: true });
  cluster.createPod({ ...team, name: 'kept', ips: [CALLERS.overdue] });
  cluster.updatePod('team-a', 'kept', (pod) => ({
    ...pod,
    metadata: { ...pod.metadata, deletionTimestamp: '2020-01-01T00:00:00Z', deletionGracePeriodSeconds: 30 },
  }));
}

/** The pods that TRUSTED_PROXIES names: the proxy under test runs on the address that one of them has. */
export function addProxyPod(cluster: Cluster, trustedProxies = ''): void {
  const [, namespace = '', serviceAccountName = ''] = /^pod:([^/]+)\/(.+)$/.exec(trustedProxies) ?? [];
  cluster.createPod({ namespace, name: 'the-proxy', ips: ['127.0.0.1'] });
  cluster.updatePod(namespace, 'the-proxy', (pod) => ({ ...pod, spec: { ...pod.spec, serviceAccountName } }));
}

export interface StageOptions {
  readonly by?: By;
  /** The file's text, with by: 'rules'. */
  readonly rules?: string;
  readonly settings?: Readonly<Record<string, string>>;
  /** Changes the page's configuration of the proxy. */
  readonly edit?: (config: string) => string;
  /** Whether the API server answers at all; default true. */
  readonly apiServer?: boolean;
}

/** A proxy as its page has it, podwhois with the page's settings on a simulated cluster, and a service that remembers what reaches it. */
export class Stage implements AsyncDisposable {
  readonly simulator: Simulator;
  readonly upstream: EchoUpstream;
  readonly podwhois: PodwhoisProcess;
  readonly port: number;
  readonly #all: AsyncDisposableStack;

  private constructor(parts: Pick<Stage, 'simulator' | 'upstream' | 'podwhois' | 'port'>, all: AsyncDisposableStack) {
    ({ simulator: this.simulator, upstream: this.upstream, podwhois: this.podwhois, port: this.port } = parts);
    this.#all = all;
  }

  static async start(proxy: Proxy, options: StageOptions = {}): Promise<Stage> {
    const { by = proxy.constraint ? 'constraint' : 'rules', apiServer = true } = options;
    // Ends what was started when something cannot be.
    await using all = new AsyncDisposableStack();
    const folder = mkdtempSync(join(tmpdir(), 'podwhois-proxy-'));
    all.defer(() => rmSync(folder, { recursive: true, force: true }));
    const rulesFile = join(folder, 'rules.yaml');
    if (options.rules !== undefined) writeFileSync(rulesFile, options.rules);
    const settings: Record<string, string> = { ...proxy.settings(by, rulesFile), ...options.settings };

    const simulator = all.adopt(await startSimulator({ pods: 0 }), async (one) => await one.close());
    populate(simulator.cluster);
    addProxyPod(simulator.cluster, settings['TRUSTED_PROXIES']);
    if (!apiServer) await simulator.down();
    const upstream = all.use(await EchoUpstream.start());
    const started = await PodwhoisProcess.start({ ...settings, K8S_API_SERVER: simulator.url });
    const podwhois = all.adopt(started, async (one) => await one.stop());
    if (apiServer) await podwhois.untilReady();
    const [port = 0] = await freePorts(1);
    const places = { port, podwhois: new URL(podwhois.url).host, app: upstream.address, folder, edit: options.edit };
    all.adopt(await proxy.start(places, by), async (one) => void (await one.stop()));
    await until(`${proxy.name} listens`, async () => {
      const { status } = await callFrom(CALLERS.nobody, port, {});
      // Traefik listens before it has read its routes.
      return status > 0 && status !== 404;
    });
    upstream.take();
    return new Stage({ simulator, upstream, podwhois, port }, all.move());
  }

  /** One request, the answer, and what reached the service meanwhile. */
  async from(address: string, request: Request = {}): Promise<Answer> {
    this.upstream.take();
    const { status, body } = await callFrom(address, this.port, request);
    return { status, body, seen: this.upstream.take() };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#all.disposeAsync();
  }
}

export interface Answer {
  readonly status: number;
  readonly body: string;
  /** What reached the service. */
  readonly seen: readonly Seen[];
}
