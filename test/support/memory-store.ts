import { compareResourceVersions } from '../../src/resource-version.ts';
import type { Unreadable } from '../../src/pod.ts';
import type { ApiObject } from '../../src/kubernetes/api-object.ts';
import type { Replacement, SliceStore } from '../../src/kubernetes/store.ts';

const newer = (a: string, b: string): boolean => compareResourceVersions(a, b) > 0;

/** The least that keeps the promises of `SliceStore`, written to be read rather than to be fast. */
export class MemoryStore<T extends ApiObject> implements SliceStore<T> {
  readonly objects = new Map<string, T>();
  readonly aside = new Map<string, Unreadable>();
  readonly deletions = new Map<string, string>();
  /** How many replacements were begun. */
  lists = 0;
  #floor = '';

  upsert(object: T): void {
    const { uid, resourceVersion: version } = object;
    const known = this.objects.get(uid)?.resourceVersion ?? this.deletions.get(uid);
    if (!newer(version, this.#floor) || (known !== undefined && !newer(version, known))) return;
    this.aside.delete(uid);
    this.objects.set(uid, object);
  }

  remove({ uid, resourceVersion: version }: T): void {
    if (!newer(version, this.#floor)) return;
    this.aside.delete(uid);
    this.objects.delete(uid);
    this.deletions.set(uid, version);
  }

  setAside(object: Unreadable): void {
    this.aside.set(object.key, object);
  }

  beginReplace(): Replacement<T> {
    this.lists++;
    return new MemoryReplacement(this);
  }

  replace(list: MemoryReplacement<T>, version: string, forget: boolean): ReturnType<Replacement<T>['commit']> {
    const done = { added: 0, modified: 0, deleted: 0 };
    if (forget) this.deletions.clear();
    for (const [uid, known] of this.objects) {
      if (list.objects.has(uid) || (!forget && newer(known.resourceVersion, version))) continue;
      this.objects.delete(uid);
      done.deleted++;
    }
    for (const [uid, object] of list.objects) {
      const known = this.objects.get(uid);
      const gone = this.deletions.get(uid);
      if (!forget && known && newer(known.resourceVersion, version)) continue;
      if (!forget && gone !== undefined && newer(gone, version)) continue;
      if (known?.resourceVersion === object.resourceVersion) continue;
      this.objects.set(uid, object);
      done[known ? 'modified' : 'added']++;
    }
    this.aside.clear();
    for (const [key, object] of list.unreadable) this.aside.set(key, object);
    for (const [uid, gone] of this.deletions) if (!newer(gone, version)) this.deletions.delete(uid);
    this.#floor = version;
    return done;
  }
}

class MemoryReplacement<T extends ApiObject> implements Replacement<T> {
  readonly objects = new Map<string, T>();
  readonly unreadable = new Map<string, Unreadable>();
  readonly #store: MemoryStore<T>;

  constructor(store: MemoryStore<T>) {
    this.#store = store;
  }

  get size(): number {
    return this.objects.size;
  }

  add(object: T): void {
    this.objects.set(object.uid, object);
  }

  remove(object: T): void {
    this.objects.delete(object.uid);
  }

  addUnreadable(object: Unreadable): void {
    this.unreadable.set(object.key, object);
  }

  compare(): Iterable<void> {
    return [];
  }

  shrinkage(version: string): { total: number; lost: number } {
    const served = [...this.#store.objects.values()];
    const lost = served.filter((object) => !this.objects.has(object.uid) && !newer(object.resourceVersion, version));
    return { total: served.length, lost: lost.length };
  }

  alike(other: Replacement<T>): boolean {
    const theirs = (other as MemoryReplacement<T>).objects;
    const common = [...this.objects.keys()].filter((uid) => theirs.has(uid)).length;
    return 2 * common >= this.size && 2 * common >= theirs.size;
  }

  commit(version: string, options: { readonly forget?: boolean } = {}): ReturnType<Replacement<T>['commit']> {
    return this.#store.replace(this, version, options.forget === true);
  }
}
