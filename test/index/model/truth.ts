import type { Pod } from '../../../src/pod.ts';
import { alike } from '../alike.ts';
import { makeContainer, makePod } from '../make-pod.ts';

/** One line of the cluster's history: at this version the pod came, changed, or went from what is selected. */
export interface Entry {
  readonly version: number;
  readonly type: 'upsert' | 'remove';
  readonly pod: Pod;
}

export const NAMESPACES = ['constructor', 'b', 'b-1'];
export const NAMES = ['x', 'y', '__proto__'];
const NODES = [
  ['192.168.0.1', 'fd00:ffff::1'],
  ['192.168.0.2', 'fd00:ffff::2'],
] as const;
/** Two addresses that have one hash: other ones in every process. */
export const ALIKE = alike(10);
export const ADDRESSES = ['10.0.0.1', '10.0.0.2', '10.0.0.3', 'fd00::1', 'fd00::2', ...ALIKE, ...NODES.flat()];
/** What `status.podIPs` may be of a pod that is on the network of its own. */
const CHOICES = [
  [],
  ['10.0.0.1'],
  ['10.0.0.2'],
  ['10.0.0.1', 'fd00::1'],
  ['10.0.0.3', 'fd00::2'],
  [...ALIKE],
  [ALIKE[1]],
  ['192.168.0.1'],
];

/** A made-up cluster: what is, and how it came about. Choices are numbers from outside, so that a history can be played again. */
export class Truth {
  /** Begins below 100, so that versions get longer on the way. */
  version = 90;
  /** Created so far, over all lives of the cluster. */
  #uids = 0;
  /** What is selected (by label), and what exists beside it. */
  selected = new Map<string, Pod>();
  hidden = new Map<string, Pod>();
  log: Entry[] = [];

  /** What is selected at a version, told from the log alone. */
  at(version: number): Map<string, Pod> {
    const pods = new Map<string, Pod>();
    for (const entry of this.log) {
      if (entry.version > version) break;
      if (entry.type === 'upsert') pods.set(entry.pod.uid, entry.pod);
      else pods.delete(entry.pod.uid);
    }
    return pods;
  }

  create(a: number, b: number, c: number): void {
    const namespace = pick(NAMESPACES, a);
    const name = pick(NAMES, b);
    for (const pod of [...this.selected.values(), ...this.hidden.values()]) {
      if (pod.namespace === namespace && pod.name === name) return this.change(a, b, c);
    }
    const uid = `u${++this.#uids}`;
    const node = pick(NODES, c);
    const hostNetwork = (c >> 1) % 5 === 0;
    const podIps = hostNetwork ? (c % 3 === 0 ? [] : [...node]) : pick(CHOICES, c >> 3);
    const containers = [makeContainer(`containerd://${uid}-0`)];
    const phase = c % 2 === 0 ? 'Pending' : 'Running';
    this.#put(makePod({ uid, namespace, name, hostNetwork, podIps, hostIps: [...node], phase, containers }));
  }

  change(a: number, b: number, c: number): void {
    const pod = pick([...this.selected.values()], a);
    if (pod === undefined) return;
    const podIps = pod.hostNetwork ? pod.podIps : pick(CHOICES, c);
    const containers = [makeContainer(`containerd://${pod.uid}-${c % 2}`), makeContainer(`${pod.uid}-init`)];
    // Terminal, terminating and back to Running: the last is no life of a pod, but the index must not mind.
    const changes: readonly Partial<Pod>[] = [
      { podIps },
      { phase: 'Running', podIps },
      { deletionTimestamp: 1_700_000_000_000 + c },
      { phase: 'Succeeded' },
      { phase: 'Failed', podIps: [] },
      { labels: { step: String(c) }, containers },
      { hostIps: c % 3 === 0 ? [] : [...pick(NODES, c)] },
    ];
    this.#put({ ...pod, ...pick(changes, b) });
  }

  remove(a: number, b: number): void {
    const pod = pick([...this.selected.values()], a);
    if (pod === undefined) return;
    this.selected.delete(pod.uid);
    // The payload is not to be believed but for its uid and version.
    const lie = pick([{}, { podIps: [] }, { podIps: ['10.0.0.2'], hostNetwork: !pod.hostNetwork }], b);
    this.#log('remove', { ...pod, ...lie });
  }

  /** A label changes: the pod leaves what is selected, or comes back, or goes while nobody looks. */
  relabel(a: number, b: number): void {
    const hidden = pick([...this.hidden.values()], a);
    if (hidden !== undefined && b % 2 === 0) {
      this.hidden.delete(hidden.uid);
      if (b % 4 === 0) this.#put({ ...hidden, labels: { ...hidden.labels, back: String(b) } });
      return;
    }
    const pod = pick([...this.selected.values()], a);
    if (pod === undefined) return;
    this.selected.delete(pod.uid);
    this.hidden.set(pod.uid, pod);
    this.#log('remove', pod);
  }

  /** An etcd is restored from a copy made at this version: what came later was never there, and its versions are given out anew. */
  restore(version: number): void {
    this.selected = this.at(version);
    this.hidden.clear();
    this.log = this.log.filter((entry) => entry.version <= version);
    this.version = version;
  }

  #put(pod: Pod): void {
    const entry = this.#log('upsert', pod);
    this.selected.set(pod.uid, entry.pod);
  }

  #log(type: Entry['type'], pod: Pod): Entry {
    this.version++;
    const entry = { version: this.version, type, pod: { ...pod, resourceVersion: String(this.version) } };
    this.log.push(entry);
    return entry;
  }
}

export function pick<T>(from: readonly [T, ...T[]], number: number): T;
export function pick<T>(from: readonly T[], number: number): T extends undefined ? never : T;
export function pick<T>(from: readonly T[], number: number): T | undefined {
  return from[number % from.length];
}
