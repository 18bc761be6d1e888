import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { test } from 'node:test';
import { promisify } from 'node:util';
import { realServer } from '../support/real-servers.ts';
import { serverBinary } from '../support/server-binaries.ts';
import { withSimulator } from './asking.ts';

const run = promisify(execFile);

test(
  'kubectl reads the simulator: all pods, chosen ones, one as JSON, nodes, namespaces',
  realServer('kubectl'),
  async () => {
    await withSimulator({ pods: 60 }, async ({ url, cluster }) => {
      cluster.createPod({ namespace: 'demo', name: 'web', labels: { app: 'y' }, ips: ['10.42.200.1'], node: 'node-0' });
      cluster.createPod({ namespace: 'demo', name: 'job', phase: 'Succeeded', ips: ['10.42.200.2'] });
      const kubectl = async (...args: readonly string[]): Promise<string[]> => {
        const { stdout } = await run(serverBinary('kubectl'), ['--server', url, ...args], {
          env: { ...process.env, KUBECONFIG: '/nowhere' },
        });
        return stdout.trim().split('\n');
      };
      const all = await kubectl('get', 'pods', '-A', '--chunk-size=20');
      assert.match(all[0] ?? '', /^NAMESPACE +NAME +READY +STATUS +RESTARTS +AGE$/);
      assert.equal(all.length, 1 + 62);
      const [head, row, ...more] = await kubectl('get', 'pods', '-n', 'demo', '-l', 'app=y', '-o', 'wide');
      assert.match(head ?? '', /^NAME +READY +STATUS +RESTARTS +AGE +IP +NODE +NOMINATED NODE +READINESS GATES$/);
      assert.match(row ?? '', /^web +1\/1 +Running +0 +\d+s +10\.42\.200\.1 +node-0 +<none> +<none>$/);
      assert.equal(more.length, 0);
      const done = await kubectl('get', 'pods', '-n', 'demo', '--field-selector', 'status.phase=Succeeded');
      assert.match(done[1] ?? '', /^job +0\/1 +Completed /);
      const pod = JSON.parse((await kubectl('get', 'pod', 'web', '-n', 'demo', '-o', 'json')).join('\n')) as {
        kind: string;
        status: { podIP: string };
      };
      assert.deepEqual([pod.kind, pod.status.podIP], ['Pod', '10.42.200.1']);
      const nodes = await kubectl('get', 'nodes', '-o', 'name');
      assert.deepEqual(nodes, ['node/node-0', 'node/node-1', 'node/node-2']);
      const spaces = await kubectl('get', 'ns', '--chunk-size=2');
      assert.match(spaces[0] ?? '', /^NAME +STATUS +AGE$/);
      assert.equal(spaces.length, 1 + cluster.namespaces.size);
      cluster.labelNamespace('demo', { team: 'a' });
      assert.match((await kubectl('get', 'ns', '-l', 'team=a', '--no-headers')).join('\n'), /^demo +Active +\d+s$/);
      const labels = '{.metadata.labels}';
      const labelled = (await kubectl('get', 'ns', 'demo', '-o', `jsonpath=${labels}`)).join('');
      assert.deepEqual(JSON.parse(labelled), { team: 'a', 'kubernetes.io/metadata.name': 'demo' });
      await assert.rejects(kubectl('get', 'ns', 'nowhere'), /namespaces "nowhere" not found/);
      await assert.rejects(kubectl('get', 'pod', 'nobody'), /pods "nobody" not found/);
    });
  },
);
