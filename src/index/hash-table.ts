/**
 * Finds numbers, such as the place of something in a list, by the hash of a text: as many as are there for it. 14 bytes for each where
 * a Map takes 37. The texts are not kept: who finds a number must look whether what it stands for has the text.
 *
 * Open addressing with linear probing, a quarter at least is empty. A hash and its number stand side by side.
 */
export class HashTable {
  /** In pairs; a number is stored plus one, so that zero is an empty place. */
  #cells = new Int32Array(2 * LEAST);
  #size = 0;

  get size(): number {
    return this.#size;
  }

  /** Where the first number of a hash stands; -1: there is none. Places are valid until the next change. */
  first(hash: number): number {
    return this.#find(hash, hash & this.#mask);
  }

  /** Where the next one stands. */
  next(hash: number, place: number): number {
    return this.#find(hash, (place + 1) & this.#mask);
  }

  /** The number that stands there. */
  at(place: number): number {
    return (this.#cells[2 * place + 1] as number) - 1;
  }

  /** `value` is a whole number from 0 to 2³¹ - 2. The same may be added several times. */
  add(hash: number, value: number): void {
    if (4 * (this.#size + 1) > 3 * (this.#mask + 1)) this.#resize(2 * (this.#mask + 1));
    this.#put(hash, value + 1);
    this.#size++;
  }

  has(hash: number, value: number): boolean {
    return this.#placeOf(hash, value) >= 0;
  }

  /** Takes out one such entry. False when there is none. */
  remove(hash: number, value: number): boolean {
    const place = this.#placeOf(hash, value);
    if (place < 0) return false;
    this.#clear(place);
    this.#size--;
    if (this.#mask >= LEAST && 8 * this.#size <= this.#mask) this.#resize((this.#mask + 1) >> 1);
    return true;
  }

  get #mask(): number {
    return (this.#cells.length >> 1) - 1;
  }

  #placeOf(hash: number, value: number): number {
    let place = this.first(hash);
    while (place >= 0 && this.at(place) !== value) place = this.next(hash, place);
    return place;
  }

  #find(hash: number, from: number): number {
    const cells = this.#cells;
    const mask = this.#mask;
    for (let place = from; cells[2 * place + 1] !== 0; place = (place + 1) & mask) {
      if (cells[2 * place] === hash) return place;
    }
    return -1;
  }

  #put(hash: number, stored: number): void {
    const cells = this.#cells;
    const mask = this.#mask;
    let place = hash & mask;
    while (cells[2 * place + 1] !== 0) place = (place + 1) & mask;
    cells[2 * place] = hash;
    cells[2 * place + 1] = stored;
  }

  /** What stands behind, up to the next empty place, moves up where that is no step before its own place. */
  #clear(place: number): void {
    const cells = this.#cells;
    const mask = this.#mask;
    let hole = place;
    for (let next = (hole + 1) & mask; cells[2 * next + 1] !== 0; next = (next + 1) & mask) {
      const home = (cells[2 * next] as number) & mask;
      if (((next - home) & mask) < ((next - hole) & mask)) continue;
      cells.copyWithin(2 * hole, 2 * next, 2 * next + 2);
      hole = next;
    }
    cells[2 * hole + 1] = 0;
  }

  #resize(places: number): void {
    const former = this.#cells;
    this.#cells = new Int32Array(2 * places);
    for (let i = 0; i < former.length; i += 2) {
      if (former[i + 1] !== 0) this.#put(former[i] as number, former[i + 1] as number);
    }
  }
}

/**
 * 32 bits, signed. Of each character at each place a random number, other ones in every process, all joined by exclusive or (simple
 * tabulation). So nobody can choose addresses that stand in each other's way: with a hash that is known, half a minute finds 10,000
 * of them, with which an insertion takes a millisecond. Where texts are chosen without knowing the numbers, a search is short on
 * average, whatever they are (Pătraşcu and Thorup, The Power of Simple Tabulation Hashing, 2011).
 *
 * Made for addresses: in a text of more than 64 characters those that stand 64 apart may be exchanged.
 */
export function hashOf(text: string): number {
  let value = 0;
  for (let i = 0; i < text.length; i++) value ^= NUMBERS[((i & 63) << 6) | (text.charCodeAt(i) & 63)] as number;
  return value;
}

/** 16 KiB: 64 places of 64 characters each, which tells all apart that stand in addresses. */
const NUMBERS = crypto.getRandomValues(new Int32Array(64 * 64));

const LEAST = 16;
