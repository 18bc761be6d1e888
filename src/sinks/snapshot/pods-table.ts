import type { Container, Pod } from '../../pod.ts';
import type { MirroredTable, Row } from '../postgres/mirrored-table.ts';
import { array, boolean, json, mapJson, textOrNull, timestamp } from '../postgres/values.ts';

/** One row for each pod, with the fields of an answer (rule F) and no others. `migrations.ts` makes it, docs/postgres.md explains it. */
export const podsTable = (schema: string, cluster: string): MirroredTable => ({
  schema,
  name: 'pods',
  scope: [{ name: 'cluster', type: 'text', value: cluster }],
  keys: [{ name: 'uid', type: 'text' }],
  groupColumns: 1,
  values: COLUMNS.map(([name, type]) => ({ name, type })),
  digest: 'digest',
});

/** In the order of `podRow`. */
const COLUMNS = [
  ['namespace', 'text'],
  ['name', 'text'],
  ['labels', 'jsonb'],
  ['annotations', 'jsonb'],
  ['pod_ip', 'inet'],
  ['pod_ips', 'inet[]'],
  ['host_ip', 'inet'],
  ['host_ips', 'inet[]'],
  ['node_name', 'text'],
  ['phase', 'text'],
  ['ready', 'boolean'],
  ['terminating', 'boolean'],
  ['deletion_at', 'timestamptz'],
  ['host_network', 'boolean'],
  ['service_account', 'text'],
  ['owner_kind', 'text'],
  ['owner_name', 'text'],
  ['owner_uid', 'text'],
  ['workload_kind', 'text'],
  ['workload_name', 'text'],
  ['workload_source', 'text'],
  ['containers', 'jsonb'],
  ['qos_class', 'text'],
  ['created_at', 'timestamptz'],
  ['started_at', 'timestamptz'],
  ['resource_version', 'text'],
] as const;

export function podRow(pod: Pod): Row {
  return [
    pod.uid,
    pod.namespace,
    pod.name,
    mapJson(pod.labels),
    mapJson(pod.annotations),
    pod.podIps[0] ?? null,
    array(pod.podIps),
    pod.hostIps[0] ?? null,
    array(pod.hostIps),
    textOrNull(pod.nodeName),
    pod.phase,
    boolean(pod.ready),
    boolean(pod.deletionTimestamp !== undefined),
    timestamp(pod.deletionTimestamp),
    boolean(pod.hostNetwork),
    textOrNull(pod.serviceAccount),
    textOrNull(pod.owner?.kind),
    textOrNull(pod.owner?.name),
    textOrNull(pod.owner?.uid),
    textOrNull(pod.workload?.kind),
    textOrNull(pod.workload?.name),
    textOrNull(pod.workload?.source),
    json(pod.containers.map(containerJson)),
    textOrNull(pod.qosClass),
    timestamp(pod.createdAt),
    timestamp(pod.startedAt),
    pod.resourceVersion,
  ];
}

const containerJson = ({ kind, name, image, id, ready, restarts }: Container): unknown => ({
  kind,
  name,
  image,
  id: id === '' ? null : id,
  ready,
  restarts,
});
