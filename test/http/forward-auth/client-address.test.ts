import assert from 'node:assert/strict';
import { test } from 'node:test';
import { PRESET_NAMES, presetOf } from '../../../src/http/forward-auth/presets.ts';
import { AT } from './support/cluster.ts';
import { clientOf, told } from './support/asking.ts';
import type { Sent, Settings } from './support/asking.ts';

const XFF = 'X-Forwarded-For';
const { caddy, caddy6, web, vault, office, free } = AT;
const CADDY: Settings = { trusted: caddy };

const forwarded = (...values: readonly string[]): Sent => ({
  from: caddy,
  headers: values.map((value) => [XFF, value]),
});

/** The value of X-Forwarded-For as a trusted proxy sends it, one text for each line, and who the client is. */
const LISTS: readonly (readonly [readonly string[], string])[] = [
  [[web], web],
  [[` ${web}\t`], web],
  [[`${vault}, ${web}`], web],
  [[`${vault},${web}`], web],
  [[`${vault} ,\t${web}`], web],
  [[vault, web], web],
  [[`${office}, ${vault}`, web], web],
  [['nonsense', web], web],
  [[`nonsense, ${web}`], web],
  [[`,,, ${web}`], web],
  [[`::ffff:${web}`], web],
  [['FD00:42:0::1:1'], AT.web6],
  // Right to left over proxies that are trusted themselves.
  [[`${web}, ${caddy}`], web],
  [[`${vault}, ${web}, ${caddy}, ${caddy}`], web],
  [[web, caddy], web],
  [[`${web}, ::ffff:${caddy}`], web],
  [[caddy], caddy],
  [[`${caddy}, ${caddy}`], caddy],
  // What is unparsable on the way denies; behind an untrusted address nobody looks.
  [[''], 'invalid-address'],
  [['', ''], 'invalid-address'],
  [[web, ''], 'invalid-address'],
  [[`${web},`], 'invalid-address'],
  [[`${web}, `], 'invalid-address'],
  [[`, ${caddy}`], 'invalid-address'],
  [[`${web}, unknown`], 'invalid-address'],
  [[`unknown, ${caddy}`], 'invalid-address'],
  [[`${web}:80`], 'invalid-address'],
  [[`[${AT.web6}]`], 'invalid-address'],
  [[`[${AT.web6}]:80`], 'invalid-address'],
  [[`"${web}"`], 'invalid-address'],
  [[`for=${web}`], 'invalid-address'],
  [[`${web};${vault}`], 'invalid-address'],
  [[`${web} ${vault}`], 'invalid-address'],
  [['0177.42.1.1'], 'invalid-address'],
  [['127.42.257'], 'invalid-address'],
  [['0x7f2a0101'], 'invalid-address'],
  [['fe80::1%eth0'], 'invalid-address'],
  [[`${web}\u00a0`], 'invalid-address'],
  [['127.42.1.1/32'], 'invalid-address'],
  [['１27.42.1.1'], 'invalid-address'],
  [[`${'0'.repeat(45)}1`], 'invalid-address'],
  [['_hidden'], 'invalid-address'],
];

test('E1 behind a trusted proxy the header is read right to left, all its lines', () => {
  for (const [values, expected] of LISTS)
    assert.equal(told(CADDY, forwarded(...values)), expected, JSON.stringify(values));
});

test('E1 behind a trusted proxy a missing header denies, whichever others are there', () => {
  for (const headers of [[], [['X-Real-IP', web]], [['Forwarded', `for=${web}`]]] as const) {
    assert.equal(told(CADDY, { from: caddy, headers }), 'missing-header');
  }
});

test('E1 only the configured header is read', () => {
  const headers = [
    [XFF, vault],
    ['X-Real-IP', web],
    ['Forwarded', `for=${office}`],
    ['X-Client', free],
  ] as const;
  const table: readonly (readonly [Settings, string])[] = [
    [{}, vault],
    [{ preset: 'caddy' }, vault],
    [{ preset: 'traefik' }, vault],
    [{ preset: 'envoy' }, vault],
    [{ preset: 'nginx' }, web],
    [{ preset: 'ingress-nginx' }, web],
    [{ preset: 'nginx', clientIpHeader: 'X-Forwarded-For' }, vault],
    [{ clientIpHeader: 'x-real-ip' }, web],
    [{ clientIpHeader: 'X-CLIENT' }, free],
    [{ clientIpHeader: 'X-Other' }, 'missing-header'],
  ];
  for (const [settings, expected] of table) {
    assert.equal(told({ trusted: caddy, ...settings }, { from: caddy, headers }), expected, JSON.stringify(settings));
  }
});

test('E1 with the pod network listed, a header that reads "forged, real" names the real one, from every proxy', () => {
  for (const preset of [undefined, ...PRESET_NAMES]) {
    const { client } = presetOf(preset);
    for (const trusted of ['127.42.0.0/16', '127.42.0.0/16,pod:ingress/caddy', `127.42.0.0/16,${caddy}`]) {
      const settings = { trusted, preset };
      const isProxy = trusted !== '127.42.0.0/16';
      const by = (...values: string[]): string =>
        told(settings, { from: caddy, headers: values.map((value) => [client, value]) });
      assert.equal(by(`${vault}, ${web}`), isProxy ? web : 'untrusted-proxy', `${preset} ${trusted}`);
      assert.equal(by(vault, web), isProxy ? web : 'untrusted-proxy');
      // A pod that speaks for itself is none of the proxies.
      assert.equal(told(settings, { from: web, headers: [[client, vault]] }), 'untrusted-proxy');
    }
  }
});

test('D1 the peer may come mapped, with a zone, or not at all', () => {
  const table: readonly (readonly [string, string])[] = [
    [`::ffff:${caddy}`, web],
    [`::FFFF:${caddy}`, web],
    ['::ffff:7f2a:2', web],
    [caddy6, web],
    [`${caddy6}%eth0`, web],
    [`::ffff:${vault}`, 'untrusted-proxy'],
  ];
  const settings = { trusted: `${caddy},${caddy6}` };
  for (const [from, expected] of table) assert.equal(told(settings, { from, headers: [[XFF, web]] }), expected, from);
  for (const from of ['', 'nonsense', '127.42.0.2:80']) assert.equal(told(settings, { from }), 'invalid-address', from);
  assert.equal(told({}, { from: 'fe80::1%eth0' }), 'fe80::1');
  assert.equal(told({}, { from: undefined }), 'invalid-address');
});

test('E8 without a proxy the peer is the client, and nobody has said anything of its request', () => {
  for (const trusted of [undefined, caddy, '127.42.0.0/16', 'pod:ingress/caddy']) {
    const settings = trusted === undefined ? {} : { trusted };
    const headers = [
      ['Host', 'shop'],
      ['X-Forwarded-Host', 'shop'],
      ['X-Forwarded-Method', 'GET'],
      ['X-Forwarded-Uri', '/'],
      ['X-Forwarded-Proto', 'https'],
    ] as const;
    assert.deepEqual(clientOf(settings, { from: `::ffff:${web}`, headers }), {
      ip: web,
      facts: { host: undefined, method: undefined, uri: undefined },
    });
  }
});

test('E8 a forwarding header from a peer that is not trusted denies, and the log names peer, header and setting', () => {
  for (const name of ['X-Forwarded-For', 'x-forwarded-for', 'FORWARDED', 'X-Real-IP', 'x-real-ip']) {
    for (const settings of [
      {},
      CADDY,
      { preset: 'caddy' },
      { preset: 'nginx' },
      { clientIpHeader: 'X-Client' },
    ] as const) {
      const denied = clientOf(settings, { from: web, headers: [[name, vault]] });
      assert.ok('allow' in denied && denied.reason === 'untrusted-proxy', name);
      assert.equal(denied.detail, `${web} (pod:shop/web) sent ${name} and is not in TRUSTED_PROXIES`);
    }
  }
  assert.equal(told({ clientIpHeader: 'X-Client' }, { from: web, headers: [['x-client', web]] }), 'untrusted-proxy');
  // An empty one says it all the same.
  assert.equal(told({}, { from: web, headers: [[XFF, '']] }), 'untrusted-proxy');
  const denied = clientOf({}, { from: office, headers: [[XFF, vault]] });
  assert.match(('allow' in denied && denied.detail) || '', /^127\.113\.0\.7 sent/);
});

test('E8 with a preset or a header set, a request without the header denies, whoever sends it', () => {
  for (const preset of PRESET_NAMES) {
    for (const from of [caddy, web, office]) assert.equal(told({ trusted: caddy, preset }, { from }), 'missing-header');
  }
  for (const from of [caddy, web, office]) {
    assert.equal(told({ trusted: caddy, clientIpHeader: XFF }, { from }), 'missing-header');
  }
});

test('E7 Envoy before 1.29 adds its own address to the header: that names nobody', () => {
  const envoy: Settings = { trusted: 'pod:ingress/caddy', preset: 'envoy' };
  const by = (value: string, settings = envoy, from: string = caddy): string =>
    told(settings, { from, headers: [[XFF, value]] });
  assert.equal(by(`${web},${caddy}`), web);
  assert.equal(by(`${web},${caddy6}`), web);
  assert.equal(by(web), web);
  // The client's address was not allowed on the way to the authorizer.
  assert.equal(by(caddy), 'missing-header');
  assert.equal(by(caddy6), 'missing-header');
  assert.equal(by(`${caddy},${caddy}`), 'missing-header');
  // Nor when only the address that it connects from is listed.
  assert.equal(by(caddy6, { ...envoy, trusted: caddy }), 'missing-header');
  assert.equal(by(caddy6, { ...envoy, trusted: caddy, clientIpHeader: XFF }), 'missing-header');
  // Other proxies may be callers of each other.
  assert.equal(by(caddy, { ...envoy, preset: 'caddy' }), caddy);
});

test('E5 a header that looks like one that is believed denies, whoever sends it', () => {
  const believed: readonly (readonly [Settings['preset'], readonly string[]])[] = [
    [undefined, [XFF, 'X-Forwarded-Host', 'X-Forwarded-Method', 'X-Forwarded-Uri']],
    ['caddy', [XFF, 'X-Forwarded-Host', 'X-Forwarded-Method', 'X-Forwarded-Uri']],
    ['traefik', [XFF, 'X-Forwarded-Host', 'X-Forwarded-Method', 'X-Forwarded-Uri']],
    ['nginx', ['X-Real-IP', 'X-Original-Method', 'X-Original-URI', 'Host']],
    ['ingress-nginx', ['X-Real-IP', 'X-Original-Method', 'X-Original-URL']],
    ['envoy', [XFF, 'Host']],
  ];
  for (const [preset, names] of believed) {
    const { client } = presetOf(preset);
    for (const name of names) {
      for (const like of [
        name.replaceAll('-', '_'),
        name.replaceAll('-', '.').toLowerCase(),
        name.replaceAll('-', '!'),
        name.replaceAll('-', '~').toLowerCase(),
        name.replace('-', '_').toUpperCase(),
        `${name}_`,
        `.${name}`,
        name.replaceAll('-', '--'),
        name.replaceAll('-', ''),
      ]) {
        if (like.toLowerCase() === name.toLowerCase()) continue;
        const headers = [
          [client, web],
          [like, 'x'],
        ] as const;
        for (const order of [headers, headers.toReversed()]) {
          assert.equal(
            told({ trusted: caddy, preset }, { from: caddy, headers: order }),
            'invalid-header',
            `${preset} ${like}`,
          );
        }
        assert.equal(told({ preset }, { from: web, headers: [[like, 'x']] }), 'invalid-header', `${preset} ${like}`);
      }
    }
  }
  // Of headers that are not believed there may be any likeness.
  for (const name of [
    'X_Real_IP',
    'Forwarded_',
    'X_Original_URI',
    'X-Forwarded-Forr',
    'X-Forwarded-Fo',
    'XX-Forwarded-For',
    'X_Forwarded_Proto',
  ]) {
    assert.equal(
      told(CADDY, {
        from: caddy,
        headers: [
          [XFF, web],
          [name, 'x'],
        ],
      }),
      web,
      name,
    );
  }
  const denied = clientOf(CADDY, {
    from: caddy,
    headers: [
      [XFF, web],
      ['X_Forwarded_For', vault],
    ],
  });
  assert.equal('allow' in denied && denied.detail, 'X_Forwarded_For looks like x-forwarded-for');
});

test("E5 a header that a back end may take for one that tells who calls denies; its very name is the proxy's to overwrite", () => {
  const ask = (name: string, more: Partial<Settings> = {}): string =>
    told(
      { ...CADDY, ...more },
      {
        from: caddy,
        headers: [
          [XFF, web],
          [name, 'forged'],
        ],
      },
    );
  for (const name of ['X-Pod-Namespace', 'X-Pod-Service-Account', 'x-pod-ip']) {
    assert.equal(ask(name), web, name);
    for (const mark of ['_', '.', '', '--', '!', '#', '$', '%', '&', "'", '*', '+', '^', '`', '|', '~']) {
      const like = name.replaceAll('-', mark);
      assert.equal(ask(like), 'invalid-header', like);
    }
  }
  assert.equal(ask('X_Team', { identityHeaders: ['X-Team'] }), 'invalid-header');
  assert.equal(ask('X_Pod_Namespace', { identityHeaders: ['X-Team'] }), web);
});

test('E5 a believed header of the request that stands twice denies, even when both say the same', () => {
  for (const preset of [undefined, ...PRESET_NAMES]) {
    const { client, host, method, uri } = presetOf(preset);
    for (const name of [host, method, uri]) {
      if (name === undefined) continue;
      const headers = [
        [client, web],
        [name, 'http://a/b'],
        [name.toLowerCase(), 'http://a/b'],
      ] as const;
      assert.equal(told({ trusted: caddy, preset }, { from: caddy, headers }), 'invalid-header', `${preset} ${name}`);
    }
  }
});
