import type { Pod, Unreadable } from '../../../src/pod.ts';
import { covers } from './compare.ts';
import type { Watched } from './compare.ts';
import { pick } from './truth.ts';
import type { Entry, Truth } from './truth.ts';

/**
 * A list on its way to the index: a consistent one, or a streamed one, which is the server's cached snapshot and what happened
 * since. Some of it cannot be read.
 */
export class List {
  readonly version: number;
  readonly replacement: ReturnType<Watched['slice']['beginReplace']>;
  /** The oracle's count of what was set aside when the list began. */
  readonly began: number;
  readonly #pods = new Map<string, Pod>();
  readonly #unreadable = new Map<string, Unreadable>();
  readonly #coming: (Entry | Unreadable)[];
  #comparison: Iterator<void> | undefined;

  constructor(of: Watched, truth: Truth, { version, cached, faults }: Record<'version' | 'cached' | 'faults', number>) {
    this.version = version;
    this.replacement = of.slice.beginReplace();
    this.began = of.oracle.order;
    const from = version - cached;
    const snapshot = [...truth.at(from).values()].map((pod): Entry => ({ version: from, type: 'upsert', pod }));
    const since = truth.log.filter((entry) => entry.version > from && entry.version <= version);
    this.#coming = [...snapshot, ...since]
      .filter(({ pod }) => covers(of, pod))
      .map((entry, i) =>
        entry.type === 'upsert' && (faults >> (i % 8)) % 16 === 15
          ? unreadableOf(entry.pod, faults >> (i % 4))
          : { ...entry, pod: { ...entry.pod } },
      );
  }

  get pods(): readonly Pod[] {
    return [...this.#pods.values()];
  }

  get unreadable(): readonly Unreadable[] {
    return [...this.#unreadable.values()];
  }

  /** Reads what comes next; what has been read whole is compared with what is served, a step at a time. */
  read(): void {
    const item = this.#coming.shift();
    if (item === undefined) {
      this.#comparison ??= this.replacement.compare(1);
      this.#comparison.next();
      return;
    }
    if ('key' in item) {
      this.replacement.addUnreadable(item);
      this.#unreadable.set(item.key, item);
      return;
    }
    const { pod } = item;
    for (const [key, object] of this.#unreadable) {
      const isSameName = object.namespace === pod.namespace && object.name === pod.name;
      if (key === pod.uid || isSameName) this.#unreadable.delete(key);
    }
    if (item.type === 'upsert') {
      this.replacement.add(pod);
      this.#pods.set(pod.uid, pod);
    } else {
      this.replacement.remove(pod);
      this.#pods.delete(pod.uid);
    }
  }

  readAll(): void {
    while (this.#coming.length > 0) this.read();
  }
}

/** What may be salvaged of a pod: its uid, only its name, or neither; all of its addresses, one, or none. */
export function unreadableOf(pod: Pod, choice: number): Unreadable {
  const { uid, namespace, name } = pod;
  const ips = pod.podIps.slice(0, choice % 3);
  const reason = 'made up';
  const digest = `digest of ${uid} ${pod.resourceVersion}`;
  return pick(
    [
      { key: uid, namespace, name, ips, reason },
      { key: uid, namespace: undefined, name: undefined, ips, reason },
      { key: `${namespace}/${name}`, namespace, name, ips, reason },
      { key: digest, namespace: undefined, name: undefined, ips, reason },
    ],
    choice >> 2,
  );
}
