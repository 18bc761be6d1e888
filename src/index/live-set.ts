import type { Pod } from '../pod.ts';
import { Claims } from './claims.ts';
import { OrderedPods } from './ordered-pods.ts';
import type { NameKey } from './ordered-pods.ts';
import { sameTexts } from './same-pod.ts';

/**
 * The pods there are, and the ways to find them: one set for all slices. It knows nothing of versions, lists and events; what
 * goes in and out is `slice.ts`'s decision. Every pod is held, also the finished ones and those on the host's network: who
 * answers for an address is decided at the question (rule A7).
 */
export class LiveSet {
  readonly #byUid = new Map<string, Pod>();
  readonly #names = new OrderedPods();
  readonly #claims = new Claims<string, Pod>();
  /** Of how many pods an address is a host IP. */
  readonly #hostIps = new Map<string, number>();
  /**
   * By a hash of the id: the ids themselves would take 200 bytes a pod. Made when first asked for, kept up from then on:
   * reading the ids of a packed record costs as much as all the rest of an insertion, and few ever ask.
   */
  #containers: Claims<number, Pod> | undefined;

  get size(): number {
    return this.#byUid.size;
  }

  get addresses(): number {
    return this.#claims.size;
  }

  byUid(uid: string): Pod | undefined {
    return this.#byUid.get(uid);
  }

  byName(key: NameKey): Pod | undefined {
    return this.#names.find(key);
  }

  holders(ip: string): readonly Pod[] {
    return this.#claims.of(ip);
  }

  isHostIp(ip: string): boolean {
    return this.#hostIps.has(ip);
  }

  /** Nobody's, when two pods say it is theirs: an id is given once, so one of the two is not true. */
  byContainerId(id: string): Pod | undefined {
    const bare = withoutScheme(id);
    if (bare === '') return undefined;
    this.#containers ??= this.#hashContainers();
    const owners = this.#containers
      .of(hash(bare))
      .filter((pod) => pod.containers.some((container) => withoutScheme(container.id) === bare));
    return owners.length === 1 ? owners[0] : undefined;
  }

  each(namespace: string | undefined, visit: (pod: Pod) => void): void {
    this.#names.each(namespace, visit);
  }

  walk(after: NameKey | undefined): Generator<Pod, void, undefined> {
    return this.#names.walk(after);
  }

  /** Puts a pod whose uid is not held. When another one has its name, that one is returned and nothing changes. */
  add(pod: Pod): Pod | undefined {
    const other = this.#names.insert(pod);
    if (other !== undefined) return other;
    this.#byUid.set(pod.uid, pod);
    for (const ip of pod.podIps) this.#claims.add(ip, pod);
    for (const ip of pod.hostIps) this.#hostIps.set(ip, (this.#hostIps.get(ip) ?? 0) + 1);
    if (this.#containers) eachContainer(pod, (id) => this.#containers?.add(hash(id), pod));
    return undefined;
  }

  /** Takes out a stored record, and its addresses by what is stored (rule A2). */
  delete(stored: Pod): void {
    this.#names.delete(stored);
    this.#byUid.delete(stored.uid);
    this.#release(stored);
  }

  /** Takes out all pods at once: one by one, 150,000 take half a second. */
  clear(): void {
    this.#byUid.clear();
    this.#names.clear();
    this.#claims.clear();
    this.#hostIps.clear();
    this.#containers = undefined;
  }

  /** Puts a pod in the place of its stored record, which has the same uid, namespace and name. */
  replace(stored: Pod, pod: Pod): void {
    this.#names.replace(pod);
    this.#byUid.set(pod.uid, pod);
    if (sameTexts(stored.podIps, pod.podIps)) {
      for (const ip of pod.podIps) this.#claims.replace(ip, stored, pod);
    } else {
      for (const ip of stored.podIps) this.#claims.remove(ip, stored);
      for (const ip of pod.podIps) this.#claims.add(ip, pod);
    }
    if (!sameTexts(stored.hostIps, pod.hostIps)) {
      for (const ip of stored.hostIps) this.#releaseHostIp(ip);
      for (const ip of pod.hostIps) this.#hostIps.set(ip, (this.#hostIps.get(ip) ?? 0) + 1);
    }
    if (this.#containers) {
      eachContainer(stored, (id) => this.#containers?.remove(hash(id), stored));
      eachContainer(pod, (id) => this.#containers?.add(hash(id), pod));
    }
  }

  #release(stored: Pod): void {
    for (const ip of stored.podIps) this.#claims.remove(ip, stored);
    for (const ip of stored.hostIps) this.#releaseHostIp(ip);
    if (this.#containers) eachContainer(stored, (id) => this.#containers?.remove(hash(id), stored));
  }

  #releaseHostIp(ip: string): void {
    const count = (this.#hostIps.get(ip) ?? 0) - 1;
    if (count > 0) this.#hostIps.set(ip, count);
    else this.#hostIps.delete(ip);
  }

  #hashContainers(): Claims<number, Pod> {
    const containers = new Claims<number, Pod>();
    for (const pod of this.#byUid.values()) eachContainer(pod, (id) => containers.add(hash(id), pod));
    return containers;
  }

  /** What is held beside the pods: all zero when there are none (for the leak check). */
  get entries(): Readonly<Record<'names' | 'claims' | 'hostIps' | 'containers', number>> {
    return {
      names: this.#names.size,
      claims: this.#claims.size,
      hostIps: this.#hostIps.size,
      containers: this.#containers?.size ?? 0,
    };
  }
}

function eachContainer(pod: Pod, visit: (bareId: string) => void): void {
  for (const { id } of pod.containers) {
    const bare = withoutScheme(id);
    if (bare !== '') visit(bare);
  }
}

/** `containerd://3f…` → `3f…` */
function withoutScheme(id: string): string {
  const at = id.indexOf('://');
  return at < 0 ? id : id.slice(at + 3);
}

/** FNV-1a, to 31 bits: small integers take no memory of their own as keys of a Map. */
function hash(text: string): number {
  let value = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) value = Math.imul(value ^ text.charCodeAt(i), 0x01000193);
  return value >>> 1;
}
