import assert from 'node:assert/strict';
import { readFileSync, globSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { test } from 'node:test';

const root = join(import.meta.dirname, '..');

/** What a room may import of the others; what stands at the top of src/ is listed by name. */
const MAY_IMPORT: Readonly<Record<string, readonly string[]>> = {
  kubernetes: ['pod.ts', 'namespace.ts', 'endpoint-slice.ts', 'resource-version.ts'],
  index: ['pod.ts', 'namespace.ts', 'endpoint-slice.ts', 'resource-version.ts'],
  http: [
    'index',
    'settings', // of a capability: its own table
    'pod.ts',
    'namespace.ts',
    'resource-version.ts',
    'errors.ts',
    'metrics.ts',
    'label-selector.ts',
    'duration.ts',
    'utc-date.ts',
    'terminal.ts',
    'watched-files.ts',
    'turns.ts',
  ],
  sinks: [
    'index',
    'settings', // of a capability: its own table
    'pod.ts',
    'endpoint-slice.ts',
    'resource-version.ts',
    'label-selector.ts',
    'errors.ts',
    'metrics.ts',
    'duration.ts',
    'utc-date.ts',
    'terminal.ts',
    'turns.ts',
  ],
  controllers: ['kubernetes', 'index', 'pod.ts', 'resource-version.ts', 'errors.ts', 'metrics.ts'],
  simulator: ['pod.ts', 'resource-version.ts', 'label-selector.ts'],
};

const IMPORT =
  /^\s*(?:import|export)\s[^'"]*?from\s+'(\.[^']+)'|^\s*import\s+'(\.[^']+)'|\bimport\(\s*'(\.[^']+)'\s*\)/gms;

function importsOf(file: string, options: { readonly late: boolean }): string[] {
  const text = readFileSync(join(root, file), 'utf8');
  return [...text.matchAll(IMPORT)]
    .filter((match) => options.late || match[3] === undefined)
    .map((match) => relative(root, join(root, dirname(file), match[1] ?? match[2] ?? match[3] ?? '')))
    .filter((target) => target !== 'package.json'); // version.ts
}

const files = globSync('src/**/*.ts', { cwd: root });
const graph = new Map(files.map((file) => [file, importsOf(file, { late: true })]));
/** Without what is loaded when it is needed. */
const atOnce = new Map(files.map((file) => [file, importsOf(file, { late: false })]));

/** `src/http/routes/x.ts` → `http`; `src/pod.ts` → `pod.ts`. */
const roomOf = (file: string): string => file.split('/')[1] ?? '';

test('the test reads imports at all', () => {
  assert.ok(files.length > 10);
  assert.ok([...graph.values()].flat().length > 20);
  for (const target of [...graph.values()].flat()) assert.ok(graph.has(target), `${target} is imported and not there`);
});

test('rooms import only what design.md lets them', () => {
  const wrong: string[] = [];
  for (const [file, targets] of graph) {
    const allowed = MAY_IMPORT[roomOf(file)];
    if (!allowed) continue; // the process edge composes all rooms
    for (const target of targets) {
      const room = roomOf(target);
      if (room !== roomOf(file) && !allowed.includes(room)) wrong.push(`${file} imports ${target}`);
    }
  }
  assert.deepEqual(wrong, []);
});

test('every import stays inside src', () => {
  for (const [file, targets] of graph) {
    for (const target of targets) assert.match(target, /^src\//, `${file} imports ${target}`);
  }
});

test('what plugs a capability in is loaded late: nothing imports it at once', () => {
  const lists = (atOnce.get('src/capabilities.ts') ?? []).filter((file) => /^src\/.+\/settings\.ts$/.test(file));
  for (const list of lists) {
    const late = (graph.get(list) ?? []).filter((file) => !atOnce.get(list)?.includes(file));
    assert.equal(late.length, 1, `${list} loads one file`);
    const users = files.filter((file) => atOnce.get(file)?.includes(late[0] ?? ''));
    assert.deepEqual(users, []);
  }
});

test('of a capability nobody outside of its folder imports anything but its definition, and that only the list', () => {
  const folders = (atOnce.get('src/capabilities.ts') ?? [])
    .filter((file) => /^src\/.+\/settings\.ts$/.test(file))
    .map(dirname);
  assert.ok(folders.includes('src/http/forward-auth'));
  for (const folder of folders) {
    const users = files.flatMap((file) =>
      (graph.get(file) ?? [])
        .filter((target) => dirname(file) !== folder && target.startsWith(`${folder}/`))
        .map((target) => `${file} imports ${target}`),
    );
    assert.deepEqual(users, [`src/capabilities.ts imports ${folder}/settings.ts`]);
  }
});

test('there is no import cycle', () => {
  const state = new Map<string, 'open' | 'done'>();
  const visit = (file: string, path: readonly string[]): void => {
    if (state.get(file) === 'done') return;
    assert.notEqual(state.get(file), 'open', `cycle: ${[...path, file].join(' -> ')}`);
    state.set(file, 'open');
    for (const target of atOnce.get(file) ?? []) visit(target, [...path, file]);
    state.set(file, 'done');
  };
  for (const file of files) visit(file, []);
});

test('no file is called utils, helpers, common, manager, lib or types', () => {
  const vague = files.filter((file) => /\/(utils?|helpers?|common|managers?|lib|types)(\/|\.ts$)/.test(file));
  assert.deepEqual(vague, []);
});
