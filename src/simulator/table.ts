import type { Cluster } from './cluster.ts';
import type { SimulatedNode } from './cluster/node.ts';
import type { EndpointSliceObject } from './endpoint-slice-object.ts';
import type { NamespaceObject } from './namespace-object.ts';
import type { PodObject } from './pod-object.ts';

/** What `kubectl get` prints: the API server makes the columns (`as=Table`), kubectl only lays them out. */

const columns = (...names: readonly string[]): object[] =>
  names.map((name) => ({
    name: name.replace('*', ''),
    type: 'string',
    format: name === 'Name' ? 'name' : '',
    description: '',
    priority: name.startsWith('*') ? 1 : 0,
  }));

export interface Row {
  readonly cells: readonly unknown[];
  readonly object: object;
}

function table(metadata: object, columnDefinitions: readonly object[], rows: readonly Row[]): object {
  return { kind: 'Table', apiVersion: 'meta.k8s.io/v1', metadata, columnDefinitions, rows };
}

/** apimachinery's duration.HumanDuration, rounded down to its largest unit or two. */
export function age(timestamp: string, now: number): string {
  const seconds = Math.max(0, Math.floor((now - Date.parse(timestamp)) / 1000));
  const minutes = Math.floor(seconds / 60);
  const hours = Math.floor(minutes / 60);
  if (seconds < 120) return `${seconds}s`;
  if (minutes < 10) return seconds % 60 === 0 ? `${minutes}m` : `${minutes}m${seconds % 60}s`;
  if (minutes < 180) return `${minutes}m`;
  if (hours < 8) return minutes % 60 === 0 ? `${hours}h` : `${hours}h${minutes % 60}m`;
  if (hours < 48) return `${hours}h`;
  return `${Math.floor(hours / 24)}d`;
}

interface ContainerState {
  readonly waiting?: { readonly reason: string };
  readonly terminated?: { readonly reason: string };
}

/** The STATUS column (kubernetes/pkg/printers/internalversion: printPod), for the states the simulator knows. */
function podStatus(pod: PodObject): string {
  const { metadata, status } = pod;
  if (metadata.deletionTimestamp !== undefined) return 'Terminating';
  for (const container of status.containerStatuses ?? []) {
    const { waiting, terminated } = container['state'] as ContainerState;
    const reason = waiting?.reason ?? terminated?.reason;
    if (reason !== undefined) return reason;
  }
  return status.phase === 'Pending' && pod.spec.nodeName !== undefined ? 'ContainerCreating' : status.phase;
}

const partial = (metadata: object): object => ({
  kind: 'PartialObjectMetadata',
  apiVersion: 'meta.k8s.io/v1',
  metadata,
});

function podRow(pod: PodObject, now: number): Row {
  const { metadata, spec, status } = pod;
  const statuses = status.containerStatuses ?? [];
  const ready = statuses.filter((one) => one.ready).length;
  const restarts = statuses.reduce((sum, one) => sum + one.restartCount, 0);
  const cells = [
    metadata.name,
    `${ready}/${spec.containers.length}`,
    podStatus(pod),
    String(restarts),
    age(metadata.creationTimestamp, now),
    status.podIP ?? '<none>',
    spec.nodeName ?? '<none>',
    '<none>',
    '<none>',
  ];
  return { cells, object: partial(metadata) };
}

const POD_COLUMNS = columns(
  'Name',
  'Ready',
  'Status',
  'Restarts',
  'Age',
  '*IP',
  '*Node',
  '*Nominated Node',
  '*Readiness Gates',
);

export const podTable = (metadata: object, pods: readonly PodObject[], now: number): object =>
  table(
    metadata,
    POD_COLUMNS,
    pods.map((pod) => podRow(pod, now)),
  );

export const namespaceTable = (metadata: object, namespaces: readonly NamespaceObject[], now: number): object =>
  table(
    metadata,
    columns('Name', 'Status', 'Age'),
    namespaces.map(({ metadata, status }) => ({
      cells: [metadata.name, status.phase, age(metadata.creationTimestamp, now)],
      object: partial(metadata),
    })),
  );

export const endpointSliceTable = (metadata: object, slices: readonly EndpointSliceObject[], now: number): object =>
  table(
    metadata,
    columns('Name', 'AddressType', 'Ports', 'Endpoints', 'Age'),
    slices.map(({ metadata, addressType, ports, endpoints }) => ({
      cells: [
        metadata.name,
        addressType,
        shortened((ports ?? []).map((one) => String((one as { port?: number }).port ?? '*'))),
        shortened((endpoints ?? []).flatMap(({ addresses }) => addresses)),
        age(metadata.creationTimestamp, now),
      ],
      object: partial(metadata),
    })),
  );

/** Three of a list, and how many more there are (printers/internalversion: printEndpointSlice). */
function shortened(texts: readonly string[]): string {
  if (texts.length === 0) return '<unset>';
  const more = texts.length > 3 ? ` + ${texts.length - 3} more...` : '';
  return texts.slice(0, 3).join(',') + more;
}

/** All that is known of a node, as the API has it. */
export function nodeObject(node: SimulatedNode, created: string): object {
  return {
    kind: 'Node',
    apiVersion: 'v1',
    metadata: {
      name: node.name,
      uid: `node-${node.name}`,
      creationTimestamp: created,
      labels: { 'kubernetes.io/hostname': node.name },
    },
    spec: {},
    status: {
      conditions: [{ type: 'Ready', status: 'True' }],
      addresses: [
        ...node.addresses.map((address) => ({ type: 'InternalIP', address })),
        { type: 'Hostname', address: node.name },
      ],
    },
  };
}

const NODE_COLUMNS = columns(
  'Name',
  'Status',
  'Roles',
  'Age',
  'Version',
  '*Internal-IP',
  '*External-IP',
  '*OS-Image',
  '*Kernel-Version',
  '*Container-Runtime',
);
/** Whole nodes and their table. They cannot be selected, paged or watched. */
export function nodes(
  cluster: Cluster,
  now: number,
): {
  readonly items: readonly { readonly metadata: { readonly name: string } }[];
  readonly table: (names: readonly string[]) => object;
} {
  const created = cluster.timeIn(-86_400 * 30);
  const metadata = { resourceVersion: String(cluster.store.version) };
  const old = age(created, now);
  const byName = new Map(cluster.nodes.map((node) => [node.name, node]));
  return {
    items: cluster.nodes.map((node) => nodeObject(node, created) as { metadata: { name: string } }),
    table: (chosen) => {
      const rows = chosen.map((name) => {
        const address = byName.get(name)?.addresses[0] ?? '<none>';
        const rest = [address, '<none>', 'make-believe', '<none>', 'containerd://2.1.4'];
        const object = partial({ name, creationTimestamp: created });
        return { cells: [name, 'Ready', '<none>', old, 'v1.36.3', ...rest], object };
      });
      return table(metadata, NODE_COLUMNS, rows);
    },
  };
}
