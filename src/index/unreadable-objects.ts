import type { ResourceVersion, Unreadable } from '../pod.ts';
import { Claims } from './claims.ts';
import { nameText } from './deletions.ts';
import type { NameKey } from './ordered-pods.ts';
import { sameTexts } from './same-pod.ts';

/** An object that was set aside (rule B6), and what is known of when. */
export interface SetAside {
  readonly object: Unreadable;
  /** The slice it belongs to. */
  readonly slice: object;
  /**
   * It has no version that could be read. Only what is newer than this one tells of it anew: than the newest event before it, or
   * than the list it was in.
   */
  readonly newerThan: ResourceVersion | undefined;
  /** It was in a list, and not in an event. */
  readonly isListed: boolean;
  /** Counts what has been set aside: a list that began before cannot be said to supersede it. */
  readonly serial: number;
}

/** What may be meant: an object, or as much of it as a question names. */
export interface Reference {
  readonly uid?: string;
  readonly namespace?: string;
  readonly name?: string;
}

/** Objects that could not be read, by key, by name, and by the addresses that could be salvaged from them. */
export class UnreadableObjects {
  readonly #byKey = new Map<string, SetAside>();
  readonly #byName = new Claims<string, SetAside>();
  readonly #byAddress = new Claims<string, SetAside>();
  readonly #onChange: () => void;
  #changes = 0;

  constructor(onChange: () => void = () => {}) {
    this.#onChange = onChange;
  }

  /** Grows with every change of which objects are here, of their names and of their addresses. */
  get changes(): number {
    return this.#changes;
  }

  get size(): number {
    return this.#byKey.size;
  }

  get(key: string): SetAside | undefined {
    return this.#byKey.get(key);
  }

  values(): Iterable<SetAside> {
    return this.#byKey.values();
  }

  holds(ip: string): boolean {
    return this.#byAddress.has(ip);
  }

  /** Whether what is known of this object may be out of date: an object of its uid, or of its name whatever the uid. */
  isAbout({ uid, namespace, name }: Reference): boolean {
    if (this.#byKey.size === 0) return false;
    if (uid !== undefined && this.#byKey.has(uid)) return true;
    return namespace !== undefined && name !== undefined && this.#byName.has(nameText({ namespace, name }));
  }

  /** All that may be this object. */
  about(object: NameKey & { readonly uid: string }): readonly SetAside[] {
    if (this.#byKey.size === 0) return NONE;
    const named = this.#byName.of(nameText(object));
    const own = this.#byKey.get(object.uid);
    return own === undefined || named.includes(own) ? named : [own, ...named];
  }

  set(one: SetAside): void {
    const former = this.#byKey.get(one.object.key);
    if (former) this.#remove(former);
    this.#byKey.set(one.object.key, one);
    const name = nameOf(one.object);
    if (name !== undefined) this.#byName.add(name, one);
    for (const ip of one.object.ips) this.#byAddress.add(ip, one);
    // Each event of it comes by here, and each list.
    if (!former || !saysTheSame(former.object, one.object)) this.#changed();
  }

  delete(one: SetAside): void {
    this.#remove(one);
    this.#changed();
  }

  #remove(one: SetAside): void {
    this.#byKey.delete(one.object.key);
    const name = nameOf(one.object);
    if (name !== undefined) this.#byName.remove(name, one);
    for (const ip of one.object.ips) this.#byAddress.remove(ip, one);
  }

  #changed(): void {
    this.#changes++;
    this.#onChange();
  }

  /** What is held beside the objects: all zero when there are none (for the leak check). */
  get entries(): Readonly<Record<'unreadableNames' | 'unreadableAddresses', number>> {
    return { unreadableNames: this.#byName.size, unreadableAddresses: this.#byAddress.size };
  }
}

/** Whether the object's uid could not be read either, so that its name is its key. */
export function isKnownByName(object: Unreadable): boolean {
  return object.key === nameOf(object);
}

/** Of two with one key. */
const saysTheSame = (a: Unreadable, b: Unreadable): boolean => nameOf(a) === nameOf(b) && sameTexts(a.ips, b.ips);

function nameOf({ namespace, name }: Unreadable): string | undefined {
  return namespace === undefined || name === undefined ? undefined : nameText({ namespace, name });
}

const NONE: readonly never[] = Object.freeze([]);
