import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { createLog } from '../../src/log.ts';
import { startService } from '../../src/service.ts';
import { readCoreSettings } from '../../src/settings.ts';
import { Kubectl } from '../support/kubectl.ts';
import { API_ONLY, realServer, startControlPlane } from '../support/real-servers.ts';
import { until } from '../support/until.ts';
import type { Context, NamespaceSource } from '../../src/capabilities.ts';
import type { Service } from '../../src/service.ts';
import type { ControlPlane } from '../support/real-servers.ts';

const READY_MS = 15_000; // the least that does not flap on a quiet cluster (C3)
const SERVE_MS = 20_000;
/** The longest back-off of a list that has failed for some seconds. */
const RECOVERS_WITHIN_MS = 12_000;

describe('namespaces of a real API server', { ...realServer(...API_ONLY, 'kubectl'), timeout: 180_000 }, () => {
  let plane: ControlPlane;
  let kubectl: Kubectl;
  const services: Service[] = [];

  before(async () => {
    plane = await startControlPlane({ apiOnly: true });
    kubectl = new Kubectl(plane.kubeconfig);
  });
  after(async () => {
    await Promise.all(services.map(async (service) => await service.close()));
    await plane?.down();
  });

  interface Watching {
    readonly namespaces: Context['namespaces'];
    readonly get: (path: string) => Promise<{ readonly status: number; readonly body: string }>;
  }

  /** The service with a capability that wants labels. */
  async function serving(kubeconfig: string): Promise<Watching> {
    const environment = {
      KUBECONFIG: kubeconfig,
      HOST: '127.0.0.1',
      PORT: '0',
      READY_MAX_STALENESS: `${READY_MS}ms`,
      SERVE_MAX_STALENESS: `${SERVE_MS}ms`,
    };
    let namespaces: Context['namespaces'] | undefined;
    const plug = (context: Context): object => {
      ({ namespaces } = context);
      return {};
    };
    const service = await startService(readCoreSettings({ flags: {}, environment }), {
      log: createLog({ level: 'silent', format: 'json' }),
      capabilities: [{ name: 'curious', plug }],
    });
    services.push(service);
    await until('pods are synced', () => service.source.synced);
    const get: Watching['get'] = async (path) => {
      const answer = await fetch(service.url + path, { headers: { connection: 'close' } });
      return { status: answer.status, body: await answer.text() };
    };
    return { namespaces: namespaces ?? assert.fail(), get };
  }

  async function grant(resource: string, verbs: readonly string[]): Promise<void> {
    const rbac = { apiVersion: 'rbac.authorization.k8s.io/v1', metadata: { name: `curious-${resource}` } };
    const roleRef = { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: `curious-${resource}` };
    await kubectl.apply(
      { ...rbac, kind: 'ClusterRole', rules: [{ apiGroups: [''], resources: [resource], verbs }] },
      {
        ...rbac,
        kind: 'ClusterRoleBinding',
        roleRef,
        subjects: [{ kind: 'ServiceAccount', namespace: 'default', name: 'curious' }],
      },
    );
  }

  const synced = async (source: NamespaceSource): Promise<unknown> =>
    await until('namespaces are known', () => source.refusal === undefined, { timeoutMs: RECOVERS_WITHIN_MS });

  test('403 on namespaces: pods are served, what is missing is named, verb by verb, and it goes on when that is granted', async () => {
    await kubectl.apply({
      apiVersion: 'v1',
      kind: 'ServiceAccount',
      metadata: { namespace: 'default', name: 'curious' },
    });
    await grant('pods', ['list', 'watch']);
    const tokenFile = join(plane.dir, 'curious.token');
    writeFileSync(tokenFile, (await kubectl.run('create', 'token', 'curious')).trim());
    const { namespaces, get } = await serving(
      plane.writeKubeconfig(join(plane.dir, 'curious.kubeconfig'), { tokenFile }),
    );
    assert.equal((await get('/ready')).status, 200, 'nothing asks for namespaces yet');
    const source = namespaces();
    const says = async (words: RegExp): Promise<unknown> =>
      await until(`it says ${words}`, async () => words.test((await get('/ready?verbose')).body), {
        timeoutMs: RECOVERS_WITHIN_MS,
      });
    await says(/not allowed to list namespaces: the verb \\"list\\" must be granted/);
    assert.equal((await get('/ready')).status, 200, 'nothing needs them to be ready');
    namespaces({ countForReady: true });
    assert.match((await get('/ready')).body, /"reason":"not_synced"/);
    assert.equal((await get('/pods')).status, 200);
    assert.deepEqual([source.refusal, source.labelsOf('default')], ['not_synced', undefined]);
    await grant('namespaces', ['list']);
    await says(/not allowed to watch namespaces: the verb \\"watch\\" must be granted/);
    await grant('namespaces', ['list', 'watch']);
    await until('it is ready', async () => (await get('/ready')).status === 200, { timeoutMs: RECOVERS_WITHIN_MS });
    assert.equal(source.labelsOf('default')?.['kubernetes.io/metadata.name'], 'default');
    await until('nothing is wrong', () => source.details()[0]?.problem === undefined, {
      timeoutMs: RECOVERS_WITHIN_MS,
    });
  });

  test('new labels are known soon, and a namespace that is made anew has its own', async () => {
    const source = (await serving(plane.kubeconfig)).namespaces();
    await synced(source);
    const team = async (expected: string | undefined): Promise<unknown> =>
      await until(`the team is ${expected}`, () => source.labelsOf('shop')?.['team'] === expected, {
        everyMs: 10,
      });
    const create = async (team: string): Promise<void> =>
      await kubectl.apply({ apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'shop', labels: { team } } });
    assert.equal(source.labelsOf('shop'), undefined);
    await create('a');
    await team('a');
    await kubectl.run('label', 'namespace', 'shop', 'team=b', '--overwrite');
    await team('b');
    await kubectl.run('label', 'namespace', 'shop', 'team-');
    await team(undefined);
    assert.deepEqual({ ...source.labelsOf('shop') }, { 'kubernetes.io/metadata.name': 'shop' });
    await kubectl.run('delete', 'namespace', 'shop', '--wait=false');
    const body = JSON.stringify({ metadata: { name: 'shop' }, spec: { finalizers: [] } });
    const headers = { 'content-type': 'application/json' };
    const finalized = await plane.fetch('/api/v1/namespaces/shop/finalize', { method: 'PUT', headers, body });
    assert.equal(finalized.status, 200, await finalized.text());
    await until('it is gone', () => source.labelsOf('shop') === undefined);
    await create('c');
    await team('c');
  });

  test('C1 of namespaces that do not change the age stays low; B5 it comes back when the API server restarts', async () => {
    const source = (await serving(plane.kubeconfig)).namespaces();
    await synced(source);
    let oldest = 0;
    for (const end = performance.now() + 20_000; performance.now() < end; await sleep(250))
      oldest = Math.max(oldest, source.details()[0]?.ageMs ?? Infinity);
    assert.ok(oldest > 1_000 && oldest < READY_MS, `at the oldest ${oldest} ms`);
    await plane.apiServer.stop();
    await plane.startApiServer();
    await kubectl.run('label', 'namespace', 'default', 'restarted=yes');
    await until('the label is known', () => source.labelsOf('default')?.['restarted'] === 'yes', {
      timeoutMs: RECOVERS_WITHIN_MS,
    });
  });

  test('cut off from etcd: past SERVE_MAX_STALENESS nothing is said of labels any more, /ready says so before, and both heal', async () => {
    const { namespaces, get } = await serving(plane.kubeconfig);
    const source = namespaces({ countForReady: true });
    await synced(source);
    const since = performance.now();
    plane.etcd.signal('SIGSTOP');
    try {
      await until('/ready says 503', async () => (await get('/ready')).status === 503, {
        timeoutMs: READY_MS + 3_000,
      });
      await until('nothing is said', () => source.refusal === 'stale', { timeoutMs: SERVE_MS + 3_000, everyMs: 10 });
      // Proven last by a read of at most a third of READY_MAX_STALENESS before.
      const after = performance.now() - since;
      assert.ok(after > SERVE_MS - READY_MS / 3 - 1_000 && after < SERVE_MS + 3_000, `${after} ms`);
      assert.equal(source.labelsOf('default'), undefined);
    } finally {
      plane.etcd.signal('SIGCONT');
    }
    await synced(source);
    assert.ok(source.labelsOf('default'));
    await until('it is ready', async () => (await get('/ready')).status === 200, { timeoutMs: RECOVERS_WITHIN_MS });
  });
});
