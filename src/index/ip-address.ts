import ipaddr from 'ipaddr.js';

/**
 * The one canonicaliser, for keys and for questions (rules D1, D2). IPv4 is a dotted quad of decimals without leading zeros. IPv6
 * is lower-case and compressed (RFC 5952); IPv4-mapped IPv6 is IPv4. Nothing else is special: neither IPv4-compatible
 * (`::10.0.0.1`) nor NAT64 addresses are anybody's but their own.
 *
 * Refused: zone ids, ports, brackets, spaces, octal, hexadecimal and short forms of IPv4, anything over 45 characters (as long as
 * the longest address there is). In a group of IPv6 zeros may lead: there they change no value.
 */
export function canonicalIp(text: string): string | undefined {
  if (isDottedQuad(text) || isPlainIpv6(text)) return text;
  // As a socket that listens on :: writes the address of every IPv4 peer.
  if (text.startsWith(MAPPED) && isDottedQuad(text.slice(MAPPED.length))) return text.slice(MAPPED.length);
  const groups = inGroups(text);
  if (groups === undefined || !ipaddr.IPv6.isValid(groups)) return undefined;
  const address = ipaddr.IPv6.parse(groups);
  return address.isIPv4MappedAddress() ? address.toIPv4Address().toString() : address.toString();
}

export interface Cidr {
  /** Canonical: the network's address and the length of its prefix. */
  readonly text: string;
  contains(canonicalIp: string): boolean;
}

/**
 * `address/length`; bits behind the prefix are ignored. A mapped one is an IPv4 one, and refused when it is wider than all of
 * IPv4. Any other IPv6 one contains no IPv4 address, not even `::/0`.
 */
export function parseCidr(text: string): Cidr | undefined {
  const [start = '', digits = '', ...rest] = text.split('/');
  const address = canonicalIp(start);
  if (address === undefined || rest.length > 0 || !/^(?:0|[1-9][0-9]{0,2})$/.test(digits)) return undefined;
  const network = bytesOf(address);
  const isMapped = network.length === 4 && start.includes(':');
  const length = Number(digits) - (isMapped ? 96 : 0);
  if (length < 0 || length > 8 * network.length) return undefined;
  mask(network, length);
  const isIpv6 = network.length === 16;
  const wholeBytes = length >> 3;
  const lastMask = (0xff00 >> (length & 7)) & 0xff;
  return {
    text: `${ipaddr.fromByteArray([...network]).toString()}/${length}`,
    contains(ip) {
      if (ip.includes(':') !== isIpv6) return false;
      const bytes = bytesOf(ip);
      for (let i = 0; i < wholeBytes; i++) if (bytes[i] !== network[i]) return false;
      return wholeBytes === network.length || ((bytes[wholeBytes] ?? 0) & lastMask) === network[wholeBytes];
    },
  };
}

/** Canonical as it is, like nearly every address that ever comes by: ipaddr.js takes 3 µs, which is a third of reading a pod. */
function isDottedQuad(text: string): boolean {
  if (text.length > 15) return false;
  let octet = -1;
  let dots = 0;
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code === DOT) {
      if (octet < 0) return false;
      octet = -1;
      dots++;
    } else {
      // An octet that is 0 and goes on has a leading zero.
      if (code < ZERO || code > NINE || octet === 0) return false;
      octet = Math.max(octet, 0) * 10 + code - ZERO;
      if (octet > 255) return false;
    }
  }
  return dots === 3 && octet >= 0;
}

/** Whether IPv6 is canonical beyond doubt; false says nothing. No group begins with a zero, and it cannot be mapped. */
function isPlainIpv6(text: string): boolean {
  if (text.length > 39 || text.startsWith(MAPPED)) return false;
  const gap = text.indexOf('::');
  if (gap < 0) return plainGroups(text, 0, text.length) === 8;
  // A gap stands for two groups at least.
  return plainGroups(text, 0, gap) + plainGroups(text, gap + 2, text.length) <= 6;
}

/** How many groups stand there; NaN when not all of them are plain. */
function plainGroups(text: string, start: number, end: number): number {
  let groups = 0;
  let digits = 0;
  for (let i = start; i < end; i++) {
    const code = text.charCodeAt(i);
    if (code === COLON) {
      if (digits === 0) return Number.NaN;
      digits = 0;
    } else {
      const isDigit = (code >= ZERO && code <= NINE) || (code >= LOWER_A && code <= LOWER_F);
      if (!isDigit || digits === 4 || (digits === 0 && code === ZERO)) return Number.NaN;
      if (digits++ === 0) groups++;
    }
  }
  return digits === 0 && end > start ? Number.NaN : groups;
}

/**
 * What may be IPv6, in nothing but hexadecimal groups. ipaddr.js takes more than there is: zone ids, octal in a dotted quad at the
 * end, and `::10.0.0.1` for a mapped address.
 */
function inGroups(text: string): string | undefined {
  if (text.length > MAX_LENGTH || !/^[0-9a-fA-F:]*:[0-9a-fA-F.]*$/.test(text)) return undefined;
  if (!text.includes('.')) return text;
  const end = text.lastIndexOf(':') + 1;
  const quad = text.slice(end);
  if (!isDottedQuad(quad)) return undefined;
  const [a = 0, b = 0, c = 0, d = 0] = bytesOf(quad);
  return `${text.slice(0, end)}${(a * 256 + b).toString(16)}:${(c * 256 + d).toString(16)}`;
}

/** Of a canonical address. Without ipaddr.js, which takes 3 µs for IPv6: this is asked for each network of a list. */
function bytesOf(canonicalIp: string): Uint8Array {
  return canonicalIp.includes(':') ? bytesOfIpv6(canonicalIp) : bytesOfIpv4(canonicalIp);
}

function bytesOfIpv4(ip: string): Uint8Array {
  const bytes = new Uint8Array(4);
  let at = 0;
  for (let i = 0; i < ip.length; i++) {
    const code = ip.charCodeAt(i);
    if (code === DOT) at++;
    else bytes[at] = 10 * (bytes[at] ?? 0) + code - ZERO;
  }
  return bytes;
}

function bytesOfIpv6(ip: string): Uint8Array {
  const bytes = new Uint8Array(16);
  let at = 0;
  let gap = -1;
  for (let i = 0; i < ip.length; i++) {
    let group = -1;
    for (; i < ip.length; i++) {
      const code = ip.charCodeAt(i);
      if (code === COLON) break;
      group = Math.max(group, 0) * 16 + (code <= NINE ? code - ZERO : code - LOWER_A + 10);
    }
    if (group < 0) gap = at;
    else {
      bytes[at++] = group >> 8;
      bytes[at++] = group & 0xff;
    }
  }
  if (gap < 0) return bytes;
  bytes.copyWithin(gap + bytes.length - at, gap, at);
  return bytes.fill(0, gap, gap + bytes.length - at);
}

function mask(bytes: Uint8Array, length: number): void {
  for (let i = 0; i < bytes.length; i++) {
    const bits = Math.min(8, Math.max(0, length - 8 * i));
    bytes[i] = (bytes[i] ?? 0) & (0xff00 >> bits);
  }
}

/** `0000:0000:0000:0000:0000:ffff:255.255.255.255` */
const MAX_LENGTH = 45;

const MAPPED = '::ffff:';

const DOT = 0x2e;
const COLON = 0x3a;
const ZERO = 0x30;
const NINE = 0x39;
const LOWER_A = 0x61;
const LOWER_F = 0x66;
