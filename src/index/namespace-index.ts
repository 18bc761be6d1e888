import type { Namespace } from '../namespace.ts';
import type { StringMap } from '../pod.ts';
import type { Live } from './kept.ts';
import type { NameKey } from './ordered-pods.ts';
import { sameStrings } from './same-pod.ts';
import { Slice } from './slice.ts';
import { UnreadableObjects } from './unreadable-objects.ts';

/** As for pods; fewer, for there are fewer namespaces. */
const REMEMBERED_DELETIONS = 10_000;

/**
 * The namespaces there are and the labels they have, in memory: `Slice` decides what an event or a list changes, as it does for
 * pods. Before the first list is committed nobody may read. A pod may be known before its namespace is.
 */
export class NamespaceIndex {
  readonly #live = new LiveNamespaces();
  readonly #unreadable = new UnreadableObjects();
  /** Where the reflector writes. */
  readonly slice: Slice<Namespace>;

  constructor() {
    const changes = { push() {}, restart() {} };
    const shared = {
      live: this.#live,
      changes,
      unreadable: this.#unreadable,
      isSame: sameNamespace,
      suspects: new Set<Set<string>>(),
    };
    this.slice = new Slice(shared, { namespace: undefined, deletions: REMEMBERED_DELETIONS });
  }

  /** How many namespaces there are. */
  get size(): number {
    return this.#live.size;
  }

  /** How many are set aside (rule B6). */
  get unreadable(): number {
    return this.#unreadable.size;
  }

  /** undefined: there is no such namespace, it is not known yet, or what it is now cannot be read (rule B6). */
  of(name: string): StringMap | undefined {
    const namespace = this.#live.byName({ name });
    return namespace === undefined || this.#unreadable.isAbout(namespace) ? undefined : namespace.labels;
  }
}

class LiveNamespaces implements Live<Namespace> {
  readonly #byUid = new Map<string, Namespace>();
  readonly #byName = new Map<string, Namespace>();

  get size(): number {
    return this.#byUid.size;
  }

  byUid(uid: string): Namespace | undefined {
    return this.#byUid.get(uid);
  }

  byName({ name }: Pick<NameKey, 'name'>): Namespace | undefined {
    return this.#byName.get(name);
  }

  each(_all: string | undefined, visit: (namespace: Namespace) => void): void {
    for (const namespace of this.#byUid.values()) visit(namespace);
  }

  add(namespace: Namespace): Namespace | undefined {
    const other = this.#byName.get(namespace.name);
    if (other !== undefined) return other;
    this.replace(undefined, namespace);
    return undefined;
  }

  replace(_stored: Namespace | undefined, namespace: Namespace): void {
    this.#byUid.set(namespace.uid, namespace);
    this.#byName.set(namespace.name, namespace);
  }

  delete({ uid, name }: Namespace): void {
    this.#byUid.delete(uid);
    this.#byName.delete(name);
  }

  clear(): void {
    this.#byUid.clear();
    this.#byName.clear();
  }
}

function sameNamespace(a: Namespace, b: Namespace): boolean {
  return (
    a.uid === b.uid && a.name === b.name && a.resourceVersion === b.resourceVersion && sameStrings(a.labels, b.labels)
  );
}
