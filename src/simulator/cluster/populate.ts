import type { PodObject } from '../pod-object.ts';
import * as life from './life.ts';
import type { SimulatedNode } from './node.ts';
import type { Workload, WorkloadKind } from './workload.ts';
import type { World } from './world.ts';

const APPS = [
  'api',
  'auth',
  'billing',
  'cart',
  'catalog',
  'checkout',
  'gateway',
  'inventory',
  'mailer',
  'orders',
  'payments',
  'pricing',
  'profile',
  'ratings',
  'reports',
  'search',
  'shipping',
  'thumbnails',
  'web',
  'worker',
];

/** One in so many of a hundred workloads is of this kind. */
const MIX: readonly (readonly [WorkloadKind, number])[] = [
  ['Deployment', 62],
  ['StatefulSet', 14],
  ['CronJob', 12],
  ['Job', 8],
  ['Pod', 4],
];

/** Fills a cluster with about what real ones hold. Every pod but the finished ones is running and ready. */
export function populate(cluster: World, pods: number): void {
  if (pods === 0) return;
  const namespaces = ['shop', 'payments', 'monitoring', 'batch', 'default'];
  for (let i = 1; i <= pods / 1500; i++) namespaces.push(`team-${i}`);
  for (const namespace of namespaces) cluster.createNamespace(namespace);
  const objects: PodObject[] = [];
  for (const workload of daemons(cluster)) {
    for (const node of cluster.nodes) if (objects.length < pods) objects.push(born(cluster, workload, node));
  }
  // Larger clusters have larger workloads: as many pods in each as there are workloads in a namespace, roughly.
  const largest = Math.max(6, Math.ceil(Math.sqrt(pods) / 2));
  for (let i = 0; objects.length < pods; i++) {
    const workload = chosen(cluster, namespaces[i % namespaces.length] ?? 'default', i, largest);
    cluster.workloads.push(workload);
    for (let n = 0; n < workload.replicas && objects.length < pods; n++)
      objects.push(born(cluster, workload, cluster.pickNode()));
  }
  cluster.store.load(objects);
}

function daemons(cluster: World): Workload[] {
  const time = cluster.timeIn(-86_400 * 30);
  const options = { replicas: cluster.nodes.length, time };
  return [
    cluster.workshop.make('DaemonSet', 'kube-system', 'kube-proxy', 'kube-proxy', { ...options, hostNetwork: true }),
    cluster.workshop.make('DaemonSet', 'kube-system', 'log-agent', 'log-agent', options),
  ];
}

function chosen(cluster: World, namespace: string, index: number, largest: number): Workload {
  const { random, workshop } = cluster;
  let draw = random.below(100);
  const kind = MIX.find(([, share]) => (draw -= share) < 0)?.[0] ?? 'Pod';
  const app = random.pick(APPS);
  const name = `${app}-${index}`;
  const replicas = kind === 'Pod' ? 1 : kind === 'Deployment' ? 2 + random.below(largest) : 1 + random.below(4);
  return workshop.make(kind, namespace, app, name, { replicas, time: cluster.timeIn(-random.below(72) * 600) });
}

/** A pod that has been there for a while; of Jobs all are finished but the last. */
function born(cluster: World, workload: Workload, node: SimulatedNode): PodObject {
  const { random } = cluster;
  const time = cluster.timeIn(-60 * (1 + random.below(600)));
  if (workload.kind === 'CronJob') cluster.workshop.revise(workload, time);
  const { template, kind, pods } = workload;
  const birth = newborn(workload, random.uid(), time, kind === 'StatefulSet' ? `${pods.length}` : random.suffix(5));
  pods.push(birth.name);
  const addresses = workload.hostNetwork ? node.addresses : node.allocate();
  const pod = life.running(life.scheduled(life.pending(template, birth), node, time), {
    template,
    node,
    addresses,
    time,
    random,
  });
  if ((kind !== 'Job' && kind !== 'CronJob') || pods.length === workload.replicas) return pod;
  node.release(addresses);
  return life.finished(pod, random.below(5) === 0 ? 'Failed' : 'Succeeded', time);
}

export function newborn(workload: Workload, uid: string, time: string, ending: string): life.Birth {
  const name = workload.kind === 'Pod' ? workload.name : `${workload.prefix}${ending}`;
  if (workload.kind !== 'StatefulSet') return { name, uid, time };
  const labels = { 'statefulset.kubernetes.io/pod-name': name, 'apps.kubernetes.io/pod-index': ending };
  return { name, uid, time, hostname: name, labels };
}
