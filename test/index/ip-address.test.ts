import assert from 'node:assert/strict';
import { isIPv6, SocketAddress } from 'node:net';
import { test } from 'node:test';
import {
  array,
  assert as check,
  constantFrom,
  nat,
  oneof,
  property,
  string,
  stringMatching,
  tuple,
  uint8Array,
} from 'fast-check';
import { canonicalIp, parseCidr } from '../../src/index/ip-address.ts';
import { parseAddress, writeAddress } from './inet.ts';

const SAME = [
  '0.0.0.0',
  '10.0.0.1',
  '255.255.255.255',
  '1.2.3.4',
  '::',
  '::1',
  '1::',
  'fd00::1',
  'fd00:10:244:1::2b',
  '1:2:3:4:5:6:7:8',
  '::2:3:4:5:6:7',
  'fe80::1',
  '64:ff9b::a00:1',
  '::102:304',
  'ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff',
  '::fffe:a00:1',
  '::ffff:0:a00:1',
];

const WRITTEN_OTHERWISE: readonly (readonly [string, string])[] = [
  // IPv4-mapped is IPv4.
  ['::ffff:10.0.0.1', '10.0.0.1'],
  ['::FFFF:10.0.0.1', '10.0.0.1'],
  ['::ffff:a00:1', '10.0.0.1'],
  ['::FfFf:0A00:0001', '10.0.0.1'],
  ['0:0:0:0:0:ffff:a00:1', '10.0.0.1'],
  ['0000:0000:0000:0000:0000:ffff:255.255.255.255', '255.255.255.255'],
  ['0::ffff:10.0.0.1', '10.0.0.1'],
  ['::ffff:0:0', '0.0.0.0'],
  ['::ffff:0', '::ffff:0'],
  // Lower case, compressed.
  ['FD00::1', 'fd00::1'],
  ['fd00:0:0:0:0:0:0:1', 'fd00::1'],
  ['fd00:0000:0000:0000:0000:0000:0000:0001', 'fd00::1'],
  ['fd00::0001', 'fd00::1'],
  ['fd00::0', 'fd00::'],
  ['fd00::0:1', 'fd00::1'],
  ['0:0:0:0:0:0:0:0', '::'],
  ['0::0', '::'],
  ['0:0:0:0:0:0:0:1', '::1'],
  ['1:0:0:0:0:0:0:0', '1::'],
  // The longest run of zeros goes, of equal ones the first; one zero alone stays.
  ['1:0:0:2:0:0:0:3', '1:0:0:2::3'],
  ['1:0:0:0:2:0:0:3', '1::2:0:0:3'],
  ['1:0:0:2:3:0:0:4', '1::2:3:0:0:4'],
  ['1:0:0:2:3::4', '1::2:3:0:0:4'],
  ['1:2:3:4:5:6:0:8', '1:2:3:4:5:6:0:8'],
  ['1:2:3:4:5:6::8', '1:2:3:4:5:6:0:8'],
  ['::2:3:4:5:6:7:8', '0:2:3:4:5:6:7:8'],
  ['1:2:3:4:5:6:7::', '1:2:3:4:5:6:7:0'],
  // Not mapped: IPv4-compatible, NAT64, translated.
  ['::10.0.0.1', '::a00:1'],
  ['64:ff9b::10.0.0.1', '64:ff9b::a00:1'],
  ['::ffff:0:10.0.0.1', '::ffff:0:a00:1'],
  ['fe80::5efe:10.0.0.1', 'fe80::5efe:a00:1'],
];

const REFUSED: Readonly<Record<string, readonly string[]>> = {
  'zone ids': ['fe80::1%eth0', 'fe80::1%1', 'fe80::1%', '::ffff:10.0.0.1%eth0', '10.0.0.1%eth0', '%', '::1%25eth0'],
  ports: ['10.0.0.1:80', '[::1]:80', '10.0.0.1:', ':80', 'fd00::1:80:90:1:2:3:4:5', '::1.80'],
  brackets: ['[::1]', '[10.0.0.1]', '[::1', '::1]', '[]', '(10.0.0.1)'],
  'leading zeros': [
    '010.0.0.1',
    '10.00.0.1',
    '10.0.0.01',
    '00.0.0.0',
    '10.0.0.001',
    '0127.0.0.1',
    '::ffff:010.0.0.1',
    '::ffff:10.0.0.01',
    '::00010.0.0.1',
    '00001::',
    '::00ffff:a00:1',
    '::ffff:00a00:1',
  ],
  spaces: [
    ' 10.0.0.1',
    '10.0.0.1 ',
    '10. 0.0.1',
    '\t::1',
    '::1\n',
    '10.0.0.1\n',
    '10.0.0.1\r\n',
    '\u00a010.0.0.1',
    '10.0.0.1\u200b',
    ' ',
    '',
    '10.0.0.1\0',
    '\0',
  ],
  'over 45 characters': [
    '0000:0000:0000:0000:0000:ffff:255.255.255.2550',
    `${'0'.repeat(40)}:0001`,
    '1'.repeat(46),
    '1.'.repeat(1_000_000),
    ':'.repeat(1_000_000),
    'f'.repeat(1_000_000),
  ],
  octal: ['0377.0.0.1', '0o12.0.0.1', '012', '01', '08.0.0.1', '017700000001'],
  hexadecimal: ['0xa.0.0.1', '0x0a000001', '0xA00', 'a.0.0.1', '::0x1', '::ffff:0xa.0.0.1', '0x7f.1', '0X7f000001'],
  'short forms': ['127.1', '127.0.1', '10', '167772161', '0', '10.1', '1.2.3', '::ffff:10.1', '::1.2.3'],
  'dots too many': [
    '10.0.0.1.',
    '.10.0.0.1',
    '10..0.1',
    '10.0.0.1.1',
    '10.0.0..1',
    '...',
    '.',
    '1.2.3.4.',
    '::ffff:1.2.3.4.',
    '1.2.3.4::',
    '::1.2.3.4:5',
    '1:2:3:4:5:6:7:1.2.3.4',
    '::.1.2.3.4',
  ],
  'numbers too big': [
    '256.0.0.1',
    '10.0.0.256',
    '999.0.0.1',
    '10.0.0.1000',
    '99999999999.0.0.1',
    '::10000',
    '::fffff',
    '::ffff:256.0.0.1',
  ],
  'colons too many or too few': [
    ':',
    ':::',
    '::1::',
    '1::2::3',
    ':1',
    '1:',
    ':1::2',
    '1::2:',
    '1:2:3:4:5:6:7',
    '1:2:3:4:5:6:7:8:9',
    '1:2:3:4:5:6:7:8::',
    '::1:2:3:4:5:6:7:8',
    '1:2:3:4::5:6:7:8',
    ':1:2:3:4:5:6:7:8',
    '1:2:3:4:5:6:7:8:',
    '1:2:3:4:5:6:7:',
    ':2:3:4:5:6:7:8',
    '1:2:3:4:5:6::1.2.3.4',
  ],
  'what is no address': [
    'localhost',
    'pod',
    '-1.0.0.1',
    '+1.0.0.1',
    '1e1.0.0.1',
    '10,0,0,1',
    '10/8',
    '10.0.0.0/8',
    '::1/64',
    '１０.0.0.1',
    '10。0。0。1',
    'g::1',
    '::g',
    'NaN',
    'undefined',
    '__proto__',
    'constructor',
    '1_0.0.0.1',
    '٣.0.0.1',
    '*',
    '10.0.0.*',
    '::ffff:',
    '::ffff:a00:1:',
  ],
};

test('D1 an address that is canonical stays as it is', () => {
  for (const text of SAME) assert.equal(canonicalIp(text), text);
});

test('D1 IPv4-mapped IPv6 is IPv4, IPv6 is lower-case and compressed, and nothing else is special', () => {
  for (const [text, expected] of WRITTEN_OTHERWISE) assert.equal(canonicalIp(text), expected, text);
});

for (const [what, texts] of Object.entries(REFUSED)) {
  test(`D1 no address: ${what}`, () => {
    for (const text of texts) assert.equal(canonicalIp(text), undefined, JSON.stringify(text.slice(0, 60)));
  });
}

test('D2 octal is refused and not read: 010.0.0.1 is neither 8.0.0.1 nor 10.0.0.1', () => {
  for (const text of ['010.0.0.1', '0012.0.0.1', '10.010.0.1', '10.0.0.010', '::ffff:010.0.0.1', '::010.0.0.1']) {
    assert.equal(canonicalIp(text), undefined, text);
  }
});

/** Text that is an address or nearly one: pieces of addresses, put together at random. */
const nearly = array(
  constantFrom(
    '0',
    '1',
    '10',
    '255',
    '256',
    '01',
    'a',
    'F',
    'ffff',
    '12345',
    '.',
    '.',
    ':',
    ':',
    '::',
    '%',
    ' ',
    '10.0.0.1',
    '::ffff:',
    '0x',
    '[',
  ),
  { maxLength: 14 },
).map((parts) => parts.join(''));
const dotted = array(oneof(nat(300).map(String), constantFrom('', '00', '01', '0x1')), {
  minLength: 3,
  maxLength: 5,
}).map((parts) => parts.join('.'));
const groups = tuple(
  array(oneof(stringMatching(/^[0-9a-fA-F]{1,5}$/), constantFrom('0', '0', '0', '', 'ffff')), {
    minLength: 6,
    maxLength: 9,
  }),
  oneof(constantFrom(''), dotted),
).map(([parts, tail]) => [...parts, ...(tail === '' ? [] : [tail])].join(':'));
const anything = oneof(nearly, dotted, groups, string({ unit: 'binary', maxLength: 50 }));

test('D1 whatever the text, the answer is that of a plain reading of RFC 4291 and RFC 5952', () => {
  check(
    property(anything, (text) => {
      const bytes = text.length <= 45 ? parseAddress(text) : undefined;
      assert.equal(canonicalIp(text), bytes && writeAddress(bytes), text);
    }),
    { numRuns: 20_000 },
  );
});

test('D1 every address has one canonical text, which is canonical, however the address is written', () => {
  const address = oneof(
    uint8Array({ minLength: 4, maxLength: 4 }),
    uint8Array({ minLength: 16, maxLength: 16 }),
    array(constantFrom(0, 0, 0, 1, 0xffff, 0xa00), { minLength: 8, maxLength: 8 }).map((parts) =>
      Uint8Array.from(parts.flatMap((part) => [part >> 8, part & 0xff])),
    ),
  );
  check(
    property(address, nat(0xffff), (bytes, choice) => {
      const expected = writeAddress(bytes);
      assert.equal(canonicalIp(expected), expected);
      if (bytes.length === 4) {
        assert.equal(canonicalIp(`::ffff:${expected}`), expected);
        return;
      }
      const written = Array.from({ length: 8 }, (_, i) => {
        const group = ((bytes[2 * i] ?? 0) * 256 + (bytes[2 * i + 1] ?? 0)).toString(16);
        const padded = (choice >> i) % 2 === 0 ? group : group.padStart(4, '0');
        return (choice >> (i + 8)) % 2 === 0 ? padded : padded.toUpperCase();
      }).join(':');
      assert.equal(canonicalIp(written), expected);
      const [address6] = [new SocketAddress({ address: written, family: 'ipv6' }).address];
      assert.equal(canonicalIp(address6), expected, 'as libuv writes it');
    }),
    { numRuns: 5_000 },
  );
});

test('D2 what net.isIPv6 takes, apart from zone ids, is taken, and nothing more', () => {
  check(
    property(groups, (text) => {
      if (text.length <= 45 && text.includes(':')) assert.equal(canonicalIp(text) !== undefined, isIPv6(text), text);
    }),
    { numRuns: 10_000 },
  );
});

const CIDRS: readonly (readonly [string, string, readonly string[], readonly string[]])[] = [
  [
    '10.0.0.0/8',
    '10.0.0.0/8',
    ['10.0.0.0', '10.255.255.255'],
    ['9.255.255.255', '11.0.0.0', '8.8.8.8', '::a00:1', '::'],
  ],
  ['10.1.2.3/8', '10.0.0.0/8', ['10.9.9.9'], ['11.1.2.3']],
  ['0.0.0.0/0', '0.0.0.0/0', ['0.0.0.0', '255.255.255.255'], ['::', '::1']],
  ['10.0.0.1/32', '10.0.0.1/32', ['10.0.0.1'], ['10.0.0.0', '10.0.0.2']],
  ['10.0.0.128/25', '10.0.0.128/25', ['10.0.0.128', '10.0.0.255'], ['10.0.0.127', '10.0.1.128']],
  ['172.16.0.0/12', '172.16.0.0/12', ['172.16.0.1', '172.31.255.255'], ['172.32.0.0', '172.15.0.0']],
  ['::/0', '::/0', ['::', 'ffff::'], ['10.0.0.1']],
  ['fd00::/8', 'fd00::/8', ['fd00::1', 'fdff::'], ['fe00::', 'fc00::', '253.0.0.0']],
  ['FD00:10:244:0::/56', 'fd00:10:244::/56', ['fd00:10:244:ff::1'], ['fd00:10:244:100::']],
  ['fd00::1/128', 'fd00::1/128', ['fd00::1'], ['fd00::2', 'fd00::']],
  ['::ffff:10.0.0.0/104', '10.0.0.0/8', ['10.1.1.1'], ['8.8.8.8', 'fd00::1']],
  ['::ffff:10.0.0.1/128', '10.0.0.1/32', ['10.0.0.1'], ['10.0.0.2']],
  ['::ffff:0:0/96', '0.0.0.0/0', ['8.8.8.8'], ['::']],
  ['::ffff:a00:0/104', '10.0.0.0/8', ['10.1.1.1'], ['11.1.1.1']],
];

for (const [text, canonical, inside, outside] of CIDRS) {
  test(`D2 the CIDR ${text} is ${canonical} and contains what it should`, () => {
    const cidr = parseCidr(text);
    assert.equal(cidr?.text, canonical);
    for (const ip of inside) assert.equal(cidr?.contains(ip), true, ip);
    for (const ip of outside) assert.equal(cidr?.contains(ip), false, ip);
  });
}

test('D2 a mapped CIDR wider than all of IPv4, and whatever is no CIDR, is refused', () => {
  const refused = [
    '::ffff:10.0.0.0/8',
    '::ffff:10.0.0.0/95',
    '::ffff:0:0/0',
    '0:0:0:0:0:ffff:a00:0/64',
    '10.0.0.0',
    '10.0.0.0/',
    '/8',
    '/',
    '',
    '10.0.0.0/33',
    '10.0.0.0/-1',
    '10.0.0.0/08',
    '10.0.0.0/8.0',
    '10.0.0.0/ 8',
    '10.0.0.0 /8',
    '10.0.0.0/8 ',
    '10.0.0.0/8/8',
    '10.0.0.0/255.0.0.0',
    '10/8',
    '10.0.0/8',
    '010.0.0.0/8',
    '10.0.0.0/0x8',
    '10.0.0.0/1e1',
    'fd00::/129',
    'fd00::/1000',
    '::ffff:10.0.0.0/129',
    'fe80::%eth0/64',
    '[::]/0',
    'fd00::',
    '10.0.0.0/٨',
    '10.0.0.0/undefined',
  ];
  for (const text of refused) assert.equal(parseCidr(text), undefined, text);
});

test('D2 a CIDR contains an address when their first bits are equal', () => {
  const bits = (bytes: Uint8Array): string => [...bytes].map((byte) => byte.toString(2).padStart(8, '0')).join('');
  for (const size of [4, 16]) {
    const bytes = uint8Array({ minLength: size, maxLength: size });
    check(
      property(bytes, bytes, nat(8 * size), nat(8 * size), (network, other, length, shared) => {
        const text = writeAddress(network);
        // The other address begins like the network, for `shared` bits.
        const mixed = bits(network).slice(0, shared) + bits(other).slice(shared);
        const ip = writeAddress(Uint8Array.from(mixed.match(/.{8}/g) ?? [], (byte) => Number.parseInt(byte, 2)));
        if (text.includes(':') !== ip.includes(':') || text.includes(':') !== (size === 16)) return;
        const expected = bits(network).slice(0, length) === mixed.slice(0, length);
        assert.equal(parseCidr(`${text}/${length}`)?.contains(ip), expected, `${text}/${length} ${ip}`);
      }),
      { numRuns: 3_000 },
    );
  }
});
