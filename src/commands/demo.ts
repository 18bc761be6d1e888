import { setTimeout as sleep } from 'node:timers/promises';
import { CAPABILITIES, loadCapabilities } from '../capabilities.ts';
import { createLog } from '../log.ts';
import type { Log } from '../log.ts';
import { startService } from '../service.ts';
import type { Service } from '../service.ts';
import { readServeSettings } from '../serve-settings.ts';
import type { Cluster } from '../simulator/cluster.ts';
import { startSimulator } from '../simulator/simulator.ts';
import type { Simulator } from '../simulator/simulator.ts';
import type { DemoSettings } from './settings.ts';
import { onShutdown } from './shutdown.ts';

const PODS = 300;
/** Events per second: lively, and still to be followed by eye in /pods/stream. */
const CHURN = 3;

/** Who tries it plays the proxy. */
const FORWARD_AUTH = { FORWARD_AUTH: 'true', TRUSTED_PROXIES: '127.0.0.1,::1' };

/**
 * `podwhois demo`: a simulated cluster and the service on it, on this machine only. Prints what to try once that works; runs until
 * a signal ends it.
 */
export async function demo(settings: DemoSettings, write: (text: string) => void): Promise<void> {
  const log = createLog({ level: settings.logLevel, format: settings.logFormat });
  const running = start(settings, log);
  const uninstall = onShutdown({
    log,
    delayMs: 0,
    close: async () => {
      const { service, simulator } = await running;
      await service.close();
      await simulator.close();
    },
  });
  try {
    const { service, simulator, examples } = await running;
    write(whatToTry(service.url, simulator.url, examples));
  } catch (error) {
    uninstall();
    throw error;
  }
}

interface Running {
  readonly service: Service;
  readonly simulator: Simulator;
  readonly examples: Examples;
}

async function start(settings: DemoSettings, log: Log): Promise<Running> {
  const simulator = await startSimulator({ pods: PODS, churn: CHURN });
  try {
    const examples = makeExamples(simulator.cluster);
    const service = await listening(settings, simulator.url, log);
    while (!service.source.synced) await sleep(10);
    await handOn(simulator.cluster, service, examples);
    return { service, simulator, examples };
  } catch (error) {
    await simulator.close();
    throw error;
  }
}

/** On the port that was asked for; else on 8080, or a free one where that is taken. */
async function listening(settings: DemoSettings, apiServer: string, log: Log): Promise<Service> {
  const { host, logLevel, logFormat } = settings;
  const start = async (port: number): Promise<Service> => {
    const flags = { apiServer, host, logLevel, logFormat, port: String(port) };
    const own = readServeSettings({ flags, environment: FORWARD_AUTH });
    return await startService(own, { log, capabilities: await loadCapabilities(CAPABILITIES, own) });
  };
  if (settings.port !== undefined) return await start(settings.port);
  try {
    return await start(8080);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EADDRINUSE') throw error;
    return await start(0);
  }
}

/** Addresses that answer as told, for as long as the demo runs: its daily life does not touch these pods. */
interface Examples {
  readonly pod: string;
  readonly terminating: string;
  readonly ambiguous: string;
  readonly hostNetwork: string;
  /** One pod had it at the start, and another one has it now. */
  readonly handedOn: string;
}

function makeExamples(cluster: Cluster): Examples {
  const namespace = 'demo';
  const create = (wish: Parameters<Cluster['createPod']>[0]): { name: string; ips: string[] } => {
    const { metadata, status } = cluster.createPod({ namespace, ...wish });
    return { name: metadata.name, ips: (status.podIPs ?? []).map(({ ip }) => ip) };
  };
  const hash = '6d4b75cb6d';
  const hello = create({
    name: `hello-${hash}-x7k2p`,
    labels: { app: 'hello', 'pod-template-hash': hash },
    owner: {
      apiVersion: 'apps/v1',
      kind: 'ReplicaSet',
      name: `hello-${hash}`,
      controller: true,
      blockOwnerDeletion: true,
      uid: '0b5e7a0c-3f7e-4f0e-9d43-3c1f6f1f0a01',
    },
  });
  const leaving = create({ name: 'leaving' });
  cluster.terminatePod(namespace, leaving.name);
  const twin = create({ name: 'twin-a' });
  create({ name: 'twin-b', ips: twin.ips });
  const agent = create({ name: 'node-agent', hostNetwork: true });
  const former = create({ name: FORMER });
  return {
    pod: hello.ips[0] ?? '',
    terminating: leaving.ips[0] ?? '',
    ambiguous: twin.ips[0] ?? '',
    hostNetwork: agent.ips[0] ?? '',
    handedOn: former.ips[0] ?? '',
  };
}

const FORMER = 'first-holder';
const HANDED_ON_AFTER_MS = 50;

/** Lets an address change hands, where podwhois sees it. */
async function handOn(cluster: Cluster, service: Service, { handedOn }: Examples): Promise<void> {
  await sleep(HANDED_ON_AFTER_MS);
  // Not by deletePod: the address would be free, and daily life might give it to a third one.
  const former = cluster.store.delete('demo', FORMER);
  const ips = former?.status.podIPs?.map(({ ip }) => ip) ?? [];
  const node = former?.spec.nodeName;
  cluster.createPod({ namespace: 'demo', name: 'second-holder', ips, ...(node !== undefined && { node }) });
  while (service.index.holders(handedOn)[0]?.name !== 'second-holder') await sleep(10);
}

function whatToTry(url: string, apiServer: string, examples: Examples): string {
  const pod = (ip: string): string => `curl '${url}/pod?ip=${ip}'`;
  const preflight = (ip: string): string => `curl -i -H 'X-Forwarded-For: ${ip}' '${url}/authorize?namespace=demo'`;
  const tries = [
    [pod(examples.pod), 'a pod of a Deployment'],
    [pod(examples.terminating), 'a pod that is being deleted: "terminating": true'],
    [pod(examples.ambiguous), '409: two pods claim it, and podwhois does not guess'],
    [pod(examples.hostNetwork), "404: a node's address names no pod"],
    [preflight(examples.pod), "a reverse proxy's preflight: 200, and who calls in the headers"],
    [preflight(examples.ambiguous), 'the same for a caller that is not certain: 403'],
    [`curl '${url}/pods/history?ip=${examples.handedOn}'`, 'who had an address when: this one has changed hands'],
    [`curl '${url}/pods?namespace=demo&limit=2'`, 'pods, by the page'],
    [`curl -N '${url}/pods/stream'`, 'what there is, then what happens'],
    [`curl '${url}/ready?verbose'`, 'is it ready, and how fresh'],
    [`curl '${url}/metrics'`, 'for Prometheus'],
    [
      `npm run podwhois -- lookup --server ${url} ${examples.pod} ${examples.hostNetwork}`,
      'the same from the command line',
    ],
    [
      `npm run podwhois -- explain --server ${url} --ip ${examples.pod} --query namespace=shop`,
      'why a preflight would be denied',
    ],
    [
      `npm run podwhois -- history --server ${url} ${examples.handedOn}`,
      'who had it when, as a table; lookup --at=-15m asks for one moment',
    ],
    [`kubectl --server ${apiServer} get pods -A`, 'the simulated cluster itself'],
  ];
  return `
This is a SIMULATION: a made-up cluster of some ${PODS} pods, which come and go. Nothing here is real.

  podwhois                  ${url}
  simulated API server      ${apiServer}

Try, in another terminal:

${tries.map(([command, comment]) => `  # ${comment}\n  ${command}\n`).join('\n')}
Ctrl-C ends it.
`;
}
