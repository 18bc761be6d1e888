import { parseLabelSelector } from '../../label-selector.ts';
import type { Families } from '../../metrics.ts';
import type { StringMap } from '../../pod.ts';
import { boolean, duration, labelSelector } from '../../settings/parsers.ts';
import { Wrong } from '../../settings/schema.ts';
import type { Setting, Values } from '../../settings/schema.ts';
import { POSTGRES } from '../postgres/settings.ts';
import { tableName } from './table-name.ts';
import type { TableName } from './table-name.ts';

/** Keeps the value's type while the table is written. */
const setting = <T>(definition: Setting<T>): Setting<T> => definition;

/** As it was written, and as it is asked. */
export interface EndpointSelector {
  readonly text: string;
  matches(labels: StringMap): boolean;
}

/** What `podwhois mirror-endpoints` reads besides where the cluster and Postgres are: the observer's variables and flags. */
export const ENDPOINT_MIRROR = {
  endpointSelector: setting<EndpointSelector | undefined>({
    variable: 'ENDPOINT_SELECTOR',
    flag: '--selector <selector>',
    help: 'mirror only EndpointSlices with these labels',
    fallback: undefined,
    fallbackText: 'all',
    example: 'kubernetes.io/service-name=my-service',
    parse: endpointSelector,
  }),
  table: setting<TableName>({
    variable: 'TABLE_NAME',
    flag: '--table <name>',
    help: 'the table, of a schema where one is named; used as it is, and made where it is missing',
    fallback: { schema: 'public', name: 'server', text: 'public.server' },
    fallbackText: 'public.server',
    example: 'public.server',
    parse: tableName,
  }),
  clusterName: setting({ ...POSTGRES.clusterName, flag: '--cluster, --cluster-name <name>' }),
  requeueAfter: setting({
    variable: 'REQUEUE_AFTER',
    flag: '--requeue-after <duration>',
    help: 'compare the whole table with the cluster this often, and stamp last_seen anew',
    fallback: 30_000,
    fallbackText: '30s',
    example: '30s',
    parse: duration(1_000, 24 * 3_600_000),
  }),
  includeNotReady: setting({
    variable: 'INCLUDE_NOT_READY',
    flag: '--include-not-ready [bool]',
    help: 'give pods that are not ready a row too, with ready = false',
    fallback: false,
    fallbackText: 'false',
    example: 'true',
    parse: boolean,
  }),
  enrichPods: setting({
    variable: 'ENRICH_PODS',
    flag: '--enrich-pods [bool]',
    help: "write the pods' node and labels too, into columns node_name and pod_labels; watches pods",
    fallback: false,
    fallbackText: 'false',
    example: 'true',
    parse: boolean,
  }),
} as const;

export type EndpointMirrorSettings = Values<typeof ENDPOINT_MIRROR>;

function endpointSelector(text: string): EndpointSelector | Wrong {
  const checked = labelSelector(text);
  if (checked instanceof Wrong) return checked;
  const { selector } = parseLabelSelector(text);
  return selector ? { text, matches: (labels) => selector.matches(labels) } : new Wrong('a label selector');
}

/** What the process publishes at `/metrics` besides what the watch counts. */
export const FAMILIES = {
  mirror_rows: { type: 'gauge', help: 'Rows that the table should hold of this cluster', labels: {} },
  mirror_services: { type: 'gauge', help: 'Services that should have rows', labels: {} },
  mirror_skipped_endpoints: {
    type: 'gauge',
    help: 'Endpoints that name no pod, or no address, and so have no row',
    labels: {},
  },
  mirror_unknown_pods: {
    type: 'gauge',
    help: 'Rows whose pod is not known, so that node_name and pod_labels are NULL; 0 without ENRICH_PODS',
    labels: {},
  },
  mirror_leading: { type: 'gauge', help: '1 while this process is the one that writes, else 0', labels: {} },
  mirror_lag_seconds: {
    type: 'gauge',
    help: 'How long the oldest change has not been written; +Inf until the table was compared once',
    labels: {},
  },
  mirror_quarantined_services: {
    type: 'gauge',
    help: 'Services that Postgres does not take a row of, left out until they change',
    labels: {},
  },
  mirror_rows_written_total: { type: 'counter', help: 'Rows inserted, changed or stamped anew', labels: {} },
  mirror_rows_deleted_total: { type: 'counter', help: 'Rows deleted', labels: {} },
  mirror_failures_total: {
    type: 'counter',
    help: 'Attempts to write that failed, by kind',
    labels: { kind: ['connection', 'read-only', 'full', 'conflict', 'timeout', 'setup', 'poison'] },
  },
  endpoint_slices: { type: 'gauge', help: 'EndpointSlices that are known', labels: {} },
  endpoint_slices_age_seconds: {
    type: 'gauge',
    help: 'Age of what is known of EndpointSlices; +Inf until they have been read',
    labels: {},
  },
  unreadable_endpoint_slices: {
    type: 'gauge',
    help: 'EndpointSlices set aside now because they cannot be read: nothing of their namespaces is written',
    labels: {},
  },
} as const satisfies Families;
