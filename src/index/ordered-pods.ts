import type { Pod } from '../pod.ts';

/** Namespace and name of a pod, or of where one would stand. */
export interface NameKey {
  readonly namespace: string;
  readonly name: string;
}

/**
 * Pods in order of namespace, then name, by UTF-16 code units; one pod a name. What stands in order are their places in a list: a
 * record steps into the place of another without a search. Arrays of at most 512: an insertion moves 4 KB
 * at worst, and 150,000 pods are 300 arrays to search. Lists come nearly in this order, so where the last pod went is tried
 * first, and an array that is full at its end is not split but followed by a new one, which leaves arrays full.
 */
export class OrderedPods {
  readonly #pods: readonly (Pod | undefined)[];
  readonly #chunks: number[][] = [];
  /** The array that was last inserted into. */
  #finger = 0;
  #size = 0;
  /** Counts changes, so that a walk notices that it is no longer valid. */
  #changes = 0;

  /** `pods`: the list. At a place that was inserted stands a pod of one and the same name until the place is deleted. */
  constructor(pods: readonly (Pod | undefined)[]) {
    this.#pods = pods;
  }

  get size(): number {
    return this.#size;
  }

  /** How many arrays there are. */
  get arrays(): number {
    return this.#chunks.length;
  }

  find(key: NameKey): Pod | undefined {
    const chunk = this.#chunks[this.#chunkFor(key)];
    const place = chunk?.[this.#search(chunk, key)];
    return place === undefined ? undefined : this.#at(place);
  }

  /** Inserts the pod at a place, unless another one has its name: then that one is returned and nothing changes. */
  insert(place: number): Pod | undefined {
    const pod = this.#at(place);
    const at = this.#belongsTo(this.#finger, pod) ? this.#finger : this.#chunkFor(pod);
    const chunk = this.#chunks[at];
    if (chunk === undefined) this.#chunks.push([place]);
    else if (compareNames(pod, this.#at(chunk.at(-1))) > 0) {
      if (chunk.length < MAX_CHUNK) chunk.push(place);
      else this.#chunks.splice(at + 1, 0, [place]);
    } else {
      const found = this.#search(chunk, pod);
      if (found >= 0) return this.#at(chunk[found]);
      chunk.splice(~found, 0, place);
      if (chunk.length > MAX_CHUNK) this.#chunks.splice(at + 1, 0, chunk.splice(MAX_CHUNK >> 1));
    }
    this.#finger = chunk !== undefined && this.#belongsTo(at + 1, pod) ? at + 1 : at;
    this.#size++;
    this.#changes++;
    return undefined;
  }

  /** At some place stands another record now. */
  replaced(): void {
    this.#changes++;
  }

  delete(key: NameKey): void {
    const at = this.#chunkFor(key);
    const chunk = this.#chunks[at];
    const found = chunk ? this.#search(chunk, key) : -1;
    if (chunk === undefined || found < 0) return;
    chunk.splice(found, 1);
    this.#size--;
    this.#changes++;
    if (chunk.length === 0) this.#chunks.splice(at, 1);
    this.#merge(at);
    this.#merge(at - 1);
  }

  clear(): void {
    this.#chunks.length = 0;
    this.#size = 0;
    this.#changes++;
  }

  /** Two neighbours that fill less than half an array together become one, so that survivors of deletions do not each keep one. */
  #merge(at: number): void {
    const chunk = this.#chunks[at];
    const next = this.#chunks[at + 1];
    if (chunk === undefined || next === undefined || chunk.length + next.length > MAX_CHUNK >> 1) return;
    chunk.push(...next);
    this.#chunks.splice(at + 1, 1);
  }

  /** Calls with every pod of a namespace, or with every pod. Nothing may be changed meanwhile. */
  each(namespace: string | undefined, visit: (pod: Pod) => void): void {
    const start = namespace === undefined ? 0 : this.#chunkFor({ namespace, name: '' });
    for (let at = start; at < this.#chunks.length; at++) {
      for (const place of this.#chunks[at] ?? []) {
        const pod = this.#at(place);
        if (namespace === undefined || pod.namespace === namespace) visit(pod);
        else if (pod.namespace > namespace) return;
      }
    }
  }

  /** From the first pod behind `after` on. Throws when it goes on after a change: what it would say is true of no moment. */
  *walk(after: NameKey | undefined): Generator<Pod, void, undefined> {
    const begun = this.#changes;
    for (let at = after ? this.#chunkFor(after) : 0; at < this.#chunks.length; at++) {
      for (const place of this.#chunks[at] ?? []) {
        const pod = this.#at(place);
        if (after && compareNames(pod, after) <= 0) continue;
        yield pod;
        if (this.#changes !== begun) throw new Error('the index changed during a walk: go on from the last name');
      }
    }
  }

  /** The last array that begins at or before the key; the first one when none does. */
  #chunkFor(key: NameKey): number {
    let low = 0;
    let high = this.#chunks.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (compareNames(this.#at(this.#chunks[middle]?.[0]), key) <= 0) low = middle;
      else high = middle - 1;
    }
    return low;
  }

  #belongsTo(at: number, key: NameKey): boolean {
    const first = this.#chunks[at]?.[0];
    if (first === undefined || compareNames(this.#at(first), key) > 0) return false;
    const next = this.#chunks[at + 1]?.[0];
    return next === undefined || compareNames(key, this.#at(next)) < 0;
  }

  #at(place: number | undefined): Pod {
    return this.#pods[place as number] as Pod;
  }

  /** Where the key stands in the array, or the complement of where it would. */
  #search(chunk: readonly number[], key: NameKey): number {
    let low = 0;
    let high = chunk.length - 1;
    while (low <= high) {
      const middle = (low + high) >> 1;
      const order = compareNames(this.#at(chunk[middle]), key);
      if (order === 0) return middle;
      if (order < 0) low = middle + 1;
      else high = middle - 1;
    }
    return ~low;
  }
}

const MAX_CHUNK = 512;

export function compareNames(a: NameKey, b: NameKey): number {
  if (a.namespace !== b.namespace) return a.namespace < b.namespace ? -1 : 1;
  if (a.name === b.name) return 0;
  return a.name < b.name ? -1 : 1;
}
