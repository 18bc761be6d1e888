import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { startChild } from '../support/child-process.ts';
import { freePorts } from '../support/free-ports.ts';
import { Kubectl } from '../support/kubectl.ts';
import { PodwhoisProcess } from '../support/podwhois-process.ts';
import { API_ONLY, realServer, startControlPlane } from '../support/real-servers.ts';
import { serverBinary } from '../support/server-binaries.ts';
import { until } from '../support/until.ts';
import { handmade, namespace } from './objects.ts';
import type { ControlPlane } from '../support/real-servers.ts';

/** In three namespaces, on two nodes. */
const PODS = [
  { namespace: 'one', name: 'a', node: 'node-1', ip: '10.43.0.1' },
  { namespace: 'two', name: 'b', node: 'node-2', ip: '10.43.0.2' },
  { namespace: 'three', name: 'c', node: 'node-1', ip: 'fd00::3' },
];

describe(
  'ways to a real API server, and views of it',
  { ...realServer(...API_ONLY, 'kubectl'), concurrency: true, timeout: 90_000 },
  () => {
    let plane: ControlPlane;
    let kubectl: Kubectl;
    const closing: (() => Promise<unknown>)[] = [];

    before(async () => {
      plane = await startControlPlane({ apiOnly: true });
      kubectl = new Kubectl(plane.kubeconfig);
      await kubectl.apply(...['one', 'two', 'three'].map((name) => namespace(name)));
      for (const { namespace, name, node, ip } of PODS) {
        await kubectl.apply(handmade({ namespace, name }, { nodeName: node }));
        await patchStatus(namespace, name, ip);
      }
    });
    after(async () => {
      await Promise.all(closing.map(async (close) => await close()));
      await plane?.down();
    });

    async function patchStatus(namespace: string, name: string, ip: string): Promise<void> {
      const status = JSON.stringify({ status: { phase: 'Running', podIP: ip, podIPs: [{ ip }] } });
      await kubectl.run('patch', 'pod', name, '-n', namespace, '--subresource=status', '--type=merge', '-p', status);
    }

    async function podwhois(env: Readonly<Record<string, string>>): Promise<PodwhoisProcess> {
      const process = await PodwhoisProcess.start({ READY_MAX_STALENESS: '15s', ...env });
      closing.push(async () => await process.stop());
      await process.untilReady();
      return process;
    }

    /** What is answered, in a few words: the pod's name, or why none is. */
    async function who(podwhois: PodwhoisProcess, ip: string): Promise<unknown> {
      const { status, body } = await podwhois.whoHas(ip);
      return status === 200 ? body['name'] : body['reason'];
    }

    const becomes = async (podwhois: PodwhoisProcess, ip: string, what: string): Promise<void> => {
      let last: unknown;
      const is = async (): Promise<boolean> => (last = await who(podwhois, ip)) === what;
      await until(`${ip} is ${what}`, is, { timeoutMs: 10_000 }).catch(() => assert.equal(last, what));
    };

    test('by kubeconfig, through kubectl proxy and by https with the credentials of a kubeconfig it answers the same', async () => {
      const [port] = await freePorts(1);
      const proxy = startChild({
        name: 'kubectl proxy',
        file: serverBinary('kubectl'),
        args: ['--kubeconfig', plane.kubeconfig, 'proxy', `--port=${port}`],
        logFile: join(plane.dir, 'proxy.log'),
      });
      closing.push(async () => await proxy.stop());
      await until('the proxy listens', () => proxy.output().includes('Starting to serve'));
      const ways = await Promise.all([
        podwhois({ KUBECONFIG: plane.kubeconfig }),
        podwhois({ K8S_API_SERVER: `http://127.0.0.1:${port}` }),
        podwhois({ K8S_API_SERVER: plane.url, KUBECONFIG: plane.kubeconfig }),
      ]);
      for (const { namespace, name, ip } of PODS) {
        for (const question of [`/pod?ip=${ip}`, `/pod?namespace=${namespace}&name=${name}`]) {
          const [first, ...others] = await Promise.all(ways.map(async (way) => await way.get(question)));
          assert.equal(first?.body['name'], name);
          for (const other of others) assert.deepEqual(other.body, first?.body);
        }
      }
    });

    test('A10 NAMESPACE: with rights in these namespaces only; what is elsewhere is not in view', async () => {
      const name = 'insider';
      await kubectl.run('create', 'serviceaccount', name);
      for (const namespace of ['one', 'two']) {
        await kubectl.run('create', 'role', name, '-n', namespace, '--resource=pods', '--verb=list,watch');
        await kubectl.run(
          'create',
          'rolebinding',
          name,
          '-n',
          namespace,
          `--role=${name}`,
          `--serviceaccount=default:${name}`,
        );
      }
      const token = (await kubectl.run('create', 'token', name)).trim();
      const kubeconfig = plane.writeKubeconfig(join(plane.dir, 'insider'), { token });
      const insider = await podwhois({ KUBECONFIG: kubeconfig, NAMESPACE: 'one,two' });
      assert.deepEqual(await Promise.all(PODS.map(({ ip }) => who(insider, ip))), ['a', 'b', 'not-in-view']);
      assert.equal((await insider.whoHas('10.43.0.1')).body['view'], 'partial');
    });

    test('A10 NODE_NAME: this node’s pods only', async () => {
      const neighbour = await podwhois({ KUBECONFIG: plane.kubeconfig, NODE_NAME: 'node-1' });
      assert.deepEqual(await Promise.all(PODS.map(({ ip }) => who(neighbour, ip))), ['a', 'not-in-view', 'c']);
    });

    test('A3 LABEL_SELECTOR: a relabelled pod leaves and returns under one UID', async () => {
      const pet = { namespace: 'three', name: 'pet' };
      await kubectl.apply(handmade(pet));
      await patchStatus(pet.namespace, pet.name, '10.43.0.9');
      const chooser = await podwhois({ KUBECONFIG: plane.kubeconfig, LABEL_SELECTOR: 'app in (pet,other)' });
      const { uid } = (await chooser.whoHas('10.43.0.9')).body;
      assert.equal(await who(chooser, '10.43.0.1'), 'not-in-view');
      const label = async (app: string): Promise<unknown> =>
        await kubectl.run('label', 'pod', 'pet', '-n', 'three', '--overwrite', `app=${app}`);
      await label('nobody');
      await becomes(chooser, '10.43.0.9', 'not-in-view');
      await patchStatus(pet.namespace, pet.name, '10.43.0.10'); // unseen
      await label('other');
      await becomes(chooser, '10.43.0.10', 'pet');
      assert.equal(await who(chooser, '10.43.0.9'), 'not-in-view');
      assert.equal((await chooser.whoHas('10.43.0.10')).body['uid'], uid);
    });
  },
);
