import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { after, before, describe, test } from 'node:test';
import type { TestContext } from 'node:test';
import { startChild } from '../support/child-process.ts';
import type { Child } from '../support/child-process.ts';
import { freePorts } from '../support/free-ports.ts';
import { Kubectl } from '../support/kubectl.ts';
import { observersTable, tableRows } from '../support/mirror-stage.ts';
import { startPostgres } from '../support/real-postgres.ts';
import type { RealPostgres } from '../support/real-postgres.ts';
import { CLUSTER, realServer, startControlPlane } from '../support/real-servers.ts';
import type { ControlPlane } from '../support/real-servers.ts';
import { until } from '../support/until.ts';
import { deployment, namespace } from './objects.ts';

const MAIN = join(import.meta.dirname, '../../src/main.ts');

interface EndpointSlices {
  readonly items: readonly {
    readonly metadata: { readonly namespace: string; readonly labels?: Readonly<Record<string, string>> };
    readonly addressType: string;
    readonly endpoints:
      | readonly {
          readonly addresses: readonly string[];
          readonly conditions: { readonly ready?: boolean };
          readonly targetRef?: { readonly kind: string; readonly name: string; readonly uid: string };
        }[]
      | null;
  }[];
}

const service = (name: string, inNamespace: string): object => ({
  apiVersion: 'v1',
  kind: 'Service',
  metadata: { name, namespace: inNamespace },
  spec: { selector: { app: name }, ports: [{ port: 80, targetPort: 80, protocol: 'TCP' }] },
});

describe('mirror-endpoints on a real control plane', { ...realServer(...CLUSTER), timeout: 300_000 }, () => {
  let plane: ControlPlane;
  let kubectl: Kubectl;
  let postgres: RealPostgres;
  let kubeconfig: string;
  const dir = mkdtempSync(join(tmpdir(), 'podwhois-mirror-'));

  before(async () => {
    plane = await startControlPlane();
    postgres = await startPostgres();
    kubectl = new Kubectl(plane.kubeconfig);
    // All that the observer's role could do.
    const rule = { apiGroups: ['discovery.k8s.io'], resources: ['endpointslices'], verbs: ['get', 'list', 'watch'] };
    const rbac = 'rbac.authorization.k8s.io';
    await kubectl.apply(
      namespace('observer'),
      { apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name: 'observer', namespace: 'observer' } },
      { apiVersion: `${rbac}/v1`, kind: 'ClusterRole', metadata: { name: 'observer' }, rules: [rule] },
      {
        apiVersion: `${rbac}/v1`,
        kind: 'ClusterRoleBinding',
        metadata: { name: 'observer' },
        roleRef: { apiGroup: rbac, kind: 'ClusterRole', name: 'observer' },
        subjects: [{ kind: 'ServiceAccount', name: 'observer', namespace: 'observer' }],
      },
    );
    const token = (await kubectl.run('create', 'token', 'observer', '-n', 'observer')).trim();
    kubeconfig = plane.writeKubeconfig(join(dir, 'kubeconfig'), { token });
  });
  after(async () => {
    await postgres?.down();
    await plane?.down();
    rmSync(dir, { recursive: true, force: true });
  });

  /** As the observer was started: its variables, its flag. */
  async function mirror(
    t: TestContext,
    environment: Readonly<Record<string, string>>,
    requeueAfter = '30s',
  ): Promise<{ readonly child: Child; readonly url: string }> {
    const [port = 0] = await freePorts(1);
    const child = startChild({
      name: 'podwhois',
      file: process.execPath,
      args: [MAIN, 'mirror-endpoints', `--requeue-after=${requeueAfter}`],
      logFile: join(dir, `log-${port}`),
      env: {
        PATH: process.env['PATH'],
        HOST: '127.0.0.1',
        PORT: String(port),
        KUBECONFIG: kubeconfig,
        ...postgres.environment(environment),
      },
    });
    t.after(async () => await child.stop());
    const url = `http://127.0.0.1:${port}`;
    await until('the mirror is ready', async () => {
      if (child.ended !== undefined) throw new Error(child.output());
      return (await fetch(`${url}/ready`)).status === 200;
    });
    return { child, url };
  }

  /** What the table should hold, by what kubectl prints. */
  async function expected(cluster: string): Promise<readonly string[]> {
    const { items } = JSON.parse(await kubectl.run('get', 'endpointslices', '-A', '-o', 'json')) as EndpointSlices;
    const rows = items.flatMap(({ metadata, endpoints }) =>
      (endpoints ?? []).flatMap(({ addresses, conditions, targetRef }) => {
        const name = metadata.labels?.['kubernetes.io/service-name'];
        return name !== undefined && targetRef?.kind === 'Pod' && conditions.ready !== false
          ? [`${cluster} ${metadata.namespace}/${name} ${targetRef.name} ${targetRef.uid} ${addresses[0]} t`]
          : [];
      }),
    );
    return [...new Set(rows)].toSorted();
  }

  test("the observer's smoke test: its my-service, its table, its variables; ended in order by SIGTERM", async (t) => {
    await postgres.query(observersTable('public.test_server'));
    const { child } = await mirror(t, {
      ENDPOINT_SELECTOR: 'kubernetes.io/service-name=my-service',
      TABLE_NAME: 'public.test_server',
      CLUSTER_NAME: 'dev-cluster',
    });
    const template = {
      metadata: { labels: { app: 'my-service' } },
      spec: { containers: [{ name: 'web', image: 'nginx:1.25-alpine', ports: [{ containerPort: 80 }] }] },
    };
    await kubectl.apply(service('my-service', 'default'), service('another', 'default'), {
      apiVersion: 'apps/v1',
      kind: 'Deployment',
      metadata: { name: 'my-service', namespace: 'default' },
      spec: { replicas: 2, selector: { matchLabels: { app: 'my-service' } }, template },
    });
    const rows = await until('rows appear', async () => {
      const found = await tableRows(postgres, 'public.test_server');
      return found.length === 2 && found;
    });
    for (const row of rows)
      assert.match(row, /^dev-cluster default\/my-service my-service-\S+ [0-9a-f-]{36} [0-9.]+ t$/);
    assert.deepEqual(rows, await expected('dev-cluster'));
    await kubectl.run('delete', 'deployment,service', 'my-service');
    await until('they go', async () => (await tableRows(postgres, 'public.test_server')).length === 0);
    assert.equal(await child.stop('SIGTERM'), '0', child.output());
  });

  test("with NAMESPACE the rows of another namespace go when its Service has no slices left, by the observer's own rights", async (t) => {
    const table = 'public.partial';
    await postgres.query(observersTable(table));
    await kubectl.apply(
      namespace('office'),
      service('web', 'office'),
      service('idle', 'office'),
      deployment({ namespace: 'office', name: 'web' }, 1),
    );
    await until('they have slices', async () => {
      const found = await kubectl.run('get', 'endpointslices', '-n', 'office', '-o', 'name');
      return found.trim().split('\n').length === 2;
    });
    const places = ['office/web', 'office/idle', 'office/gone', 'no-such-namespace/web', 'default/gone'];
    for (const place of places) {
      await postgres.query(
        `INSERT INTO ${table} (cluster, namespace, service, pod_uid, pod_name, pod_ip, last_seen) VALUES ('dev', $1, $2, 'u', 'n', '10.1.0.1', '2026-01-01Z')`,
        place.split('/'),
      );
    }
    const { url } = await mirror(t, { TABLE_NAME: table, CLUSTER_NAME: 'dev', NAMESPACE: 'default' }, '1s');
    const kept = ['office/idle', 'office/web'].map((place) => `dev ${place} n u 10.1.0.1 t`);
    let found: readonly string[] = [];
    await until('the others go', async () => {
      found = await tableRows(postgres, table);
      return found.join('\n') === kept.join('\n');
    }).catch(() => assert.deepEqual(found, kept));
    assert.equal((await fetch(`${url}/ready`)).status, 200);
    // The other tests count what is in the whole cluster.
    await kubectl.run('delete', 'deployment,service', '-n', 'office', '--all');
    await until('its pods go', async () => !(await expected('dev')).some((line) => line.includes(' office/')));
  });

  test('Deployments rolled, scaled and deleted, addresses given on: the table equals kubectl get endpointslices', async (t) => {
    await mirror(t, { TABLE_NAME: 'public.server', CLUSTER_NAME: 'dev' });
    const names = ['a', 'b', 'c'];
    const place = (name: string) => ({ namespace: 'shop', name });
    const equal = async (): Promise<void> => {
      let both: (readonly string[])[] = [];
      await until(
        'the table equals the cluster',
        async () => {
          both = await Promise.all([tableRows(postgres, 'public.server'), expected('dev')]);
          return both[0]?.join('\n') === both[1]?.join('\n');
        },
        { everyMs: 200, timeoutMs: 20_000 },
      ).catch(() => assert.deepEqual(both[0], both[1]));
    };
    await kubectl.apply(
      namespace('shop'),
      ...names.flatMap((name) => [service(name, 'shop'), deployment(place(name), 6)]),
    );
    await until('all are ready', async () => (await expected('dev')).length === 18, { timeoutMs: 60_000 });
    await equal();
    const first = await tableRows(postgres, 'public.server');
    for (const version of ['2', '3']) {
      await kubectl.apply(...names.map((name) => deployment(place(name), 6, version)));
      await Promise.all(
        names.map(async (name) => await kubectl.run('rollout', 'status', '-n', 'shop', `deployment/${name}`)),
      );
      await equal();
    }
    assert.ok((await tableRows(postgres, 'public.server')).every((row) => !first.includes(row)));
    await kubectl.apply(deployment(place('a'), 2, '3'), deployment(place('b'), 0, '3'));
    await kubectl.run('delete', 'service', '-n', 'shop', 'c');
    await until('they shrink', async () => (await expected('dev')).length === 2, { timeoutMs: 60_000 });
    await equal();
    const deployments = await kubectl.run('get', 'deployments', '-n', 'shop', '-o', 'name');
    assert.equal(deployments.trim().split('\n').length, 3);
  });
});
