import type { Pod } from '../../../src/pod.ts';

let version = 1000;

/** Newer than every version made before. */
export const nextVersion = (): string => String(++version);

export const strings = (values: Record<string, string>): Record<string, string> =>
  Object.assign(Object.create(null) as Record<string, string>, values);

/** A running pod; what is given replaces. Every call makes a newer version. */
export function makePod(name: string, given: Partial<Pod> = {}): Pod {
  return {
    uid: `uid-${name}`,
    namespace: 'default',
    name,
    resourceVersion: nextVersion(),
    labels: strings({ app: 'web', 'pod-template-hash': '7d9f8b6c5' }),
    annotations: strings({}),
    podIps: [],
    hostIps: ['192.168.0.1'],
    hostNetwork: false,
    nodeName: 'worker-1',
    phase: 'Running',
    ready: true,
    deletionTimestamp: undefined,
    serviceAccount: 'default',
    owner: { kind: 'ReplicaSet', name: 'web-7d9f8b6c5', uid: 'uid-rs' },
    workload: { kind: 'Deployment', name: 'web', source: 'pod-template-hash' },
    containers: [
      {
        kind: 'container',
        name: 'web',
        image: 'registry.example/web:1.2.3',
        id: `containerd://${name.padStart(8, '0')}`,
        ready: true,
        restarts: 0,
      },
    ],
    qosClass: 'Burstable',
    createdAt: Date.UTC(2026, 10, 20, 10, 0, 0),
    startedAt: Date.UTC(2026, 10, 20, 10, 0, 1),
    ...given,
  };
}

/** The next version of a pod. */
export const changed = (pod: Pod, given: Partial<Pod>): Pod => ({ ...pod, resourceVersion: nextVersion(), ...given });
