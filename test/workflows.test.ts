import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { parse } from 'yaml';
import { realServer, serverBinary } from './support/server-binaries.ts';

/** The workflows are not run where podwhois is developed; what can be known of them without is known here. */

const ROOT = join(import.meta.dirname, '..');
const workflows = globSync('.github/workflows/*.yaml', { cwd: ROOT }).sort();

interface Workflow {
  readonly permissions?: Readonly<Record<string, string>>;
  readonly jobs: Readonly<
    Record<
      string,
      {
        readonly permissions?: Readonly<Record<string, string>>;
        readonly steps: readonly { readonly uses?: string; readonly with?: Readonly<Record<string, unknown>> }[];
      }
    >
  >;
}
const read = (file: string): Workflow => parse(readFileSync(join(ROOT, file), 'utf8')) as Workflow;

test('actionlint finds nothing, also in what their shells run', realServer('actionlint'), () => {
  assert.ok(workflows.length > 1);
  const { status, stdout, stderr } = spawnSync(serverBinary('actionlint'), ['-no-color', '-oneline', ...workflows], {
    cwd: ROOT,
    encoding: 'utf8',
  });
  assert.equal(stdout + stderr, '');
  assert.equal(status, 0);
});

test('one version is in the package, the chart, the plugin and the changelog, as a release wants it', () => {
  const text = (file: string): string => readFileSync(join(ROOT, file), 'utf8');
  const { version } = JSON.parse(text('package.json')) as { version: string };
  const chart = parse(text('charts/podwhois/Chart.yaml')) as { version: string; appVersion: string };
  const plugin = parse(text('src/kubectl-whois/whois.yaml')) as { spec: { version: string } };
  assert.deepEqual([chart.version, chart.appVersion, plugin.spec.version], [version, version, `v${version}`]);
  assert.match(text('docs/changelog.md'), new RegExp(`^## ${version.replaceAll('.', '\\.')}$`, 'm'));
});

for (const file of workflows) {
  test(`${file} has least permissions, and names actions by version or digest`, () => {
    const { permissions, jobs } = read(file);
    assert.ok(permissions !== undefined, 'without, a token may write');
    assert.ok(Object.values(permissions).every((right) => right === 'read'));
    for (const [name, job] of Object.entries(jobs)) {
      for (const { uses, with: given } of job.steps) {
        if (uses === undefined) continue;
        assert.match(uses, /^[\w.-]+\/[\w.-]+@(v\d+|[0-9a-f]{40})$/, name);
        if (uses.startsWith('actions/checkout@')) assert.equal(given?.['persist-credentials'], false, name);
      }
    }
  });
}
