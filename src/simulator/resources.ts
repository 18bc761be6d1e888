import type { Cluster } from './cluster.ts';
import type { StoredObject } from './object-version.ts';
import { ENDPOINT_SLICE_FIELDS, NAMESPACE_FIELDS, POD_FIELDS } from './selectors.ts';
import type { Fields } from './selectors.ts';
import type { ObjectStore } from './store.ts';
import { endpointSliceTable, namespaceTable, podTable } from './table.ts';

/** What can be listed and watched, and what of it is not the same for all. */
export interface Resource<T extends StoredObject = StoredObject> {
  readonly name: 'pods' | 'namespaces' | 'endpointslices';
  /** Its API group; empty: the core's. */
  readonly group: string;
  readonly kind: string;
  readonly fields: Fields<T>;
  readonly store: ObjectStore<T>;
  /** As `kubectl get` prints it. */
  readonly table: (metadata: object, objects: readonly T[], now: number) => object;
}

export function resourcesOf({
  store,
  namespaces,
  endpointSlices,
}: Cluster): Readonly<Record<Resource['name'], Resource>> {
  const pods = { name: 'pods', group: '', kind: 'Pod', fields: POD_FIELDS, store, table: podTable };
  const spaces = {
    name: 'namespaces',
    group: '',
    kind: 'Namespace',
    fields: NAMESPACE_FIELDS,
    store: namespaces,
    table: namespaceTable,
  };
  const slices = {
    name: 'endpointslices',
    group: 'discovery.k8s.io',
    kind: 'EndpointSlice',
    fields: ENDPOINT_SLICE_FIELDS,
    store: endpointSlices,
    table: endpointSliceTable,
  };
  // Each is asked about its own objects only.
  const [one, two, three] = [pods, spaces, slices] as unknown as readonly [Resource, Resource, Resource];
  return { pods: one, namespaces: two, endpointslices: three };
}
