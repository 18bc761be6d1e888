import type { EndpointSlice, PodEndpoint } from '../endpoint-slice.ts';
import { Claims } from './claims.ts';
import { nameText } from './deletions.ts';
import type { Live, Shared } from './kept.ts';
import type { NameKey } from './ordered-pods.ts';
import { sameStrings } from './same-pod.ts';
import { Slice } from './slice.ts';
import { UnreadableObjects } from './unreadable-objects.ts';

/** As for pods, shared by the slices of the index; fewer, for EndpointSlices are seldom deleted. */
const REMEMBERED_DELETIONS = 20_000;

export interface EndpointSliceIndexOptions {
  /** One slice of the index for each; default one for all namespaces. */
  readonly namespaces?: readonly string[];
  /** Whether `servicesOf` is asked: some 100 bytes for each endpoint. */
  readonly findByPod?: boolean;
}

/**
 * The EndpointSlices there are, in memory, and of which Service each is: `Slice` decides what an event or a list changes, as it
 * does for pods. Before all slices have committed their first list nobody may read.
 */
export class EndpointSliceIndex {
  readonly #live: LiveEndpointSlices;
  readonly #unreadable = new UnreadableObjects();
  readonly #slices = new Map<string | undefined, Slice<EndpointSlice>>();

  #listener: (service: NameKey | undefined) => void = () => {};

  constructor({ namespaces = [], findByPod = false }: EndpointSliceIndexOptions = {}) {
    this.#live = new LiveEndpointSlices(findByPod ? new Claims() : undefined);
    const tell = ({ namespace, service }: EndpointSlice): void => {
      if (service !== '') this.#listener({ namespace, name: service });
    };
    const shared: Shared<EndpointSlice> = {
      live: this.#live,
      changes: {
        push(_type, object, previous) {
          tell(object);
          if (previous !== undefined && previous.service !== object.service) tell(previous);
        },
        restart: () => this.#listener(undefined),
      },
      unreadable: this.#unreadable,
      isSame: sameEndpointSlice,
      suspects: new Set(),
    };
    const all = new Set(namespaces);
    const deletions = Math.ceil(REMEMBERED_DELETIONS / Math.max(1, all.size));
    for (const namespace of all.size === 0 ? [undefined] : all) {
      this.#slices.set(namespace, new Slice(shared, { namespace, deletions }));
    }
  }

  /** Where the reflector of a namespace, or of all, writes. */
  slice(namespace?: string): Slice<EndpointSlice> {
    const slice = this.#slices.get(namespace);
    if (slice === undefined) throw new Error(`the index has no slice of ${namespace ?? 'all namespaces'}`);
    return slice;
  }

  /**
   * Calls back after every change with the Service it is about, or with nothing: it may be about all. There is one listener, which
   * must not throw.
   */
  onChange(listener: (service: NameKey | undefined) => void): void {
    this.#listener = listener;
  }

  /** How many EndpointSlices there are. */
  get size(): number {
    return this.#live.size;
  }

  /** How many are set aside (rule B6). */
  get unreadable(): number {
    return this.#unreadable.size;
  }

  /** The EndpointSlices of a Service, in no order; of one that cannot be read now, what was last known of it. */
  of(service: NameKey): readonly EndpointSlice[] {
    return this.#live.ofService(service);
  }

  /** The Services that the pod with this uid stands behind; one may be named twice. None where the index was made without `findByPod`. */
  servicesOf(uid: string): readonly NameKey[] {
    return this.#live.ofPod(uid).map(({ namespace, service }) => ({ namespace, name: service }));
  }

  /** Of all Services that have any, each once. */
  *services(): Generator<NameKey, void, undefined> {
    const seen = new Set<string>();
    for (const { namespace, service } of this.#live.all()) {
      const name = { namespace, name: service };
      const key = nameText(name);
      if (service === '' || seen.has(key)) continue;
      seen.add(key);
      yield name;
    }
  }

  /** Whether an EndpointSlice that cannot be read may be of this namespace: then what is known of its Services may lack some. */
  isUnsure(namespace: string): boolean {
    for (const { object } of this.#unreadable.values()) {
      if (object.namespace === undefined || object.namespace === namespace) return true;
    }
    return false;
  }
}

class LiveEndpointSlices implements Live<EndpointSlice> {
  readonly #byUid = new Map<string, EndpointSlice>();
  readonly #byName = new Map<string, EndpointSlice>();
  readonly #byService = new Claims<string, EndpointSlice>();
  readonly #byPod: Claims<string, EndpointSlice> | undefined;

  constructor(byPod: Claims<string, EndpointSlice> | undefined) {
    this.#byPod = byPod;
  }

  get size(): number {
    return this.#byUid.size;
  }

  all(): Iterable<EndpointSlice> {
    return this.#byUid.values();
  }

  byUid(uid: string): EndpointSlice | undefined {
    return this.#byUid.get(uid);
  }

  byName(key: NameKey): EndpointSlice | undefined {
    return this.#byName.get(nameText(key));
  }

  ofService(service: NameKey): readonly EndpointSlice[] {
    return this.#byService.of(nameText(service));
  }

  ofPod(uid: string): readonly EndpointSlice[] {
    return this.#byPod?.of(uid) ?? [];
  }

  each(namespace: string | undefined, visit: (slice: EndpointSlice) => void): void {
    for (const slice of this.#byUid.values()) {
      if (namespace === undefined || slice.namespace === namespace) visit(slice);
    }
  }

  add(slice: EndpointSlice): EndpointSlice | undefined {
    const other = this.#byName.get(nameText(slice));
    if (other !== undefined) return other;
    this.#put(slice);
    return undefined;
  }

  replace(stored: EndpointSlice, slice: EndpointSlice): void {
    this.#forget(stored);
    this.#put(slice);
  }

  delete(stored: EndpointSlice): void {
    this.#byUid.delete(stored.uid);
    this.#byName.delete(nameText(stored));
    this.#forget(stored);
  }

  clear(): void {
    this.#byUid.clear();
    this.#byName.clear();
    this.#byService.clear();
    this.#byPod?.clear();
  }

  #put(slice: EndpointSlice): void {
    this.#byUid.set(slice.uid, slice);
    this.#byName.set(nameText(slice), slice);
    this.#byService.add(serviceText(slice), slice);
    for (const { uid } of slice.pods) this.#byPod?.add(uid, slice);
  }

  #forget(slice: EndpointSlice): void {
    this.#byService.remove(serviceText(slice), slice);
    for (const { uid } of slice.pods) this.#byPod?.remove(uid, slice);
  }
}

const serviceText = ({ namespace, service }: EndpointSlice): string => nameText({ namespace, name: service });

/** See `samePod`. */
function sameEndpointSlice(a: EndpointSlice, b: EndpointSlice): boolean {
  return (
    a.uid === b.uid &&
    a.resourceVersion === b.resourceVersion &&
    a.namespace === b.namespace &&
    a.name === b.name &&
    a.skipped === b.skipped &&
    sameStrings(a.labels, b.labels) &&
    a.pods.length === b.pods.length &&
    a.pods.every((pod, i) => samePodEndpoint(pod, b.pods[i]))
  );
}

function samePodEndpoint(a: PodEndpoint, b: PodEndpoint | undefined): boolean {
  return a.uid === b?.uid && a.name === b.name && a.ip === b.ip && a.ready === b.ready;
}
