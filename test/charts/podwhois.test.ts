import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { globSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { promisify } from 'node:util';
import * as prettier from 'prettier';
import { CORE } from '../../src/settings.ts';
import { Kubectl } from '../support/kubectl.ts';
import { PodwhoisProcess } from '../support/podwhois-process.ts';
import { CLUSTER, HELM, realServer, startControlPlane } from '../support/real-servers.ts';
import { serverBinary } from '../support/server-binaries.ts';
import { until } from '../support/until.ts';
import type { ControlPlane } from '../support/real-servers.ts';

const CHART = join(import.meta.dirname, '../../charts/podwhois');
const EXAMPLES = globSync('examples/*.yaml', { cwd: CHART }).sort();
const run = promisify(execFile);

async function helm(...args: readonly string[]): Promise<string> {
  const { stdout } = await run(serverBinary('helm'), args, { timeout: 120_000, maxBuffer: 1 << 26 });
  return stdout;
}

describe('the chart by itself', { ...realServer(...HELM), concurrency: true, timeout: 120_000 }, () => {
  for (const values of ['values.yaml', ...EXAMPLES]) {
    test(`helm lint is content with ${basename(values)}`, async () => {
      await helm('lint', '--strict', CHART, '--values', join(CHART, values));
    });
  }

  test('the suites of helm-unittest pass', async () => {
    await run(serverBinary('helm-unittest'), ['--strict', CHART], { timeout: 60_000 });
  });

  test("the chart's README is what helm-docs makes of its values", async () => {
    const { stdout } = await run(serverBinary('helm-docs'), ['--dry-run', '--chart-search-root', CHART], {
      timeout: 60_000,
    });
    const page = join(CHART, 'README.md');
    const made = await prettier.format(stdout, { ...(await prettier.resolveConfig(page)), parser: 'markdown' });
    assert.equal(
      readFileSync(page, 'utf8'),
      made,
      'run helm-docs --chart-search-root charts/podwhois and npm run format',
    );
  });

  test('every value is in the schema, and the schema knows no other', () => {
    const top = (file: string): string[] =>
      [...readFileSync(join(CHART, file), 'utf8').matchAll(/^([a-zA-Z]+):/gm)].map(([, name]) => name ?? '').sort();
    const schema = JSON.parse(readFileSync(join(CHART, 'values.schema.json'), 'utf8')) as { properties: object };
    // `enabled` is the parent's, which has it as a subchart.
    assert.deepEqual(
      Object.keys(schema.properties)
        .filter((name) => name !== 'enabled')
        .sort(),
      top('values.yaml'),
    );
  });

  test('every setting that a template or an example writes is one of podwhois', async () => {
    const known = new Set<string>(Object.values(CORE).map(({ variable }) => variable));
    const { CAPABILITIES } = await import('../../src/capabilities.ts');
    for (const { settings } of CAPABILITIES) for (const { variable } of Object.values(settings)) known.add(variable);
    for (const file of [...globSync('templates/*.{yaml,tpl}', { cwd: CHART }), ...EXAMPLES]) {
      const text = readFileSync(join(CHART, file), 'utf8');
      for (const [, variable = ''] of text.matchAll(/name: ([A-Z][A-Z0-9_]+)$/gm)) {
        assert.ok(known.has(variable), `${file} sets ${variable}`);
      }
    }
  });
});

describe('the chart on a real control plane', { ...realServer(...CLUSTER, ...HELM), timeout: 300_000 }, () => {
  const namespace = 'podwhois';
  const inNamespace = ['--namespace', namespace] as const;
  let plane: ControlPlane;
  let kubectl: Kubectl;
  const onPlane = async (...args: readonly string[]): Promise<string> =>
    await helm(...args, ...inNamespace, '--kubeconfig', plane.kubeconfig);

  before(async () => {
    plane = await startControlPlane();
    kubectl = new Kubectl(plane.kubeconfig);
    await kubectl.run('apply', '--server-side', '-f', serverBinary('monitoring-crds'));
    for (const name of [namespace, 'team-a', 'team-b']) {
      const labels = { 'pod-security.kubernetes.io/enforce': 'restricted' };
      await kubectl.apply({ apiVersion: 'v1', kind: 'Namespace', metadata: { name, labels } });
    }
  });
  after(async () => await plane?.down());

  for (const values of EXAMPLES) {
    test(`the API server accepts all objects of ${basename(values)}`, async () => {
      await onPlane('install', 'example', CHART, '--values', join(CHART, values), '--dry-run=server');
    });
  }

  test('installed under the restricted level it becomes ready, is upgraded, rolled back, and leaves nothing', async () => {
    const objects = async (): Promise<string[]> => {
      const kinds =
        'deployments,daemonsets,services,serviceaccounts,configmaps,poddisruptionbudgets,pods,clusterroles,clusterrolebindings';
      const listed = await kubectl.run('get', kinds, '-A', '-l', 'app.kubernetes.io/instance=podwhois', '-o', 'name');
      return listed.split('\n').filter((line) => line !== '');
    };
    await onPlane('install', 'podwhois', CHART, '--wait', '--timeout', '60s');
    assert.ok((await objects()).includes('deployment.apps/podwhois'));
    const values = join(CHART, 'examples/k3s-traefik.yaml');
    await onPlane('upgrade', 'podwhois', CHART, '--values', values, '--wait', '--timeout', '60s');
    assert.ok((await objects()).includes('configmap/podwhois-forward-auth'));
    await onPlane('rollback', 'podwhois', '1', '--wait', '--timeout', '60s');
    assert.ok(!(await objects()).includes('configmap/podwhois-forward-auth'));
    await onPlane('uninstall', 'podwhois', '--wait', '--timeout', '60s');
    await until('everything is gone', async () => (await objects()).length === 0);
  });

  for (const [scope, args] of [
    ['cluster', []],
    ['namespaces', ['--values', join(CHART, 'examples/namespaced.yaml')]],
  ] as const) {
    test(`the rights of watch.scope=${scope} are enough, are no more than documented, and a missing one is named`, async () => {
      const release = `by-${scope}`;
      await onPlane('install', release, CHART, ...args, '--set', 'replicas=0');
      const account = `${release}-podwhois`;
      const token = (await kubectl.run('create', 'token', account, ...inNamespace)).trim();
      const kubeconfig = plane.writeKubeconfig(join(plane.dir, `${release}.kubeconfig`), { token });
      const service = await PodwhoisProcess.start({
        KUBECONFIG: kubeconfig,
        READY_MAX_STALENESS: '15s',
        ...(scope === 'namespaces' && { NAMESPACE: 'team-a,team-b' }),
      });
      try {
        await service.untilReady();
        const user = `system:serviceaccount:${namespace}:${account}`;
        const where = scope === 'cluster' ? [] : ['--namespace', 'team-a'];
        const rights = await kubectl.run('auth', 'can-i', '--list', '--no-headers', `--as=${user}`, ...where);
        const own = rights.split('\n').filter((line) => line !== '' && !/selfsubject|^ +\[\//.test(line));
        assert.deepEqual(
          own.map((line) =>
            line
              .split(/\s{2,}/)
              .filter((cell) => cell !== '[]')
              .map((cell) => cell.trim()),
          ),
          [['pods', '[list watch]']],
        );
        const role =
          scope === 'cluster' ? ['clusterrole', `${namespace}-${account}`] : ['role', account, '--namespace', 'team-a'];
        for (const verb of ['list', 'watch']) {
          const other = verb === 'list' ? 'watch' : 'list';
          const rules = (verbs: readonly string[]): string =>
            JSON.stringify({ rules: [{ apiGroups: [''], resources: ['pods'], verbs }] });
          await kubectl.run('patch', ...role, '--type=merge', '-p', rules([other]));
          await until(
            `it says that ${verb} is missing`,
            async () =>
              JSON.stringify((await service.get('/ready?verbose')).body).includes(
                `the verb \\"${verb}\\" must be granted`,
              ),
            { timeoutMs: 60_000, everyMs: 250 },
          );
          await kubectl.run('patch', ...role, '--type=merge', '-p', rules(['list', 'watch']));
          await service.untilReady(60_000);
        }
      } finally {
        await service.stop();
        await onPlane('uninstall', release);
      }
    });
  }
});
