import { isResourceVersion } from '../resource-version.ts';
import type { Source } from './context.ts';

/** How old the answers are, whether they may be given, and the headers that say so. */
export class Freshness {
  readonly #source: Source;
  readonly #hardLimit: number;
  #version = '0';
  #versionSeen = '0';
  #ageMs = 0;
  #age = '0.000';
  #told: readonly string[] = [];

  constructor(source: Source, hardLimitMs: number) {
    this.#source = source;
    this.#hardLimit = hardLimitMs;
  }

  /**
   * Rules C2 and C3: why nothing may be answered; undefined when it may. `ageMs` is what has just been read: who answers in the same
   * turn reads it once, for this and for `told`.
   */
  refusal(limitMs: number = this.#hardLimit, ageMs: number = this.ageMs()): 'not_synced' | 'stale' | undefined {
    if (!this.#source.synced) return 'not_synced';
    // Not `>`: what is no number is no proof of freshness either.
    return ageMs <= Math.min(limitMs, this.#hardLimit) ? undefined : 'stale';
  }

  /** Infinity until synced. */
  ageMs(): number {
    return this.#source.synced ? this.#source.ageMs() : Infinity;
  }

  /** Seconds with three decimals; `Infinity` until synced, which every common parser of floats takes for older than any limit. */
  get age(): string {
    return this.#written(this.ageMs());
  }

  /** `0` until synced: older than every resource version. */
  get resourceVersion(): string {
    return this.#source.synced ? this.#known() : '0';
  }

  /** What every answer carries, in this order, whoever writes it: flat pairs, not to be changed. */
  told(ageMs: number = this.ageMs()): readonly string[] {
    const age = this.#written(ageMs);
    const version = this.resourceVersion;
    if (age !== this.#told[3] || version !== this.#told[5])
      this.#told = ['cache-control', 'no-store', 'x-podwhois-age', age, 'x-podwhois-resource-version', version];
    return this.#told;
  }

  #written(ageMs: number): string {
    const ms = Math.round(ageMs);
    // A busy server answers many times in one millisecond.
    if (ms !== this.#ageMs) {
      this.#ageMs = ms;
      this.#age = Number.isFinite(ms) ? (ms / 1000).toFixed(3) : 'Infinity';
    }
    return this.#age;
  }

  #known(): string {
    const { resourceVersion } = this.#source;
    if (resourceVersion !== this.#versionSeen) {
      this.#versionSeen = resourceVersion;
      this.#version = isResourceVersion(resourceVersion) ? resourceVersion : '0';
    }
    return this.#version;
  }
}
