import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Cluster } from '../../src/simulator/cluster.ts';
import type { PodObject } from '../../src/simulator/pod-object.ts';

/** What the slices say, one line per endpoint and family, of every Service. */
function said(cluster: Cluster): string[] {
  return cluster.endpointSlices.objects
    .flatMap(({ object: { metadata, addressType, endpoints } }) =>
      (endpoints ?? []).map(
        ({ addresses, conditions, targetRef }) =>
          `${metadata.namespace}/${metadata.labels?.['kubernetes.io/service-name']} ${addressType} ${addresses.join()} ` +
          `${targetRef?.uid} ${conditions.ready} ${conditions.terminating}`,
      ),
    )
    .toSorted();
}

/** The same, from the pods. */
function expected(cluster: Cluster): string[] {
  const isOfDeployment = ({ metadata }: PodObject): boolean => metadata.ownerReferences?.[0]?.kind === 'ReplicaSet';
  return cluster.store.objects
    .flatMap(({ object }) => (isOfDeployment(object) ? [object] : []))
    .filter(({ status }) => status.phase !== 'Succeeded' && status.phase !== 'Failed')
    .flatMap(({ metadata, status }) =>
      (status.podIPs ?? []).map(({ ip }) => {
        const isReady = status.conditions?.some((one) => one.type === 'Ready' && one.status === 'True') ?? false;
        const isTerminating = metadata.deletionTimestamp !== undefined;
        const family = ip.includes(':') ? 'IPv6' : 'IPv4';
        return `${metadata.namespace}/${metadata.labels?.['app']} ${family} ${ip} ${metadata.uid} ${isReady && !isTerminating} ${isTerminating}`;
      }),
    )
    .toSorted();
}

const sizes = ({ endpointSlices }: Cluster): number[] =>
  endpointSlices.objects.map(({ object }) => object.endpoints?.length ?? 0);

test('every Deployment has a Service of its name, whose slices follow its pods through all of their life', () => {
  const cluster = new Cluster({ pods: 120, seed: 5 });
  assert.equal(cluster.endpointSlices.size, 0, 'not before somebody asks');
  cluster.keepEndpointSlices();
  assert.ok(said(cluster).length > 50);
  assert.deepEqual(said(cluster), expected(cluster));
  const before = said(cluster);
  for (let i = 0; i < 40; i++) {
    cluster.step(25);
    assert.deepEqual(said(cluster), expected(cluster));
  }
  assert.notDeepEqual(said(cluster), before);
});

test('a change of one pod is a change of one slice of each family, and of nothing else', () => {
  const cluster = new Cluster({ pods: 120, seed: 5 });
  cluster.keepEndpointSlices();
  const { version } = cluster.endpointSlices;
  const [pod] = cluster.store.objects.filter(
    ({ object }) => object.metadata.ownerReferences?.[0]?.kind === 'ReplicaSet',
  );
  assert.ok(pod);
  cluster.terminatePod(pod.object.metadata.namespace, pod.object.metadata.name);
  const events = cluster.endpointSlices.since(version) ?? [];
  assert.deepEqual(
    events.map(({ type, current }) => `${type} ${current.object.addressType}`),
    ['MODIFIED IPv4', 'MODIFIED IPv6'],
  );
});

test('a slice holds a hundred at most; a Service without pods keeps an empty one', () => {
  const cluster = new Cluster({ pods: 0, nodes: 3 });
  const owner = { apiVersion: 'apps/v1', kind: 'ReplicaSet', name: 'web-1', uid: 'rs', controller: true };
  for (let i = 0; i < 250; i++) {
    cluster.createPod({ namespace: 'shop', name: `web-${i}`, labels: { app: 'web' }, owner, ips: [`10.9.0.${i}`] });
  }
  cluster.keepEndpointSlices();
  assert.deepEqual(
    sizes(cluster).toSorted((a, b) => a - b),
    [50, 100, 100],
  );
  for (let i = 0; i < 250; i++) cluster.deletePod('shop', `web-${i}`);
  assert.deepEqual(sizes(cluster), [0]);
});

test('a restored etcd has the slices of then, and they follow on', () => {
  const cluster = new Cluster({ pods: 60, seed: 2 });
  cluster.keepEndpointSlices();
  const snapshot = cluster.store.snapshot();
  cluster.step(60);
  cluster.store.restore(snapshot);
  assert.deepEqual(said(cluster), expected(cluster));
  cluster.step(60);
  assert.deepEqual(said(cluster), expected(cluster));
});
