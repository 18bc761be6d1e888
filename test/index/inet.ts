/**
 * Reads and writes addresses in the plainest way: the tests' own opinion, which shares nothing with the canonicaliser.
 * A mapped address is its four bytes.
 */
export function parseAddress(text: string): Uint8Array | undefined {
  const bytes = text.includes(':') ? parseIpv6(text) : parseIpv4(text);
  if (bytes === undefined || bytes.length === 4) return bytes && Uint8Array.from(bytes);
  const isMapped = bytes.slice(0, 10).every((byte) => byte === 0) && bytes[10] === 255 && bytes[11] === 255;
  return Uint8Array.from(isMapped ? bytes.slice(12) : bytes);
}

function parseIpv4(text: string): number[] | undefined {
  const parts = text.split('.');
  if (parts.length !== 4) return undefined;
  const numbers = parts.map(Number);
  return parts.every((part, i) => String(numbers[i]) === part && /^\d+$/.test(part) && Number(part) < 256)
    ? numbers
    : undefined;
}

function parseIpv6(text: string): number[] | undefined {
  const halves = text.split('::');
  if (halves.length > 2) return undefined;
  const [head, tail] = halves.map((half, i) => parseGroups(half, i === halves.length - 1));
  if (head === undefined || (halves.length === 2 && tail === undefined)) return undefined;
  if (tail === undefined) return head.length === 16 ? head : undefined;
  const missing = 16 - head.length - tail.length;
  return missing >= 2 ? [...head, ...Array.from({ length: missing }, () => 0), ...tail] : undefined;
}

/** Groups between colons; at the very end of the address the last may be a dotted quad, for two. */
function parseGroups(text: string, isEnd: boolean): number[] | undefined {
  if (text === '') return [];
  const bytes: number[] = [];
  const parts = text.split(':');
  for (const [i, part] of parts.entries()) {
    const quad = isEnd && i === parts.length - 1 ? parseIpv4(part) : undefined;
    if (quad) bytes.push(...quad);
    else if (/^[0-9a-fA-F]{1,4}$/.test(part))
      bytes.push(Number.parseInt(part, 16) >> 8, Number.parseInt(part, 16) % 256);
    else return undefined;
  }
  return bytes;
}

/** RFC 5952: the longest run of two or more zero groups is left out, the first of equal ones. */
export function writeAddress(bytes: Uint8Array): string {
  if (bytes.length === 4) return bytes.join('.');
  const groups = Array.from({ length: 8 }, (_, i) =>
    ((bytes[2 * i] ?? 0) * 256 + (bytes[2 * i + 1] ?? 0)).toString(16),
  );
  if (groups.slice(0, 5).every((group) => group === '0') && groups[5] === 'ffff') return bytes.slice(12).join('.');
  for (let length = 8; length >= 2; length--) {
    for (let start = 0; start + length <= 8; start++) {
      if (groups.slice(start, start + length).some((group) => group !== '0')) continue;
      return `${groups.slice(0, start).join(':')}::${groups.slice(start + length).join(':')}`;
    }
  }
  return groups.join(':');
}
