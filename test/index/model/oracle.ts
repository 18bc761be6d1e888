import type { Answer } from '../../../src/index/answer.ts';
import type { Pod, Unreadable } from '../../../src/pod.ts';

/**
 * What the index must say, told in another way: it keeps the facts as they came in, all of them, and looks through them at every
 * question. Slow, and short enough to be seen to be right. Versions are numbers here.
 */
interface Fact {
  readonly version: number;
  readonly uid: string;
  /** Of the pod; of a deletion when the pod was believed to be there. */
  readonly name: string | undefined;
  /** undefined: it is gone. */
  readonly pod: Pod | undefined;
}

interface Aside {
  readonly object: Unreadable;
  readonly newerThan: number;
  readonly listed: boolean;
  readonly order: number;
}

export interface ListFacts {
  readonly version: number;
  readonly pods: readonly Pod[];
  readonly unreadable: readonly Unreadable[];
  /** The oracle's `order` when the list began. */
  readonly began: number;
}

const nameOf = (pod: { readonly namespace?: string | undefined; readonly name?: string | undefined }): string =>
  `${pod.namespace}/${pod.name}`;

export class SliceOracle {
  #facts: Fact[] = [];
  #aside: Aside[] = [];
  #newest = 0;
  floor: number | undefined;
  order = 0;

  /** What is there: of every uid its latest fact, unless its name has been another's since. */
  records(): Pod[] {
    const records: Pod[] = [];
    for (const fact of this.#facts) {
      if (fact.pod === undefined) continue;
      const refuted = this.#facts.some((other) =>
        other.uid === fact.uid
          ? other.version > fact.version || (other.version === fact.version && other.pod === undefined)
          : other.version > fact.version && other.name === fact.name,
      );
      if (!refuted && !records.some((record) => record.uid === fact.uid)) records.push(fact.pod);
    }
    return records;
  }

  aside(): Unreadable[] {
    return this.#aside.map((one) => one.object);
  }

  upsert(pod: Pod): void {
    this.#event({ version: Number(pod.resourceVersion), uid: pod.uid, name: nameOf(pod), pod }, nameOf(pod));
  }

  remove(payload: Pod): void {
    const { uid, resourceVersion } = payload;
    const record = this.records().find((one) => one.uid === uid);
    const version = Number(resourceVersion);
    this.#event({ version, uid, name: record && nameOf(record), pod: undefined }, nameOf(payload));
  }

  setAside(object: Unreadable): void {
    this.#put(object, Math.max(this.#newest, this.floor ?? 0), false);
  }

  commit(list: ListFacts, forget: boolean): void {
    const L = list.version;
    if (!forget && this.floor !== undefined && L < this.floor) return;
    // A record whose object stands in the list, but cannot be read, is as old as it was, unless the list gives its name to another one.
    const kept = this.records().filter(
      (pod) =>
        !forget &&
        Number(pod.resourceVersion) <= L &&
        !list.pods.some((one) => one.uid === pod.uid || nameOf(one) === nameOf(pod)) &&
        list.unreadable.some((object) => isAbout(object, pod)),
    );
    this.#facts = this.#facts.filter((fact) => !forget && fact.version > L);
    const stays = (one: Aside): boolean => !forget && !one.listed && (one.order > list.began || one.newerThan > L);
    const old = this.#aside;
    this.#aside = old.filter(stays);
    for (const object of list.unreadable) {
      if (this.#aside.some((one) => one.object.key === object.key)) continue;
      if (this.#facts.some((fact) => fact.uid === object.key || fact.name === nameOf(object))) continue;
      const former = old.find((one) => one.object.key === object.key);
      this.#put(object.ips.length === 0 && former ? { ...object, ips: former.object.ips } : object, L, true);
    }
    for (const pod of kept) this.#facts.push({ version: L, uid: pod.uid, name: nameOf(pod), pod });
    for (const pod of list.pods) this.#facts.push({ version: L, uid: pod.uid, name: nameOf(pod), pod });
    this.floor = L;
    this.#newest = forget ? L : Math.max(this.#newest, L);
  }

  #event(fact: Fact, name: string): void {
    this.#newest = Math.max(this.#newest, fact.version);
    if (this.floor !== undefined && fact.version <= this.floor) return;
    this.#facts.push(fact);
    // A pod settles what is known under its name; a deletion only what has no uid of its own.
    this.#aside = this.#aside.filter(
      ({ object, newerThan }) =>
        fact.version <= newerThan || (object.key !== fact.uid && (fact.pod ? nameOf(object) : object.key) !== name),
    );
  }

  #put(object: Unreadable, newerThan: number, listed: boolean): void {
    const former = this.#aside.find((one) => one.object.key === object.key);
    const ips = object.ips.length === 0 && former ? former.object.ips : object.ips;
    this.#aside = this.#aside.filter((one) => one !== former);
    this.#aside.push({ object: { ...object, ips }, newerThan, listed, order: ++this.order });
  }
}

export function isAbout(object: Unreadable, pod: Pick<Pod, 'uid' | 'namespace' | 'name'>): boolean {
  return object.key === pod.uid || (object.name !== undefined && nameOf(object) === nameOf(pod));
}

/** Rules A1, A4 and A6 as they read, over all pods. */
export function expectedAnswer(
  pods: readonly Pod[],
  aside: readonly Unreadable[],
  ip: string,
  partial: boolean,
): Answer {
  const holders = pods.filter((pod) => pod.podIps.includes(ip));
  if (aside.some((object) => object.ips.includes(ip) || holders.some((pod) => isAbout(object, pod)))) {
    return { kind: 'unreadable' };
  }
  if (holders.some((pod) => pod.hostNetwork)) return { kind: 'none', reason: 'host-network' };
  const eligible = holders.filter((pod) => pod.phase !== 'Succeeded' && pod.phase !== 'Failed');
  const staying = eligible.filter((pod) => pod.deletionTimestamp === undefined);
  const [one] = eligible.length === 1 ? eligible : staying;
  if (one && (eligible.length === 1 || staying.length === 1)) return { kind: 'one', pod: one };
  if (eligible.length > 0) return { kind: 'ambiguous', candidates: inOrder(eligible) };
  if (pods.some((pod) => pod.hostIps.includes(ip))) return { kind: 'none', reason: 'node' };
  if (holders.length > 0) return { kind: 'none', reason: 'terminal' };
  return { kind: 'none', reason: partial ? 'not-in-view' : 'no-pod' };
}

export function inOrder(pods: readonly Pod[]): Pod[] {
  const key = (pod: Pod): string => `${pod.namespace}\0${pod.name}`;
  return [...pods].sort((a, b) => (key(a) < key(b) ? -1 : 1));
}
