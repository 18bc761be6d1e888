/**
 * The domain: what is kept of a pod, and nothing else (rule B12). Types only; the one place that makes these objects is
 * `kubernetes/pod-record.ts`, behind `kubernetes/pod-from-api.ts`. Everything here is read-only for everybody: the index hands out
 * its own records. TL;DR caveat: times and containers of these are computed when read, so `{...pod}` and JSON.stringify miss
 * them, and each reading of `containers` makes new objects.
 */

/** A Kubernetes resource version: decimal digits, ordered by `compareResourceVersions` (KEP-5504). */
export type ResourceVersion = string;

/** String to string, made with a null prototype (rule A9). Equal label sets may be one shared object. */
export type StringMap = Readonly<Record<string, string>>;

export type PodPhase = 'Pending' | 'Running' | 'Succeeded' | 'Failed' | 'Unknown';

export type ContainerKind = 'container' | 'init' | 'ephemeral';

export interface Container {
  readonly kind: ContainerKind;
  readonly name: string;
  readonly image: string;
  /** As the API gives it, with its scheme (`containerd://…`); empty until the container has been created. */
  readonly id: string;
  readonly ready: boolean;
  readonly restarts: number;
}

/**
 * Containers as they are kept. Who writes thousands of them need not have an object made of each: `states` holds, one byte a
 * character, of each container in the order of `shapes` twice its restarts, plus one when it is ready, as a varint; then the 64
 * digits of its id, where it has digits.
 */
export interface PackedContainers {
  /** What the pods of one template have in common: one shared object. */
  readonly shapes: readonly ContainerShape[];
  readonly states: string;
}

export interface ContainerShape extends Pick<Container, 'kind' | 'name' | 'image'> {
  /** The id up to its 64 hexadecimal digits (`containerd://`); the whole id when it does not end in such. */
  readonly idPrefix: string;
  readonly hasDigits: boolean;
}

/** The direct controller: the ownerReference with `controller: true`. */
export interface Owner {
  readonly kind: string;
  readonly name: string;
  readonly uid: string;
}

/** What the pod belongs to in the eyes of its user, and the evidence (see `kubernetes/workload.ts`). */
export interface Workload {
  readonly kind: string;
  readonly name: string;
  readonly source: 'owner' | 'pod-template-hash' | 'scheduled-time';
}

export interface Pod extends Partial<PackedContainers> {
  readonly uid: string;
  readonly namespace: string;
  readonly name: string;
  readonly resourceVersion: ResourceVersion;
  readonly labels: StringMap;
  /** Only the allow-listed ones (setting ANNOTATIONS). */
  readonly annotations: StringMap;
  /** Canonical addresses: `status.podIPs` ∪ `status.podIP`, in that order, without duplicates (rule A1, D1). */
  readonly podIps: readonly string[];
  /** Canonical addresses: `status.hostIPs` ∪ `status.hostIP`. */
  readonly hostIps: readonly string[];
  readonly hostNetwork: boolean;
  readonly nodeName: string;
  readonly phase: PodPhase;
  /** The pod's Ready condition. */
  readonly ready: boolean;
  /** `metadata.deletionTimestamp` in milliseconds since 1970; it already holds the grace period. undefined: not terminating. */
  readonly deletionTimestamp: number | undefined;
  readonly serviceAccount: string;
  readonly owner: Owner | undefined;
  readonly workload: Workload | undefined;
  readonly containers: readonly Container[];
  readonly qosClass: string;
  /** Milliseconds since 1970. */
  readonly createdAt: number;
  /** `status.startTime`, milliseconds since 1970. */
  readonly startedAt: number | undefined;
  /**
   * True: uid, namespace, name, addresses, resource version and the ids of the containers are of printable ASCII without quotes and
   * backslashes, so that nothing in them is to be escaped. Looked at once, when it is read, and not with every answer.
   */
  readonly isPlain?: boolean;
}

/** An object the decoder could not read (rule B6): what could be salvaged from it. */
export interface Unreadable {
  /** The same object gives the same key: its uid, else namespace/name, else a digest of its bytes. */
  readonly key: string;
  readonly namespace: string | undefined;
  readonly name: string | undefined;
  /** Canonical addresses that could be salvaged; they answer 503 `unreadable`. */
  readonly ips: readonly string[];
  /** What was wrong, for the log. */
  readonly reason: string;
}
