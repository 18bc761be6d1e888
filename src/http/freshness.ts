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

  constructor(source: Source, hardLimitMs: number) {
    this.#source = source;
    this.#hardLimit = hardLimitMs;
  }

  /** Rules C2 and C3: why nothing may be answered; undefined when it may. */
  refusal(limitMs: number = this.#hardLimit): 'not_synced' | 'stale' | undefined {
    if (!this.#source.synced) return 'not_synced';
    // Not `>`: what is no number is no proof of freshness either.
    return this.ageMs() <= Math.min(limitMs, this.#hardLimit) ? undefined : 'stale';
  }

  ageMs(): number {
    return this.#source.synced ? this.#source.ageMs() : Infinity;
  }

  /** Seconds with three decimals; `Infinity` until synced, which every common parser of floats takes for older than any limit. */
  get age(): string {
    const ms = Math.round(this.ageMs());
    // A busy server answers many times in one millisecond.
    if (ms !== this.#ageMs) {
      this.#ageMs = ms;
      this.#age = Number.isFinite(ms) ? (ms / 1000).toFixed(3) : 'Infinity';
    }
    return this.#age;
  }

  /** `0` until synced: older than every resource version. */
  get resourceVersion(): string {
    const { synced, resourceVersion } = this.#source;
    if (!synced) return '0';
    if (resourceVersion !== this.#versionSeen) {
      this.#versionSeen = resourceVersion;
      this.#version = isResourceVersion(resourceVersion) ? resourceVersion : '0';
    }
    return this.#version;
  }

  /** What every answer carries, in this order, whoever writes it: flat pairs. */
  headers(): [string, string, string, string, string, string] {
    return [
      'cache-control',
      'no-store',
      'x-podwhois-age',
      this.age,
      'x-podwhois-resource-version',
      this.resourceVersion,
    ];
  }
}
