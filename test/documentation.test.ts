import assert from 'node:assert/strict';
import { existsSync, globSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { parse } from 'yaml';

const root = join(import.meta.dirname, '..');
const read = (file: string): string => readFileSync(join(root, file), 'utf8');
const pages = ['README.md', ...globSync(['{docs,src,charts}/**/*.md', '.github/*.md'], { cwd: root })];

/** The names of all tests: the first string given to test(), it() or describe(). */
const testNames = globSync('test/**/*.test.ts', { cwd: root }).flatMap((file) =>
  [...read(file).matchAll(/\b(?:test|it|describe|suite)\(\s*(['"`])((?:\\.|(?!\1).)*)\1/gs)].map(
    (match) => match[2] ?? '',
  ),
);

// The rules of the lookup and the preflight, by number (lookup-rules.md).
const RULES = [
  ...Array.from({ length: 10 }, (_, i) => `A${i + 1}`),
  ...Array.from({ length: 12 }, (_, i) => `B${i + 1}`),
  ...Array.from({ length: 5 }, (_, i) => `C${i + 1}`),
  'D1',
  'D2',
  ...Array.from({ length: 8 }, (_, i) => `E${i + 1}`),
  'F',
  'G',
];

for (const rule of RULES) {
  test(`rule ${rule} is kept by a test that carries its number`, () => {
    assert.ok(
      testNames.some((name) => new RegExp(`^${rule}\\b`).test(name)),
      `no test's name begins with ${rule}`,
    );
  });
}

// The rows of faults.md, "Watcher", "HTTP" and "Postgres writers", by the words their tests carry.
const FAULTS = [
  'never synced',
  'API server restarts',
  'cut off from etcd',
  'too large resource version',
  'clean close',
  'half-open',
  '429',
  '500/503/504',
  'slow drip',
  'line cut in the middle',
  'corrupt line',
  'duplicates',
  'in-stream ERROR',
  'bookmarks only',
  'lost event',
  'lagging replica',
  'etcd restored',
  'empty or shrunken list',
  'cannot be read',
  '401',
  'rotated CA',
  '403',
  'frozen process',
  'churn storm',
  'SIGTERM',
  'lookup before the event',
  'slowloris',
  'overload',
  'graceful shutdown',
  'rolling restart',
  'down at start, long outage',
  'dies in a transaction',
  'half-open connection: a silent server',
  'read-only standby (25006)',
  'disk full 53100',
  'too many connections 53300',
  'deadlock 40P01',
  'serialization 40001',
  'statement timeout 57014',
  'table missing 42P01',
  'password 28P01',
  'one poisonous value',
  'two replicas write',
  'PgBouncer in transaction mode',
  'a mass delete by mistake',
  'SIGTERM: what is dirty',
];

for (const fault of FAULTS) {
  test(`the fault "${fault}" is a named test`, () => {
    assert.ok(
      testNames.some((name) => name.toLowerCase().includes(fault.toLowerCase())),
      `no test's name holds "${fault}"`,
    );
  });
}

test('every relative link in the documents leads somewhere', () => {
  const broken: string[] = [];
  for (const page of pages) {
    for (const [, target] of read(page).matchAll(/\]\((?!https?:|#|mailto:)([^)#\s]+)(?:#[^)]*)?\)/g)) {
      if (target && !existsSync(join(root, dirname(page), target))) broken.push(`${page}: ${target}`);
    }
  }
  assert.deepEqual(broken, []);
});

test("the Caddyfile of README.md and docs/forward-auth.md is docs/proxies/caddy.md's, which is tested", () => {
  const caddyfile = /```caddyfile\n(?:# Caddyfile\n)?(.*?)```/s;
  const [, tested] = caddyfile.exec(read('docs/proxies/caddy.md')) ?? [];
  for (const page of ['README.md', 'docs/forward-auth.md']) assert.equal(caddyfile.exec(read(page))?.[1], tested, page);
});

test('every npm script a document names is there', () => {
  const { scripts } = JSON.parse(read('package.json')) as { scripts: Record<string, string> };
  for (const page of pages) {
    for (const [, name] of read(page).matchAll(/npm (?:run |(?=test\b|start\b))([a-z][a-z:-]*)/g)) {
      assert.ok(name !== undefined && name in scripts, `${page} names "npm run ${name}"`);
    }
  }
});

test('every file of the tree a document names is there', () => {
  for (const page of pages) {
    for (const [, path] of read(page).matchAll(/`((?:src|test|docs|charts|\.ci)\/[\w./-]+)`/g)) {
      if (path) assert.ok(existsSync(join(root, path)), `${page} names ${path}`);
    }
  }
});

/** All of src/, to look names up in. */
const code = globSync('src/**/*.ts', { cwd: root }).map(read).join('\n');

/** Of others, or examples of what Kubernetes injects. */
const OTHERS = new Set([
  'KUBEBUILDER_ASSETS',
  'KUBECTL_WHOIS_SERVICE',
  'NET_RAW',
  'NODE_EXTRA_CA_CERTS',
  'PODWHOIS_PORT',
  'PODWHOIS_SERVICE_HOST',
  'REJECT_REQUEST',
  'STRICT_DNS',
]);

test('every setting a document or the chart names is there', () => {
  const settings = new Set([...code.matchAll(/variable: '([A-Z0-9_]+)'/g)].map(([, name]) => name));
  assert.ok(settings.size > 40);
  for (const page of [...pages, ...globSync('charts/podwhois/{values.yaml,templates/*.*,files/*}', { cwd: root })]) {
    if (page.startsWith('docs/decisions/')) continue; // of their time
    for (const [name] of read(page).matchAll(/\b(?:[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+|PG[A-Z]+)\b/g)) {
      assert.ok(settings.has(name) || OTHERS.has(name), `${page} names ${name}`);
    }
  }
});

test('every value of the chart a document names is there', () => {
  const values = parse(read('charts/podwhois/values.yaml')) as object;
  const at = (path: string): unknown =>
    path.split('.').reduce<unknown>((value, key) => (value as Record<string, unknown> | undefined)?.[key], values);
  let found = 0;
  for (const page of pages) {
    if (page.startsWith('docs/decisions/')) continue; // of their time
    for (const [, quoted, set] of read(page).matchAll(/`([a-zA-Z]+(?:\.[a-zA-Z]+)+)(?:: [^`]*)?`|--set ([\w.]+)=/g)) {
      const path = quoted ?? set ?? '';
      if (set === undefined && !Object.hasOwn(values, path.split('.')[0] ?? '')) continue;
      if (/\.(ts|md|ya?ml)$/.test(path)) continue; // a file
      assert.notEqual(at(path), undefined, `${page} names the value ${path}`);
      found++;
    }
  }
  assert.ok(found > 10);
});

test('every path of HTTP a document names is there', () => {
  const found = new Set<string>();
  for (const page of pages) {
    if (page.startsWith('docs/decisions/')) continue; // of their time
    for (const [, path = ''] of read(page).matchAll(/`(?:(?:GET|POST) )?(\/[a-z.][a-z/.-]*)(?=[`? ])/g)) {
      if (/^\/(etc|fission-function)\//.test(path)) continue; // files, other people's services
      assert.ok(code.includes(`'${path}'`), `${page} names ${path}`);
      found.add(path);
    }
  }
  assert.ok(found.size > 12);
});

test('every metric a document names is there', () => {
  for (const page of pages) {
    for (const [all, name = ''] of read(page).matchAll(/\bpodwhois_([a-z]+(?:_[a-z]+)*)\b/g)) {
      assert.match(code, new RegExp(`^\\s+${name}: ['{]`, 'm'), `${page} names ${all}`);
    }
  }
});
