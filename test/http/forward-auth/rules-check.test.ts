import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import { Command } from '@commander-js/extra-typings';
import { addCommands } from '../../../src/http/forward-auth/commands.ts';
import { podwhois } from '../../support/cli.ts';

const RIGHT = 'rules:\n  - { name: a, match: {}, allow: [{ namespaceSelector: {} }] }\n';
const WRONG = 'rules:\n  - { name: a, match: {}, alow: [{}] }\ndefault: x\n';

interface Ran {
  readonly code: number | undefined;
  readonly stdout: string;
  readonly stderr: string;
}

async function rules(args: readonly string[], stdin = ''): Promise<Ran> {
  let [stdout, stderr] = ['', ''];
  let code: number | undefined;
  const edge = {
    stdin: Readable.from([Buffer.from(stdin)]),
    write: (text: string) => (stdout += text),
    complain: (text: string) => (stderr += text),
  };
  const program = new Command().exitOverride().configureOutput({ writeOut: edge.write, writeErr: edge.complain });
  const running = { addSettings() {}, get: () => assert.fail('it asks nobody') };
  addCommands(program, { ...edge, running }, (given) => (code = given));
  await program.parseAsync(['rules', ...args], { from: 'user' }).catch((error: Error) => (stderr += error.message));
  return { code, stdout, stderr };
}

function folder(t: TestContext): (name: string, text: string | Uint8Array) => string {
  const path = mkdtempSync(join(tmpdir(), 'podwhois-rules-'));
  t.after(() => rmSync(path, { recursive: true }));
  return (name, text) => {
    writeFileSync(join(path, name), text);
    return join(path, name);
  };
}

test('rules check says of each right file what it holds', async (t) => {
  const file = folder(t);
  const one = file('one.yaml', RIGHT);
  const none = file('none.yaml', 'rules: []\ndefault: identify');
  assert.deepEqual(await rules(['check', one, none]), {
    code: 0,
    stdout: `${one}: 1 rule, default deny, needs labels of namespaces\n${none}: 0 rules, default identify, needs no labels of namespaces\n`,
    stderr: '',
  });
});

test('rules check prints every problem as file:line:column: message, and exits with 1', async (t) => {
  const file = folder(t);
  const [right, wrong] = [file('right.yaml', RIGHT), file('wrong.yaml', WRONG)];
  const { code, stdout, stderr } = await rules(['check', wrong, right]);
  assert.equal(code, 1);
  assert.equal(stdout, `${right}: 1 rule, default deny, needs labels of namespaces\n`);
  assert.deepEqual(stderr.split('\n'), [
    `${wrong}:2:5: allow is missing: must be a list of peers`,
    `${wrong}:2:27: unknown field "alow": did you mean allow? there are name, match, namespace, allow`,
    `${wrong}:3:10: default must be deny, or identify: every pod that is known for certain passes`,
    '',
  ]);
});

test('rules check exits with 2 for a file that cannot be read, and checks the others all the same', async (t) => {
  const file = folder(t);
  const wrong = file('wrong.yaml', WRONG);
  const missing = `${wrong}.not`;
  const { code, stderr } = await rules(['check', missing, wrong, tmpdir()]);
  assert.equal(code, 2);
  assert.match(stderr, /^podwhois: .*wrong\.yaml\.not: ENOENT: no such file/);
  assert.match(stderr, /wrong\.yaml:3:10: default must be/);
  assert.match(stderr, /EISDIR/);
});

test('rules check - reads standard input, once', async () => {
  const ran = await rules(['check', '-', '-'], RIGHT);
  assert.deepEqual(ran, { code: 0, stdout: '<stdin>: 1 rule, default deny, needs labels of namespaces\n', stderr: '' });
  const wrong = await rules(['check', '-'], 'rules: 1');
  assert.deepEqual([wrong.code, wrong.stderr], [1, '<stdin>:1:8: found "1": rules must be a list of rules\n']);
});

test('rules check reads no more of a file than shows that it is too long, and refuses what is not UTF-8', async (t) => {
  const latin = folder(t)('latin.yaml', Buffer.from('rules: [] # \xe9', 'latin1'));
  const { code, stderr } = await rules(['check', '/dev/zero', latin]);
  assert.deepEqual(
    [code, stderr],
    [1, `/dev/zero:1:1: the file is longer than 1 MiB\n${latin}:1:1: the file is not UTF-8\n`],
  );
});

test('podwhois has the command, on the streams of the process', async () => {
  const { code, stdout, stderr } = await podwhois(['rules', 'check', '-'], { input: WRONG });
  assert.deepEqual([code, stdout, stderr.split(':')[0]], [1, '', '<stdin>']);
  assert.equal((await podwhois(['rules', 'check'])).code, 2);
});

test('rules and rules check explain themselves, and want a file', async () => {
  assert.match((await rules(['--help'])).stdout, /check \[options\]|check <file\.\.\.>/);
  const { stdout } = await rules(['check', '--help']);
  for (const part of ['<file...>', 'file:line:column: message', 'Exit codes:', 'Examples:', '- reads standard input']) {
    assert.ok(stdout.includes(part), part);
  }
  const without = await rules(['check']);
  assert.deepEqual([without.code, without.stdout], [undefined, '']);
  assert.match(without.stderr, /missing required argument 'file'/);
});
