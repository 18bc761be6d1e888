import type { Pod } from '../pod.ts';
import { Claims } from './claims.ts';
import { HashTable, hashOf } from './hash-table.ts';
import { OrderedPods } from './ordered-pods.ts';
import type { NameKey } from './ordered-pods.ts';
import { sameTexts } from './same-pod.ts';

/**
 * The pods there are, and the ways to find them: one set for all slices. It knows nothing of versions, lists and events; what
 * goes in and out is `slice.ts`'s decision. Every pod is held, also the finished ones and those on the host's network: who
 * answers for an address is decided at the question (rule A7).
 *
 * A pod has one place in a list as long as its uid is held, and is found by its place in every other way: most changes put
 * a record in the place of another, and touch nothing else.
 */
export class LiveSet {
  readonly #pods: (Pod | undefined)[] = [];
  readonly #free: number[] = [];
  readonly #byUid = new Map<string, number>();
  readonly #names = new OrderedPods(this.#pods);
  /** Who claims an address: all of them, never one that was the last (rule A2). */
  #claims = new HashTable();
  #addresses = 0;
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
    return this.#addresses;
  }

  byUid(uid: string): Pod | undefined {
    const place = this.#byUid.get(uid);
    return place === undefined ? undefined : this.#pods[place];
  }

  byName(key: NameKey): Pod | undefined {
    return this.#names.find(key);
  }

  holders(ip: string): readonly Pod[] {
    let found: Pod[] | undefined;
    const hash = hashOf(ip);
    const claims = this.#claims;
    for (let at = claims.first(hash); at >= 0; at = claims.next(hash, at)) {
      const pod = this.#pods[claims.at(at)];
      if (!pod?.podIps.includes(ip)) continue;
      if (found === undefined) found = [pod];
      else found.push(pod);
    }
    return found ?? NOBODY;
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
    const place = this.#free.pop() ?? this.#pods.length;
    this.#pods[place] = pod;
    const other = this.#names.insert(place);
    if (other !== undefined) {
      this.#clear(place);
      return other;
    }
    this.#byUid.set(pod.uid, place);
    this.#claim(pod, place);
    for (const ip of pod.hostIps) this.#hostIps.set(ip, (this.#hostIps.get(ip) ?? 0) + 1);
    if (this.#containers) eachContainer(pod, (id) => this.#containers?.add(hash(id), pod));
    return undefined;
  }

  /** Takes out a stored record, and its addresses by what is stored (rule A2). */
  delete(stored: Pod): void {
    const place = this.#byUid.get(stored.uid);
    if (place === undefined) return;
    this.#names.delete(stored);
    this.#byUid.delete(stored.uid);
    this.#release(stored, place);
    for (const ip of stored.hostIps) this.#releaseHostIp(ip);
    if (this.#containers) eachContainer(stored, (id) => this.#containers?.remove(hash(id), stored));
    this.#clear(place);
  }

  /** Takes out all pods at once: one by one, 150,000 take half a second. */
  clear(): void {
    this.#pods.length = 0;
    this.#free.length = 0;
    this.#byUid.clear();
    this.#names.clear();
    this.#claims = new HashTable();
    this.#addresses = 0;
    this.#hostIps.clear();
    this.#containers = undefined;
  }

  /** Puts a pod in the place of its stored record, which has the same uid, namespace and name. */
  replace(stored: Pod, pod: Pod): void {
    const place = this.#byUid.get(stored.uid);
    if (place === undefined) throw new Error(`no pod ${stored.uid} to replace`);
    if (sameTexts(stored.podIps, pod.podIps)) this.#pods[place] = pod;
    else {
      this.#release(stored, place);
      this.#claim(pod, place);
    }
    this.#names.replaced();
    if (!sameTexts(stored.hostIps, pod.hostIps)) {
      for (const ip of stored.hostIps) this.#releaseHostIp(ip);
      for (const ip of pod.hostIps) this.#hostIps.set(ip, (this.#hostIps.get(ip) ?? 0) + 1);
    }
    if (this.#containers) {
      eachContainer(stored, (id) => this.#containers?.remove(hash(id), stored));
      eachContainer(pod, (id) => this.#containers?.add(hash(id), pod));
    }
  }

  /** While the place is empty, so that what is found for an address is another pod. */
  #claim(pod: Pod, place: number): void {
    this.#pods[place] = undefined;
    for (const ip of pod.podIps) {
      if (!this.#isHeld(ip)) this.#addresses++;
      const hash = hashOf(ip);
      // Once also when two addresses of the pod have the same hash.
      if (!this.#claims.has(hash, place)) this.#claims.add(hash, place);
    }
    this.#pods[place] = pod;
  }

  #release(stored: Pod, place: number): void {
    this.#pods[place] = undefined;
    for (const ip of stored.podIps) {
      this.#claims.remove(hashOf(ip), place);
      if (!this.#isHeld(ip)) this.#addresses--;
    }
  }

  #isHeld(ip: string): boolean {
    const hash = hashOf(ip);
    const claims = this.#claims;
    for (let at = claims.first(hash); at >= 0; at = claims.next(hash, at)) {
      if (this.#pods[claims.at(at)]?.podIps.includes(ip)) return true;
    }
    return false;
  }

  #clear(place: number): void {
    this.#pods[place] = undefined;
    this.#free.push(place);
  }

  #releaseHostIp(ip: string): void {
    const count = (this.#hostIps.get(ip) ?? 0) - 1;
    if (count > 0) this.#hostIps.set(ip, count);
    else this.#hostIps.delete(ip);
  }

  #hashContainers(): Claims<number, Pod> {
    const containers = new Claims<number, Pod>();
    for (const pod of this.#pods) if (pod) eachContainer(pod, (id) => containers.add(hash(id), pod));
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

/** To 31 bits: small integers take no memory of their own as keys of a Map. */
const hash = (text: string): number => hashOf(text) >>> 1;

const NOBODY: readonly never[] = Object.freeze([]);
