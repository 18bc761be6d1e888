/** The API objects that the scenarios create. */

/** kwok's stages take 1 to 6 s each unless the pod says otherwise. */
const QUICK = Object.fromEntries(
  ['create', 'ready', 'complete', 'delete'].flatMap((stage) => [
    [`pod-${stage}.stage.kwok.x-k8s.io/delay`, '20ms'],
    [`pod-${stage}.stage.kwok.x-k8s.io/jitter-delay`, '200ms'],
  ]),
);

export interface Named {
  readonly namespace: string;
  readonly name: string;
}

const containers = (version: string): object[] => [{ name: 'main', image: `example.test/app:${version}` }];

/** The namespace controller waits half the grace period of the pods it deletes. */
const BRIEF = { terminationGracePeriodSeconds: 1 };

function template({ name }: Named, spec: object): object {
  return { metadata: { labels: { app: name }, annotations: QUICK }, spec: { ...BRIEF, ...spec } };
}

export function namespace(name: string): object {
  return { apiVersion: 'v1', kind: 'Namespace', metadata: { name } };
}

/** Rolls by making as many new pods as there are old ones, all at once. */
export function deployment(metadata: Named, replicas: number, version = '1'): object {
  const spec = {
    replicas,
    selector: { matchLabels: { app: metadata.name } },
    strategy: { type: 'RollingUpdate', rollingUpdate: { maxSurge: '50%', maxUnavailable: '50%' } },
    template: template(metadata, { containers: containers(version) }),
  };
  return { apiVersion: 'apps/v1', kind: 'Deployment', metadata, spec };
}

export function statefulSet(metadata: Named, replicas: number): object {
  const spec = {
    replicas,
    serviceName: metadata.name,
    podManagementPolicy: 'Parallel',
    selector: { matchLabels: { app: metadata.name } },
    template: template(metadata, { containers: containers('1') }),
  };
  return { apiVersion: 'apps/v1', kind: 'StatefulSet', metadata, spec };
}

export function job(metadata: Named, completions: number): object {
  const spec = {
    completions,
    parallelism: completions,
    template: template(metadata, { restartPolicy: 'Never', containers: containers('1') }),
  };
  return { apiVersion: 'batch/v1', kind: 'Job', metadata, spec };
}

/** kwok runs it on one of its nodes. */
export function pod(metadata: Named, spec: object = {}): object {
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { ...metadata, annotations: QUICK, labels: { app: metadata.name } },
    spec: { ...BRIEF, containers: containers('1'), ...spec },
  };
}

/** Nobody schedules or runs it: its status is what the test writes. */
export function handmade(metadata: Named, spec: object = {}): object {
  return pod(metadata, { schedulerName: 'nobody', ...spec });
}
