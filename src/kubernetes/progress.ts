import { compareResourceVersions } from '../resource-version.ts';
import { Freshness } from './freshness.ts';
import type { ResourceVersion } from '../pod.ts';

/** Rule B8: lower, and lower again this much later. */
export const CONFIRM_AFTER_MS = 1_000;

export type Verdict = 'ok' | 'older' | 'backwards';

/** Remembered when a consistent read or list is sent. */
export interface Sent {
  readonly at: number;
  readonly newestSeen: ResourceVersion;
}

/**
 * How far a store has come. The invariant that makes two connections safe: *everything up to `version` has been applied to
 * the store, or is superseded by a list that has.* Events, bookmarks and lists only ever move it forward (they may overtake each other), and a
 * watch may start from it at any time. Only `rebuilt` moves it back.
 */
export class Progress {
  #version: ResourceVersion = '';
  #resumable = false;
  #newestSeen: ResourceVersion = '';
  #olderSince: number | undefined;
  readonly #freshness = new Freshness();

  get version(): ResourceVersion {
    return this.#version;
  }

  /** Where a watch can start; undefined: only a list can help (nothing listed yet, 410, something could not be read). */
  get resumeFrom(): ResourceVersion | undefined {
    return this.#resumable ? this.#version : undefined;
  }

  /** To be called when a consistent read or list is sent. */
  sending(now: number): Sent {
    return { at: now, newestSeen: this.#newestSeen };
  }

  ageMs(now: number): number {
    return this.#freshness.ageMs(now);
  }

  /** The watch has brought the store to `version`. */
  advance(version: ResourceVersion): void {
    this.#see(version);
    if (compareResourceVersions(version, this.#version) > 0) this.#version = version;
    this.#freshness.reached(version);
  }

  /** No watch can go on from here. What is served stays, and stays as fresh as it was. */
  lost(): void {
    this.#resumable = false;
  }

  /** A list was committed. */
  listed(sent: Sent, version: ResourceVersion): void {
    this.advance(version);
    this.#resumable = true;
    this.#freshness.listed(sent.at, version);
  }

  /** Rule B8: a list of an older history was committed, and is all that is known. */
  rebuilt(sent: Sent, version: ResourceVersion): void {
    this.#version = version;
    this.#newestSeen = version;
    this.#olderSince = undefined;
    this.#resumable = true;
    this.#freshness.rebuilt(sent.at, version);
  }

  /** A consistent read answered with `version`, and `judge` said ok. */
  read(sent: Sent, version: ResourceVersion): void {
    this.#freshness.read(sent.at, version);
  }

  /** Rule B9: until the next list is committed nothing proves freshness. */
  withhold(): void {
    this.#freshness.withhold();
  }

  /**
   * Rules B1 and B8, of a consistent answer: no older than what had been seen when it was *sent* (what the watch has seen
   * since is no reproach), else `older`; and `backwards` for one sent a second after the first of them, and older still.
   * After an older one nothing is proof until a list has been committed, even if the next one is not older: an API server that
   * starts on a restored etcd writes, and may have come past the versions of the former history a second later.
   */
  judge(version: ResourceVersion, sent: Sent, now: number): Verdict {
    if (compareResourceVersions(version, sent.newestSeen) >= 0) {
      this.#see(version);
      this.#olderSince = undefined;
      return 'ok';
    }
    this.#olderSince ??= now;
    this.#freshness.withhold();
    return sent.at - this.#olderSince >= CONFIRM_AFTER_MS ? 'backwards' : 'older';
  }

  /** How long until an older answer can confirm the one that came before (rule B8). */
  confirmInMs(now: number): number {
    return Math.max(0, (this.#olderSince ?? now) + CONFIRM_AFTER_MS - now);
  }

  #see(version: ResourceVersion): void {
    if (compareResourceVersions(version, this.#newestSeen) > 0) this.#newestSeen = version;
  }
}
