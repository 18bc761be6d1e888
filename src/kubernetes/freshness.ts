import { compareResourceVersions } from '../resource-version.ts';
import type { ResourceVersion } from '../pod.ts';

/** Of more reads than this that the stream has not reached yet, the newest but one is forgotten. */
const MOST_PENDING = 16;

/**
 * Rule C1: age counts from the *sending* of the last consistent read whose version the stream has reached. Times are the
 * caller's, of one clock that never goes back. An event or a bookmark proves nothing by itself: it only moves the version
 * that the store has reached, and with it the reads that wait for that version.
 */
export class Freshness {
  #provenAt = -Infinity;
  #reached: ResourceVersion = '';
  /** By version; the oldest is reached first. */
  readonly #pending: { sentAt: number; version: ResourceVersion }[] = [];
  #withheld = false;

  /** Infinity until something was proven. */
  ageMs(now: number): number {
    return now - this.#provenAt;
  }

  /** A consistent read that was sent at `sentAt` answered with `version`. One that went backwards (B8) must not come here. */
  read(sentAt: number, version: ResourceVersion): void {
    if (this.#withheld) return;
    if (compareResourceVersions(version, this.#reached) <= 0) return this.#prove(sentAt);
    this.#pending.push({ sentAt, version });
    this.#pending.sort((a, b) => compareResourceVersions(a.version, b.version));
    if (this.#pending.length > MOST_PENDING) this.#pending.splice(-2, 1);
  }

  /** The store now holds everything up to `version`, by an event, a bookmark or a list. */
  reached(version: ResourceVersion): void {
    if (compareResourceVersions(version, this.#reached) <= 0) return;
    this.#reached = version;
    while (this.#pending[0] && compareResourceVersions(this.#pending[0].version, version) <= 0) {
      this.#prove(this.#pending.shift()?.sentAt ?? -Infinity);
    }
  }

  /** A list sent at `sentAt` became the truth at `version`: it proves its own sending, and ends any withholding. */
  listed(sentAt: number, version: ResourceVersion): void {
    this.#withheld = false;
    this.reached(version);
    this.#prove(sentAt);
  }

  /** Rule B8: versions began again. What waits for versions of the former history waits in vain. */
  rebuilt(sentAt: number, version: ResourceVersion): void {
    this.#pending.length = 0;
    this.#reached = version;
    this.listed(sentAt, version);
  }

  /** Rules B8 and B9: the API server contradicts what is served. Nothing is proof until a list has settled it. */
  withhold(): void {
    this.#withheld = true;
    this.#pending.length = 0;
  }

  #prove(sentAt: number): void {
    this.#provenAt = Math.max(this.#provenAt, sentAt);
  }
}
