import { canonicalIp } from './index/ip-address.ts';
import { isForbidden } from './kubernetes/api-error.ts';
import type { Clock } from './kubernetes/clock.ts';
import { endpointSliceReader } from './kubernetes/endpoint-slice-from-api.ts';
import { ApiListWatch } from './kubernetes/list-watch.ts';
import type { Transport } from './kubernetes/list-watch.ts';
import type { EndpointSliceLookup } from './sinks/endpoint-mirror/abandoned-rows.ts';

/** Asks the API server for Services of namespaces that are not watched: consistent lists of the metadata, which has their names. */
export function servicesWithEndpointSlices(options: {
  readonly transport: Transport;
  readonly clock: Clock;
}): EndpointSliceLookup {
  // Of metadata alone it makes EndpointSlices without endpoints.
  const reader = { ...endpointSliceReader(canonicalIp), kinds: ['PartialObjectMetadata', 'EndpointSlice'] };
  return {
    async having(namespace, services, signal) {
      const resource = {
        path: `/apis/discovery.k8s.io/v1/namespaces/${namespace}/endpointslices`,
        labelSelector: `kubernetes.io/service-name in (${services.join(',')})`,
        reader,
        metadataOnly: true,
      };
      const having = new Set<string>();
      try {
        for await (const { items, unreadable } of new ApiListWatch({ ...options, resource }).pages(signal)) {
          // It may be of any of them.
          if (unreadable.length > 0) return new Set(services);
          for (const { service } of items) having.add(service);
          if (services.every((service) => having.has(service))) break;
        }
      } catch (error) {
        if (isForbidden(error)) return 'forbidden';
        throw error;
      }
      return having;
    },
  };
}
