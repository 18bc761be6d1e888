import type { ResourceVersion, Unreadable } from '../pod.ts';
import { compareResourceVersions, inEra } from '../resource-version.ts';
import { Deletions, isAtLeast, newer } from './deletions.ts';
import type { Committed, Kept, Shared } from './kept.ts';
import { compareNames } from './ordered-pods.ts';
import { Replacement } from './replacement.ts';
import { isKnownByName } from './unreadable-objects.ts';
import type { SetAside } from './unreadable-objects.ts';

/**
 * The part of the index that one list and watch keeps true: a namespace, or everything (rule A10). Decides what an event or a
 * list changes. What it knows of an object is one of: nothing · a record, with its version · a deletion, with its version. Four things
 * make a version history:
 *
 * - the floor: the version of the list committed last, which has spoken about everything up to it;
 * - a record of the same uid that is not older;
 * - a remembered deletion of the uid, or of one of its name, that is not older (rule A3);
 * - a record of the same name under another uid that is not older: two never have a name at one time, so who has it later
 *   came after the other was gone.
 *
 * Until its first list is committed nobody may read (rule C2; readers wait until all slices have theirs). So the first list
 * goes straight into the maps, which spares a second pass of 200 ms; see `#preview`.
 */
export class Slice<T extends Kept> {
  readonly #namespace: string | undefined;
  readonly #shared: Shared<T>;
  readonly #deletions: Deletions;
  #floor: ResourceVersion | undefined;
  /** The newest version of any event. */
  #newest: ResourceVersion | undefined;
  /** How often versions have gone back (rule B8). */
  #era = 0;
  #serial = 0;
  /**
   * The first list, whose objects stand in the live set already. While there is one, nothing else of this slice stands there: an
   * event or another list ends it, and it goes on aside like any other.
   */
  #preview: Replacement<T> | undefined;
  /** What is known of how a list differs from what is served: uids, some of them in vain. */
  #comparison: { readonly replacement: Replacement<T>; readonly suspects: Set<string>; isDone?: boolean } | undefined;
  /** How many objects of the preview stand there: all, unless it holds what cannot be true together. */
  #shown = 0;

  constructor(shared: Shared<T>, options: { readonly namespace: string | undefined; readonly deletions: number }) {
    this.#shared = shared;
    this.#namespace = options.namespace;
    this.#deletions = new Deletions(options.deletions);
  }

  /** How many deletions are remembered. */
  get deletions(): number {
    return this.#deletions.size;
  }

  /** How many objects are known to differ, perhaps, from the list that is compared. */
  get suspects(): number {
    return this.#comparison?.suspects.size ?? 0;
  }

  /** Up to where everything is known, ordered like the versions of changes; '' before the first list. */
  get version(): ResourceVersion {
    const version = newer(this.#newest, this.#floor);
    return version === undefined ? '' : inEra(version, this.#era);
  }

  /** Of a stored object, ordered like the versions of changes. */
  versionOf({ resourceVersion }: T): ResourceVersion {
    return inEra(resourceVersion, this.#era);
  }

  upsert(object: T): void {
    this.mustCover(object);
    const version = object.resourceVersion;
    this.#seen(version);
    if (isAtLeast(this.#floor, version)) return;
    const stored = this.#shared.live.byUid(object.uid);
    if (isAtLeast(stored ? stored.resourceVersion : this.#deletions.dropped, version)) return;
    if (this.#isDeleted(object)) this.#buryFormer(object);
    else this.#place(object, stored);
    // Also when it has gone since, or its name is another one's: it has been read.
    for (const one of this.#shared.unreadable.about(object)) {
      if (!isAtLeast(one.newerThan, version)) this.#shared.unreadable.delete(one);
    }
  }

  remove(object: T): void {
    this.mustCover(object);
    const version = object.resourceVersion;
    this.#seen(version);
    if (isAtLeast(this.#floor, version)) return;
    const stored = this.#shared.live.byUid(object.uid);
    if (stored && isNewer(stored.resourceVersion, version)) return;
    if (stored) {
      this.#drop(stored, version);
      this.#deletions.rememberName(stored, version);
    }
    this.#deletions.rememberUid(object.uid, version);
    for (const one of this.#shared.unreadable.about(object)) {
      // Of another uid under this name the deletion says nothing.
      const isMeant = one.object.key === object.uid || isKnownByName(one.object);
      if (isMeant && !isAtLeast(one.newerThan, version)) this.#shared.unreadable.delete(one);
    }
  }

  setAside(object: Unreadable): void {
    this.#setAside(object, newer(this.#newest, this.#floor), false);
  }

  beginReplace(): Replacement<T> {
    const replacement = new Replacement<T>(this, this.#serial);
    this.#endPreview();
    // Of a list that was refused: every change would be kept for it, for as long as lists fail.
    this.#endComparison();
    if (this.#floor === undefined && this.#newest === undefined) {
      this.#preview = replacement;
      this.#shown = 0;
    }
    return replacement;
  }

  /** An object of another namespace in a list or watch of this one: its reflector must start over, rather than have it served. */
  mustCover(object: T): void {
    if (!this.#covers(object))
      throw new Error(`an object of namespace ${object.namespace} in the slice of ${this.#namespace}`);
  }

  list(replacement: Replacement<T>, object: T, known: T | undefined): T {
    if (replacement === this.#comparison?.replacement) this.#endComparison();
    const { live, isSame } = this.#shared;
    const stored = live.byUid(object.uid);
    if (replacement !== this.#preview) return stored && isSame(stored, object) ? stored : object;
    // Whatever does not fit here, garbage as it is, is left to the commit.
    if (known !== undefined) this.unlist(replacement, known);
    if ((stored === undefined || stored === known) && live.add(object) === undefined) this.#shown++;
    return object;
  }

  unlist(replacement: Replacement<T>, known: T): void {
    if (replacement === this.#comparison?.replacement) this.#endComparison();
    if (replacement !== this.#preview || this.#shared.live.byUid(known.uid) !== known) return;
    this.#shared.live.delete(known);
    this.#shown--;
  }

  /**
   * Finds what differs between the list and what is served, in pieces: nothing else need be looked at when the list is committed,
   * but what has changed meanwhile (`#place`, `#drop`). A relist of 150,000 objects that changes nothing is committed in no time.
   */
  *compare(replacement: Replacement<T>, atOnce = COMPARED_AT_ONCE): Generator<void, void, undefined> {
    // What stands there already is not compared with itself.
    if (replacement === this.#preview) return;
    const { live, suspects } = this.#shared;
    this.#endComparison();
    const found = new Set<string>();
    suspects.add(found);
    this.#comparison = { replacement, suspects: found };
    const served: T[] = [];
    live.each(this.#namespace, (stored) => void served.push(stored));
    let looked = 0;
    for (const stored of served) {
      if (replacement.get(stored.uid) !== stored) found.add(stored.uid);
      if (++looked % atOnce === 0) yield;
    }
    for (const object of replacement.objects()) {
      if (live.byUid(object.uid) !== object) found.add(object.uid);
      if (++looked % atOnce === 0) yield;
    }
    if (this.#comparison?.suspects === found) this.#comparison.isDone = true;
  }

  shrinkage(replacement: Replacement<T>, version: ResourceVersion): { readonly total: number; readonly lost: number } {
    if (this.#floor === undefined) return { total: 0, lost: 0 };
    let total = 0;
    let lost = 0;
    this.#shared.live.each(this.#namespace, () => void total++);
    for (const uid of this.#suspects(replacement)) {
      const stored = this.#stored(uid);
      if (stored && replacement.get(uid) === undefined && this.#isGone(stored, replacement, version)) lost++;
    }
    return { total, lost };
  }

  /** Makes the list the truth at `version`: one step, and nobody can read in between. */
  commit(replacement: Replacement<T>, version: ResourceVersion, forget: boolean): Committed {
    const { live, changes } = this.#shared;
    const done = { added: 0, modified: 0, deleted: 0 };
    const isFirst = this.#floor === undefined;
    const isPreview = replacement === this.#preview;
    if (isPreview) {
      this.#preview = undefined;
      done.added = this.#shown;
    } else this.#endPreview();
    if (forget) {
      this.#deletions.forgetAll();
      this.#newest = undefined;
      this.#era++;
    } else if (this.#isSuperseded(version)) {
      this.#endComparison();
      return done;
    }
    this.#deletions.forgetUpTo(version);

    // Of a preview all objects stand there, unless it was garbage, and nothing else does.
    if (!isPreview || this.#shown < replacement.size) {
      const { gone, news } = this.#differences(replacement, version, forget);
      this.#endComparison();
      const count = (type: keyof Committed): void => void done[type]++;
      for (const stored of gone) this.#drop(stored, version, count);
      for (const object of news) this.#place(object, live.byUid(object.uid), count);
    }
    this.#commitUnreadable(replacement, version, forget);
    this.#floor = version;
    // A first sync makes no changes: who reads from now on begins with a snapshot.
    if (isFirst) changes.restart();
    return done;
  }

  /** The records that a list takes away, and the objects it brings or brings anew. */
  #differences(
    replacement: Replacement<T>,
    version: ResourceVersion,
    forget: boolean,
  ): { readonly gone: readonly T[]; readonly news: readonly T[] } {
    const { isSame } = this.#shared;
    const gone: T[] = [];
    const news: T[] = [];
    for (const uid of this.#suspects(replacement)) {
      const listed = replacement.get(uid);
      const stored = this.#stored(uid);
      if (stored === undefined) {
        if (listed !== undefined && !this.#isDeleted(listed)) news.push(listed);
      } else if (listed !== stored && (forget || !isNewer(stored.resourceVersion, version))) {
        if (listed === undefined) {
          if (forget || this.#isGone(stored, replacement, version)) gone.push(stored);
        } else if (!isSame(listed, stored)) news.push(listed);
      }
    }
    return { gone, news };
  }

  /** The uids of all that may differ between a list and what is served; compares now what has not been compared. */
  #suspects(replacement: Replacement<T>): ReadonlySet<string> {
    const { replacement: compared, isDone } = this.#comparison ?? {};
    if (compared !== replacement || !isDone) for (const _ of this.compare(replacement));
    return this.#comparison?.suspects ?? NOBODY;
  }

  #stored(uid: string): T | undefined {
    const stored = this.#shared.live.byUid(uid);
    return stored !== undefined && this.#covers(stored) ? stored : undefined;
  }

  #suspect(uid: string): void {
    for (const suspects of this.#shared.suspects) suspects.add(uid);
  }

  #endComparison(): void {
    if (this.#comparison) this.#shared.suspects.delete(this.#comparison.suspects);
    this.#comparison = undefined;
  }

  /** An older list would bring back what was deleted since, for that is not remembered any more. */
  #isSuperseded(version: ResourceVersion): boolean {
    const known = newer(this.#floor, this.#deletions.dropped);
    return known !== undefined && isNewer(known, version);
  }

  /** Whether a list at this version that does not hold a record takes it away. */
  #isGone(stored: T, replacement: Replacement<T>, version: ResourceVersion): boolean {
    return !isNewer(stored.resourceVersion, version) && !replacement.unreadable.isAbout(stored);
  }

  #isDeleted(object: T): boolean {
    const version = object.resourceVersion;
    return this.#deletions.coverUid(object.uid, version) || this.#deletions.coverName(object, version);
  }

  #commitUnreadable(replacement: Replacement<T>, version: ResourceVersion, forget: boolean): void {
    const { unreadable } = this.#shared;
    const before = this.#serial;
    // An object in an event may be newer than the list when it came after the list was asked for, or behind a newer event.
    const stays = (one: SetAside): boolean =>
      !forget && !one.isListed && (one.serial > replacement.serial || isNewer(one.newerThan ?? version, version));
    for (const { object } of replacement.unreadable.values()) {
      const former = unreadable.get(object.key);
      if (former && stays(former)) continue;
      if (!this.#isKnownSince(object, version)) this.#setAside(object, version, true);
    }
    for (const one of unreadable.values()) {
      if (one.slice === this && one.serial <= before && !stays(one)) unreadable.delete(one);
    }
  }

  /** Whether the object that a list at this version could not read has been read, or has gone, since. */
  #isKnownSince({ key, namespace, name }: Unreadable, version: ResourceVersion): boolean {
    const { live } = this.#shared;
    const own = live.byUid(key);
    if (this.#deletions.coverUid(key, version) || (own && isNewer(own.resourceVersion, version))) return true;
    if (namespace === undefined || name === undefined) return false;
    const named = live.byName({ namespace, name });
    if (named && isNewer(named.resourceVersion, version)) return true;
    return this.#deletions.coverName({ namespace, name }, version);
  }

  #setAside(object: Unreadable, newerThan: ResourceVersion | undefined, isListed: boolean): void {
    const { unreadable } = this.#shared;
    const former = unreadable.get(object.key)?.object;
    // Less may be salvaged from it than last time, and it may hold the same address still.
    const salvaged = object.ips.length === 0 && former ? { ...object, ips: former.ips } : object;
    unreadable.set({ object: salvaged, slice: this, newerThan, isListed, serial: ++this.#serial });
  }

  /** Puts an object in its place, where no other one is known to have had its name since. */
  #place(object: T, stored: T | undefined, count?: (type: keyof Committed) => void): void {
    const { live, changes } = this.#shared;
    this.#suspect(object.uid);
    if (stored && compareNames(stored, object) === 0) {
      live.replace(stored, object);
      changes.push('modified', object, stored, this.versionOf(object));
      count?.('modified');
      return;
    }
    if (stored) this.#drop(stored, object.resourceVersion, count);
    const other = live.add(object);
    if (other) {
      if (!isNewer(object.resourceVersion, other.resourceVersion)) return;
      this.#drop(other, object.resourceVersion, count);
      live.add(object);
    }
    changes.push('added', object, undefined, this.versionOf(object));
    count?.('added');
  }

  /** One that has gone since still tells whose its name was then: not that of one who is older (rule A3). */
  #buryFormer(object: T): void {
    const former = this.#shared.live.byName(object);
    this.#deletions.rememberName(object, object.resourceVersion);
    if (former && isNewer(object.resourceVersion, former.resourceVersion)) {
      this.#drop(former, object.resourceVersion);
    }
  }

  #drop(stored: T, version: ResourceVersion, count?: (type: keyof Committed) => void): void {
    this.#suspect(stored.uid);
    this.#shared.live.delete(stored);
    this.#shared.changes.push('deleted', stored, stored, inEra(version, this.#era));
    count?.('deleted');
  }

  #endPreview(): void {
    const { live } = this.#shared;
    const preview = this.#preview;
    if (preview === undefined) return;
    this.#preview = undefined;
    if (this.#namespace === undefined) return live.clear();
    for (const object of preview.objects()) if (live.byUid(object.uid) === object) live.delete(object);
  }

  #seen(version: ResourceVersion): void {
    this.#endPreview();
    this.#newest = newer(this.#newest, version);
  }

  #covers(object: T): boolean {
    return this.#namespace === undefined || object.namespace === this.#namespace;
  }
}

function isNewer(version: ResourceVersion, other: ResourceVersion): boolean {
  return compareResourceVersions(version, other) > 0;
}

/** Some half a millisecond of work. */
const COMPARED_AT_ONCE = 1000;

const NOBODY: ReadonlySet<string> = new Set();
