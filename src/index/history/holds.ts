import type { Pod, ResourceVersion } from '../../pod.ts';
import { HashTable, hashOf } from '../hash-table.ts';
import type { HeardInterval, Moment } from './interval.ts';

/** The number of a hold: valid until it ends, and given to another one then. */
export type Hold = number;

/**
 * Which pods hold which addresses, to this day. A hold is a pod with the addresses that it has held since one and the same moment: for
 * nearly every pod there is one, of all its addresses. In columns, 70 bytes a hold of two addresses: an object and an entry in a Map for
 * each address take 300. The columns do not shrink.
 *
 * All addresses of a hold are the pod's: whoever puts another record takes out first what that one no longer has.
 */
export class Holds {
  readonly #byIp = new HashTable();
  /** The newest record, so that no former one is kept alive; undefined: the number is free. */
  readonly #pods: (Pod | undefined)[] = [];
  /** By which version it is known since `from`; the string is the record's own while that is the newest. */
  readonly #versions: ResourceVersion[] = [];
  #from = new Float64Array(LEAST);
  #heldFrom = new Float64Array(LEAST);
  /** The last comparison that met it. */
  #met = new Uint32Array(LEAST);
  /** The addresses of those holds that have not all of their pod's. */
  readonly #parts = new Map<Hold, readonly string[]>();
  readonly #free: Hold[] = [];

  /** How many addresses are held; one by two pods counts twice. */
  get size(): number {
    return this.#byIp.size;
  }

  /** All numbers are below. */
  get end(): Hold {
    return this.#pods.length;
  }

  /** undefined: there is no such hold. */
  pod(hold: Hold): Pod | undefined {
    return this.#pods[hold];
  }

  /** Since when the pod has been as it is in all that decides or identifies. */
  from(hold: Hold): Moment {
    return this.#from[hold] as Moment;
  }

  heldFrom(hold: Hold): Moment {
    return this.#heldFrom[hold] as Moment;
  }

  version(hold: Hold): ResourceVersion {
    return this.#versions[hold] as ResourceVersion;
  }

  ips(hold: Hold): readonly string[] {
    return this.#parts.get(hold) ?? this.#pods[hold]?.podIps ?? [];
  }

  met(hold: Hold): number {
    return this.#met[hold] as number;
  }

  meet(hold: Hold, comparison: number): void {
    this.#met[hold] = comparison;
  }

  /** The hold in which a pod has an address; -1: it has not. */
  find(ip: string, uid: string): Hold {
    const hash = hashOf(ip);
    for (let place = this.#byIp.first(hash); place >= 0; place = this.#byIp.next(hash, place)) {
      const hold = this.#byIp.at(place);
      if (this.#pods[hold]?.uid === uid && this.ips(hold).includes(ip)) return hold;
    }
    return -1;
  }

  /** Who holds an address. */
  of(ip: string): HeardInterval[] {
    const found = new Set<Hold>();
    const hash = hashOf(ip);
    for (let place = this.#byIp.first(hash); place >= 0; place = this.#byIp.next(hash, place)) {
      const hold = this.#byIp.at(place);
      if (this.ips(hold).includes(ip)) found.add(hold);
    }
    return Array.from(found, (hold) => this.interval(hold, ip));
  }

  /** The intervals of a hold, one for each address. */
  intervals(hold: Hold): HeardInterval[] {
    return this.ips(hold).map((ip) => this.interval(hold, ip));
  }

  /** A pod holds these of its addresses from now on. */
  begin(pod: Pod, ips: readonly string[], moment: Moment, version: ResourceVersion): Hold {
    const hold = this.#free.pop() ?? this.#pods.length;
    if (hold === this.#from.length) this.#grow();
    this.#pods[hold] = pod;
    this.#versions[hold] = version;
    this.#from[hold] = this.#heldFrom[hold] = moment;
    this.#name(hold, pod, ips);
    for (const ip of ips) this.#byIp.add(hashOf(ip), hold);
    return hold;
  }

  /** The pod's newest record, which has all addresses of the hold; `from` and `version`: since when it is so. */
  renew(hold: Hold, pod: Pod, from: Moment, version: ResourceVersion): void {
    const ips = this.ips(hold);
    this.#pods[hold] = pod;
    this.#versions[hold] = version;
    this.#from[hold] = from;
    this.#name(hold, pod, ips);
  }

  /** With its last address the hold has ended. */
  release(hold: Hold, ip: string): void {
    const pod = this.#pods[hold];
    const ips = this.ips(hold).filter((one) => one !== ip);
    if (!pod || !this.#byIp.remove(hashOf(ip), hold)) return;
    this.#name(hold, pod, ips);
    if (ips.length > 0) return;
    this.#parts.delete(hold);
    this.#pods[hold] = undefined;
    this.#free.push(hold);
  }

  #name(hold: Hold, pod: Pod, ips: readonly string[]): void {
    if (ips.length < pod.podIps.length) this.#parts.set(hold, ips);
    else this.#parts.delete(hold);
  }

  /** Of one of its addresses. */
  interval(hold: Hold, ip: string): HeardInterval {
    const [from, heldFrom] = [this.from(hold), this.heldFrom(hold)];
    const [sinceVersion, holder] = [this.version(hold), this.#pods[hold]];
    return { ip, from, until: undefined, heldFrom, goesOn: false, holder, sinceVersion, untilVersion: undefined };
  }

  #grow(): void {
    const length = Math.ceil(this.#from.length * 1.25);
    this.#from = grown(this.#from, new Float64Array(length));
    this.#heldFrom = grown(this.#heldFrom, new Float64Array(length));
    this.#met = grown(this.#met, new Uint32Array(length));
  }
}

function grown<T extends Float64Array | Uint32Array>(former: T, next: T): T {
  next.set(former);
  return next;
}

const LEAST = 16;
