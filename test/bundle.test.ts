import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { bundle } from '../.build/bundle.ts';
import { startSimulator } from '../src/simulator/simulator.ts';
import { startChild } from './support/child-process.ts';
import { startDemo } from './support/demo.ts';
import { freePorts } from './support/free-ports.ts';
import { until } from './support/until.ts';

const ROOT = join(import.meta.dirname, '..');
const folder = mkdtempSync(join(tmpdir(), 'podwhois-bundle-'));
const { file, packages } = await bundle(folder);
after(() => rmSync(folder, { recursive: true, force: true }));

/** Without this tree's node_modules anywhere above. */
function run(args: readonly string[]): { code: number | null; stdout: string; stderr: string } {
  const { status, stdout, stderr } = spawnSync(process.execPath, [file, ...args], {
    encoding: 'utf8',
    env: {},
    cwd: folder,
  });
  return { code: status, stdout, stderr };
}

test("the bundle is one file of at most 5 MB, and the demo's thread a small one", () => {
  assert.ok(statSync(file).size < 5e6, `${statSync(file).size} bytes`);
  assert.ok(statSync(join(folder, 'postgres-thread.mjs')).size < 2_000);
  assert.deepEqual(readdirSync(folder).sort(), ['THIRD_PARTY_LICENSES', 'podwhois.mjs', 'postgres-thread.mjs']);
});

test('the licences of all packages in the bundle are beside it', () => {
  const text = readFileSync(join(folder, 'THIRD_PARTY_LICENSES'), 'utf8');
  assert.ok(packages.includes('fastify') && packages.includes('undici'));
  for (const name of packages) assert.match(text, new RegExp(`^${name.replace('/', '\\/')} \\d`, 'm'));
});

test('the bundle knows its version, its commands and its settings', () => {
  const { version } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as { version: string };
  assert.deepEqual(run(['--version']), { code: 0, stdout: `${version}\n`, stderr: '' });
  assert.match(run(['serve', '--help']).stdout, /READY_MAX_STALENESS/);
  const wrong = run(['serve', '--port', 'x']);
  assert.equal(wrong.code, 2);
  assert.match(wrong.stderr, /^podwhois: A setting is wrong:\n {2}--port \(or PORT\) is "x"/);
  assert.equal(run(['openapi']).code, 0);
});

/** What of Node's own the bundle asks for by name: before the first line runs, each must be there. */
function namesAskedOfNode(): readonly string[] {
  const text = readFileSync(file, 'utf8');
  const imports = text.matchAll(/\bimport(?:\s+[\w$]+\s*,)?\s*\{([^{}]*)\}\s*from\s*["'](?:node:)?([\w/]+)["']/g);
  return [...imports].flatMap(([, names = '', module = '']) =>
    names.split(',').map((name) => `${module}.${name.trim().split(/\s/)[0]}`),
  );
}

test('the bundle asks for nothing by name that an old Node has not, so that it comes to say what it needs', () => {
  const names = namesAskedOfNode();
  assert.ok(names.includes('module.createRequire'), 'the imports are found');
  assert.deepEqual(
    names.filter((name) => name === 'tls.getCACertificates' || name.startsWith('sqlite.')),
    [],
  );
});

test('under an old Node the packed command says what it needs and what this is, and nothing else', (t) => {
  const old = ['/usr/local/bin/node', '/usr/bin/node'].find((path) => existsSync(path) && isOld(path));
  if (old === undefined) return t.skip('this machine has no old Node of its own');
  const { status, stdout, stderr } = spawnSync(old, [file, 'serve'], { encoding: 'utf8', env: {}, cwd: folder });
  assert.match(stderr, /^podwhois: needs Node 24\.12 or newer, and this is \d+\.\d+\.\d+\n$/);
  assert.deepEqual([status, stdout], [2, '']);
});

function isOld(node: string): boolean {
  const version = spawnSync(node, ['--version'], { encoding: 'utf8' }).stdout;
  const [major = 0, minor = 0] = version.slice(1).split('.').map(Number);
  return major < 24 || (major === 24 && minor < 12);
}

test('the bundle serves a cluster and answers its own command line', async () => {
  const simulator = await startSimulator({ pods: 20 });
  const [port = 0] = await freePorts(1);
  const service = startChild({
    name: 'bundle',
    file: process.execPath,
    args: [file, 'serve'],
    logFile: join(tmpdir(), `podwhois-bundle-${process.pid}.log`),
    env: { HOST: '127.0.0.1', PORT: String(port), K8S_API_SERVER: simulator.url, SHUTDOWN_DELAY: '0s' },
  });
  try {
    const ready = (): boolean =>
      run(['healthcheck', '--ready', '--host', '127.0.0.1', '--port', String(port)]).code === 0;
    await until('the bundle is ready', async () => await Promise.resolve(ready()));
    const { status } = simulator.cluster.createPod({ namespace: 'demo', name: 'hello' });
    const ip = status.podIPs?.[0]?.ip ?? '';
    const found = await until('the pod answers', async () => {
      const { code, stdout } = run(['lookup', ip, '--server', `http://127.0.0.1:${port}`]);
      return await Promise.resolve(code === 0 ? stdout : undefined);
    });
    assert.match(found, /demo +hello/);
  } finally {
    await service.stop();
    await simulator.close();
  }
});

test('a packed package runs in an empty folder, and its demo with and without the optional Postgres', async (t) => {
  const tree = mkdtempSync(join(tmpdir(), 'podwhois-pack-'));
  try {
    // As it lies in the tree, with the bundle of above in place of another build.
    for (const name of ['package.json', 'README.md', 'LICENSE']) cpSync(join(ROOT, name), join(tree, name));
    cpSync(folder, join(tree, 'dist'), { recursive: true });
    const npm = (args: readonly string[]): string => {
      const { status, stdout, stderr } = spawnSync('npm', args, { cwd: tree, encoding: 'utf8' });
      assert.equal(status, 0, stderr);
      return stdout;
    };
    const [packed] = JSON.parse(npm(['pack', '--json', '--ignore-scripts'])) as [
      { filename: string; files: { path: string }[] },
    ];
    assert.deepEqual(packed.files.map(({ path }) => path).sort(), [
      'LICENSE',
      'README.md',
      'dist/THIRD_PARTY_LICENSES',
      'dist/podwhois.mjs',
      'dist/postgres-thread.mjs',
      'package.json',
    ]);
    const empty = join(tree, 'empty');
    // The optional package comes along where the machine knows it; here it is put in and taken out below.
    npm([
      'install',
      '--prefix',
      empty,
      '--offline',
      '--ignore-scripts',
      '--omit=optional',
      join(tree, packed.filename),
    ]);
    const program = join(empty, 'node_modules/.bin/podwhois');
    const ran = spawnSync(program, ['--version'], {
      encoding: 'utf8',
      env: { PATH: `${join(process.execPath, '..')}:${process.env['PATH'] ?? ''}` },
    });
    assert.equal(ran.stderr, '');
    assert.match(ran.stdout, /^\d+\.\d+\.\d+\n$/);

    const without = await startDemo(t, { program, cwd: empty, args: ['--port', '0'] });
    assert.match(without.text, /^ {2}Postgres +none: install the optional package @electric-sql\/pglite /m);
    await without.said(/has changed hands/);
    assert.equal(await without.end('SIGINT'), 0);

    mkdirSync(join(empty, 'node_modules/@electric-sql'));
    symlinkSync(join(ROOT, 'node_modules/@electric-sql/pglite'), join(empty, 'node_modules/@electric-sql/pglite'));
    const full = await startDemo(t, { program, cwd: empty, args: ['--port', '0'] });
    await full.said(/^Postgres is ready/m);
    const { port } = new URL(full.place('Postgres'));
    const sql = ['demo', 'sql', '--postgres-port', port, 'SELECT count(*) > 300 AS many FROM podwhois.pods'];
    assert.deepEqual(run(sql), { code: 0, stdout: 'many\nt\n', stderr: '' });
    assert.equal(await full.end('SIGINT'), 0);
  } finally {
    rmSync(tree, { recursive: true, force: true });
  }
});
