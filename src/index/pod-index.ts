import type { Pod, ResourceVersion } from '../pod.ts';
import { ChangeRing } from './change-feed.ts';
import type { ChangeFeed } from './change-feed.ts';
import type { Shared } from './kept.ts';
import { LiveSet } from './live-set.ts';
import type { NameKey } from './ordered-pods.ts';
import { samePod } from './same-pod.ts';
import { isOlder, newer } from '../resource-version.ts';
import { Slice } from './slice.ts';
import { UnreadableObjects } from './unreadable-objects.ts';
import type { Reference } from './unreadable-objects.ts';

export interface PodIndexOptions {
  /** One slice for each; none: one slice over all namespaces. */
  readonly namespaces?: readonly string[];
  /** How many changes the feed holds. They keep alive what they name: some 10 MB at 8,192 when all records are replaced ones. */
  readonly feedCapacity?: number;
  /** How many deletions are remembered between two lists, in all slices together: 120 bytes each. */
  readonly rememberedDeletions?: number;
  /** A listener of the feed that throws is told here, and is called again next time. */
  readonly onListenerError?: (error: unknown) => void;
}

/**
 * The pods there are, in memory. All synchronous: a reader sees the state before a call of a writer or after it, never between.
 * Before all slices have committed their first list nobody may read anything but `size`. Nothing that is handed out may be
 * changed. Addresses are canonical (`canonicalIp`): any other text is nobody's.
 */
export class PodIndex {
  readonly #live = new LiveSet();
  readonly #changes: ChangeRing;
  readonly #unreadable = new UnreadableObjects(() => this.#changes.wakeSoon());
  readonly #slices = new Map<string | undefined, Slice<Pod>>();

  constructor(options: PodIndexOptions = {}) {
    const namespaces = new Set(options.namespaces);
    this.#changes = new ChangeRing(options.feedCapacity ?? 8192, options.onListenerError ?? (() => {}));
    const shared: Shared<Pod> = {
      live: this.#live,
      changes: this.#changes,
      unreadable: this.#unreadable,
      isSame: samePod,
      suspects: new Set(),
    };
    const deletions = Math.ceil((options.rememberedDeletions ?? 100_000) / Math.max(1, namespaces.size));
    for (const namespace of namespaces.size === 0 ? [undefined] : namespaces) {
      this.#slices.set(namespace, new Slice(shared, { namespace, deletions }));
    }
  }

  /** Where the reflector of a namespace, or of all, writes. */
  slice(namespace?: string): Slice<Pod> {
    const slice = this.#slices.get(namespace);
    if (slice === undefined) throw new Error(`the index has no slice of ${namespace ?? 'all namespaces'}`);
    return slice;
  }

  /** How many pods there are. */
  get size(): number {
    return this.#live.size;
  }

  /** How many addresses are held. */
  get addresses(): number {
    return this.#live.addresses;
  }

  /** How many objects are set aside (rule B6). */
  get unreadable(): number {
    return this.#unreadable.size;
  }

  /** Grows whenever other objects are set aside than before, or say something else. */
  get unreadableChanges(): number {
    return this.#unreadable.changes;
  }

  get changes(): ChangeFeed {
    return this.#changes;
  }

  /** Up to where everything is known, in all slices; ordered like the versions of changes. '' before all have their first list. */
  get version(): ResourceVersion {
    let least: ResourceVersion | undefined;
    for (const { version } of this.#slices.values())
      if (least === undefined || isOlder(version, least)) least = version;
    return least ?? '';
  }

  /** The version of the slice that has come furthest: none of a pod is newer. */
  get newestVersion(): ResourceVersion {
    let newest = '';
    for (const { version } of this.#slices.values()) newest = newer(newest, version);
    return newest;
  }

  /**
   * By what it is known how a pod is now, ordered like the versions of changes: its record's version; of one that is not there, up to
   * where everything is known that it could be in.
   */
  versionOf({ uid, namespace }: Pick<Pod, 'uid' | 'namespace'>): ResourceVersion {
    const slice = this.#slices.get(undefined) ?? this.#slices.get(namespace);
    const stored = this.#live.byUid(uid);
    return (stored ? slice?.versionOf(stored) : slice?.version) ?? '';
  }

  byUid(uid: string): Pod | undefined {
    return this.#live.byUid(uid);
  }

  byName(namespace: string, name: string): Pod | undefined {
    return this.#live.byName({ namespace, name });
  }

  /** With or without its scheme (`containerd://`). */
  byContainerId(id: string): Pod | undefined {
    return this.#live.byContainerId(id);
  }

  /** All pods that have the address among their own, finished and host-network ones too; in no order. */
  holders(ip: string): readonly Pod[] {
    return this.#live.holders(ip);
  }

  isHostIp(ip: string): boolean {
    return this.#live.isHostIp(ip);
  }

  /**
   * Whether an object that was set aside may hold the address: it was salvaged from it, or is held by what was last known of
   * the object, for nobody can say whether it has it still.
   */
  isUnreadable(ip: string): boolean {
    if (this.#unreadable.size === 0) return false;
    return this.#unreadable.holds(ip) || this.#live.holders(ip).some((pod) => this.#unreadable.isAbout(pod));
  }

  /** All addresses that `isUnreadable`. */
  unreadableIps(): ReadonlySet<string> {
    const ips = new Set<string>();
    for (const { object } of this.#unreadable.values()) {
      for (const ip of object.ips) ips.add(ip);
      const { key, namespace = '', name = '' } = object;
      const known = this.#live.byUid(key);
      for (const ip of known?.podIps ?? []) ips.add(ip);
      // To find it by its name takes much longer.
      if (known?.name === name && known.namespace === namespace) continue;
      for (const ip of this.#live.byName({ namespace, name })?.podIps ?? []) ips.add(ip);
    }
    return ips;
  }

  /** Whether what is known of a pod, if anything, may be out of date, because the object was set aside: by uid, by name, or a pod. */
  isSetAside(reference: Reference): boolean {
    return this.#unreadable.isAbout(reference);
  }

  /**
   * In order of namespace, then name (UTF-16 code units). Valid within one turn of the event loop: it throws when the index has
   * changed meanwhile. Go on by a new walk `after` the last name; the pod of that name need not be there any more.
   */
  *walk(options: { readonly namespace?: string; readonly after?: NameKey } = {}): IterableIterator<Pod> {
    const { namespace, after } = options;
    const start = namespace !== undefined && (!after || after.namespace < namespace) ? { namespace, name: '' } : after;
    for (const pod of this.#live.walk(start)) {
      if (namespace !== undefined && pod.namespace !== namespace) return;
      yield pod;
    }
  }

  /** How much is held beside the pods: all zero when nothing is. */
  get leftovers(): Readonly<Record<string, number>> {
    let deletions = 0;
    for (const slice of this.#slices.values()) deletions += slice.deletions;
    return { ...this.#live.entries, ...this.#unreadable.entries, deletions };
  }
}
