import type { ResourceVersion } from '../pod.ts';
import { compareResourceVersions } from '../resource-version.ts';
import type { NameKey } from './ordered-pods.ts';

/**
 * What is gone, with the version up to which it is history (rule A3): a uid, and a name that somebody held until then. The
 * name is remembered because events get lost (rule B7): when a late list or event brings a pod under that name which the index
 * never saw, its uid alone does not tell that it is older than one that has been and gone.
 *
 * Bounded. What is dropped, the oldest first, leaves behind the version below which an unknown pod is not believed.
 */
export class Deletions {
  readonly #uids: Versions;
  readonly #names: Versions;

  constructor(capacity: number) {
    this.#uids = new Versions(capacity);
    this.#names = new Versions(capacity);
  }

  get size(): number {
    return this.#uids.size + this.#names.size;
  }

  /** Up to this version deletions may have been dropped. */
  get dropped(): ResourceVersion | undefined {
    return newer(this.#uids.dropped, this.#names.dropped);
  }

  rememberUid(uid: string, version: ResourceVersion): void {
    this.#uids.raise(uid, version);
  }

  rememberName(key: NameKey, version: ResourceVersion): void {
    this.#names.raise(nameText(key), version);
  }

  /** Whether what has this uid at this version is known to be gone since. */
  coverUid(uid: string, version: ResourceVersion): boolean {
    return this.#uids.cover(version) && isAtLeast(this.#uids.get(uid), version);
  }

  /** Whether what has this name at this version is known to be gone since. */
  coverName(key: NameKey, version: ResourceVersion): boolean {
    return this.#names.cover(version) && isAtLeast(this.#names.get(nameText(key)), version);
  }

  /** A list at this version has been committed: whatever is not newer is the list's to say. */
  forgetUpTo(version: ResourceVersion): void {
    this.#uids.forgetUpTo(version);
    this.#names.forgetUpTo(version);
  }

  forgetAll(): void {
    this.#uids.forgetAll();
    this.#names.forgetAll();
  }
}

/** The highest version that was said of each key, for at most so many keys. */
class Versions {
  readonly #capacity: number;
  readonly #versions = new Map<string, ResourceVersion>();
  /** None that is held is newer. */
  #newest: ResourceVersion | undefined;
  dropped: ResourceVersion | undefined;

  constructor(capacity: number) {
    this.#capacity = capacity;
  }

  get size(): number {
    return this.#versions.size;
  }

  get(key: string): ResourceVersion | undefined {
    return this.#versions.get(key);
  }

  /** Whether there can be one that is not older: events come nearly in order, so that there is none for nearly all of them. */
  cover(version: ResourceVersion): boolean {
    return isAtLeast(this.#newest, version);
  }

  raise(key: string, version: ResourceVersion): void {
    const known = this.#versions.get(key);
    if (isAtLeast(known, version)) return;
    this.#versions.set(key, version);
    this.#newest = newer(this.#newest, version);
    if (this.#versions.size <= this.#capacity) return;
    // A tenth at once: each time, what comes first in a Map is found only by passing the holes of what was deleted before.
    for (const [oldest, gone] of this.#versions) {
      if (this.#versions.size <= 0.9 * this.#capacity) return;
      this.dropped = newer(this.dropped, gone);
      this.#versions.delete(oldest);
    }
  }

  forgetUpTo(version: ResourceVersion): void {
    for (const [key, gone] of this.#versions) if (isAtLeast(version, gone)) this.#versions.delete(key);
  }

  forgetAll(): void {
    this.#versions.clear();
    this.#newest = undefined;
    this.dropped = undefined;
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

/** The newer of two versions, of which either may not be there. */
export function newer(a: ResourceVersion | undefined, b: ResourceVersion | undefined): ResourceVersion | undefined {
  return b === undefined || isAtLeast(a, b) ? a : b;
}
