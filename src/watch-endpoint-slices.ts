import type { EndpointSlice } from './endpoint-slice.ts';
import type { EndpointSliceIndex } from './index/endpoint-slice-index.ts';
import { canonicalIp } from './index/ip-address.ts';
import type { Clock } from './kubernetes/clock.ts';
import { endpointSliceReader } from './kubernetes/endpoint-slice-from-api.ts';
import { ApiListWatch } from './kubernetes/list-watch.ts';
import type { Transport } from './kubernetes/list-watch.ts';
import { Reflector } from './kubernetes/reflector.ts';
import type { ReflectorMetrics } from './kubernetes/reflector-metrics.ts';
import type { Log } from './log.ts';
import type { Settings } from './settings.ts';
import { Slices } from './slices.ts';

export interface WatchEndpointSlicesOptions {
  readonly transport: Transport;
  readonly clock: Clock;
  readonly log: Log;
  readonly metrics: ReflectorMetrics;
  readonly settings: Pick<Settings, 'namespaces' | 'readyMaxStaleness' | 'resyncInterval'>;
  /** Made with the same namespaces. */
  readonly index: EndpointSliceIndex;
}

/**
 * Begins to watch EndpointSlices, until the signal ends it: by the rules of the pods (B, C1), one slice per namespace (A10). All of
 * them are read, whatever is to be selected: that a Service has none left is known only so.
 */
export function watchEndpointSlices(
  { transport, clock, log, metrics, settings, index }: WatchEndpointSlicesOptions,
  signal: AbortSignal,
): { readonly source: Slices; readonly done: Promise<unknown> } {
  const namespaces = settings.namespaces.length === 0 ? [undefined] : settings.namespaces;
  const reader = endpointSliceReader(canonicalIp);
  const reflectors = namespaces.map((namespace) => {
    const where = namespace === undefined ? '' : `/namespaces/${namespace}`;
    const resource = { path: `/apis/discovery.k8s.io/v1${where}/endpointslices`, reader };
    return new Reflector<EndpointSlice>({
      what: namespace === undefined ? 'endpointslices at cluster scope' : `endpointslices in namespace ${namespace}`,
      listWatch: new ApiListWatch({ transport, clock, resource }),
      store: index.slice(namespace),
      clock,
      log,
      metrics,
      readyMaxStalenessMs: settings.readyMaxStaleness,
      resyncIntervalMs: settings.resyncInterval,
    });
  });
  return {
    source: new Slices(new Map(reflectors.map((reflector) => [reflector.what, reflector])), {
      partial: settings.namespaces.length > 0,
    }),
    done: Promise.all(reflectors.map(async (reflector) => await reflector.run(signal))),
  };
}
