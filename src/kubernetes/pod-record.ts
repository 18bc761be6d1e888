import type { Container, Owner, PackedContainers, Pod, PodPhase, StringMap, Workload } from '../pod.ts';
import { isResourceVersion } from '../resource-version.ts';
import { ContainerPacker, unpackContainers } from './containers.ts';
import { Interner } from './interner.ts';
import { newStringMap, NO_STRINGS } from './labels.ts';
import type { PodFacts } from './pod-facts.ts';
import { workloadOf } from './workload.ts';

/** Canonical text of an address, or undefined (rule D1). Given from outside: this room does not import `index/`. */
export type CanonicalIp = (text: string) => string | undefined;

/**
 * The record that is kept, small, for there are 150,000 of them: what pods have in common is shared, times are in seconds
 * (small integers to V8; milliseconds would be an object each), containers are packed. All records are made here, from
 * either format, and so have one hidden class.
 */
class PodRecord implements Pod {
  readonly uid: string;
  readonly namespace: string;
  readonly name: string;
  readonly resourceVersion: string;
  readonly labels: StringMap;
  readonly annotations: StringMap;
  readonly podIps: readonly string[];
  readonly hostIps: readonly string[];
  readonly hostNetwork: boolean;
  readonly nodeName: string;
  readonly phase: PodPhase;
  readonly ready: boolean;
  readonly serviceAccount: string;
  readonly owner: Owner | undefined;
  readonly workload: Workload | undefined;
  readonly qosClass: string;
  readonly createdSecond: number;
  readonly startedSecond: number | undefined;
  readonly deletionSecond: number | undefined;
  readonly shapes: PackedContainers['shapes'];
  readonly states: PackedContainers['states'];
  readonly isPlain: boolean;

  constructor(facts: PodFacts, share: PodRecords, known: Pod | undefined) {
    const containers = share.containers(facts);
    this.uid = theKept(facts.uid, known?.uid);
    this.namespace = share.namespace(facts.namespace);
    this.name = theKept(facts.name, known?.name);
    this.resourceVersion = facts.resourceVersion;
    this.labels = facts.labels;
    this.annotations = share.annotations(facts.annotations);
    this.podIps = allKept(share.canonical(facts.podIps, facts.podIp), known?.podIps);
    this.hostIps = share.hostIps(facts.hostIps, facts.hostIp);
    this.hostNetwork = facts.hostNetwork;
    this.nodeName = share.nodeName(facts.nodeName);
    this.phase = phaseOf(facts.phase);
    this.ready = facts.ready;
    this.serviceAccount = share.serviceAccount(facts.serviceAccount);
    this.owner = facts.owner;
    this.workload = share.workload(workloadOf(facts.owner, this.labels, facts.createdAt * 1000));
    this.qosClass = share.qosClass(facts.qosClass);
    this.createdSecond = facts.createdAt;
    this.startedSecond = facts.startedAt;
    this.deletionSecond = facts.deletionTimestamp;
    this.shapes = containers.shapes;
    this.states = theKept(containers.states, known?.states);
    // Addresses are canonical, versions are digits, and so are what containers' ids end in.
    this.isPlain = isPlain(this.uid) && isPlain(this.namespace) && isPlain(this.name) && this.shapes.every(isPlainId);
  }

  get createdAt(): number {
    return this.createdSecond * 1000;
  }

  get startedAt(): number | undefined {
    return this.startedSecond === undefined ? undefined : this.startedSecond * 1000;
  }

  get deletionTimestamp(): number | undefined {
    return this.deletionSecond === undefined ? undefined : this.deletionSecond * 1000;
  }

  get containers(): readonly Container[] {
    return unpackContainers(this);
  }
}

/** The text itself, but the one that is kept where both say the same: of two that are equal one is garbage at once. */
const theKept = (text: string, kept: string | undefined): string => (text === kept ? kept : text);

const allKept = (texts: readonly string[], kept: readonly string[] | undefined): readonly string[] =>
  kept !== undefined && sameTexts(texts, kept) ? kept : texts;

const sameTexts = (a: readonly string[], b: readonly string[]): boolean =>
  a.length === b.length && a.every((text, i) => text === b[i]);

const isPlain = (text: string): boolean => /^[ !#-[\]-~]*$/.test(text);
const isPlainId = ({ idPrefix }: PackedContainers['shapes'][number]): boolean => isPlain(idPrefix);

const NO_ADDRESSES: readonly string[] = Object.freeze([]);

/** Above this many characters a set of annotations is not worth sharing. */
const SHARED_ANNOTATIONS = 1024;

/** Makes records of facts, or throws when these are not such as the rules need them. Holds what records share. */
export class PodRecords {
  readonly #canonicalIp: CanonicalIp;
  readonly #known: (uid: string) => Pod | undefined;
  readonly #packer = new ContainerPacker();
  readonly #namespaces = new Interner<string>(1 << 20);
  readonly #nodeNames = new Interner<string>(1 << 20);
  readonly #serviceAccounts = new Interner<string>(1 << 20);
  readonly #qosClasses = new Interner<string>(1 << 16);
  readonly #annotations = new Interner<StringMap>(1 << 20);
  /** By the first address of the node. */
  readonly #likelyHostIps = new Interner<readonly string[]>(1 << 20);
  readonly #hostIps = new Interner<readonly string[]>(1 << 20);
  readonly #workloads = new Interner<Workload>(1 << 21);

  constructor(canonicalIp: CanonicalIp, known: (uid: string) => Pod | undefined) {
    this.#canonicalIp = canonicalIp;
    this.#known = known;
  }

  record(facts: PodFacts): Pod {
    if (facts.uid === '') throw new Error('metadata.uid is missing');
    if (facts.namespace === '') throw new Error('metadata.namespace is missing');
    if (facts.name === '') throw new Error('metadata.name is missing');
    if (!isResourceVersion(facts.resourceVersion)) {
      throw new Error(`metadata.resourceVersion ${JSON.stringify(facts.resourceVersion)} cannot be ordered`);
    }
    return new PodRecord(facts, this, this.#known(facts.uid));
  }

  namespace(text: string): string {
    return this.#namespaces.get(text) ?? this.#namespaces.set(text, text);
  }

  nodeName(text: string): string {
    return this.#nodeNames.get(text) ?? this.#nodeNames.set(text, text);
  }

  serviceAccount(text: string): string {
    return this.#serviceAccounts.get(text) ?? this.#serviceAccounts.set(text, text);
  }

  qosClass(text: string): string {
    return this.#qosClasses.get(text) ?? this.#qosClasses.set(text, text);
  }

  annotations(pairs: readonly string[]): StringMap {
    if (pairs.length === 0) return NO_STRINGS;
    const key = JSON.stringify(pairs);
    const known = this.#annotations.get(key);
    if (known) return known;
    const annotations = newStringMap();
    for (let i = 0; i + 1 < pairs.length; i += 2) annotations[pairs[i]!] = pairs[i + 1]!;
    return key.length > SHARED_ANNOTATIONS ? annotations : this.#annotations.set(key, annotations);
  }

  /** The list and then the single field, which is its first element: without duplicates, without what is empty (rule A1). */
  canonical(list: readonly string[], single: string): readonly string[] {
    if (list.length <= 1 && single === (list[0] ?? '')) return single === '' ? NO_ADDRESSES : [this.#ip(single)];
    const ips = new Set<string>();
    for (const text of list) if (text !== '') ips.add(this.#ip(text));
    if (single !== '') ips.add(this.#ip(single));
    return [...ips];
  }

  hostIps(list: readonly string[], single: string): readonly string[] {
    // Nearly always a node says the same as the last time, in canonical texts, of which the single one is the first.
    const likely = this.#likelyHostIps.get(single);
    if (likely?.[0] === single && sameTexts(list, likely)) return likely;
    const key = JSON.stringify([list, single]);
    const hostIps = this.#hostIps.get(key) ?? this.#hostIps.set(key, this.canonical(list, single));
    return this.#likelyHostIps.set(single, hostIps);
  }

  workload(workload: Workload | undefined): Workload | undefined {
    if (!workload) return undefined;
    const { kind, name, source } = workload;
    const key = `${source}${kind.length}:${kind}${name}`;
    return this.#workloads.get(key) ?? this.#workloads.set(key, workload);
  }

  containers({ containers, containerStatuses }: PodFacts): PackedContainers {
    return this.#packer.pack(containers, containerStatuses);
  }

  #ip(text: string): string {
    const ip = this.#canonicalIp(text);
    if (ip === undefined) throw new Error(`${JSON.stringify(text.slice(0, 50))} is not an address`);
    return ip;
  }
}

/**
 * The API server does not check the phase, so a status patch can write anything. Nothing is what a pod has before its first
 * status: Pending. What Kubernetes does not know is Unknown, and not unreadable: the pod is not known to be terminal, so
 * it still answers (rule A1), as it does to everyone else in the cluster.
 */
function phaseOf(phase: string): PodPhase {
  switch (phase) {
    // The one text of each, not that of this pod: it takes no memory, and is compared by its place.
    case 'Running':
      return 'Running';
    case 'Succeeded':
      return 'Succeeded';
    case 'Failed':
      return 'Failed';
    case 'Pending':
    case '':
      return 'Pending';
    default:
      return 'Unknown';
  }
}
