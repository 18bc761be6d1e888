import type { Pod } from '../pod.ts';

/** A power of two. */
const SLOTS = 16_384;

/** Two bytes a character at worst, but for names and labels one: 12 MiB at most, some 6 as a rule. */
const CAPACITY = 6 * 1024 * 1024;

/**
 * What was made of the pods that were asked for lately, by address. An address has one slot, and whoever comes last has it; what
 * is found counts only for the very record it was made of, and records never change. Proxies ask for the same few callers again
 * and again; when addresses are drawn from all of a large cluster, this costs next to nothing.
 */
export class AnswerCache<T> {
  readonly #pods: (Pod | undefined)[] = Array.from({ length: SLOTS });
  readonly #answers: (T | undefined)[] = Array.from({ length: SLOTS });
  readonly #sizes = new Int32Array(SLOTS);
  #total = 0;

  get(ip: string, pod: Pod): T | undefined {
    const slot = slotOf(ip);
    return this.#pods[slot] === pod ? this.#answers[slot] : undefined;
  }

  /** `size` in characters. Without room for it nothing changes. */
  set(ip: string, pod: Pod, answer: T, size: number): void {
    const slot = slotOf(ip);
    const total = this.#total - (this.#sizes[slot] ?? 0) + size;
    if (total > CAPACITY) return;
    this.#pods[slot] = pod;
    this.#answers[slot] = answer;
    this.#sizes[slot] = size;
    this.#total = total;
  }

  /** In characters. */
  get size(): number {
    return this.#total;
  }
}

/** FNV-1a; the low bits of both the host and the network part count. */
function slotOf(ip: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < ip.length; i++) hash = Math.imul(hash ^ ip.charCodeAt(i), 0x01000193);
  return (hash ^ (hash >>> 15)) & (SLOTS - 1);
}
