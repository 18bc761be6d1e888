import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FORWARD_AUTH, forwardAuth } from '../../../src/http/forward-auth/settings.ts';
import type { ForwardAuthSettings } from '../../../src/http/forward-auth/settings.ts';
import { CORE } from '../../../src/settings.ts';
import type { Settings } from '../../../src/settings.ts';
import { flagName, readSettings, SettingsError } from '../../../src/settings/schema.ts';

const TOGETHER = { ...CORE, ...FORWARD_AUTH };

const read = (environment: Record<string, string>): Settings & ForwardAuthSettings =>
  readSettings(TOGETHER, { flags: {}, environment }, forwardAuth.checks);

function problemsOf(environment: Record<string, string>): readonly string[] {
  try {
    read(environment);
  } catch (error) {
    assert.ok(error instanceof SettingsError);
    return error.problems;
  }
  return [];
}

/** On, with nothing wrong. */
const ON = { FORWARD_AUTH: 'true', TRUSTED_PROXIES: '192.0.2.1' };

test('no setting of forward auth has the key, the variable or the flag of another', () => {
  const all = [...Object.entries(CORE), ...Object.entries(FORWARD_AUTH)];
  for (const name of [
    ([key]: (typeof all)[number]) => key,
    ([, { variable }]: (typeof all)[number]) => variable,
    ([, setting]: (typeof all)[number]) => flagName(setting),
  ]) {
    assert.equal(new Set(all.map(name)).size, all.length);
  }
});

test('every example is right, and every default is what no text gives', () => {
  for (const [key, { variable, example, fallback }] of Object.entries(FORWARD_AUTH)) {
    const schema = { it: FORWARD_AUTH[key as keyof typeof FORWARD_AUTH] };
    assert.doesNotThrow(() => readSettings(schema, { flags: { it: example }, environment: {} }), variable);
    assert.equal(readSettings(schema, { flags: {}, environment: {} }).it, fallback);
  }
});

test('a value that is wrong is refused by itself, whether forward auth is on or off', () => {
  const wrong: Readonly<Record<string, readonly string[]>> = {
    FORWARD_AUTH: ['2', 'maybe'],
    FORWARD_AUTH_RULES: ['a\u0000b'],
    FORWARD_AUTH_DEFAULT: ['allow', 'identify,deny'],
    TRUSTED_PROXIES: [
      '0.0.0.0/0',
      '::/0',
      '10.0.0.0/0',
      '::ffff:0.0.0.0/96',
      '::ffff:10.0.0.0/8',
      '10.0.0.0/33',
      '10.0.0/24',
      '010.0.0.1',
      'fe80::1%eth0',
      '[::1]',
      '10.0.0.1:80',
      'caddy',
      'ingress/caddy',
      'pod:caddy',
      'pod:ingress/caddy/x',
      'pod:Ingress/caddy',
      'pod:ingress/',
      'pod:/caddy',
      'pod:ingress/*',
      'pod: ingress/caddy',
      '192.0.2.1,::/0',
      '192.0.2.1 192.0.2.2',
      Array.from({ length: 1001 }, (_, i) => `10.1.${i >> 8}.${i & 255}`).join(','),
    ],
    CLIENT_IP_HEADER: [
      'X Real',
      'X_Real_IP',
      'X.Real.IP',
      'X-Real-IP:',
      '-X',
      'X-',
      'X--Real',
      'Forwarded',
      'Host',
      'cookie',
      'Content-Length',
      'X-Forwarded-Host',
      'x-original-url',
      'x-'.repeat(40),
    ],
    FORWARD_AUTH_PRESET: ['apache', 'nginx,caddy'],
    FORWARD_AUTH_DIRECT: ['direct'],
    FORWARD_AUTH_PARTIAL_VIEW: ['-'],
    FORWARD_AUTH_WAIT: ['2001ms', '500', '-1s', '1h'],
    FORWARD_AUTH_AUDIT: ['audit'],
    FORWARD_AUTH_DEBUG: ['debug'],
    FORWARD_AUTH_HEADERS: [
      'X-Team',
      'namespace',
      'namespace=',
      'team=X-Team',
      'constructor=X-Team',
      'namespace=X-Team=Y',
      'namespace=X Team',
      'namespace=X_Team',
      'namespace=X-A,namespace=X-B',
      'namespace=X-A,name=x-a',
      'namespace=X-A,name=XA',
      'namespace=X-Pod-Name',
      'namespace=Host',
      'namespace=Connection',
      'namespace=Set-Cookie',
      'namespace=Content-Type',
      'namespace=Authorization',
      'namespace=X-Podwhois-Age',
      'namespace=X-Forwarded-For',
      'namespace=X-Real-IP',
      'namespace=X-Forwarded-Proto',
      `namespace=X${'a'.repeat(64)}`,
    ],
    FORWARD_AUTH_TOKEN_KEY_FILE: ['\u001b[31m'],
    FORWARD_AUTH_TOKEN_AUDIENCE: ['a b', 'ä', 'a'.repeat(254)],
    FORWARD_AUTH_TOKEN_ISSUER: ['a b'],
  };
  assert.deepEqual(
    Object.keys(wrong),
    Object.values(FORWARD_AUTH).map(({ variable }) => variable),
  );
  for (const [variable, values] of Object.entries(wrong)) {
    for (const value of values) {
      for (const others of [{}, ON]) {
        const problems = problemsOf({ ...others, [variable]: value });
        assert.equal(problems.length, 1, `${variable}=${value}: ${problems.join('\n')}`);
        assert.match(
          problems[0] ?? '',
          new RegExp(`^${variable} \\(or --[a-z-]+\\) is ".*: must be .*, for example `, 's'),
        );
      }
    }
  }
});

test('what is wrong in a list is named, harmless and short', () => {
  const [proxy = ''] = problemsOf({ TRUSTED_PROXIES: `192.0.2.1,\u001b[31m${'x'.repeat(500)}` });
  assert.match(proxy, /"\\u001b\[31mx+… \(505 characters\)" is neither an address nor a network/);
  assert.ok(proxy.length < 500, proxy);
  assert.match(
    problemsOf({ TRUSTED_PROXIES: '0.0.0.0/0' })[0] ?? '',
    /"0\.0\.0\.0\/0" would trust every address there is/,
  );
  assert.match(problemsOf({ FORWARD_AUTH_HEADERS: 'uid=Via' })[0] ?? '', /"Via" is HTTP's or podwhois's own/);
});

test('E1 an entry is an address, a network or a service account, in canonical form', () => {
  const table: readonly (readonly [string, readonly string[]])[] = [
    ['10.0.0.1', ['address 10.0.0.1']],
    ['10.0.0.1/32', ['address 10.0.0.1']],
    ['::ffff:10.0.0.1', ['address 10.0.0.1']],
    ['::ffff:10.0.0.1/128', ['address 10.0.0.1']],
    ['FD00:0::1', ['address fd00::1']],
    ['fd00::1/128', ['address fd00::1']],
    ['10.1.2.3/8', ['network 10.0.0.0/8']],
    ['0.0.0.0/1', ['network 0.0.0.0/1']],
    ['fd00::1/32', ['network fd00::/32']],
    ['pod:ingress/caddy', ['pod pod:ingress/caddy']],
    ['pod:ingress/a.b-c', ['pod pod:ingress/a.b-c']],
    [' 10.0.0.1 , ,10.0.0.1/32,pod:a/b', ['address 10.0.0.1', 'pod pod:a/b']],
  ];
  for (const [text, expected] of table) {
    const { trustedProxies } = read({ TRUSTED_PROXIES: text });
    assert.deepEqual(
      trustedProxies.map((proxy) => `${proxy.kind} ${proxy.text}`),
      expected,
      text,
    );
    assert.ok(Object.isFrozen(trustedProxies));
  }
});

test('identity headers that are not renamed keep their names', () => {
  const { forwardAuthHeaders } = read({ FORWARD_AUTH_HEADERS: 'namespace = X-Team, service-account=Remote-User' });
  assert.deepEqual(forwardAuthHeaders, {
    name: 'X-Pod-Name',
    namespace: 'X-Team',
    uid: 'X-Pod-Uid',
    ip: 'X-Pod-Ip',
    node: 'X-Pod-Node',
    'service-account': 'Remote-User',
    workload: 'X-Pod-Workload',
    token: 'X-Pod-Token',
  });
  assert.ok(Object.isFrozen(forwardAuthHeaders));
  // Two may change places.
  assert.equal(read({ FORWARD_AUTH_HEADERS: 'uid=X-Pod-Ip,ip=X-Pod-Uid' }).forwardAuthHeaders.uid, 'X-Pod-Ip');
});

test('forward auth is on when it says so, or by a rules file', () => {
  const table: readonly (readonly [Record<string, string>, boolean])[] = [
    [{}, false],
    [{ TRUSTED_PROXIES: '10.0.0.1' }, false],
    [{ FORWARD_AUTH: 'false' }, false],
    [{ FORWARD_AUTH: 'true', FORWARD_AUTH_DIRECT: 'true' }, true],
    [{ FORWARD_AUTH_RULES: '/r', FORWARD_AUTH_DIRECT: 'true' }, true],
    [{ FORWARD_AUTH: 'false', FORWARD_AUTH_RULES: '/r' }, false],
    [{ FORWARD_AUTH: 'true', FORWARD_AUTH_RULES: '/r', FORWARD_AUTH_DIRECT: 'true' }, true],
  ];
  for (const [environment, expected] of table) {
    assert.equal(forwardAuth.isOn(read(environment)), expected, JSON.stringify(environment));
  }
});

/** What is refused together, and what is not. */
const COMBINATIONS: readonly (readonly [Record<string, string>, readonly RegExp[]])[] = [
  [ON, []],
  [{ FORWARD_AUTH: 'true', FORWARD_AUTH_DIRECT: 'true' }, []],
  [{ FORWARD_AUTH: 'true' }, [/^TRUSTED_PROXIES .*is not set \(default: nobody\): must be .*FORWARD_AUTH_DIRECT=true/]],
  [{ FORWARD_AUTH_RULES: '/r' }, [/^TRUSTED_PROXIES /]],
  [{ FORWARD_AUTH: 'true', TRUSTED_PROXIES: ',' }, [/^TRUSTED_PROXIES /]],
  [{ FORWARD_AUTH: 'false', FORWARD_AUTH_RULES: '/r' }, []],
  [{ FORWARD_AUTH: 'true', TRUSTED_PROXIES: 'nonsense' }, [/^TRUSTED_PROXIES .*"nonsense"/]],
  [{ ...ON, LABEL_SELECTOR: 'a=b' }, [/^LABEL_SELECTOR .*"a=b": must be unset with forward auth/]],
  [{ ...ON, LABEL_SELECTOR: 'a=b', FORWARD_AUTH_PARTIAL_VIEW: 'true' }, [/^LABEL_SELECTOR /]],
  [{ ...ON, NAMESPACE: 'a' }, [/^NAMESPACE .*"a": must be unset.*FORWARD_AUTH_PARTIAL_VIEW=true/]],
  [{ ...ON, NODE_NAME: 'n' }, [/^NODE_NAME .*"n": must be unset/]],
  [{ ...ON, NAMESPACE: 'a', NODE_NAME: 'n' }, [/^NAMESPACE /, /^NODE_NAME /]],
  [{ ...ON, NAMESPACE: 'a', NODE_NAME: 'n', FORWARD_AUTH_PARTIAL_VIEW: 'true' }, []],
  [{ NAMESPACE: 'a', NODE_NAME: 'n', LABEL_SELECTOR: 'a=b' }, []],
  [
    { ...ON, FORWARD_AUTH_RULES: '/r', FORWARD_AUTH_DEFAULT: 'deny' },
    [/^FORWARD_AUTH_DEFAULT .*"deny": must be unset/],
  ],
  [{ ...ON, FORWARD_AUTH_DEFAULT: 'identify' }, []],
  [{ ...ON, FORWARD_AUTH_TOKEN_KEY_FILE: '/k' }, [/^FORWARD_AUTH_TOKEN_AUDIENCE /]],
  [{ ...ON, FORWARD_AUTH_TOKEN_KEY_FILE: '/k', FORWARD_AUTH_TOKEN_AUDIENCE: 'a' }, []],
  [{ ...ON, CLIENT_IP_HEADER: 'X-Caller', FORWARD_AUTH_HEADERS: 'ip=x-caller' }, [/^FORWARD_AUTH_HEADERS /]],
  [{ ...ON, CLIENT_IP_HEADER: 'X-Pod-Ip' }, [/^FORWARD_AUTH_HEADERS /]],
  [
    { FORWARD_AUTH: 'true', FORWARD_AUTH_DIRECT: 'true', FORWARD_AUTH_PRESET: 'nginx', CLIENT_IP_HEADER: 'X-Real-IP' },
    [/^FORWARD_AUTH_PRESET .*every preflight would be denied/, /^CLIENT_IP_HEADER /],
  ],
];

test('E1 E8 A10 settings that are dangerous together are refused together, while forward auth is on', () => {
  for (const [environment, expected] of COMBINATIONS) {
    const problems = problemsOf(environment);
    assert.equal(problems.length, expected.length, `${JSON.stringify(environment)}: ${problems.join('\n')}`);
    for (const [i, pattern] of expected.entries()) assert.match(problems[i] ?? '', pattern);
    assert.deepEqual(
      problemsOf({ ...environment, FORWARD_AUTH: 'false' }).filter((one) => !one.includes('nonsense')),
      [],
    );
  }
});

test('E1 a network that overlaps CLUSTER_CIDR is refused, a single address in it is not', () => {
  const refused = (proxies: string, cidr: string): boolean =>
    problemsOf({ FORWARD_AUTH: 'true', TRUSTED_PROXIES: proxies, CLUSTER_CIDR: cidr }).length > 0;
  const table: readonly (readonly [string, string, boolean])[] = [
    ['10.42.0.0/16', '10.42.0.0/16', true],
    ['10.0.0.0/8', '10.42.0.0/16', true],
    ['10.42.7.0/24', '10.42.0.0/16', true],
    ['10.43.0.0/16', '10.42.0.0/16', false],
    ['10.42.0.0/15', '10.43.0.0/16', true],
    ['10.42.0.7', '10.42.0.0/16', false],
    ['10.42.0.7/32', '10.42.0.0/16', false],
    ['pod:ingress/caddy', '10.42.0.0/16', false],
    ['fd00:42::/64', '10.42.0.0/16,fd00:42::/48', true],
    ['fd00:43::/64', '10.42.0.0/16,fd00:42::/48', false],
    ['::ffff:10.42.0.0/112', '10.42.0.0/16', true],
    ['fd00::/8', '10.42.0.0/16', false],
  ];
  for (const [proxies, cidr, expected] of table)
    assert.equal(refused(proxies, cidr), expected, `${proxies} in ${cidr}`);
  assert.match(
    problemsOf({ FORWARD_AUTH: 'true', TRUSTED_PROXIES: '10.0.0.0/8', CLUSTER_CIDR: '10.42.0.0/16' })[0] ?? '',
    /^TRUSTED_PROXIES .*instead of 10\.0\.0\.0\/8, which overlaps CLUSTER_CIDR \(10\.42\.0\.0\/16\)/,
  );
});

test('E8 with everything wrong at once nothing is left unsaid', () => {
  const problems = problemsOf({ FORWARD_AUTH: 'true', PORT: 'x', FORWARD_AUTH_WAIT: '9s', NODE_NAME: 'n' });
  assert.deepEqual(
    problems.map((problem) => problem.split(' ')[0]),
    ['PORT', 'FORWARD_AUTH_WAIT', 'TRUSTED_PROXIES', 'NODE_NAME'],
  );
});

test('what is allowed and may surprise is warned of', () => {
  const warningsOf = (environment: Record<string, string>): readonly string[] =>
    forwardAuth.warnings(read(environment));
  assert.deepEqual(warningsOf({}), []);
  assert.deepEqual(warningsOf(ON), []);
  assert.deepEqual(warningsOf({ FORWARD_AUTH: 'false' }), []);
  assert.deepEqual(warningsOf({ FORWARD_AUTH_WAIT: '1s', FORWARD_AUTH_AUDIT: 'true' }), [
    'forward auth is off, so these settings do nothing: FORWARD_AUTH_WAIT, FORWARD_AUTH_AUDIT',
  ]);
  assert.match(warningsOf({ FORWARD_AUTH: 'false', FORWARD_AUTH_RULES: '/r' })[0] ?? '', /off.*: FORWARD_AUTH_RULES$/);
  assert.match(
    warningsOf({ ...ON, FORWARD_AUTH_AUDIT: 'true' }).join(),
    /^FORWARD_AUTH_AUDIT is on: every request passes/,
  );
  assert.match(warningsOf({ ...ON, FORWARD_AUTH_DEBUG: 'true' }).join(), /^FORWARD_AUTH_DEBUG is on/);
  assert.match(
    warningsOf({ ...ON, FORWARD_AUTH_RULES: '/r' }).join(),
    /^FORWARD_AUTH_PRESET is not set: .*what the caller wrote/,
  );
  assert.deepEqual(warningsOf({ ...ON, FORWARD_AUTH_RULES: '/r', FORWARD_AUTH_PRESET: 'caddy' }), []);
  assert.deepEqual(warningsOf({ FORWARD_AUTH_DIRECT: 'true', FORWARD_AUTH_RULES: '/r' }), []);
});
