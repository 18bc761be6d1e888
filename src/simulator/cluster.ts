import { Random } from './cluster/random.ts';
import * as life from './cluster/life.ts';
import { SimulatedNode } from './cluster/node.ts';
import type { Addresses } from './cluster/node.ts';
import { populate } from './cluster/populate.ts';
import { Services } from './cluster/services.ts';
import { Churn } from './cluster/churn.ts';
import { Workshop } from './cluster/workload.ts';
import type { Workload } from './cluster/workload.ts';
import type { World } from './cluster/world.ts';
import type { EndpointSliceObject } from './endpoint-slice-object.ts';
import type { OwnerReferenceObject, PodObject } from './pod-object.ts';
import { namespaceObject } from './namespace-object.ts';
import type { NamespaceObject } from './namespace-object.ts';
import { Revision } from './revision.ts';
import { ObjectStore } from './store.ts';
import type { StoreEvent } from './store.ts';

export interface ClusterOptions {
  /** How many pods there are to begin with; default 100. 0 is an empty cluster. */
  readonly pods?: number;
  /** The same seed gives the same cluster and the same churn; default 1. */
  readonly seed?: number;
  /** Default: enough for 90 pods each, at least 3. */
  readonly nodes?: number;
  /** Whether pods have an IPv6 address too; default true. */
  readonly dualStack?: boolean;
  /** Wall clock in ms, for the timestamps in objects only; default Date.now. */
  readonly now?: () => number;
  /** Events remembered (between one and two times as many); default 20,000. */
  readonly history?: number;
  /** Keeps every object's bytes once encoded, 7 KB as protobuf and 9 KB as JSON; default true below 20,000 pods. */
  readonly keepBytes?: boolean;
}

/** One pod that has an address in its status, whoever answers for it in the end. */
export interface Claim {
  readonly namespace: string;
  readonly name: string;
  readonly uid: string;
  readonly phase: string;
  readonly hostNetwork: boolean;
  readonly terminating: boolean;
}

/** A pod as a test wants it; everything has a default. */
export interface PodWish {
  readonly namespace?: string;
  readonly name?: string;
  readonly uid?: string;
  readonly labels?: Readonly<Record<string, string>>;
  readonly annotations?: Readonly<Record<string, string>>;
  readonly owner?: OwnerReferenceObject;
  readonly node?: string;
  /** Default: one of the node's (Running), the node's own (hostNetwork), none (Pending). */
  readonly ips?: readonly string[];
  readonly phase?: 'Pending' | 'Running' | 'Succeeded' | 'Failed';
  readonly hostNetwork?: boolean;
}

/** RFC 3339 in whole seconds, as the API writes times. */
export const rfc3339 = (ms: number): string => `${new Date(ms).toISOString().slice(0, 19)}Z`;

/** A made-up cluster: nodes, workloads and their pods, and what happens to them. All in memory, no timers. */
export class Cluster implements World {
  /** The pods. */
  readonly store: ObjectStore<PodObject>;
  readonly namespaces: ObjectStore<NamespaceObject>;
  /** Those that were put here, and from `keepEndpointSlices` on those of the Deployments. */
  readonly endpointSlices: ObjectStore<EndpointSliceObject>;
  readonly nodes: readonly SimulatedNode[];
  readonly random: Random;
  readonly workshop: Workshop;
  readonly workloads: Workload[] = [];
  readonly #now: () => number;
  readonly #nodesByName: ReadonlyMap<string, SimulatedNode>;
  readonly #churn: Churn;
  #services: Services | undefined;
  #namespacesMade = 0;

  constructor(options: ClusterOptions = {}) {
    const {
      pods = 100,
      seed = 1,
      nodes = Math.max(3, Math.ceil(pods / 90)),
      dualStack = true,
      now = Date.now,
    } = options;
    const { history = 20_000, keepBytes = pods < 20_000 } = options;
    this.#now = now;
    this.random = new Random(seed);
    this.workshop = new Workshop(this.random);
    this.nodes = Array.from({ length: nodes }, (_, i) => new SimulatedNode(i, dualStack));
    this.#nodesByName = new Map(this.nodes.map((node) => [node.name, node]));
    const revision = new Revision(1000);
    this.store = new ObjectStore({ history, revision, keepBytes });
    this.namespaces = new ObjectStore({ history, revision, keepBytes });
    this.endpointSlices = new ObjectStore({ history, revision, keepBytes });
    for (const name of ['default', 'kube-node-lease', 'kube-public', 'kube-system']) this.createNamespace(name);
    populate(this, pods);
    this.#churn = new Churn(this);
  }

  get time(): string {
    return rfc3339(this.#now());
  }

  /** What happened, oldest first, as far as it is remembered. */
  get log(): readonly StoreEvent<PodObject>[] {
    return this.store.log;
  }

  timeIn(seconds: number): string {
    return rfc3339(this.#now() + seconds * 1000);
  }

  node(name: string | undefined): SimulatedNode | undefined {
    return name === undefined ? undefined : this.#nodesByName.get(name);
  }

  pickNode(): SimulatedNode {
    for (let i = 0; i < 16; i++) {
      const node = this.random.pick(this.nodes);
      if (node.free > 0) return node;
    }
    const node = this.nodes.find((one) => one.free > 0);
    if (!node) throw new Error('no node has an address left');
    return node;
  }

  /** Plays so many events of the cluster's daily life: rollouts, scaling, crashes, jobs. Each is one change of one pod. */
  step(events = 1): void {
    for (let i = 0; i < events; i++) this.#churn.step();
  }

  /** As it is, when it is there already. Its name is always among its labels. */
  createNamespace(name: string, labels?: Readonly<Record<string, string>>): NamespaceObject {
    const known = this.namespaces.get(undefined, name);
    if (known) return known;
    const uid = `namespace-${name}-${++this.#namespacesMade}`;
    return this.namespaces.put(namespaceObject(name, { uid, time: this.time, labels }));
  }

  /** Gives a namespace these labels in the place of those it has; undefined when it is not there. */
  labelNamespace(name: string, labels: Readonly<Record<string, string>>): NamespaceObject | undefined {
    const before = this.namespaces.get(undefined, name);
    const { uid, creationTimestamp: time } = before?.metadata ?? { uid: '', creationTimestamp: '' };
    return before && this.namespaces.put(namespaceObject(name, { uid, time, labels }));
  }

  /** Its pods go first, as the namespace controller sees to it. Made again it is another one. */
  deleteNamespace(name: string): NamespaceObject | undefined {
    for (const { object } of this.store.objects.filter(({ object }) => object.metadata.namespace === name))
      this.deletePod(name, object.metadata.name);
    return this.namespaces.delete(undefined, name);
  }

  /**
   * From now on every Deployment has a Service of its name, whose EndpointSlices follow its pods. Not from the beginning: it makes
   * each change of a pod as dear as its Service is large, and who looks at pods only shall not pay for it.
   */
  keepEndpointSlices(): void {
    if (!this.#services) this.#services = new Services(this, new Random(2 ** 31));
  }

  /** Any object, as it is; it gets the next version. */
  put(pod: PodObject): PodObject {
    this.createNamespace(pod.metadata.namespace);
    return this.store.put(pod);
  }

  createPod(wish: PodWish = {}): PodObject {
    const {
      namespace = 'default',
      name = `pod-${this.random.suffix(5)}`,
      phase = 'Running',
      hostNetwork = false,
    } = wish;
    const { time } = this;
    const app = wish.labels?.['app'] ?? name;
    const workload = this.workshop.make('Pod', namespace, app, name, { replicas: 1, time, hostNetwork });
    const birth = { name, uid: wish.uid ?? this.random.uid(), time };
    let pod = life.pending(workload.template, birth);
    const { labels, annotations, owner } = wish;
    const metadata = {
      ...pod.metadata,
      ...(labels ? { labels } : {}),
      ...(annotations ? { annotations } : {}),
      ...(owner ? { ownerReferences: [owner] } : {}),
    };
    pod = { ...pod, metadata };
    if (phase === 'Pending' && !wish.ips) return this.put(pod);
    const node = this.node(wish.node) ?? this.pickNode();
    const addresses: Addresses = wish.ips ?? (hostNetwork ? node.addresses : node.allocate());
    pod = life.running(life.scheduled(pod, node, time), {
      template: workload.template,
      node,
      addresses,
      time,
      random: this.random,
    });
    if (phase === 'Pending') pod = { ...pod, status: { ...pod.status, phase } };
    if (phase === 'Succeeded' || phase === 'Failed') pod = life.finished(pod, phase, time);
    return this.put(pod);
  }

  /** Replaces a pod by what `change` makes of it; undefined when it is not there. */
  updatePod(namespace: string, name: string, change: (pod: PodObject) => PodObject): PodObject | undefined {
    const pod = this.store.get(namespace, name);
    return pod && this.put(change(pod));
  }

  /** Merges into the status, as `kubectl patch --subresource status` does. `ips` sets podIP and podIPs. */
  patchStatus(
    namespace: string,
    name: string,
    patch: { readonly ips?: readonly string[]; readonly phase?: string },
  ): PodObject | undefined {
    const { ips, ...rest } = patch;
    const before = this.store.get(namespace, name);
    if (before && (patch.phase === 'Succeeded' || patch.phase === 'Failed')) this.releaseAddresses(before);
    const addresses = ips && { podIP: ips[0], podIPs: ips.map((ip) => ({ ip })) };
    return this.updatePod(namespace, name, (pod) => ({
      ...pod,
      status: { ...pod.status, ...rest, ...addresses },
    }));
  }

  /** `kubectl delete` with a grace period: the pod is terminating and stays. */
  terminatePod(namespace: string, name: string): PodObject | undefined {
    return this.updatePod(namespace, name, (pod) => life.terminating(pod, this.timeIn(30)));
  }

  /** The pod is gone; the address it held is free for the next one. */
  deletePod(namespace: string, name: string): PodObject | undefined {
    const pod = this.store.delete(namespace, name);
    if (pod) this.releaseAddresses(pod);
    return pod;
  }

  /** Gives back what a pod holds, if it holds something of its node's. */
  releaseAddresses(pod: PodObject): void {
    const { podIPs, phase } = pod.status;
    if (!podIPs || pod.spec.hostNetwork || phase === 'Succeeded' || phase === 'Failed') return;
    this.node(pod.spec.nodeName)?.release(podIPs.map(({ ip }) => ip));
  }

  /** Who has which address in its status, for oracles. Addresses are canonical already. */
  truth(): ReadonlyMap<string, readonly Claim[]> {
    const claims = new Map<string, Claim[]>();
    for (const { object } of this.store.objects) {
      const { metadata, spec, status } = object;
      for (const { ip } of status.podIPs ?? []) {
        const claim = {
          namespace: metadata.namespace,
          name: metadata.name,
          uid: metadata.uid,
          phase: status.phase,
          hostNetwork: spec.hostNetwork === true,
          terminating: metadata.deletionTimestamp !== undefined,
        };
        const others = claims.get(ip);
        if (others) others.push(claim);
        else claims.set(ip, [claim]);
      }
    }
    return claims;
  }
}
