import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import { ReloadedFile } from '../../../src/http/forward-auth/reloaded-file.ts';
import { FakeClock } from '../support/service.ts';

function folder(t: TestContext): string {
  const path = mkdtempSync(join(tmpdir(), 'podwhois-reloaded-'));
  t.after(() => rmSync(path, { recursive: true, force: true }));
  return path;
}

interface Opened {
  readonly file: ReloadedFile<string>;
  readonly changes: string[];
  readonly problems: string[];
}

async function open(path: string): Promise<Opened> {
  const changes: string[] = [];
  const problems: string[] = [];
  const file = await ReloadedFile.open({
    path,
    maxBytes: 100,
    read: (bytes) => {
      const text = bytes.toString();
      if (text.startsWith('wrong')) throw new Error(text);
      return text.toUpperCase();
    },
    onChange: (value) => changes.push(value),
    onProblem: (error) => problems.push((error as Error).message),
  });
  return { file, changes, problems };
}

test('a file is read when it is opened, and again only when its text has changed', async (t) => {
  const path = join(folder(t), 'rules.yaml');
  writeFileSync(path, 'one');
  const { file, changes, problems } = await open(path);
  assert.equal(file.value, 'ONE');
  await file.check();
  writeFileSync(path, 'one');
  await file.check();
  assert.deepEqual(changes, []);
  writeFileSync(path, 'two');
  await file.check();
  assert.deepEqual([file.value, changes, problems, file.reloads], ['TWO', ['TWO'], [], { ok: 1, failed: 0 }]);
});

test("a mount's swap of symlinks is seen", async (t) => {
  const mount = folder(t);
  // As the kubelet lays out a ConfigMap: rules.yaml -> ..data/rules.yaml, ..data -> ..<time>.
  const write = (version: string, text: string): void => {
    mkdirSync(join(mount, version));
    writeFileSync(join(mount, version, 'rules.yaml'), text);
    symlinkSync(version, join(mount, '..data_tmp'));
    renameSync(join(mount, '..data_tmp'), join(mount, '..data'));
  };
  write('..1', 'one');
  symlinkSync('..data/rules.yaml', join(mount, 'rules.yaml'));
  const { file } = await open(join(mount, 'rules.yaml'));
  write('..2', 'two');
  await file.check();
  assert.equal(file.value, 'TWO');
});

test('while the file is wrong or gone the old value stays, which is told once for each state', async (t) => {
  const path = join(folder(t), 'rules.yaml');
  writeFileSync(path, 'one');
  const { file, changes, problems } = await open(path);
  const states: [() => void, RegExp][] = [
    [() => rmSync(path), /ENOENT/],
    [() => writeFileSync(path, 'wrong'), /^wrong$/],
    [() => writeFileSync(path, 'x'.repeat(101)), /larger than 100 bytes/],
    [() => (rmSync(path), mkdirSync(path)), /is not a file/],
  ];
  for (const [enter, message] of states) {
    enter();
    await file.check();
    await file.check();
    assert.match(problems.pop() ?? '', message);
    assert.deepEqual([problems, file.isValid, file.value], [[], false, 'ONE']);
  }
  rmSync(path, { recursive: true });
  writeFileSync(path, 'one');
  await file.check();
  assert.deepEqual([file.isValid, changes, file.reloads], [true, ['ONE'], { ok: 1, failed: 4 }]);
});

test('opening what is not there, or wrong, is an error', async (t) => {
  const path = join(folder(t), 'rules.yaml');
  await assert.rejects(open(path), /ENOENT/);
  writeFileSync(path, 'wrong one');
  await assert.rejects(open(path), /wrong one/);
});

test('it is looked at every few seconds until it is told to stop', async (t) => {
  const path = join(folder(t), 'rules.yaml');
  writeFileSync(path, 'one');
  const clock = new FakeClock();
  const stop = new AbortController();
  const changed = Promise.withResolvers<string>();
  const file = await ReloadedFile.open({
    path,
    maxBytes: 100,
    read: String,
    onChange: changed.resolve,
    onProblem: changed.reject,
  });
  const running = file.run(clock, stop.signal);
  writeFileSync(path, 'two');
  clock.advance(5000);
  assert.equal(await changed.promise, 'two');
  stop.abort();
  await running;
  assert.equal(clock.sleepers, 0);
});
