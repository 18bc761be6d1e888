import type { Logger } from 'pino';
import type { Unreadable } from '../pod.ts';
import type { ReflectorMetrics } from './reflector-metrics.ts';

/** Where not even a name can be read a key is a digest, and may differ in every list: so many in a row are enough. */
const ENOUGH_LISTS = 3;

/**
 * Rule B6: which objects could not be read, by key. The first failure makes a *suspect*, and a list; who fails again in that
 * list is set *aside*, and from then on its events cost nothing but another `setAside`, until a list has it readable or
 * not at all. Holds no more keys than there are objects.
 */
export class SetAside {
  readonly #log: Logger;
  readonly #metrics: ReflectorMetrics;
  #suspects = new Set<string>();
  #aside = new Set<string>();
  #failedLists = 0;

  constructor(log: Logger, metrics: ReflectorMetrics) {
    this.#log = log;
    this.#metrics = metrics;
  }

  /** Counts a failure in a watch. Whether it is known and the watch may go on; else the object is suspect now. */
  isKnown(object: Unreadable): boolean {
    this.#metrics.unreadable_total.all++;
    if (this.#aside.has(object.key)) return true;
    this.#suspects.add(object.key);
    return false;
  }

  /**
   * Counts the failures in a whole list. Whether all of them failed before, so that the list may be committed with them set aside;
   * else the new ones are suspect now, and the list must be made again.
   */
  allFailedBefore(unreadable: ReadonlyMap<string, Unreadable>): boolean {
    this.#metrics.unreadable_total.all += unreadable.size;
    const fresh = [...unreadable.keys()].filter((key) => !this.#aside.has(key) && !this.#suspects.has(key));
    for (const key of fresh) this.#suspects.add(key);
    if (fresh.length === 0) return true;
    return ++this.#failedLists >= ENOUGH_LISTS;
  }

  /** A list was committed with these set aside. */
  committed(unreadable: ReadonlyMap<string, Unreadable>): void {
    for (const object of unreadable.values()) {
      if (this.#aside.has(object.key)) continue;
      const { key, namespace, name, ips, reason } = object;
      this.#log.error({ key, namespace, name, ips, reason }, 'an object cannot be read and was set aside');
    }
    this.#aside = new Set(unreadable.keys());
    this.#suspects = new Set();
    this.#failedLists = 0;
  }
}
