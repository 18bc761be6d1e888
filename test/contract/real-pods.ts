import { Cluster } from '../../src/simulator/cluster.ts';
import type { PodObject } from '../../src/simulator/pod-object.ts';
import { envelopedMessage, PROTOBUF } from './client.ts';
import type { ControlPlane } from '../support/real-servers.ts';

/** One pod as the real server gives it in both formats. */
export interface RealPod {
  readonly json: PodObject;
  readonly protobuf: Buffer;
}

/** Pods of the simulator's cluster after some of its life: all states, kinds of owners, init and ephemeral containers. */
export const simulatedPods = (): readonly PodObject[] => {
  const cluster = new Cluster({ pods: 60, seed: 3, now: () => Date.parse('2026-11-21T12:00:00Z') });
  cluster.step(300);
  return cluster.store.objects.map(({ object }) => object);
};

/** Has a real API server take a pod of the simulator's, and gives what it makes of it. Throws when it is refused. */
export async function throughTheRealServer(plane: ControlPlane, namespace: string, pod: PodObject): Promise<RealPod> {
  const send = async (method: string, path: string, body: object): Promise<void> => {
    const type = method === 'PATCH' ? 'application/merge-patch+json' : 'application/json';
    const response = await plane.fetch(path, { method, headers: { 'content-type': type }, body: JSON.stringify(body) });
    const text = await response.text();
    if (!response.ok && response.status !== 409) throw new Error(`${method} ${path}: ${response.status} ${text}`);
  };
  const { name, labels, annotations, ownerReferences, deletionTimestamp } = pod.metadata;
  const { ephemeralContainers, ...spec } = pod.spec;
  const pods = `/api/v1/namespaces/${namespace}/pods`;
  await send('POST', '/api/v1/namespaces', { metadata: { name: namespace } });
  // Without a node a deletion would be immediate.
  await send('POST', pods, {
    metadata: { name, labels, annotations, ownerReferences },
    spec: { nodeName: 'node-0', ...spec },
  });
  await send('PATCH', `${pods}/${name}/status`, { status: pod.status });
  if (ephemeralContainers)
    await send('PATCH', `${pods}/${name}/ephemeralcontainers`, { spec: { ephemeralContainers } });
  if (deletionTimestamp !== undefined) await send('DELETE', `${pods}/${name}`, {});
  const get = async (accept: string): Promise<Buffer> => {
    const response = await plane.fetch(`${pods}/${name}`, { headers: { accept, 'user-agent': 'podwhois-contract' } });
    return Buffer.from(await response.arrayBuffer());
  };
  const json = JSON.parse((await get('application/json')).toString()) as PodObject;
  return { json, protobuf: Buffer.from(envelopedMessage(await get(PROTOBUF))) };
}
