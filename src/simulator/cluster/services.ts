import { endpointOf, endpointSliceObject } from '../endpoint-slice-object.ts';
import type { EndpointObject, EndpointSliceObject } from '../endpoint-slice-object.ts';
import { keyOf } from '../key.ts';
import type { PodObject } from '../pod-object.ts';
import type { ObjectStore } from '../store.ts';
import type { Random } from './random.ts';

/** What the keeper needs of the cluster. */
interface Surroundings {
  readonly store: ObjectStore<PodObject>;
  readonly endpointSlices: ObjectStore<EndpointSliceObject>;
  readonly time: string;
}

/** As the real controller by default: no slice holds more. */
const MAX_ENDPOINTS = 100;

interface Service {
  readonly namespace: string;
  readonly name: string;
  readonly pods: Map<string, PodObject>;
  /** By family: which pod is in which slice, for a pod stays where it is. */
  readonly slices: Readonly<Record<'IPv4' | 'IPv6', Map<string, Set<string>>>>;
}

const FAMILIES = ['IPv4', 'IPv6'] as const;

/**
 * The endpointslice controller of a made-up cluster, in which every Deployment has a Service of its name. Follows the pods as they
 * change, at once; a Service whose pods are all gone keeps an empty slice.
 */
export class Services {
  readonly #cluster: Surroundings;
  readonly #random: Random;
  readonly #services = new Map<string, Service>();
  #version = 0;
  #epoch: number;
  #busy = false;

  constructor(cluster: Surroundings, random: Random) {
    this.#cluster = cluster;
    this.#random = random;
    const { revision } = cluster.store;
    this.#epoch = revision.epoch;
    this.#all();
    revision.onChange(() => this.#follow());
  }

  #follow(): void {
    // Its own changes come here too.
    if (this.#busy) return;
    this.#busy = true;
    const { store } = this.#cluster;
    const events = store.revision.epoch === this.#epoch ? store.since(this.#version) : undefined;
    if (!events) this.#all();
    const touched = new Set<Service>();
    for (const { type, current } of events ?? []) {
      const service = this.#serviceOf(current.object);
      if (!service) continue;
      if (type === 'DELETED') service.pods.delete(current.key);
      else service.pods.set(current.key, current.object);
      touched.add(service);
    }
    this.#version = store.version;
    for (const service of touched) this.#reconcile(service);
    this.#busy = false;
  }

  /** From nothing: at the beginning, and after an etcd was restored. */
  #all(): void {
    const { store, endpointSlices } = this.#cluster;
    this.#busy = true;
    this.#epoch = store.revision.epoch;
    for (const { pods } of this.#services.values()) pods.clear();
    for (const { object, key } of store.objects) this.#serviceOf(object)?.pods.set(key, object);
    for (const service of this.#services.values()) {
      for (const family of FAMILIES) {
        for (const name of service.slices[family].keys())
          if (!endpointSlices.get(service.namespace, name)) service.slices[family].delete(name);
      }
      this.#reconcile(service);
    }
    this.#version = store.version;
    this.#busy = false;
  }

  #serviceOf({ metadata }: PodObject): Service | undefined {
    const name = metadata.labels?.['app'];
    if (name === undefined || metadata.ownerReferences?.[0]?.kind !== 'ReplicaSet') return undefined;
    const key = keyOf(metadata.namespace, name);
    let service = this.#services.get(key);
    if (!service) {
      const slices = { IPv4: new Map<string, Set<string>>(), IPv6: new Map<string, Set<string>>() };
      service = { namespace: metadata.namespace, name, pods: new Map(), slices };
      this.#services.set(key, service);
    }
    return service;
  }

  #reconcile(service: Service): void {
    for (const family of FAMILIES) this.#reconcileFamily(service, family);
  }

  #reconcileFamily(service: Service, family: 'IPv4' | 'IPv6'): void {
    const wanted = new Map<string, EndpointObject>();
    for (const [key, pod] of service.pods) {
      const endpoint = endpointOf(pod, family);
      if (endpoint) wanted.set(key, endpoint);
    }
    const slices = service.slices[family];
    if (wanted.size === 0 && slices.size === 0 && family === 'IPv6') return; // a cluster of one family
    const placed = new Set<string>();
    for (const members of slices.values()) {
      for (const key of members) if (!wanted.has(key)) members.delete(key);
      for (const key of members) placed.add(key);
    }
    for (const key of wanted.keys()) if (!placed.has(key)) this.#roomIn(service, slices).add(key);
    if (slices.size === 0) this.#roomIn(service, slices);
    const isSpare = (members: ReadonlySet<string>): boolean => members.size === 0 && slices.size > 1;
    for (const [name, members] of slices) {
      if (isSpare(members)) {
        slices.delete(name);
        this.#cluster.endpointSlices.delete(service.namespace, name);
      } else this.#write(service, { family, name }, [...members].sort(), wanted);
    }
  }

  #roomIn(service: Service, slices: Map<string, Set<string>>): Set<string> {
    for (const members of slices.values()) if (members.size < MAX_ENDPOINTS) return members;
    const members = new Set<string>();
    slices.set(`${service.name}-${this.#random.suffix(5)}`, members);
    return members;
  }

  #write(
    { namespace, name: service }: Service,
    { family, name }: { readonly family: string; readonly name: string },
    members: readonly string[],
    wanted: ReadonlyMap<string, EndpointObject>,
  ): void {
    const { endpointSlices, time } = this.#cluster;
    const before = endpointSlices.get(namespace, name);
    const base =
      before ??
      endpointSliceObject({ namespace, service, name }, { uid: this.#random.uid(), time, addressType: family });
    const endpoints = members.flatMap((key) => wanted.get(key) ?? []);
    if (before && JSON.stringify(before.endpoints ?? []) === JSON.stringify(endpoints)) return;
    const generation = (before?.metadata.generation ?? 0) + 1;
    endpointSlices.put({
      ...base,
      metadata: { ...base.metadata, generation },
      endpoints: endpoints.length === 0 ? null : endpoints,
    });
  }
}
