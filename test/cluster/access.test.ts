import assert from 'node:assert/strict';
import { renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { API_ONLY, realServer, startControlPlane } from '../support/real-servers.ts';
import { Kubectl } from '../support/kubectl.ts';
import { PodwhoisProcess } from '../support/podwhois-process.ts';
import { until } from '../support/until.ts';
import { handmade } from './objects.ts';
import type { ControlPlane } from '../support/real-servers.ts';

const IP = '10.43.0.1';
const SETTINGS = { READY_MAX_STALENESS: '15s', SERVE_MAX_STALENESS: '60s' };
/** Past the limit, and what a loaded machine needs to say so. */
const NOT_READY_WITHIN_MS = 17_000;
/** The longest back-off of a watch is 5 s (B5), of a list that has failed for some seconds not much more. */
const RECOVERS_WITHIN_MS = 12_000;

describe(
  'access to a real API server',
  { ...realServer(...API_ONLY, 'kubectl'), concurrency: true, timeout: 120_000 },
  () => {
    let plane: ControlPlane;
    let kubectl: Kubectl;
    const started: PodwhoisProcess[] = [];

    before(async () => {
      plane = await startControlPlane({ apiOnly: true });
      kubectl = new Kubectl(plane.kubeconfig);
      await kubectl.apply(handmade({ namespace: 'default', name: 'somebody' }));
      const status = JSON.stringify({ status: { phase: 'Running', podIP: IP, podIPs: [{ ip: IP }] } });
      await kubectl.run('patch', 'pod', 'somebody', '--subresource=status', '--type=merge', '-p', status);
    });
    after(async () => {
      await Promise.all(started.map(async (podwhois) => await podwhois.stop()));
      await plane?.down();
    });

    /** podwhois as a service account of that name, whose token is read from a file. */
    async function podwhoisAs(name: string, tokenFile: string): Promise<PodwhoisProcess> {
      const kubeconfig = plane.writeKubeconfig(join(plane.dir, `${name}.kubeconfig`), { tokenFile });
      const podwhois = await PodwhoisProcess.start({ ...SETTINGS, KUBECONFIG: kubeconfig });
      started.push(podwhois);
      return podwhois;
    }

    /** What the account may do with pods, from now on. */
    async function grant(name: string, verbs: readonly string[]): Promise<void> {
      const rbac = { apiVersion: 'rbac.authorization.k8s.io/v1', metadata: { name } };
      const roleRef = { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name };
      await kubectl.apply(
        { ...rbac, kind: 'ClusterRole', rules: [{ apiGroups: [''], resources: ['pods'], verbs }] },
        {
          ...rbac,
          kind: 'ClusterRoleBinding',
          roleRef,
          subjects: [{ kind: 'ServiceAccount', namespace: 'default', name }],
        },
      );
    }

    async function account(name: string): Promise<void> {
      await kubectl.apply({ apiVersion: 'v1', kind: 'ServiceAccount', metadata: { namespace: 'default', name } });
    }

    /** As the kubelet does it: the new token stands there at once and whole. */
    function write(token: string, name: string): string {
      const file = join(plane.dir, `${name}.token`);
      writeFileSync(`${file}.new`, token);
      renameSync(`${file}.new`, file);
      return file;
    }

    /** A token that lives as long as a Secret does; the API server itself gives none for less than ten minutes. */
    async function token(name: string, secret: string): Promise<string> {
      await kubectl.apply({ apiVersion: 'v1', kind: 'Secret', metadata: { namespace: 'default', name: secret } });
      return (
        await kubectl.run('create', 'token', name, '--bound-object-kind=Secret', `--bound-object-name=${secret}`)
      ).trim();
    }

    async function untilRefused(token: string): Promise<void> {
      const refused = async (): Promise<boolean> => {
        const response = await plane.fetch('/api/v1/pods?limit=1', { headers: { authorization: `Bearer ${token}` } });
        await response.arrayBuffer();
        return response.status === 401;
      };
      await until('the token is refused', refused, { timeoutMs: 20_000, everyMs: 200 }); // it is remembered for 10 s
    }

    const names = async (podwhois: PodwhoisProcess, pattern: RegExp): Promise<void> =>
      void (await until(`the log says ${pattern}`, () => podwhois.logged().some((line) => pattern.test(line))));

    test('403 on list: alive, not ready, the log names the missing verb; serves when it is granted', async () => {
      await account('nobody');
      const podwhois = await podwhoisAs('nobody', write(await token('nobody', 'nobody'), 'nobody'));
      await names(podwhois, /not allowed to list/);
      assert.equal((await podwhois.whoHas(IP)).status, 503);
      assert.equal(await podwhois.ready(), false);
      assert.equal((await podwhois.get('/health')).status, 200);
      await grant('nobody', ['list', 'watch']);
      await podwhois.untilReady(RECOVERS_WITHIN_MS);
      assert.equal((await podwhois.whoHas(IP)).body['name'], 'somebody');
    });

    test('list allowed but watch denied: answers, is not ready past the limit, the log names the missing verb; recovers', async () => {
      await account('lister');
      await grant('lister', ['list']);
      const podwhois = await podwhoisAs('lister', write(await token('lister', 'lister'), 'lister'));
      await until('it answers from the list', async () => (await podwhois.whoHas(IP)).status === 200);
      await names(podwhois, /not allowed to watch/);
      const notReady = async (): Promise<boolean> => !(await podwhois.ready());
      await until('it is not ready', notReady, { timeoutMs: NOT_READY_WITHIN_MS });
      assert.equal((await podwhois.whoHas(IP)).body['name'], 'somebody', 'up to the second limit');
      await grant('lister', ['list', 'watch']);
      await podwhois.untilReady(RECOVERS_WITHIN_MS);
    });

    test('401, rotated token: a new one in the file is taken before anybody notices', async () => {
      await account('rotated');
      await grant('rotated', ['list', 'watch']);
      const old = await token('rotated', 'first');
      const podwhois = await podwhoisAs('rotated', write(old, 'rotated'));
      await podwhois.untilReady();
      write(await token('rotated', 'second'), 'rotated');
      await kubectl.run('delete', 'secret', 'first');
      await untilRefused(old);
      const end = performance.now() + 15_000; // more than READY_MAX_STALENESS in all
      while (performance.now() < end) {
        assert.equal(await podwhois.ready(), true);
        await sleep(250);
      }
    });

    test('C1 while no pod changes and other objects do, it stays ready: bookmarks carry the versions of its reads', async () => {
      const podwhois = await PodwhoisProcess.start({ ...SETTINGS, KUBECONFIG: plane.kubeconfig });
      started.push(podwhois);
      await podwhois.untilReady();
      let oldest = 0;
      const end = performance.now() + 25_000;
      while (performance.now() < end) {
        oldest = Math.max(oldest, (await podwhois.whoHas(IP)).age);
        await sleep(250);
      }
      assert.ok(oldest > 1 && oldest < 15, `at the oldest ${oldest} s`);
    });

    test('401, rotated token: not ready while the file holds a dead one, back with the next', async () => {
      await account('late');
      await grant('late', ['list', 'watch']);
      const old = await token('late', 'early');
      const podwhois = await podwhoisAs('late', write(old, 'late'));
      await podwhois.untilReady();
      await kubectl.run('delete', 'secret', 'early');
      await untilRefused(old);
      const notReady = async (): Promise<boolean> => !(await podwhois.ready());
      await until('it is not ready', notReady, { timeoutMs: NOT_READY_WITHIN_MS });
      assert.equal((await podwhois.whoHas(IP)).body['name'], 'somebody', 'up to the second limit');
      write(await token('late', 'later'), 'late');
      await podwhois.untilReady(RECOVERS_WITHIN_MS);
    });
  },
);
