import { share } from '../encoding/shared.ts';
import type { ContainerStatusObject, PodObject } from '../pod-object.ts';
import type { Addresses, SimulatedNode } from './node.ts';
import type { Random } from './random.ts';
import type { Template } from './template.ts';

/**
 * The states a pod goes through, as the API shows them. Each function gives the next object and shares what stayed the same:
 *
 *   pending → scheduled → running ⇄ crashed, → finished (keeps its IP)
 *                       any of them → terminating → stopped (keeps its IP) → deleted
 */

const conditionCache = new Map<string, object>();

/** Conditions differ only by type, status, time and reason, so thousands of pods share each one. */
function condition(
  type: string,
  isTrue: boolean,
  time: string,
  reason?: string,
  message?: string,
): { type: string; status: string } {
  const key = `${type} ${isTrue} ${time} ${reason}`;
  let known = conditionCache.get(key) as { type: string; status: string } | undefined;
  if (!known) {
    if (conditionCache.size > 50_000) conditionCache.clear();
    known = share({
      type,
      observedGeneration: 1,
      status: isTrue ? 'True' : 'False',
      lastProbeTime: null,
      lastTransitionTime: time,
      ...(reason === undefined ? {} : { reason, message }),
    });
    conditionCache.set(key, known);
  }
  return known;
}

export interface Birth {
  readonly name: string;
  readonly uid: string;
  readonly time: string;
  /** Labels beyond the template's: the StatefulSet's pod-name. */
  readonly labels?: Readonly<Record<string, string>>;
  readonly hostname?: string;
}

export function pending(template: Template, birth: Birth): PodObject {
  const generateName = template.ownerReferences ? birth.name.slice(0, birth.name.lastIndexOf('-') + 1) : undefined;
  return {
    metadata: {
      name: birth.name,
      ...(generateName === undefined ? {} : { generateName }),
      namespace: template.namespace,
      uid: birth.uid,
      resourceVersion: '',
      generation: 1,
      creationTimestamp: birth.time,
      deletionTimestamp: undefined, // here, so that it will stand where Go puts it
      deletionGracePeriodSeconds: undefined,
      labels: birth.labels ? { ...template.labels, ...birth.labels } : template.labels,
      ...(template.annotations ? { annotations: template.annotations } : {}),
      ...(template.ownerReferences ? { ownerReferences: template.ownerReferences } : {}),
      managedFields: template.managedFieldsNew,
    },
    spec: birth.hostname === undefined ? template.spec : { ...template.spec, hostname: birth.hostname },
    status: { observedGeneration: 1, phase: 'Pending', qosClass: 'Burstable' },
  };
}

export function scheduled(pod: PodObject, node: SimulatedNode, time: string): PodObject {
  const conditions = [condition('PodScheduled', true, time)];
  return { ...pod, spec: { ...pod.spec, nodeName: node.name }, status: { ...pod.status, conditions } };
}

export interface Start {
  readonly template: Template;
  readonly node: SimulatedNode;
  /** Host-network pods get their node's. */
  readonly addresses: Addresses;
  readonly time: string;
  readonly random: Random;
}

function containerStatus(
  name: string,
  image: string,
  { template, time, random }: Start,
  isInit: boolean,
): ContainerStatusObject {
  const containerID = `containerd://${random.hex(64)}`;
  const state = isInit
    ? { terminated: { exitCode: 0, reason: 'Completed', startedAt: time, finishedAt: time, containerID } }
    : { running: { startedAt: time } };
  return {
    name,
    state,
    lastState: {},
    ready: true,
    restartCount: 0,
    image,
    imageID: `${image.slice(0, image.lastIndexOf(':'))}@sha256:4d0c7b0c9a1e8f2f5b3e6c7d8a9b0c1d2e3f4a5b6c7d8e9f0a1b2c3d4e5f6a7b`,
    containerID,
    started: !isInit,
    allocatedResources: { cpu: '50m', memory: '128Mi' },
    resources: template.resources,
    volumeMounts: template.volumeMounts,
  };
}

export function running(pod: PodObject, start: Start): PodObject {
  const { template, node, addresses, time } = start;
  const ids = (pod.spec['initContainers'] ?? []) as Template['initContainers'];
  return {
    metadata: { ...pod.metadata, managedFields: template.managedFields },
    spec: pod.spec,
    status: {
      observedGeneration: 1,
      phase: 'Running',
      conditions: ['PodReadyToStartContainers', 'Initialized', 'Ready', 'ContainersReady', 'PodScheduled'].map((type) =>
        condition(type, true, time),
      ),
      hostIP: node.addresses[0] ?? '',
      hostIPs: hostIps(node),
      podIP: addresses[0] ?? '',
      podIPs: addresses === node.addresses ? hostIps(node) : addresses.map((ip) => ({ ip })),
      startTime: time,
      ...(ids.length === 0
        ? {}
        : { initContainerStatuses: ids.map(({ name, image }) => containerStatus(name, image, start, true)) }),
      containerStatuses: pod.spec.containers.map(({ name, image }) => containerStatus(name, image, start, false)),
      qosClass: 'Burstable',
    },
  };
}

const hostIpCache = new WeakMap<SimulatedNode, readonly { readonly ip: string }[]>();

function hostIps(node: SimulatedNode): readonly { readonly ip: string }[] {
  let ips = hostIpCache.get(node);
  if (!ips) {
    // Not `share`d: as hostIPs and as a host-network pod's podIPs they are two different protobuf fields.
    ips = node.addresses.map((ip) => ({ ip }));
    hostIpCache.set(node, ips);
  }
  return ips;
}

const withReady = (pod: PodObject, ready: boolean, time: string, reason?: string): PodObject['status']['conditions'] =>
  pod.status.conditions?.map((one) =>
    one.type === 'Ready' || one.type === 'ContainersReady'
      ? condition(one.type, ready, time, reason, reason === undefined ? undefined : 'containers are not ready')
      : one,
  );

/** One container died and starts again: new container id, one more restart. */
export function restarted(pod: PodObject, time: string, random: Random): PodObject {
  const [first, ...rest] = pod.status.containerStatuses ?? [];
  if (!first) return pod;
  const terminated = {
    exitCode: 1,
    reason: 'Error',
    startedAt: pod.status['startTime'],
    finishedAt: time,
    containerID: first['containerID'],
  };
  const again = {
    ...first,
    state: { running: { startedAt: time } },
    lastState: { terminated },
    ready: true,
    restartCount: first.restartCount + 1,
    containerID: `containerd://${random.hex(64)}`,
  };
  return {
    ...pod,
    status: { ...pod.status, conditions: withReady(pod, true, time) ?? [], containerStatuses: [again, ...rest] },
  };
}

/** A container keeps dying: not ready, waiting in CrashLoopBackOff; the pod keeps its IP. */
export function crashed(pod: PodObject, time: string): PodObject {
  const [first, ...rest] = pod.status.containerStatuses ?? [];
  if (!first) return pod;
  const waiting = { reason: 'CrashLoopBackOff', message: `back-off 10s restarting failed container=${first.name}` };
  const dead = { ...first, state: { waiting }, ready: false, started: false };
  return {
    ...pod,
    status: {
      ...pod.status,
      conditions: withReady(pod, false, time, 'ContainersNotReady') ?? [],
      containerStatuses: [dead, ...rest],
    },
  };
}

/** All containers ended. The status keeps podIP and podIPs on purpose, as the kubelet does, while the address is given to others. */
export function finished(pod: PodObject, phase: 'Succeeded' | 'Failed', time: string): PodObject {
  const exitCode = phase === 'Succeeded' ? 0 : 1;
  const reason = phase === 'Succeeded' ? 'Completed' : 'Error';
  const containerStatuses = pod.status.containerStatuses?.map((one) => ({
    ...one,
    state: {
      terminated: {
        exitCode,
        reason,
        startedAt: pod.status['startTime'],
        finishedAt: time,
        containerID: one['containerID'],
      },
    },
    ready: false,
    started: false,
  }));
  const conditions = withReady(pod, false, time, phase === 'Succeeded' ? 'PodCompleted' : 'PodFailed');
  return {
    ...pod,
    status: { ...pod.status, phase, conditions: conditions ?? [], ...(containerStatuses ? { containerStatuses } : {}) },
  };
}

/** `kubectl delete`: the time stands for the end of the grace period. */
export function terminating(pod: PodObject, deletionTimestamp: string): PodObject {
  return { ...pod, metadata: { ...pod.metadata, generation: 2, deletionTimestamp, deletionGracePeriodSeconds: 30 } };
}

/** `kubectl debug`: an ephemeral container joins a running pod. */
export function debugged(pod: PodObject, time: string, random: Random): PodObject {
  const image = 'busybox:1.37';
  const common = {
    name: 'debugger-x2k5d',
    image,
    resources: {},
    terminationMessagePath: '/dev/termination-log',
    terminationMessagePolicy: 'File',
    imagePullPolicy: 'IfNotPresent',
    stdin: true,
    tty: true,
  };
  const status = {
    name: common.name,
    state: { running: { startedAt: time } },
    lastState: {},
    ready: false,
    restartCount: 0,
    image,
    imageID: 'docker.io/library/busybox@sha256:37f7b378a29c',
    containerID: `containerd://${random.hex(64)}`,
  };
  return {
    metadata: pod.metadata,
    spec: {
      ...pod.spec,
      ephemeralContainers: [{ ...common, targetContainerName: pod.spec.containers[0]?.name ?? '' }],
    },
    status: { ...pod.status, ephemeralContainerStatuses: [status] },
  };
}
