import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { Kubectl } from '../support/kubectl.ts';
import { PodwhoisProcess } from '../support/podwhois-process.ts';
import { API_ONLY, realServer, startControlPlane } from '../support/real-servers.ts';
import { until } from '../support/until.ts';
import { handmade } from './objects.ts';
import type { ControlPlane } from '../support/real-servers.ts';

const IP = '10.43.0.1';

describe(
  'an etcd restored behind a real API server, whose versions have passed ours before we look',
  { ...realServer(...API_ONLY, 'kubectl'), timeout: 90_000 },
  () => {
    let plane: ControlPlane;
    let kubectl: Kubectl;
    let podwhois: PodwhoisProcess | undefined;

    before(async () => {
      plane = await startControlPlane({ apiOnly: true });
      kubectl = new Kubectl(plane.kubeconfig);
    });
    after(async () => {
      await podwhois?.stop();
      await plane?.down();
    });

    async function run(name: string): Promise<void> {
      await kubectl.apply(handmade({ namespace: 'default', name }));
      const status = JSON.stringify({ status: { phase: 'Running', podIP: IP, podIPs: [{ ip: IP }] } });
      await kubectl.run('patch', 'pod', name, '--subresource=status', '--type=merge', '-p', status);
    }

    test('B8 etcd restored and overtaken: no read shows it, a list after the outage does', async () => {
      await run('first');
      const snapshot = plane.snapshotEtcd();
      await kubectl.run('delete', 'pod', 'first', '--force', '--grace-period=0');
      await run('second');
      // Of the periodic list nothing is to be hoped.
      const running = await PodwhoisProcess.start({ KUBECONFIG: plane.kubeconfig, RESYNC_INTERVAL: '24h' });
      podwhois = running;
      await running.untilReady();
      assert.equal((await running.whoHas(IP)).body['name'], 'second');
      await plane.bumpVersions(300); // so that the API server starts below our version
      await kubectl.run('annotate', 'pod', 'second', 'touched=yes');
      await until('podwhois has come past them', async () => (await running.whoHas(IP)).version > 300);

      const { version } = await running.whoHas(IP);
      const gone = performance.now();
      running.child.signal('SIGSTOP');
      await plane.restoreEtcd(snapshot);
      await plane.bumpVersions(1_000);
      running.child.signal('SIGCONT');
      const back = performance.now();
      await until(
        'podwhois names the pod of the restored etcd',
        async () => {
          const askedAt = performance.now();
          const { status, age, body } = await running.whoHas(IP);
          if (body['name'] === 'first') return true;
          assert.deepEqual([status, body['name']], [200, 'second']);
          assert.ok(age * 1000 >= askedAt - gone - 20, `"second", and only ${age} s old`);
          return false;
        },
        { timeoutMs: 6_000, everyMs: 20 },
      );
      const fresh = async (): Promise<boolean> => (await running.whoHas(IP)).age * 1000 < performance.now() - back;
      await until('podwhois is fresh', fresh, { timeoutMs: 6_000 - (performance.now() - back) });
      assert.ok((await running.whoHas(IP)).version > version);
      const metrics = String((await running.get('/metrics')).body['text']);
      assert.match(metrics, /^podwhois_backwards_total 0$/m, 'or this was another case');
      assert.match(metrics, /^podwhois_relists_total\{cause="gone"\} 0$/m, 'or this was another case');
      assert.match(metrics, /^podwhois_relists_total\{cause="outage"\} 1$/m);
    });
  },
);
