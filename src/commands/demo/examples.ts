import type { Cluster } from '../../simulator/cluster.ts';

/** Addresses that answer as told, for as long as the demo runs: its daily life does not touch these pods. */
export interface Examples {
  readonly pod: string;
  readonly ambiguous: string;
  readonly hostNetwork: string;
}

export function makeExamples(cluster: Cluster): Examples {
  const namespace = 'demo';
  const create = (wish: Parameters<Cluster['createPod']>[0]): { name: string; ips: string[] } => {
    const { metadata, status } = cluster.createPod({ namespace, ...wish });
    return { name: metadata.name, ips: (status.podIPs ?? []).map(({ ip }) => ip) };
  };
  const hash = '6d4b75cb6d';
  const hello = create({
    name: `hello-${hash}-x7k2p`,
    labels: { app: 'hello', 'pod-template-hash': hash },
    owner: {
      apiVersion: 'apps/v1',
      kind: 'ReplicaSet',
      name: `hello-${hash}`,
      controller: true,
      blockOwnerDeletion: true,
      uid: '0b5e7a0c-3f7e-4f0e-9d43-3c1f6f1f0a01',
    },
  });
  const leaving = create({ name: 'leaving' });
  cluster.terminatePod(namespace, leaving.name);
  const twin = create({ name: 'twin-a' });
  create({ name: 'twin-b', ips: twin.ips });
  const agent = create({ name: 'node-agent', hostNetwork: true });
  return {
    pod: hello.ips[0] ?? '',
    ambiguous: twin.ips[0] ?? '',
    hostNetwork: agent.ips[0] ?? '',
  };
}
