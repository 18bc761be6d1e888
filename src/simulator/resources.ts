import type { Cluster } from './cluster.ts';
import type { StoredObject } from './object-version.ts';
import { NAMESPACE_FIELDS, POD_FIELDS } from './selectors.ts';
import type { Fields } from './selectors.ts';
import type { ObjectStore } from './store.ts';
import { namespaceTable, podTable } from './table.ts';

/** What can be listed and watched, and what of it is not the same for all. */
export interface Resource<T extends StoredObject = StoredObject> {
  readonly name: 'pods' | 'namespaces';
  readonly kind: string;
  readonly fields: Fields<T>;
  readonly store: ObjectStore<T>;
  /** As `kubectl get` prints it. */
  readonly table: (metadata: object, objects: readonly T[], now: number) => object;
}

export function resourcesOf({ store, namespaces }: Cluster): Readonly<Record<Resource['name'], Resource>> {
  const pods = { name: 'pods', kind: 'Pod', fields: POD_FIELDS, store, table: podTable };
  const spaces = {
    name: 'namespaces',
    kind: 'Namespace',
    fields: NAMESPACE_FIELDS,
    store: namespaces,
    table: namespaceTable,
  };
  // Each is asked about its own objects only.
  return { pods: pods as unknown as Resource, namespaces: spaces as unknown as Resource };
}
