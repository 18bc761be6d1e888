import type { ResourceVersion, Unreadable } from '../pod.ts';
import { isAtLeast } from './deletions.ts';
import type { Committed, Kept } from './kept.ts';
import { UnreadableObjects } from './unreadable-objects.ts';

/** What a list needs of the slice it is of. */
interface Slice<T extends Kept> {
  mustCover(object: T): void;
  /** The record to keep of an object that was just read, in the place of the one that the list knew. */
  list(replacement: Replacement<T>, object: T, known: T | undefined): T;
  unlist(replacement: Replacement<T>, known: T): void;
  compare(replacement: Replacement<T>, atOnce?: number): Generator<void, void, undefined>;
  shrinkage(replacement: Replacement<T>, version: ResourceVersion): { readonly total: number; readonly lost: number };
  commit(replacement: Replacement<T>, version: ResourceVersion, forget: boolean): Committed;
}

/**
 * A list that is being read, aside of what is served (rule A8). Of an object that the slice holds as it is in the list,
 * the stored record is kept and the one just read is dropped: a list that changes nothing takes 40 bytes an object.
 */
export class Replacement<T extends Kept> {
  readonly #slice: Slice<T>;
  readonly #listed = new Map<string, T>();
  readonly unreadable = new UnreadableObjects();
  /** The slice's count of objects set aside when the list began. */
  readonly serial: number;
  #committed = false;

  constructor(slice: Slice<T>, serial: number) {
    this.#slice = slice;
    this.serial = serial;
  }

  get size(): number {
    return this.#listed.size;
  }

  get(uid: string): T | undefined {
    return this.#listed.get(uid);
  }

  objects(): Iterable<T> {
    return this.#listed.values();
  }

  add(object: T): void {
    this.#mustBeOpen();
    this.#slice.mustCover(object);
    const known = this.#listed.get(object.uid);
    if (known !== undefined && isAtLeast(known.resourceVersion, object.resourceVersion)) return;
    for (const one of this.unreadable.about(object)) this.unreadable.delete(one);
    this.#listed.set(object.uid, this.#slice.list(this, object, known));
  }

  remove(object: T): void {
    this.#mustBeOpen();
    for (const one of this.unreadable.about(object)) this.unreadable.delete(one);
    const known = this.#listed.get(object.uid);
    if (known === undefined) return;
    this.#listed.delete(object.uid);
    this.#slice.unlist(this, known);
  }

  addUnreadable(object: Unreadable): void {
    this.#mustBeOpen();
    this.unreadable.set({ object, slice: this.#slice, newerThan: undefined, isListed: true, serial: 0 });
  }

  /** So many objects at each step. */
  compare(atOnce?: number): Generator<void, void, undefined> {
    this.#mustBeOpen();
    return this.#slice.compare(this, atOnce);
  }

  shrinkage(version: ResourceVersion): { readonly total: number; readonly lost: number } {
    return this.#slice.shrinkage(this, version);
  }

  alike(other: Replacement<T>): boolean {
    let common = 0;
    for (const uid of this.#keys()) if (other.#holds(uid)) common++;
    return 2 * common >= this.#count() && 2 * common >= other.#count();
  }

  commit(version: ResourceVersion, options?: { readonly forget?: boolean }): Committed {
    this.#mustBeOpen();
    this.#committed = true;
    return this.#slice.commit(this, version, options?.forget === true);
  }

  #mustBeOpen(): void {
    if (this.#committed) throw new Error('this list has been committed');
  }

  /** What is read and what is not: an object that cannot be read is no lost one. */
  *#keys(): Generator<string, void, undefined> {
    yield* this.#listed.keys();
    for (const { object } of this.unreadable.values()) if (!this.#listed.has(object.key)) yield object.key;
  }

  #holds(key: string): boolean {
    return this.#listed.has(key) || this.unreadable.get(key) !== undefined;
  }

  #count(): number {
    let count = this.#listed.size;
    for (const { object } of this.unreadable.values()) if (!this.#listed.has(object.key)) count++;
    return count;
  }
}
