import type { ResourceVersion } from '../pod.ts';
import { compareResourceVersions } from '../resource-version.ts';
import type { NameKey } from './ordered-pods.ts';

/**
 * What is gone, with the version up to which it is history (rule A3): a uid, and a name that somebody held until then. The
 * name is remembered because events get lost (rule B7): when a list or an event that comes late brings a pod under that name which the
 * index never saw, its uid alone does not tell that it is older than one that has been and gone.
 *
 * Bounded. What is dropped, the oldest first, leaves behind the version below which an unknown pod is not believed.
 */
export class Deletions {
  readonly #capacity: number;
  readonly #uids = new Map<string, ResourceVersion>();
  readonly #names = new Map<string, ResourceVersion>();
  #dropped: ResourceVersion | undefined;

  constructor(capacity: number) {
    this.#capacity = capacity;
  }

  get size(): number {
    return this.#uids.size + this.#names.size;
  }

  /** Up to this version deletions may have been dropped. */
  get dropped(): ResourceVersion | undefined {
    return this.#dropped;
  }

  rememberUid(uid: string, version: ResourceVersion): void {
    this.#remember(this.#uids, uid, version);
  }

  rememberName(key: NameKey, version: ResourceVersion): void {
    this.#remember(this.#names, nameText(key), version);
  }

  /** Whether what has this uid and name at this version is known to be gone since. */
  coverUid(uid: string, version: ResourceVersion): boolean {
    return isAtLeast(this.#uids.get(uid), version);
  }

  coverName(key: NameKey, version: ResourceVersion): boolean {
    return this.#names.size > 0 && isAtLeast(this.#names.get(nameText(key)), version);
  }

  /** The pod is there again. */
  revoke(uid: string, key: NameKey): void {
    this.#uids.delete(uid);
    if (this.#names.size > 0) this.#names.delete(nameText(key));
  }

  /** A list at this version has been committed: whatever is not newer is the list's to say. */
  forgetUpTo(version: ResourceVersion): void {
    for (const map of [this.#uids, this.#names]) {
      for (const [key, gone] of map) if (compareResourceVersions(gone, version) <= 0) map.delete(key);
    }
    if (isAtLeast(version, this.#dropped ?? version)) this.#dropped = undefined;
  }

  forgetAll(): void {
    this.#uids.clear();
    this.#names.clear();
    this.#dropped = undefined;
  }

  #remember(map: Map<string, ResourceVersion>, key: string, version: ResourceVersion): void {
    if (isAtLeast(map.get(key), version)) return;
    map.set(key, version);
    if (map.size <= this.#capacity) return;
    for (const [oldest, gone] of map) {
      if (!isAtLeast(this.#dropped, gone)) this.#dropped = gone;
      map.delete(oldest);
      return;
    }
  }
}

/** Whether there is a version and it is not older than the other. */
export function isAtLeast(version: ResourceVersion | undefined, other: ResourceVersion): boolean {
  return version !== undefined && compareResourceVersions(version, other) >= 0;
}

/** A slash is in no namespace. */
export function nameText(key: NameKey): string {
  return `${key.namespace}/${key.name}`;
}
