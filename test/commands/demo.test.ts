import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import process from 'node:process';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import { podwhois } from '../support/cli.ts';
import { startDemo } from '../support/demo.ts';
import type { Demo } from '../support/demo.ts';
import { freePorts } from '../support/free-ports.ts';

const ROOT = join(import.meta.dirname, '../..');

/** By the comment before each. */
const commandsOf = ({ text }: Demo): ReadonlyMap<string, string> =>
  new Map([...text.matchAll(/^ {2}# (.+)\n {2}(\S.*)$/gm)].map(([, comment = '', command = '']) => [comment, command]));

/** Runs a command as it was printed, in a shell; one without end until what it prints matches. */
async function shell(command: string, enough?: RegExp): Promise<{ code: number | null; output: string }> {
  const path = [join(ROOT, 'node_modules/.bin'), process.env['KUBEBUILDER_ASSETS'] ?? '', process.env['PATH']];
  const env = { PATH: path.join(delimiter), HOME: tmpdir() };
  const child = spawn('sh', ['-c', `exec ${command}`], { cwd: ROOT, env, stdio: ['ignore', 'pipe', 'ignore'] });
  const exited = once(child, 'close');
  let output = '';
  child.stdout.setEncoding('utf8').on('data', (part: string) => {
    output += part;
    if (enough?.test(output) === true) child.kill();
  });
  await exited;
  return { code: child.exitCode, output };
}

interface Expected {
  readonly output: RegExp;
  readonly code?: number;
  /** It has no end of its own. */
  readonly endless?: boolean;
}

/** What the printed commands print, by their comments. */
const FIRST: Readonly<Record<string, Expected>> = {
  'a pod of a Deployment': { output: /"workload":\{"kind":"Deployment","name":"hello"/ },
  '409: two pods claim it, and podwhois does not guess': { output: /"statusCode":409.*twin-a.*twin-b/ },
  "404: a node's address names no pod": { output: /"statusCode":404.*"reason":"host-network"/ },
  'the same as a table': { output: /Deployment\/hello\n.*none \(host-network\)\n$/, code: 1 },
  '200, and who calls in the headers': { output: /^HTTP\/1.1 200 [^]*x-pod-namespace: demo\r\n/i },
  '403: a caller that is not certain': { output: /^HTTP\/1.1 403 [^]*"reason":"ambiguous"/ },
  'why a preflight would be denied': {
    output: /^caller .* the pod demo\/hello.*\nrequest .*\nquery .*namespace does not hold\n\ndenied/,
    code: 1,
  },
  // Daily life goes on: after the snapshot come changes.
  'what there is, then what happens': {
    output: /event: sync[^]*event: (?:added|modified|deleted)/,
    endless: true,
  },
  'is podwhois ready, and how fresh': { output: /"status":"ready"/ },
  'the simulated cluster itself': { output: /^NAMESPACE +NAME [^]*\ndemo +hello-/ },
};

const WITH_POSTGRES: Readonly<Record<string, Expected>> = {
  'the pods now (serve --snapshot): which pod has this IP?': {
    output: /^namespace +name +workload_kind +workload_name\ndemo +hello-\S+ +Deployment +hello\n$/,
  },
  'the ready pods behind each Service (mirror-endpoints)': {
    output: /^namespace +service +ready_pods\n(?:\S+ +\S+ +\d+\n){5}$/,
  },
  'with psql, or whatever you like': { output: /phase +\| count[^]*Running +\| +\d+/ },
};

async function tryAll(t: TestContext, demo: Demo, expected: Readonly<Record<string, Expected>>): Promise<void> {
  const commands = commandsOf(demo);
  assert.deepEqual([...commands.keys()], Object.keys(expected));
  for (const [comment, { output, code = 0, endless = false }] of Object.entries(expected)) {
    const command = commands.get(comment) ?? '';
    const [program = ''] = command.split(' ');
    if (['psql', 'kubectl'].includes(program) && !isThere(program)) {
      t.diagnostic(`not tried, for there is no ${program}: ${command}`);
      continue;
    }
    const ran = await shell(command, endless ? output : undefined);
    assert.match(ran.output, output, command);
    if (!endless) assert.equal(ran.code, code, `${command}\n${ran.output}`);
  }
}

function isThere(program: string): boolean {
  const found = [process.env['KUBEBUILDER_ASSETS'] ?? '', ...(process.env['PATH'] ?? '').split(delimiter)].some(
    (folder) => folder !== '' && spawnSync(join(folder, program), ['--version']).error === undefined,
  );
  assert.ok(found || process.env['CI'] !== 'true', `in CI ${program} must be there`);
  return found;
}

const AS_NPM = { npm_lifecycle_event: 'demo', npm_command: 'run-script' };

test('every command that the demo prints does what it says', async (t) => {
  const demo = await startDemo(t, { environment: AS_NPM });
  assert.match(demo.text, /SIMULATION/);
  await demo.said(/has changed hands[^]*# the same in Postgres.*\n.*\n/);
  const [, ip = '', time = '', before = '', now = ''] =
    /^(\S+) has changed hands.*\n\n {2}(\S+) +(\S+) .*\n {2}now +(\S+) /m.exec(demo.text) ?? [];
  const name = (reference: string): string => reference.split('/')[1] ?? '';
  const story: Readonly<Record<string, Expected>> = {
    'who had it then': { output: new RegExp(`"name":"${name(before)}".*"inferred":false`) },
    'everybody who had it': { output: new RegExp(`^FROM [^]* ${name(before)} [^]* ${name(now)} `) },
    'the same in Postgres: your own keeps it for 30 days, this one until the demo ends': {
      output: new RegExp(`^namespace [^]* ${name(before)} +2\\S+ \\S+ +2[^]* ${name(now)} +2\\S+ \\S+ +infinity\n`),
    },
  };
  await tryAll(t, demo, { ...FIRST, ...WITH_POSTGRES, ...story });
  assert.ok(ip !== '' && commandsOf(demo).get('who had it then')?.includes(`${time}'`));
});

test('the demo is there at once, and Ctrl-C ends all of it, early and late', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'podwhois-demo-'));
  t.after(() => rmSync(folder, { recursive: true }));
  const environment = { ...AS_NPM, TMPDIR: folder };
  const started = performance.now();
  const early = await startDemo(t, { environment });
  // A second, on a machine that has nothing else to do.
  assert.ok(performance.now() - started < 10_000);
  assert.equal(await early.end('SIGINT'), 0);
  const late = await startDemo(t, { environment });
  await late.said(/^Postgres is ready/m);
  assert.equal(await late.end('SIGTERM'), 0);
  // On a machine so busy that Postgres is not there within 15 s the writers complain of that.
  const complaints = (early.text + late.text).split('\n').filter((line) => /\b(?:ERROR|WARN)\b/.test(line));
  assert.deepEqual(
    complaints.filter((line) => !line.includes('no answer within')),
    [],
  );
  assert.deepEqual(readdirSync(folder), []);
});

test('where its ports are taken the demo takes free ones; one that was asked for it does not change', async (t) => {
  const taken = async (port: number): Promise<number> => {
    const server = createServer().listen(port, '127.0.0.1');
    const isOurs = await new Promise<boolean>((resolve) => {
      server.once('listening', () => resolve(true));
      server.once('error', () => resolve(false)); // somebody else has it, which serves as well
    });
    if (isOurs) t.after(() => void server.close());
    return isOurs ? (server.address() as AddressInfo).port : port;
  };
  await taken(8080);
  await taken(15_432);
  const demo = await startDemo(t, { environment: AS_NPM });
  assert.match(demo.place('podwhois'), /^http:\/\/127\.0\.0\.1:(?!8080)\d+$/);
  assert.match(demo.place('Postgres'), /^postgres:\/\/postgres@127\.0\.0\.1:(?!15432)\d+\/postgres$/);
  await demo.said(/# with psql/);
  for (const comment of ['the same as a table', 'the pods now (serve --snapshot): which pod has this IP?']) {
    const ran = await shell(commandsOf(demo).get(comment) ?? '');
    assert.match(ran.output, /hello-6d4b75cb6d/);
  }
  assert.equal(await demo.end('SIGTERM'), 0);

  const { code, stderr } = await podwhois(['demo'], { environment: { PORT: String(await taken(0)) } });
  assert.equal(code, 1);
  assert.match(stderr, /already in use; set PORT or HOST/);
});

test('demo sql says what Postgres says, and that no demo is there', async (t) => {
  const demo = await startDemo(t, { args: ['--port', '0'] });
  const { port } = new URL(demo.place('Postgres'));
  await demo.said(/^Postgres is ready/m);
  const sql = async (query: string, at = port) => await podwhois(['demo', 'sql', '--postgres-port', at, query]);
  assert.deepEqual(await sql("SELECT 1 AS one, NULL AS none, '{\"a\":1}'::jsonb AS json, E'\\u001b[1m' AS bold"), {
    code: 0,
    stdout: 'one  none  json      bold\n1    -     {"a": 1}  \\u001b[1m\n',
    stderr: '',
  });
  assert.equal((await sql('CREATE TABLE t (n int); INSERT INTO t VALUES (1), (2)')).stdout, 'CREATE\nINSERT 2\n');
  assert.equal((await sql('-- the ready SQL of the docs begins like that\nSELECT 1 AS one')).stdout, 'one\n1\n');
  const wrong = await sql('SELECT nonsense');
  assert.deepEqual([wrong.code, wrong.stderr], [1, 'podwhois: column "nonsense" does not exist\n']);
  const [free] = await freePorts(1);
  // Nobody there, and somebody who is no Postgres.
  for (const at of [String(free), new URL(demo.place('podwhois')).port]) {
    const nobody = await sql('SELECT 1', at);
    assert.deepEqual([nobody.code, nobody.stderr.includes('start a demo, or set --postgres-port')], [1, true]);
  }
  const none = await sql('SELECT 1', 'x');
  assert.deepEqual([none.code, none.stderr.includes("'--postgres-port <number>' argument 'x' is invalid")], [2, true]);
});
