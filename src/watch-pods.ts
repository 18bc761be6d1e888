import { canonicalIp } from './index/ip-address.ts';
import type { PodIndex } from './index/pod-index.ts';
import type { Clock } from './kubernetes/clock.ts';
import { ApiListWatch } from './kubernetes/list-watch.ts';
import type { Transport } from './kubernetes/list-watch.ts';
import { podReader } from './kubernetes/pod-from-api.ts';
import { Reflector } from './kubernetes/reflector.ts';
import type { ReflectorMetrics } from './kubernetes/reflector-metrics.ts';
import type { Log } from './log.ts';
import type { Pod } from './pod.ts';
import type { Settings } from './settings.ts';

export interface PodReflectorsOptions {
  readonly transport: Transport;
  readonly clock: Clock;
  readonly log: Log;
  readonly metrics: ReflectorMetrics;
  readonly settings: Pick<Settings, 'namespaces' | 'readyMaxStaleness' | 'resyncInterval'> &
    Partial<Pick<Settings, 'labelSelector' | 'nodeName' | 'annotations'>>;
  /** Made with the same namespaces. */
  readonly index: PodIndex;
}

/** What keeps the index equal to the pods of the cluster, each once it runs: one slice per namespace, or one for all (A10). */
export function podReflectors(options: PodReflectorsOptions): readonly Reflector<Pod>[] {
  const { transport, clock, log, metrics, settings, index } = options;
  const { labelSelector, nodeName, annotations = [] } = settings;
  const namespaces = settings.namespaces.length === 0 ? [undefined] : settings.namespaces;
  // One reader for all slices: what records have in common is shared in it.
  const reader = podReader({ annotations, canonicalIp, known: (uid) => index.byUid(uid) });
  return namespaces.map(
    (namespace) =>
      new Reflector<Pod>({
        what: namespace === undefined ? 'pods at cluster scope' : `pods in namespace ${namespace}`,
        listWatch: new ApiListWatch({
          transport,
          clock,
          resource: {
            path: namespace === undefined ? '/api/v1/pods' : `/api/v1/namespaces/${namespace}/pods`,
            reader,
            labelSelector,
            fieldSelector: nodeName === undefined ? undefined : `spec.nodeName=${nodeName}`,
          },
        }),
        store: index.slice(namespace),
        clock,
        log,
        metrics,
        readyMaxStalenessMs: settings.readyMaxStaleness,
        resyncIntervalMs: settings.resyncInterval,
        addressesOf: (pod) => pod.podIps,
      }),
  );
}
