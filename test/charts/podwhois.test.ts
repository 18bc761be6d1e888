import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { globSync, readFileSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { promisify } from 'node:util';
import * as prettier from 'prettier';
import { parseAllDocuments } from 'yaml';
import { MIRROR } from '../../src/mirror-settings.ts';
import { bundle } from '../../.build/bundle.ts';
import { openapi } from '../../src/commands/openapi.ts';
import { CORE } from '../../src/settings.ts';
import { Kubectl } from '../support/kubectl.ts';
import { PodwhoisProcess } from '../support/podwhois-process.ts';
import { startPostgres } from '../support/real-postgres.ts';
import { CLUSTER, HELM, realServer, startControlPlane } from '../support/real-servers.ts';
import { serverBinary } from '../support/server-binaries.ts';
import { until } from '../support/until.ts';
import type { ControlPlane } from '../support/real-servers.ts';

const CHART = join(import.meta.dirname, '../../charts/podwhois');
const EXAMPLES = globSync('examples/*.yaml', { cwd: CHART }).sort();
const run = promisify(execFile);

interface Deployment {
  readonly spec: {
    readonly template: {
      readonly spec: {
        readonly serviceAccountName: string;
        readonly containers: readonly [
          {
            readonly args: readonly string[];
            readonly env: readonly { readonly name: string; readonly value: string }[];
          },
        ];
      };
    };
  };
}

/** Helm 4 and Helm 3: the chart is for both. */
const HELMS = ['helm', 'helm3'] as const;

async function runHelm(version: (typeof HELMS)[number], args: readonly string[]): Promise<string> {
  const { stdout } = await run(serverBinary(version), args, { timeout: 120_000, maxBuffer: 1 << 26 });
  return stdout;
}

describe('the chart by itself', { ...realServer(...HELM), concurrency: true, timeout: 120_000 }, () => {
  for (const values of ['values.yaml', ...EXAMPLES]) {
    // What is built by `go install` does not know of which Kubernetes it is.
    const args = [CHART, '--values', join(CHART, values), '--kube-version', '1.36.3'];
    for (const version of HELMS) {
      test(`${version} lint is content with ${basename(values)}`, realServer(version), async () => {
        await runHelm(version, ['lint', '--strict', ...args]);
      });
    }

    test(
      `Helm 3 and Helm 4 make the same of ${basename(values)}, and nothing in it is null`,
      realServer('helm3'),
      async () => {
        const [byHelm4 = [], byHelm3] = await Promise.all(
          HELMS.map(async (version) =>
            parseAllDocuments(await runHelm(version, ['template', 'one', ...args])).map(
              (document) => document.toJS() as unknown,
            ),
          ),
        );
        assert.ok(byHelm4.length > 3);
        assert.deepEqual(byHelm3, byHelm4);
        // Who compares what is there with what was rendered would see a difference for ever.
        assert.doesNotMatch(JSON.stringify(byHelm4), /:null\b/);
      },
    );
  }

  test('the suites of helm-unittest pass', async () => {
    await run(serverBinary('helm-unittest'), ['--strict', CHART], { timeout: 110_000 });
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

  test('every path of HTTP that a template names is answered', async () => {
    const known = Object.keys((JSON.parse(await openapi()) as { paths: object }).paths);
    const named = globSync('templates/*', { cwd: CHART, withFileTypes: true }).flatMap((entry) =>
      entry.isFile()
        ? [
            ...readFileSync(join(entry.parentPath, entry.name), 'utf8').matchAll(
              /\bpath: '?(\/[a-z]+)\b|:8080(\/[a-z]+)|\}\}(\/[a-z]+)\n/g,
            ),
          ]
        : [],
    );
    const paths = new Set(named.map(([, probe, asked, preflight]) => probe ?? asked ?? preflight ?? ''));
    assert.ok(paths.size > 3);
    for (const path of paths) assert.ok(known.includes(path) || path === '/authorize', path);
  });

  test('every setting that a template or an example writes is one of podwhois', async () => {
    const known = new Set<string>(Object.values(CORE).map(({ variable }) => variable));
    const { CAPABILITIES } = await import('../../src/capabilities.ts');
    for (const settings of [MIRROR, ...CAPABILITIES.map((capability) => capability.settings)]) {
      for (const { variable } of Object.values(settings)) known.add(variable);
    }
    for (const file of [...globSync('templates/*.{yaml,tpl}', { cwd: CHART }), ...EXAMPLES]) {
      const text = readFileSync(join(CHART, file), 'utf8');
      for (const [, variable = ''] of text.matchAll(/name: ([A-Z][A-Z0-9_]+)$/gm)) {
        assert.ok(known.has(variable), `${file} sets ${variable}`);
      }
    }
  });
});

describe('the chart on a real control plane', { ...realServer(...CLUSTER, ...HELM), timeout: 420_000 }, () => {
  const namespace = 'podwhois';
  const inNamespace = ['--namespace', namespace] as const;
  let plane: ControlPlane;
  let kubectl: Kubectl;
  /** What the image runs. */
  let main: string;
  const byOn = async (version: (typeof HELMS)[number], ...args: readonly string[]): Promise<string> =>
    await runHelm(version, [...args, ...inNamespace, '--kubeconfig', plane.kubeconfig]);
  const onPlane = async (...args: readonly string[]): Promise<string> => await byOn('helm', ...args);

  before(async () => {
    plane = await startControlPlane();
    main = (await bundle(join(plane.dir, 'bundle'))).file;
    kubectl = new Kubectl(plane.kubeconfig);
    await kubectl.run('apply', '--server-side', '-f', serverBinary('monitoring-crds'));
    for (const name of [namespace, 'team-a', 'team-b']) {
      const labels = { 'pod-security.kubernetes.io/enforce': 'restricted' };
      await kubectl.apply({ apiVersion: 'v1', kind: 'Namespace', metadata: { name, labels } });
    }
  });
  after(async () => await plane?.down());

  /** Beyond what everybody may. */
  async function rights(account: string, where: readonly string[]): Promise<string[][]> {
    const user = `system:serviceaccount:${namespace}:${account}`;
    const listed = await kubectl.run('auth', 'can-i', '--list', '--no-headers', `--as=${user}`, ...where);
    const own = listed.split('\n').filter((line) => line !== '' && !/selfsubject|^ +\[\//.test(line));
    return own.map((line) =>
      line
        .split(/\s{2,}/)
        .filter((cell) => cell !== '[]')
        .map((cell) => cell.trim()),
    );
  }

  /** Takes each verb of each rule away, and gives it back. */
  async function namesWhatIsMissing(
    service: PodwhoisProcess,
    role: readonly string[],
    ...rules: readonly { readonly apiGroups: readonly string[]; readonly resources: readonly string[] }[]
  ): Promise<void> {
    const verbs = ['list', 'watch'];
    const grant = async (change: (resource: string) => readonly string[]): Promise<string> => {
      const granted = rules.map((rule) => ({ ...rule, verbs: change(rule.resources.join()) }));
      return await kubectl.run('patch', ...role, '--type=merge', '-p', JSON.stringify({ rules: granted }));
    };
    for (const resource of rules.flatMap(({ resources }) => resources)) {
      for (const verb of verbs) {
        await grant((one) => (one === resource ? verbs.filter((other) => other !== verb) : verbs));
        const missing = new RegExp(
          `not allowed to ${verb} ${resource}[^;]*: the verb \\\\"${verb}\\\\" must be granted`,
          'i',
        );
        await until(
          `it says that ${verb} of ${resource} is missing`,
          async () => missing.test(JSON.stringify((await service.get('/ready?verbose')).body)),
          { timeoutMs: 60_000, everyMs: 250 },
        );
        await grant(() => verbs);
        await service.untilReady(60_000);
      }
    }
  }

  for (const values of EXAMPLES) {
    test(`the API server accepts all objects of ${basename(values)}`, async () => {
      await onPlane('install', 'example', CHART, '--values', join(CHART, values), '--dry-run=server');
    });
  }

  test('the API server accepts what monitoring and policies add to the endpoint mirror', async () => {
    const both = ['large-cluster', 'postgres'].flatMap((name) => ['--values', join(CHART, `examples/${name}.yaml`)]);
    const made = await onPlane('install', 'example', CHART, ...both, '--dry-run=server');
    for (const kind of ['PodMonitor', 'NetworkPolicy']) {
      assert.match(made, new RegExp(`kind: ${kind}\\nmetadata:\\n  name: example-podwhois-mirror\\n`));
    }
  });

  describe('from install to uninstall', { concurrency: true }, () => {
    for (const version of HELMS) {
      test(
        `installed by ${version} under the restricted level it becomes ready, is upgraded, rolled back, and leaves nothing`,
        realServer(version),
        async () => {
          const release = `by-${version}`;
          const objects = async (): Promise<string[]> => {
            const kinds =
              'deployments,daemonsets,services,serviceaccounts,configmaps,poddisruptionbudgets,pods,clusterroles,clusterrolebindings';
            const listed = await kubectl.run(
              'get',
              kinds,
              '-A',
              '-l',
              `app.kubernetes.io/instance=${release}`,
              '-o',
              'name',
            );
            return listed.split('\n').filter((line) => line !== '');
          };
          const waiting = ['--wait', '--timeout', '60s'];
          await byOn(version, 'install', release, CHART, ...waiting);
          assert.ok((await objects()).includes(`deployment.apps/${release}-podwhois`));
          const values = join(CHART, 'examples/k3s-traefik.yaml');
          await byOn(version, 'upgrade', release, CHART, '--values', values, ...waiting);
          assert.ok((await objects()).includes(`configmap/${release}-podwhois-forward-auth`));
          await byOn(version, 'rollback', release, '1', ...waiting);
          assert.ok(!(await objects()).includes(`configmap/${release}-podwhois-forward-auth`));
          await byOn(version, 'uninstall', release, ...waiting);
          await until('everything is gone', async () => (await objects()).length === 0);
        },
      );
    }
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
      const view = scope === 'namespaces' ? { NAMESPACE: 'team-a,team-b' } : {};
      const env = { KUBECONFIG: kubeconfig, READY_MAX_STALENESS: '15s', ...view };
      const service = await PodwhoisProcess.start(env, { main });
      try {
        await service.untilReady();
        const where = scope === 'cluster' ? [] : ['--namespace', 'team-a'];
        assert.deepEqual(await rights(account, where), [['pods', '[list watch]']]);
        const role =
          scope === 'cluster' ? ['clusterrole', `${namespace}-${account}`] : ['role', account, '--namespace', 'team-a'];
        await namesWhatIsMissing(service, role, { apiGroups: [''], resources: ['pods'] });
      } finally {
        await service.stop();
        await onPlane('uninstall', release);
      }
    });
  }

  test('forward auth whose rules select by labels of namespaces has the rights for it by a role of its own, and a missing one is named', async (t) => {
    const account = 'by-labels-podwhois';
    const values = join(CHART, 'examples/k3s-traefik.yaml');
    await onPlane('install', 'by-labels', CHART, '--values', values, '--set', 'replicas=0');
    t.after(async () => await onPlane('uninstall', 'by-labels'));
    const get = async (kind: string, name: string): Promise<unknown> =>
      JSON.parse(await kubectl.run('get', kind, name, ...inNamespace, '-o', 'json'));
    const { spec } = (await get('deployment', account)) as Deployment;
    const { data } = (await get('configmap', `${account}-forward-auth`)) as { data: Record<string, string> };
    const rules = join(plane.dir, 'rules.yaml');
    writeFileSync(rules, data['rules.yaml'] ?? '');
    const env = Object.fromEntries(spec.template.spec.containers[0].env.map((one) => [one.name, one.value]));
    delete env['PORT'];
    assert.equal(env['FORWARD_AUTH_RULES'], '/etc/podwhois/forward-auth/rules.yaml');
    const token = (await kubectl.run('create', 'token', account, ...inNamespace)).trim();
    const kubeconfig = plane.writeKubeconfig(join(plane.dir, 'by-labels.kubeconfig'), { token });
    const own = { FORWARD_AUTH_RULES: rules, KUBECONFIG: kubeconfig, READY_MAX_STALENESS: '15s' };
    const service = await PodwhoisProcess.start({ ...env, ...own }, { main });
    t.after(async () => await service.stop());
    await service.untilReady();
    assert.deepEqual(await rights(account, []), [
      ['namespaces', '[list watch]'],
      ['pods', '[list watch]'],
    ]);
    const role = ['clusterrole', `${namespace}-${account}-forward-auth`];
    await namesWhatIsMissing(service, role, { apiGroups: [''], resources: ['namespaces'] });
  });

  for (const scope of ['cluster', 'namespaces'] as const) {
    test(`with watch.scope=${scope} the snapshot and the endpoint mirror fill their tables as the chart runs them, by rights of their own`, async (t) => {
      const postgres = await startPostgres();
      t.after(async () => await postgres.down());
      const release = `pg-${scope}`;
      const values = {
        replicas: 1,
        watch: { scope, namespaces: scope === 'cluster' ? [] : [namespace, 'team-a'] },
        postgres: {
          host: '127.0.0.1',
          port: postgres.port,
          user: 'postgres',
          sslMode: 'disable',
          existingSecret: 'made-later',
          clusterName: 'eu',
        },
        snapshot: { enabled: true },
        endpointMirror: { enabled: true, enrichPods: scope === 'namespaces', settings: { READY_MAX_STALENESS: '15s' } },
      };
      const file = join(plane.dir, `${release}.yaml`);
      writeFileSync(file, JSON.stringify(values));
      await onPlane('install', release, CHART, '--values', file, '--wait', '--timeout', '60s');
      t.after(async () => await onPlane('uninstall', release));

      /** What the Deployment's pod would be, had it a kubelet. */
      async function play(name: string): Promise<PodwhoisProcess> {
        const deployment = JSON.parse(
          await kubectl.run('get', 'deployment', name, ...inNamespace, '-o', 'json'),
        ) as Deployment;
        const { serviceAccountName, containers } = deployment.spec.template.spec;
        assert.equal(serviceAccountName, name);
        const token = (await kubectl.run('create', 'token', name, ...inNamespace)).trim();
        const env = Object.fromEntries(containers[0].env.map((one) => [one.name, one.value]));
        delete env['PORT'];
        assert.equal(env['PGPASSWORD_FILE'], '/etc/podwhois/postgres/password');
        env['PGPASSWORD_FILE'] = join(plane.dir, 'password');
        writeFileSync(env['PGPASSWORD_FILE'], postgres.password);
        const kubeconfig = plane.writeKubeconfig(join(plane.dir, `${name}.kubeconfig`), { token });
        const running = await PodwhoisProcess.start(
          { ...env, KUBECONFIG: kubeconfig },
          { main, command: containers[0].args[0] },
        );
        t.after(async () => await running.stop());
        await running.untilReady();
        return running;
      }
      const lookups = `${release}-podwhois`;
      const mirrors = `${lookups}-mirror`;
      const service = await play(lookups);
      const pods = ['get', 'pods', '-l', `app.kubernetes.io/instance=${release}`, ...inNamespace];
      const [ip = ''] = (await kubectl.run(...pods, '-o', 'jsonpath={.items[*].status.podIP}')).split(' ');
      const { status, body } = await service.whoHas(ip);
      assert.deepEqual([status, body['namespace']], [200, namespace], 'it answers for the pods of the cluster');
      const mirror = await play(mirrors);

      const rows = await until('the Service has a row', async () => {
        const found = await postgres.query<{ pod_name: string; node_name?: string }>(
          `SELECT * FROM public.server WHERE cluster = 'eu' AND service = '${lookups}'`,
        );
        return found.length > 0 && found;
      });
      assert.equal(rows.length, 1, 'the pods of the mirror are not behind the Service of the lookups');
      assert.ok(!rows[0]?.pod_name.startsWith(mirrors));
      if (scope === 'namespaces') assert.ok(rows[0]?.node_name, 'with endpointMirror.enrichPods it may read pods');
      await until('all pods have rows', async () => {
        const found = await postgres.query<{ name: string }>(
          `SELECT name FROM podwhois.pods WHERE cluster = 'eu' AND name LIKE '${release}-%'`,
        );
        return found.length === 2;
      });

      const where = scope === 'cluster' ? [] : [...inNamespace];
      assert.deepEqual(await rights(lookups, where), [['pods', '[list watch]']]);
      assert.deepEqual(Object.fromEntries(await rights(mirrors, where)), {
        'endpointslices.discovery.k8s.io': '[list watch]',
        ...(scope === 'namespaces' && { pods: '[list watch]' }),
      });
      const rule = { apiGroups: ['discovery.k8s.io'], resources: ['endpointslices'] };
      if (scope === 'cluster') await namesWhatIsMissing(mirror, ['clusterrole', `${namespace}-${mirrors}`], rule);
      else {
        const role = ['role', mirrors, '--namespace', 'team-a'];
        await namesWhatIsMissing(mirror, role, rule, { apiGroups: [''], resources: ['pods'] });
      }
    });
  }
});
