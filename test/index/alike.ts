import { hashOf } from '../../src/index/hash-table.ts';

/** Two addresses that begin with this number and have one hash, of 32 bits: other ones in every process. Some 80,000 are looked at. */
export function alike(first: number): readonly [string, string] {
  const byHash = new Map<number, string>();
  for (let i = 1 << 16; i < 1 << 24; i++) {
    const ip = `${first}.${i >> 16}.${(i >> 8) & 255}.${i & 255}`;
    const hash = hashOf(ip);
    const other = byHash.get(hash);
    if (other !== undefined) return [other, ip];
    byHash.set(hash, ip);
  }
  throw new Error('no two of 16 million have one hash');
}
