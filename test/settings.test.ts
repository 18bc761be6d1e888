import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { CAPABILITIES } from '../src/capabilities.ts';
import { DEMO, HEALTHCHECK, LOOKUP } from '../src/commands/settings.ts';
import { CORE, coreWarnings, readCoreSettings } from '../src/settings.ts';
import type { Settings } from '../src/settings.ts';
import type { Given, Setting } from '../src/settings/schema.ts';
import { changedSettings } from '../src/settings/changed.ts';
import { flagName, readSettings, SettingsError } from '../src/settings/schema.ts';
import { boolean } from '../src/settings/parsers.ts';
import { CONFIGURATION, VALUES_SCHEMA, withSettings, withTables } from './support/write-docs.ts';

const fromEnvironment = (environment: Record<string, string>): Settings => readCoreSettings({ flags: {}, environment });
const fromFlags = (flags: Record<string, string>, environment: Record<string, string> = {}): Settings =>
  readCoreSettings({ flags, environment });

function problemsOf(environment: Record<string, string>, flags: Record<string, string> = {}): readonly string[] {
  try {
    readCoreSettings({ flags, environment });
  } catch (error) {
    assert.ok(error instanceof SettingsError);
    return error.problems;
  }
  return [];
}

test('without flags and variables every setting has its default', () => {
  const settings = fromEnvironment({});
  for (const [key, setting] of Object.entries(CORE))
    assert.equal(settings[key as keyof Settings], setting.fallback, key);
  assert.deepEqual(changedSettings(CORE, settings), {});
});

test("the issue's defaults", () => {
  const { port, host, readyMaxStaleness, serveMaxStaleness, resyncInterval, terminatingSlack } = fromEnvironment({});
  assert.deepEqual(
    { port, host, readyMaxStaleness, serveMaxStaleness, resyncInterval, terminatingSlack },
    {
      port: 8080,
      host: undefined,
      readyMaxStaleness: 90e3,
      serveMaxStaleness: 300e3,
      resyncInterval: 600e3,
      terminatingSlack: 30e3,
    },
  );
});

test('the documented default and the example of every setting are what its parser reads', () => {
  const capabilities = CAPABILITIES.map(({ settings }) => settings);
  for (const setting of [CORE, DEMO, HEALTHCHECK, LOOKUP, ...capabilities].flatMap((schema) => Object.values(schema))) {
    const schema = { it: setting };
    const read = (text: string) => readSettings(schema, { flags: { it: text }, environment: {} }).it;
    assert.doesNotThrow(() => read(setting.example), setting.variable);
    if (typeof setting.fallback === 'number') {
      assert.equal(read(/^\S+?(?=,|$)/.exec(setting.fallbackText)?.[0] ?? ''), setting.fallback, setting.variable);
    }
  }
});

test('every setting is read from its variable and from its flag', () => {
  for (const [key, setting] of Object.entries<Setting<unknown>>(CORE)) {
    const { variable, example } = setting;
    const read = (given: Given): string | undefined => JSON.stringify(readSettings({ [key]: setting }, given)[key]);
    const byFlag = read({ flags: { [key]: example }, environment: {} });
    const byVariable = read({ flags: {}, environment: { [variable]: example } });
    assert.equal(byVariable, byFlag);
    assert.ok(setting.fallback === undefined || Array.isArray(setting.fallback) === byFlag?.startsWith('['), key);
  }
  const { port, namespaces, resyncInterval } = fromEnvironment({
    PORT: '81',
    NAMESPACE: 'b, a,,b',
    RESYNC_INTERVAL: '1m30s',
  });
  assert.deepEqual({ port, namespaces, resyncInterval }, { port: 81, namespaces: ['b', 'a'], resyncInterval: 90e3 });
});

test('a flag wins over its variable, and a wrong variable behind a flag is not looked at', () => {
  assert.equal(fromFlags({ port: '81' }, { PORT: '82' }).port, 81);
  assert.equal(fromFlags({ port: '81' }, { PORT: 'nonsense' }).port, 81);
});

test('an empty variable is unset, an empty flag asks for the default', () => {
  assert.equal(fromEnvironment({ PORT: '' }).port, 8080);
  assert.equal(fromEnvironment({ PORT: ' \n' }).port, 8080);
  assert.deepEqual(fromFlags({ namespaces: '' }, { NAMESPACE: 'shop' }).namespaces, []);
});

test('white space around a value is not part of it', () => {
  assert.equal(fromEnvironment({ PORT: ' 81\n' }).port, 81);
});

test('settings are frozen, their lists too', () => {
  const settings = fromEnvironment({ NAMESPACE: 'a,b' });
  assert.throws(() => ((settings as { port: number }).port = 1), TypeError);
  assert.throws(() => (settings.namespaces as string[]).push('c'), TypeError);
  assert.throws(() => (settings.annotations as string[]).push('c'), TypeError);
  assert.deepEqual(fromEnvironment({}).annotations, []);
});

test('all wrong settings are reported together, each by its names, its value and what would be right', () => {
  const problems = problemsOf(
    { PORT: '99999', LOG_LEVEL: 'loud', RESYNC_INTERVAL: '600', HISTORY_RETENTION: '1d', NODE_NAME: 'Node_1' },
    { host: 'a:80' },
  );
  assert.deepEqual(problems, [
    'PORT (or --port) is "99999": must be a whole number from 0 to 65535, for example 8080',
    '--host (or HOST) is "a:80": must be an address or a host name, without a port or brackets, for example 0.0.0.0',
    'NODE_NAME (or --node-name) is "Node_1": must be the name of a node (lower-case letters, digits, "-" and "."), for example worker-1',
    'RESYNC_INTERVAL (or --resync-interval) is "600": must be a duration with its unit (h, m, s, ms) from 1s to 24h, for example 10m',
    'HISTORY_RETENTION (or --history-retention) is "1d": must be a duration with its unit (h, m, s, ms) from 1m to 24h, for example 1h',
    'LOG_LEVEL (or --log-level) is "loud": must be one of fatal, error, warn, info, debug, trace, for example debug',
  ]);
  assert.match(new SettingsError(problems).message, /^6 settings are wrong:\n {2}PORT .*\n {2}--host /);
});

test('a value that is wrong is refused, whatever is wrong about it', () => {
  const wrong: Readonly<Record<string, readonly string[]>> = {
    PORT: ['-1', '65536', '8080.0', '8e3', '0x50', '080', '+80', '80 81', 'http', 'NaN', 'true', '٨٠'],
    HOST: ['[::]', '0.0.0.0:80', '300.1.1.1', '1.2.3', 'http://x', 'a b', '-a', 'a..b', '/tmp/socket', 'a'.repeat(254)],
    K8S_API_SERVER: [
      '127.0.0.1:8001',
      'ftp://x',
      'http://',
      'https://u:p@h',
      'http://h?x',
      'http://h#x',
      'http://h:99999',
      'http://a b',
      'http://010.0.0.1',
      'http:/h',
      'http:\\\\h',
    ],
    KUBECONFIG: ['a\u0000b', '\u001b[31m'],
    PREFLIGHT_PORT: ['-1', '65536', 'none'],
    LOOKUP_TOKEN_FILE: ['a\u0000b', 'x'.repeat(4097)],
    NAMESPACE: [
      'Shop',
      'a/b',
      '*',
      'a_b',
      '-a',
      'a'.repeat(64),
      'a,B',
      'a b',
      Array.from({ length: 101 }, (_, i) => `n${i}`).join(','),
    ],
    LABEL_SELECTOR: ['a=\u0000', 'ä=b', 'a in b', 'a=b,,', 'a=b c'],
    ANNOTATIONS: ['*', 'a/b/c', '/a', 'a b', 'kubectl.kubernetes.io/last-applied-configuration', 'a'.repeat(64), '-a'],
    CLUSTER_CIDR: [
      '10.42.0.0',
      '10.42.0.0/33',
      '10.42/16',
      '::ffff:10.0.0.0/8',
      'fd00::/129',
      '10.42.0.0/16,x',
      '010.0.0.0/8',
      '0x0/8',
    ],
    READY_MAX_STALENESS: ['90', '-90s', '0', '999ms', '61m', '1d', 'Infinity'],
    SERVE_MAX_STALENESS: ['300', '25h'],
    RESYNC_INTERVAL: ['0', '0s', '10 m', '10min'],
    TERMINATING_SLACK: ['30', '-1s', '61m'],
    SHUTDOWN_DELAY: ['6m'],
    LOG_LEVEL: ['warning', 'silent', '30'],
    LOG_FORMAT: ['pretty', 'JSON '.repeat(2)],
  };
  for (const [variable, values] of Object.entries(wrong)) {
    for (const value of values) assert.equal(problemsOf({ [variable]: value }).length, 1, `${variable}=${value}`);
  }
});

test('what is right is read, however it is written', () => {
  const right: readonly (readonly [string, string, keyof Settings, unknown])[] = [
    ['PORT', '0', 'port', 0],
    ['HOST', '::', 'host', '::'],
    ['HOST', 'fe80::1%eth0', 'host', 'fe80::1%eth0'],
    ['HOST', 'localhost', 'host', 'localhost'],
    ['K8S_API_SERVER', 'https://10.0.0.1:6443/', 'apiServer', 'https://10.0.0.1:6443'],
    ['K8S_API_SERVER', 'http://[::1]:8001', 'apiServer', 'http://[::1]:8001'],
    [
      'K8S_API_SERVER',
      'https://rancher.example/k8s/clusters/c-1/',
      'apiServer',
      'https://rancher.example/k8s/clusters/c-1',
    ],
    ['NAMESPACE', 'constructor', 'namespaces', ['constructor']],
    ['ANNOTATIONS', 'team,example.com/a_B.c', 'annotations', ['team', 'example.com/a_B.c']],
    ['TERMINATING_SLACK', '0', 'terminatingSlack', 0],
    ['LOG_LEVEL', 'WARN', 'logLevel', 'warn'],
    ['LOG_FORMAT', 'Text', 'logFormat', 'text'],
  ];
  for (const [variable, text, key, value] of right) assert.deepEqual(fromEnvironment({ [variable]: text })[key], value);
});

test('hostile values are shown harmless and short, and passwords not at all', () => {
  const [escape = ''] = problemsOf({ PORT: '\u001b]0;owned\u0007\r\n\u202e80' });
  assert.ok(escape.includes(String.raw`"\u001b]0;owned\u0007\u000d\u000a\u202e80"`), escape);
  const [long = ''] = problemsOf({ PORT: '9'.repeat(100_000) });
  assert.ok(long.length < 300, long);
  assert.match(long, /100000 characters/);
  for (const url of [
    'https://admin:hunter2@10.0.0.1',
    'https://admin:hunter2@@h/',
    'https://a:x/hunter2@h',
    `https://${'u'.repeat(80)}:hunter2@h`,
  ]) {
    const [secret = ''] = problemsOf({ K8S_API_SERVER: url });
    assert.ok(secret.includes('K8S_API_SERVER') && !secret.includes('hunter2'), secret);
  }
  const schema = { token: { ...CORE.port, secret: true } };
  assert.throws(
    () => readSettings(schema, { flags: { token: 'hunter2' }, environment: {} }),
    (error: Error) => !error.message.includes('hunter2'),
  );
});

test('a variable that holds the address of a Service is named as what it is', () => {
  for (const value of ['tcp://10.96.0.10:80', 'udp://10.96.0.10:53', 'TCP://[fd00::1]:80']) {
    for (const { variable } of Object.values(CORE)) {
      const [problem = ''] = problemsOf({ [variable]: value });
      assert.match(problem, new RegExp(`^${variable} .*Service's address.*enableServiceLinks: false`));
    }
  }
});

test('variables that Kubernetes makes of a Service called podwhois or port are not read', () => {
  const environment: Record<string, string> = {};
  for (const name of [
    'PODWHOIS',
    'PORT',
    'HOST',
    'NAMESPACE',
    'K8S_API_SERVER',
    'NODE_NAME',
    'LOG_LEVEL',
    'KUBERNETES',
  ]) {
    Object.assign(environment, {
      [`${name}_SERVICE_HOST`]: '10.96.0.10',
      [`${name}_SERVICE_PORT`]: '81',
      [`${name}_SERVICE_PORT_HTTP`]: '81',
      [`${name}_PORT`]: 'tcp://10.96.0.10:81',
      [`${name}_PORT_81_TCP`]: 'tcp://10.96.0.10:81',
      [`${name}_PORT_81_TCP_PROTO`]: 'tcp',
      [`${name}_PORT_81_TCP_PORT`]: '81',
      [`${name}_PORT_81_TCP_ADDR`]: '10.96.0.10',
    });
  }
  assert.deepEqual(fromEnvironment(environment), fromEnvironment({}));
  assert.equal(readSettings(LOOKUP, { flags: {}, environment }).server, 'http://localhost:8080');
});

test('C3 the soft limit may not be above the hard one, and a soft one under 15s is warned of', () => {
  assert.match(
    problemsOf({ READY_MAX_STALENESS: '6m' })[0] ?? '',
    /^READY_MAX_STALENESS .*"6m": must be at most SERVE_MAX_STALENESS \(5m\)/,
  );
  // Where only the other one was given, the default that is too high names itself.
  assert.match(
    problemsOf({ SERVE_MAX_STALENESS: '1m' })[0] ?? '',
    /^READY_MAX_STALENESS .*is not set \(default: 90s\): must be at most .*\(1m\)/,
  );
  assert.deepEqual(problemsOf({ READY_MAX_STALENESS: '5m', SERVE_MAX_STALENESS: '5m' }), []);
  // A limit that is wrong by itself is not compared.
  assert.equal(problemsOf({ READY_MAX_STALENESS: '6m', SERVE_MAX_STALENESS: 'x' }).length, 1);
  assert.deepEqual(coreWarnings(fromEnvironment({ READY_MAX_STALENESS: '15s' })), []);
  assert.match(coreWarnings(fromEnvironment({ READY_MAX_STALENESS: '14s' }))[0] ?? '', /READY_MAX_STALENESS/);
});

test('a certificate needs its key and a key its certificate, and two ports are two', () => {
  assert.match(
    problemsOf({ TLS_CERT_FILE: '/c' })[0] ?? '',
    /^TLS_KEY_FILE .*: must be set together with TLS_CERT_FILE/,
  );
  assert.match(
    problemsOf({ TLS_KEY_FILE: '/k' })[0] ?? '',
    /^TLS_CERT_FILE .*: must be set together with TLS_KEY_FILE/,
  );
  assert.deepEqual(problemsOf({ TLS_CERT_FILE: '/c', TLS_KEY_FILE: '/k' }), []);
  assert.match(problemsOf({ PREFLIGHT_PORT: '8080' })[0] ?? '', /^PREFLIGHT_PORT .*: must be another port than PORT/);
  assert.deepEqual(problemsOf({ PREFLIGHT_PORT: '0', PORT: '0' }), []);
  assert.deepEqual(problemsOf({ PREFLIGHT_PORT: '8081' }), []);
});

test('what was changed is told as it is written, secrets only as set', () => {
  const settings = fromEnvironment({
    RESYNC_INTERVAL: '90s',
    NAMESPACE: 'shop',
    PORT: '8080',
    CLUSTER_CIDR: '10.42.1.0/16',
  });
  assert.deepEqual(changedSettings(CORE, settings), {
    NAMESPACE: ['shop'],
    CLUSTER_CIDR: ['10.42.0.0/16'],
    RESYNC_INTERVAL: '1m30s',
  });
});

test('a boolean is true or false as it says, never because it is there', () => {
  const schema = {
    on: {
      ...CORE.port,
      variable: 'ON',
      flag: '--on [bool]',
      fallback: false,
      fallbackText: 'false',
      example: 'true',
      parse: boolean,
    },
  };
  const read = (ON: string): boolean => readSettings(schema, { flags: {}, environment: { ON } }).on;
  for (const text of ['true', 'TRUE', '1', 'yes', 'on']) assert.equal(read(text), true, text);
  for (const text of ['false', 'False', '0', 'no', 'off', '']) assert.equal(read(text), false, text);
  for (const text of ['2', 'maybe', 'tru', 'undefined']) assert.throws(() => read(text), SettingsError, text);
});

test('no two settings share a name, and variables and flags are written as such', () => {
  const capabilities = CAPABILITIES.map(({ settings }) => settings);
  const keys = [CORE, ...capabilities].flatMap((schema) => Object.keys(schema));
  assert.equal(new Set(keys).size, keys.length);
  const settings = [CORE, LOOKUP, ...capabilities].flatMap((schema) => Object.values<Setting<unknown>>(schema));
  assert.equal(new Set(settings.map(({ variable }) => variable)).size, settings.length);
  assert.equal(new Set(settings.map((setting) => flagName(setting))).size, settings.length);
  for (const setting of settings) {
    assert.match(setting.variable, /^[A-Z][A-Z0-9_]+$/);
    assert.match(setting.flag, /^--[a-z][a-z-]*(, --[a-z][a-z-]*)? [<[][a-z]+[\]>]$/);
  }
});

test('the tables of docs/configuration.md are those of the settings', async () => {
  const page = readFileSync(CONFIGURATION, 'utf8');
  assert.equal(page, await withTables(page), 'docs/configuration.md is out of date: run "npm run docs"');
  const capabilities = CAPABILITIES.flatMap(({ settings }) => Object.values(settings));
  for (const { variable } of [...Object.values(CORE), ...Object.values(LOOKUP), ...capabilities])
    assert.ok(page.includes(`\`${variable}\``), variable);
});

test("the chart's schema knows every setting and no other", async () => {
  const schema = readFileSync(VALUES_SCHEMA, 'utf8');
  assert.equal(schema, await withSettings(schema), `${VALUES_SCHEMA} is out of date: run "npm run docs"`);
});
