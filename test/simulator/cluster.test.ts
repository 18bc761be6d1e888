import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Cluster } from '../../src/simulator/cluster.ts';
import type { PodObject } from '../../src/simulator/pod-object.ts';

const now = (): number => Date.parse('2026-11-21T12:00:00Z');
const isTerminal = ({ status }: PodObject): boolean => status.phase === 'Succeeded' || status.phase === 'Failed';

test('the same seed gives the same cluster and the same life, another seed another', () => {
  const history = (seed: number): string => {
    const cluster = new Cluster({ pods: 80, seed, now });
    cluster.step(300);
    return JSON.stringify([cluster.store.objects.map(({ object }) => object), cluster.store.version]);
  };
  assert.equal(history(7), history(7));
  assert.notEqual(history(7), history(8));
});

test('there are as many pods as were asked for, of every kind, and every object has the size of real ones', () => {
  const cluster = new Cluster({ pods: 2000, now });
  assert.equal(cluster.store.size, 2000);
  const pods = cluster.store.objects.map(({ object }) => object);
  const owners = new Set(pods.map((pod) => pod.metadata.ownerReferences?.[0]?.kind));
  assert.deepEqual(owners, new Set(['DaemonSet', 'Job', 'ReplicaSet', 'StatefulSet', undefined]));
  assert.ok(pods.some(({ spec }) => spec.hostNetwork));
  assert.ok(pods.some(({ spec }) => spec['initContainers']));
  assert.ok(pods.some((pod) => isTerminal(pod) && pod.status.podIPs?.length === 2));
  const bytes = JSON.stringify(pods).length / pods.length;
  assert.ok(bytes > 7000 && bytes < 12_000, `${bytes} bytes each`);
});

test('an address is held by one pod at a time, whatever happens, while finished pods keep theirs in the status', () => {
  const cluster = new Cluster({ pods: 300, now });
  const last = new Map<string, string>();
  let reused = 0;
  let shared = 0;
  for (let i = 0; i < 4000; i++) {
    cluster.step();
    if (i % 50 !== 0) continue;
    for (const [ip, claims] of cluster.truth()) {
      const holders = claims.filter(
        ({ hostNetwork, phase }) => !hostNetwork && phase !== 'Succeeded' && phase !== 'Failed',
      );
      assert.ok(holders.length <= 1, `${ip} has ${holders.length} holders`);
      if (claims.length > holders.length && holders.length === 1) shared++;
      const uid = holders[0]?.uid;
      if (uid !== undefined && last.has(ip) && last.get(ip) !== uid) reused++;
      if (uid !== undefined) last.set(ip, uid);
    }
  }
  assert.ok(reused > 50, `${reused} addresses went to another pod`);
  assert.ok(shared > 50, `${shared} times a finished pod named the address of a living one`);
});

test('each step is one change of one pod, and versions move for other things too', () => {
  const cluster = new Cluster({ pods: 100, now });
  const before = cluster.store.version;
  cluster.step(1000);
  assert.equal(cluster.store.log.length, 1000);
  assert.ok(cluster.store.version > before + 1000);
  const types = new Set(cluster.store.log.map(({ type }) => type));
  assert.deepEqual([...types].sort(), ['ADDED', 'DELETED', 'MODIFIED']);
  for (const { type, current, previous } of cluster.store.log) {
    assert.equal(type === 'ADDED', previous === undefined);
    if (previous) assert.equal(previous.object.metadata.uid, current.object.metadata.uid);
  }
});

test('life goes on: after 20,000 steps the cluster has about the size it began with', () => {
  const cluster = new Cluster({ pods: 200, now });
  cluster.step(20_000);
  assert.ok(cluster.store.size > 120 && cluster.store.size < 400, `${cluster.store.size} pods`);
});

test('a StatefulSet makes a name anew with another uid, after the old pod has gone', () => {
  const cluster = new Cluster({ pods: 300, now });
  cluster.step(2000);
  const uids = new Map<string, Set<string>>();
  for (const { type, current } of cluster.store.log) {
    const { metadata } = current.object;
    if (type !== 'ADDED' || metadata.ownerReferences?.[0]?.kind !== 'StatefulSet') continue;
    uids.set(current.key, (uids.get(current.key) ?? new Set()).add(metadata.uid));
  }
  assert.ok([...uids.values()].some(({ size }) => size > 1));
});

test('the name of a Job of a CronJob ends in a minute of the day before its pods were made', () => {
  const cluster = new Cluster({ pods: 400, now });
  cluster.step(2000);
  const minutes = cluster.store.objects.flatMap(({ object: { metadata } }) => {
    const [owner] = metadata.ownerReferences ?? [];
    const minute = Number(/-(\d{8})$/.exec(owner?.kind === 'Job' ? owner.name : '')?.[1]);
    return Number.isNaN(minute) ? [] : [Date.parse(metadata.creationTimestamp) / 60_000 - minute];
  });
  assert.ok(minutes.length > 5);
  for (const late of minutes) assert.ok(late >= 0 && late < 1441, `${late} minutes late`);
});

test('a pod as a test wants it is made, changed, terminated and deleted', () => {
  const cluster = new Cluster({ pods: 0, now });
  const made = cluster.createPod({
    namespace: 'shop',
    name: 'web',
    labels: { app: 'web' },
    ips: ['10.42.7.7', 'fd00::7'],
  });
  assert.deepEqual([made.status.podIP, made.metadata.labels], ['10.42.7.7', { app: 'web' }]);
  cluster.patchStatus('shop', 'web', { ips: ['10.42.7.8'] });
  assert.deepEqual([...cluster.truth().keys()], ['10.42.7.8']);
  cluster.terminatePod('shop', 'web');
  assert.equal(cluster.store.get('shop', 'web')?.metadata.deletionTimestamp, '2026-11-21T12:00:30Z');
  assert.equal(cluster.createPod({ name: 'host', hostNetwork: true, node: 'node-1' }).status.podIP, '192.168.0.2');
  assert.equal(cluster.createPod({ name: 'done', phase: 'Succeeded' }).status.phase, 'Succeeded');
  assert.equal(cluster.createPod({ name: 'new', phase: 'Pending' }).status.podIP, undefined);
  assert.ok(cluster.deletePod('shop', 'web'));
  assert.equal(cluster.deletePod('shop', 'web'), undefined);
  assert.equal(cluster.truth().has('10.42.7.8'), false);
});

test('a change leaves what stayed the same to the old object', () => {
  const cluster = new Cluster({ pods: 0, now });
  const made = cluster.createPod({ name: 'a' });
  const changed = cluster.patchStatus('default', 'a', { phase: 'Failed' });
  assert.equal(changed?.spec, made.spec);
  assert.equal(made.status.phase, 'Running');
  assert.notEqual(changed?.metadata.resourceVersion, made.metadata.resourceVersion);
});
