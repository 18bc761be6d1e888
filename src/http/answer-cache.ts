import { hashOf } from '../index/hash-table.ts';
import type { Pod } from '../pod.ts';

/** A power of two. */
const SLOTS = 16_384;

/** Bytes of text. */
const CAPACITY = 6 * 1024 * 1024;

/**
 * What was made of the pods that were asked for lately, by address. An address has one slot, and whoever came last has it; what
 * is found counts only for the very record it was made of, and records never change. Proxies ask for the same few callers again
 * and again. Where addresses are drawn from all of a large cluster, keeping answers would only make them long-lived garbage:
 * so an answer is kept when its address comes twice without another of the same slot between. Where it needs room, the next slots
 * in turn are emptied for it: what is asked for again comes back, and what is asked for no more does not stay for ever.
 */
export class AnswerCache<T> {
  readonly #pods: (Pod | undefined)[] = Array.from({ length: SLOTS });
  readonly #answers: (T | undefined)[] = Array.from({ length: SLOTS });
  readonly #sizes = new Int32Array(SLOTS);
  /**
   * Of each slot the hash of the address that is kept, and behind it that of the last one that was not found. Together, so that the
   * many addresses of which nothing is kept cost one look at memory that is not in the processor's cache.
   */
  readonly #hashes = new Int32Array(2 * SLOTS);
  #total = 0;
  /** The slot that is emptied next. */
  #next = 0;

  get(ip: string, pod: Pod): T | undefined {
    const hash = hashOf(ip);
    const slot = hash & (SLOTS - 1);
    return this.#hashes[2 * slot] === hash && this.#pods[slot] === pod ? this.#answers[slot] : undefined;
  }

  /** `size` in bytes. Kept only if the address was the last that was given for its slot, and if it is not as large as all. */
  set(ip: string, pod: Pod, answer: T, size: number): void {
    const hash = hashOf(ip);
    const slot = hash & (SLOTS - 1);
    if (this.#hashes[2 * slot + 1] !== hash) {
      this.#hashes[2 * slot + 1] = hash;
      return;
    }
    if (size > CAPACITY) return;
    this.#fill(slot, undefined, undefined, 0);
    while (this.#total + size > CAPACITY) {
      this.#fill(this.#next, undefined, undefined, 0);
      this.#next = (this.#next + 1) & (SLOTS - 1);
    }
    this.#fill(slot, pod, answer, size);
    this.#hashes[2 * slot] = hash;
  }

  #fill(slot: number, pod: Pod | undefined, answer: T | undefined, size: number): void {
    this.#total += size - (this.#sizes[slot] ?? 0);
    this.#pods[slot] = pod;
    this.#answers[slot] = answer;
    this.#sizes[slot] = size;
  }

  /** In bytes. */
  get size(): number {
    return this.#total;
  }
}
