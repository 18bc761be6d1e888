import type { Container, Pod } from '../../src/pod.ts';

let made = 0;

/** A running pod with one address, but for what is given. Every field of a pod is there. */
export function makePod(fields: Partial<Pod> = {}): Pod {
  const number = ++made;
  return {
    uid: `uid-${number}`,
    namespace: 'default',
    name: `pod-${number}`,
    resourceVersion: '100',
    labels: {},
    annotations: {},
    podIps: [],
    hostIps: [],
    hostNetwork: false,
    nodeName: 'node-1',
    phase: 'Running',
    ready: true,
    deletionTimestamp: undefined,
    serviceAccount: 'default',
    owner: undefined,
    workload: undefined,
    containers: [],
    qosClass: 'BestEffort',
    createdAt: 1_700_000_000_000,
    startedAt: undefined,
    ...fields,
  };
}

export function makeContainer(id: string, fields: Partial<Container> = {}): Container {
  return { kind: 'container', name: 'main', image: 'image:1', id, ready: true, restarts: 0, ...fields };
}
