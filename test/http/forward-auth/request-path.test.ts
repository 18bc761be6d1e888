import assert from 'node:assert/strict';
import { test } from 'node:test';
import { array, assert as check, constantFrom, property } from 'fast-check';
import { parsePathPattern, pathMatches, requestPath, segmentOf } from '../../../src/http/forward-auth/request-path.ts';
import type { PathPattern } from '../../../src/http/forward-auth/request-path.ts';

const NORMALISED: readonly (readonly [string, string])[] = [
  ['/', ''],
  ['/?', ''],
  ['/?a=/../b#c\\', ''],
  ['/admin', '/admin'],
  ['/admin/', '/admin'],
  ['/admin/?x=1', '/admin'],
  ['/admin?/../public', '/admin'],
  ['/admin?x=%2f..%00', '/admin'],
  ['/a-b_c/0/x.y', '/a-b_c/0/x.y'],
  // Slashes inside are merged.
  ['/a//b', '/a/b'],
  ['/a///b//', '/a/b'],
  // Case, also of escapes.
  ['/ADMIN', '/admin'],
  ['/AdMiN/%41%6c', '/admin/al'],
  // Harmless escapes.
  ['/%61dmin', '/admin'],
  ['/a%2Db', '/a-b'],
  ['/a%20b', '/a b'],
  ['/%7Euser', '/~user'],
  ['/~user', '/~user'],
  ['/100%25', '/100%'],
  ['/100%25off', '/100%off'],
  ['/a+b', '/a+b'],
  ["/a:b@c!$&'()*,=", "/a:b@c!$&'()*,="],
  // Parameters of a segment.
  ['/admin;x=1', '/admin'],
  ['/admin;x=1/users;y', '/admin/users'],
  ['/admin;', '/admin'],
  ['/admin;..', '/admin'],
  // Dots that are part of a name.
  ['/.well-known/x', '/.well-known/x'],
  ['/...', '/...'],
  ['/..a/b..', '/..a/b..'],
  ['/a/.%62', '/a/.b'],
  // Outside ASCII: composed and folded.
  ['/caf%C3%A9', '/café'],
  ['/cafe%CC%81', '/café'],
  ['/CAF%C3%89', '/café'],
  ['/stra%C3%9Fe', '/strasse'],
  ['/%CF%83%CF%82', '/σς'],
  ['/%CF%82%CF%83', '/σς'],
  ['/%E6%97%A5%E6%9C%AC', '/日本'],
  ['/%F0%9F%A6%AD', '/🦭'],
];

const UNSAFE: Readonly<Record<string, readonly string[]>> = {
  'not origin-form': [
    '',
    '*',
    'admin',
    'http://host/admin',
    'HTTP://host',
    'host:80',
    '?x',
    '//host/admin',
    '//',
    '///admin',
    '//?x',
  ],
  'dot segments': [
    '/..',
    '/.',
    '/./',
    '/../',
    '/a/..',
    '/a/.',
    '/public/../admin',
    '/public/./admin',
    '/a/../../b',
    '/a/..?x',
    '/a//../b',
    '/../a',
  ],
  'encoded dot segments': [
    '/%2e%2e/admin',
    '/%2E%2E/admin',
    '/.%2e/admin',
    '/%2e./admin',
    '/%2e/admin',
    '/public/%2e%2e/admin',
    '/a/%2E',
    '/a/%2e?x',
  ],
  'dot segments with parameters': [
    '/public/..;/admin',
    '/..;x=1/a',
    '/.;/a',
    '/public/%2e%2e;/admin',
    '/a/..;',
    '/a/.;x',
  ],
  'nothing but parameters': ['/;/admin', '/a/;x=1/b', '/;', '/;a', '/a//;/b'],
  'encoded slashes and backslashes': [
    '/a%2fb',
    '/a%2Fb',
    '/%2f',
    '/%2fhost/a',
    '/public%2f..%2fadmin',
    '/a%5cb',
    '/a%5Cb',
    '/..%5cadmin',
    '/a;x=%2f',
    '/public;%2f..%2fadmin/x',
  ],
  'encoded delimiters that end a path or a segment': [
    '/admin%3fx',
    '/admin%3Fx',
    '/admin%23',
    '/a%3b',
    '/admin%3Bx=1',
    '/..%3b/a',
  ],
  backslashes: ['/a\\b', '\\admin', '/\\host/a', '/public\\..\\admin', '/..\\'],
  fragments: ['/a#b', '/#', '/public#/../admin', '/a#?b'],
  'control characters': [
    '/a\0',
    '/a\tb',
    '/a\nb',
    '/a\rb',
    '/a\x1fb',
    '/a\x7fb',
    '/a%00',
    '/admin%00.png',
    '/a%09b',
    '/a%0a',
    '/a%0D%0Ab',
    '/%1b',
    '/a%7f',
    '/a%C2%80',
    '/a%C2%85b',
    '/a%c2%9f',
  ],
  'white space that may be trimmed': [
    '/admin%20',
    '/%20admin',
    '/admin%20/x',
    '/a/%20/b',
    '/a b',
    '/admin ',
    ' /admin',
    '/..%20/a',
    '/%20../a',
    '/admin%20;x',
    '/admin%C2%A0',
    '/admin%E2%80%83',
    '/admin%E3%80%80',
  ],
  'invisible characters and marks': [
    '/adm%C2%ADin',
    '/adm%E2%80%8Bin',
    '/%EF%BB%BFadmin',
    '/a%E2%80%AEb',
    '/a%E2%80%A8b',
    '/a%E2%81%A0',
  ],
  'escapes that are none': [
    '/%',
    '/a%',
    '/a%2',
    '/a%zz',
    '/a%2g',
    '/a%%32%66',
    '/%u002f',
    '/a%u002e%u002e',
    '/a%-1',
    '/a% 2f',
    '/a%0x41',
  ],
  'escapes of escapes': [
    '/a%252fb',
    '/a%252Fb',
    '/%252e%252e/admin',
    '/%25%32%65',
    '/a%2525',
    '/%2561dmin',
    '/a%25%35%63',
    '/a%25u002f',
    '/%25%2565',
    '/100%25ab',
  ],
  'UTF-8 that is none': [
    '/%c0%af',
    '/%c0%ae%c0%ae',
    '/%C1%9C',
    '/%e0%80%af',
    '/%f0%80%80%af',
    '/%f8%80%80%80%af',
    '/%fc%80%80%80%80%af',
    '/%ff',
    '/%80',
    '/a%C3',
    '/%c3%28',
    '/%E2%82',
    '/%ED%A0%80',
    '/%ED%B0%80',
    '/%F4%90%80%80',
    '/%C3%C3',
    '/%af',
  ],
  'raw bytes and characters outside ASCII': [
    '/caf\u00e9',
    '/\u00c0\u00af',
    '/\u212a',
    '/\u00a0',
    '/日本',
    '/\uff0f',
    '/\ud800',
    '/\ufeff',
  ],
  'characters that fold into ASCII': [
    '/%E2%84%AA', // U+212A, kelvin: k in lower case
    '/%E2%84%AAube-system',
    '/%C4%B0', // U+0130: i and a dot, or i
    '/adm%C4%B1n', // U+0131: I in upper case
    '/%C5%BFecret', // U+017F: S in upper case
    '/%EF%BC%8F', // fullwidth solidus
    '/a%EF%BC%8Fb',
    '/%EF%BC%8E%EF%BC%8E/admin', // fullwidth full stops
    '/%E2%80%A4%E2%80%A4/admin', // one dot leaders
    '/%E2%80%A5/admin', // two dot leader
    '/a%E2%80%A6', // ellipsis
    '/%EF%BC%A1dmin', // fullwidth A
    '/%EF%BC%BC', // fullwidth reverse solidus
    '/a%EF%B9%A8b', // small reverse solidus
    '/%CD%BEx', // Greek question mark: canonically a semicolon
    '/o%EF%AC%83ce', // ffi ligature
    '/%E2%93%90dmin', // circled a
    '/%C2%AA', // feminine ordinal
    '/x%C2%B2', // superscript two
    '/%E2%84%80', // account of
    '/%F0%9D%90%9Admin', // mathematical a
    '/a%EF%BC%85%EF%BC%92f', // fullwidth percent
  ],
};

test('E6 a path is normalised to what all servers make of it', () => {
  for (const [uri, path] of NORMALISED) assert.equal(requestPath(uri), path, uri);
});

for (const [kind, uris] of Object.entries(UNSAFE)) {
  test(`E6 a path that servers read differently is none: ${kind}`, () => {
    for (const uri of uris) assert.equal(requestPath(uri), undefined, JSON.stringify(uri));
  });
}

test('E6 every byte, raw and encoded, is plain, or decoded, or denied', () => {
  for (let byte = 0; byte < 256; byte++) {
    const character = String.fromCharCode(byte);
    const hex = byte.toString(16).padStart(2, '0');
    const denied = byte <= 0x20 || byte >= 0x7f || '#\\'.includes(character);
    const asciiLower = byte >= 0x41 && byte <= 0x5a ? character.toLowerCase() : character;
    const after = { '/': '/a', '?': '/a', ';': '/a', '%': undefined }[character];
    if (character === '/') assert.equal(requestPath('/a/b'), '/a/b');
    else if (character === '?' || character === ';') assert.equal(requestPath(`/a${character}b`), after, hex);
    else
      assert.equal(requestPath(`/a${character}b`), denied || character === '%' ? undefined : `/a${asciiLower}b`, hex);
    // A space within a name is harmless once it is encoded; so is a percent sign when no escape follows.
    const encodedDenied = byte < 0x20 || byte >= 0x7f || '#\\/?;'.includes(character);
    assert.equal(requestPath(`/a%${hex}z`), encodedDenied ? undefined : `/a${asciiLower}z`, `%${hex}`);
  }
});

test('E6 the fast way and the thorough way make the same of a path', () => {
  const piece = constantFrom(
    'a',
    'z',
    '0',
    '-',
    '_',
    '.',
    '/',
    '/',
    '//',
    '..',
    ';',
    '%2e',
    '%2f',
    '?',
    '#',
    ' ',
    '~',
    '\\',
    '\u00e9',
  );
  check(
    property(array(piece, { maxLength: 12 }), (pieces) => {
      const uri = `/${pieces.join('')}`;
      const path = requestPath(uri);
      // One upper-case segment in front makes everything take the thorough way; a first empty segment is another matter.
      const thorough = uri.startsWith('//') ? undefined : requestPath(`/X${uri}`);
      assert.equal(path === undefined ? undefined : `/x${path}`, thorough, uri);
      if (path === undefined) return;
      assert.equal(requestPath(encodeURI(path) || '/'), path, `${uri} again`);
      assert.doesNotMatch(path, /\/(\/|\.\.?(\/|$)|$)/, uri);
    }),
    { numRuns: 2000 },
  );
});

const pattern = (text: string): PathPattern => {
  const parsed = parsePathPattern(text);
  if (typeof parsed === 'string') assert.fail(`${text}: ${parsed}`);
  return parsed;
};

test('E6 a pattern matches whole segments', () => {
  const cases: readonly (readonly [string, readonly string[], readonly string[]])[] = [
    ['/', ['/', '/?x'], ['/a', '/a/']],
    ['/**', ['/', '/a', '/a/b/c/'], []],
    [
      '/admin',
      ['/admin', '/ADMIN', '/admin/', '/%61dmin', '/admin;x'],
      ['/', '/admin2', '/adm', '/admin/x', '/x/admin', '/admin.json'],
    ],
    ['/Admin/Users', ['/admin/users', '/ADMIN//USERS'], ['/admin', '/admin/users/1']],
    [
      '/admin/**',
      ['/admin', '/admin/', '/admin/x', '/admin/x/y'],
      ['/', '/administrator', '/administrator/x', '/x/admin'],
    ],
    ['/api/*', ['/api/x', '/api/x/'], ['/api', '/api/', '/api/x/y', '/apis/x']],
    ['/api/*/x', ['/api/v1/x'], ['/api/x', '/api/v1/v2/x', '/api/v1/xx', '/api/v1']],
    ['/*/**', ['/a', '/a/b'], ['/']],
    ['/*', ['/a', '/a/'], ['/', '/a/b']],
    ['/fn/{namespace}/**', ['/fn/team-a', '/fn/team-a/x'], ['/fn', '/fn/', '/f/team-a', '/fnn/team-a']],
    ['/café/straße', ['/caf%C3%A9/strasse', '/CAFE%CC%81/STRASSE', '/caf%C3%A9/stra%C3%9Fe'], ['/cafe/strasse']],
    ['/a b', ['/a%20b'], ['/a+b']],
    ['/.well-known/x', ['/.well-known/x', '/%2ewell-known/x'], ['/well-known/x']],
  ];
  for (const [text, matching, others] of cases) {
    for (const uri of matching)
      assert.equal(pathMatches(pattern(text), requestPath(uri) ?? '?'), true, `${text} ${uri}`);
    for (const uri of others)
      assert.equal(pathMatches(pattern(text), requestPath(uri) ?? '?'), false, `${text} ${uri}`);
  }
});

test('E6 a capture is the folded segment', () => {
  const { captures } = pattern('/{a}/x/{b_2}/**');
  assert.deepEqual([...captures], [['a', 0], ['b_2', 2]]); // prettier-ignore
  const path = requestPath('//one/x/Two/three'.slice(1)) ?? '';
  assert.deepEqual([0, 1, 2, 3].map((number) => segmentOf(path, number)), ['one', 'x', 'two', 'three']); // prettier-ignore
});

test('E6 a pattern that could mean something else, or never matches, is refused and says what would be right', () => {
  const refused: Readonly<Record<string, RegExp>> = {
    '': /begins with "\/"/,
    admin: /begins with "\/"/,
    '*': /begins with "\/"/,
    '**': /begins with "\/"/,
    'http://x/': /begins with "\/"/,
    '//admin': /doubled slashes/,
    '/a//b': /doubled slashes/,
    '/admin/': /slash at the end.*"\/\*\*"/,
    '/a/**/': /slash at the end/,
    '/**/b': /"\*\*" stands.*only at the end/,
    '/a*': /one whole segment/,
    '/*a/b': /one whole segment/,
    '/a**': /one whole segment/,
    '/***': /one whole segment/,
    '/{a}b': /whole segment, like \{namespace\}/,
    '/{}': /whole segment/,
    '/{a': /whole segment/,
    '/a}': /whole segment/,
    '/{A}': /whole segment/,
    '/{a.b}': /whole segment/,
    '/{a}/{a}': /\{a\} stands twice/,
    '/./a': /always denied/,
    '/a/..': /always denied/,
    '/a%20b': /without escapes/,
    '/a?b': /none of \? #/,
    '/a#': /none of \? #/,
    '/a;b': /none of \? #/,
    '/a\\b': /none of \? #/,
    '/a\0': /always denied/,
    '/a\u200bb': /always denied/,
    '/ a': /always denied/,
    '/a ': /always denied/,
    '/\u212aube': /always denied/,
    [`/${'a'.repeat(1024)}`]: /at most 1,024/,
  };
  for (const [text, expected] of Object.entries(refused)) {
    const parsed = parsePathPattern(text);
    assert.ok(typeof parsed === 'string' && expected.test(parsed), `${text}: ${JSON.stringify(parsed)}`);
  }
});
