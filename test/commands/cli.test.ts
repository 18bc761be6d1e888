import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { givenFor } from '../../src/commands/options.ts';
import { createProgram, withDefaultCommand } from '../../src/commands/program.ts';
import { MIRROR } from '../../src/mirror-settings.ts';
import { serveSchema } from '../../src/serve-settings.ts';
import { LOOKUP } from '../../src/commands/settings.ts';
import { flagName } from '../../src/settings/schema.ts';
import type { Schema } from '../../src/settings/schema.ts';
import { podwhois } from '../support/cli.ts';

const ROOT = join(import.meta.dirname, '../..');
/** Help breaks its lines. */
const unwrapped = (text: string): string => text.replace(/\s+/g, ' ');

test('--version is the version of package.json', async () => {
  const { version } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as { version: string };
  assert.deepEqual(await podwhois(['--version']), { code: 0, stdout: `${version}\n`, stderr: '' });
});

test('--help names every command, the exit codes and examples', async () => {
  const { code, stdout, stderr } = await podwhois(['--help']);
  assert.deepEqual({ code, stderr }, { code: 0, stderr: '' });
  for (const word of ['serve', 'demo', 'lookup', 'healthcheck', 'openapi', 'Exit codes:', 'Examples:']) {
    assert.ok(stdout.includes(word), word);
  }
});

for (const [command, schema] of [
  ['serve', serveSchema()],
  ['lookup', LOOKUP],
] as const satisfies [string, Schema][]) {
  test(`${command} --help holds every setting with its flag, variable, default and explanation`, async () => {
    const { code, stdout } = await podwhois([command, '--help']);
    assert.equal(code, 0);
    const help = unwrapped(stdout);
    for (const setting of Object.values<Schema[string]>(schema)) {
      const { variable, fallbackText } = setting;
      assert.ok(
        help.includes(`${setting.flag} ${setting.help} (env: ${variable}; default: ${fallbackText})`),
        variable,
      );
    }
    assert.match(help, /Exit codes:/);
  });
}

test('each command says what its own exit codes mean, and no other', async () => {
  const meanings: Readonly<Record<string, RegExp>> = {
    serve: /0 {2}it was told to end.*1 {2}the service failed/,
    lookup: /0 {2}every address has its pod.*1 {2}an address has no pod/,
    history: /0 {2}somebody had it.*1 {2}nobody is known to have had it/,
    healthcheck: /0 {2}well 1 {2}not well/,
    migrate: /0 {2}the tables are as this version wants them.*1 {2}Postgres cannot be asked/,
    'mirror-endpoints': /0 {2}it was told to end.*1 {2}the mirror failed/,
  };
  for (const [command, meaning] of Object.entries(meanings)) {
    const { stdout } = await podwhois([command, '--help']);
    const codes = stdout.slice(stdout.indexOf('Exit codes:')).replaceAll(/\n */g, ' ');
    assert.match(codes, meaning, command);
    assert.equal(Object.values(meanings).filter((other) => other.test(codes)).length, 1, command);
  }
});

test('help has no colours, wanted or not', async () => {
  for (const environment of [{ FORCE_COLOR: '1' }, { NO_COLOR: '1' }]) {
    assert.ok(!(await podwhois(['--help'], { environment })).stdout.includes('\u001b'));
  }
});

test('what each command is given to read its settings from', () => {
  assert.deepEqual(withDefaultCommand([]), ['serve']);
  assert.deepEqual(withDefaultCommand(['--port', '1']), ['serve', '--port', '1']);
  for (const args of [['--help'], ['-h'], ['--version'], ['-V'], ['lookup', '::1'], ['nonsense']]) {
    assert.deepEqual(withDefaultCommand(args), args);
  }
});

test('an unknown command, flag, format or argument is wrong usage, with the nearest right one', async () => {
  for (const [args, pattern] of [
    [['lokup', '10.0.0.1'], /unknown command 'lokup'\n\(Did you mean lookup\?\)/],
    [['serve', '--prt', '80'], /unknown option '--prt'\n\(Did you mean --port\?\)/],
    [['--prt', '80'], /Did you mean --port\?/],
    [['serve', 'now'], /too many arguments/],
    [['lookup'], /missing required argument 'ip'/],
    [['lookup', '::1', '-o', 'xml'], /Allowed choices are table, wide, json, yaml/],
    [['serve', '--port'], /argument missing/],
    [['healthcheck', '--ready=no'], /unknown option|does not take/],
  ] as const) {
    const { code, stdout, stderr } = await podwhois(args);
    assert.deepEqual({ code, stdout }, { code: 2, stdout: '' }, args.join(' '));
    assert.match(stderr, pattern);
  }
});

test('all wrong settings are reported together, with exit code 2 and before anything is started', async () => {
  const { code, stdout, stderr } = await podwhois(['serve', '--host', 'a:1', '--resync-interval', '10'], {
    environment: {
      PORT: 'tcp://10.96.0.10:80',
      LOG_LEVEL: '\u001b[31mloud',
      NAMESPACE: 'Shop',
      K8S_API_SERVER: 'https://u:hunter2@h',
    },
  });
  assert.deepEqual({ code, stdout }, { code: 2, stdout: '' });
  assert.match(stderr, /^podwhois: 6 settings are wrong:\n/);
  for (const name of [
    'PORT (or',
    '--host (or',
    'K8S_API_SERVER (or',
    'NAMESPACE (or',
    '--resync-interval (or',
    'LOG_LEVEL (or',
  ]) {
    assert.ok(stderr.includes(`\n  ${name}`), name);
  }
  assert.ok(!stderr.includes('\u001b') && !stderr.includes('hunter2'), stderr);
});

test('a flag that is given again adds to a list', async () => {
  const { stderr } = await podwhois(['serve', '--namespace', 'a', '--namespace', 'B', '--namespace', 'c']);
  assert.match(stderr, /--namespace \(or NAMESPACE\) is "a,B,c"/);
});

test('one flag per setting: no two of a command are alike', () => {
  const program = createProgram({ environment: {}, stdin: process.stdin, write() {}, complain() {} }, () => {});
  for (const command of program.commands) {
    const flags = command.options.flatMap(({ short, long }) => [short, long].filter((flag) => flag !== undefined));
    assert.equal(new Set(flags).size, flags.length, command.name());
  }
  const serve = program.commands.find((command) => command.name() === 'serve');
  assert.deepEqual(
    serve?.options.map(({ short, long }) => short ?? long),
    Object.values(serveSchema()).map((setting) => flagName(setting)),
  );
});

test("serve and mirror-endpoints take the cluster's name by the same flags", () => {
  for (const [name, schema] of [
    ['serve', serveSchema()],
    ['mirror-endpoints', MIRROR],
  ] as const) {
    for (const flag of ['--cluster-name', '--cluster']) {
      const program = createProgram({ environment: {}, stdin: process.stdin, write() {}, complain() {} }, () => {});
      const command = program.commands.find((one) => one.name() === name);
      assert.ok(command);
      command.parseOptions([flag, 'blue']);
      assert.equal(givenFor(command, schema, {}).flags['clusterName'], 'blue', `${name} ${flag}`);
    }
  }
});

test('a reader that has gone is no failure', async () => {
  const child = spawn(process.execPath, [join(ROOT, 'src/main.ts'), 'serve', '--help'], {
    env: {},
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  child.stdout.destroy();
  let complaint = '';
  child.stderr.on('data', (data) => (complaint += String(data)));
  await once(child, 'close');
  assert.deepEqual({ code: child.exitCode, complaint }, { code: 0, complaint: '' });
});

test('the bin starts podwhois, and says to an older Node what it needs', () => {
  const bin = join(ROOT, 'src/podwhois.js');
  const run = (...args: string[]) => spawnSync(process.execPath, args, { encoding: 'utf8', env: {} });
  assert.equal(run(bin, '--version').status, 0);
  // process.versions cannot be changed, but what stands for it can.
  for (const [version, code] of [
    ['20.20.2', 2],
    ['24.11.9', 2],
    ['24.12.0', 0],
    ['26.0.0', 0],
  ] as const) {
    const older = `data:text/javascript,Object.defineProperty(process,'versions',{value:{...process.versions,node:'${version}'}})`;
    const { status, stderr } = run('--import', older, bin, '--version');
    assert.equal(status, code, version);
    const needs = `podwhois: needs Node 24.12 or newer, and this is ${version} ("npm start" takes`;
    assert.equal(stderr.slice(0, needs.length), code === 0 ? '' : needs);
  }
});
