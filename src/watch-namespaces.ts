import type { NamespaceSource } from './capabilities.ts';
import { Freshness } from './http/freshness.ts';
import { NamespaceIndex } from './index/namespace-index.ts';
import type { Clock } from './kubernetes/clock.ts';
import { ApiListWatch } from './kubernetes/list-watch.ts';
import type { Transport } from './kubernetes/list-watch.ts';
import { namespaceReader } from './kubernetes/namespace-from-api.ts';
import { Reflector } from './kubernetes/reflector.ts';
import type { Log } from './log.ts';
import { zeroCounters } from './metrics.ts';
import type { Metrics } from './metrics.ts';
import type { Namespace } from './namespace.ts';
import type { Settings } from './settings.ts';
import { Slices } from './slices.ts';

export interface WatchNamespacesOptions {
  readonly transport: Transport;
  readonly clock: Clock;
  readonly log: Log;
  readonly metrics: Metrics;
  readonly settings: Pick<Settings, 'readyMaxStaleness' | 'serveMaxStaleness' | 'resyncInterval'>;
}

/**
 * Begins to watch all namespaces, until the signal ends it: by the rules of the pods (B, C), and as fresh as they must be. Its
 * reflector counts for itself, for the counters at `/metrics` are about pods; of namespaces that tells how old they are.
 */
export function watchNamespaces(
  { transport, clock, log, metrics, settings }: WatchNamespacesOptions,
  signal: AbortSignal,
): { readonly source: NamespaceSource; readonly done: Promise<void> } {
  const index = new NamespaceIndex();
  const reflector = new Reflector<Namespace>({
    what: 'namespaces',
    listWatch: new ApiListWatch({
      transport,
      clock,
      resource: { path: '/api/v1/namespaces', reader: namespaceReader(), metadataOnly: true },
    }),
    store: index.slice,
    clock,
    log,
    metrics: zeroCounters(),
    readyMaxStalenessMs: settings.readyMaxStaleness,
    resyncIntervalMs: settings.resyncInterval,
  });
  const slices = new Slices(new Map([[reflector.what, reflector]]), { partial: false });
  const freshness = new Freshness(slices, settings.serveMaxStaleness);
  metrics.observe(() => ({
    namespaces: index.size,
    unreadable_namespaces: index.unreadable,
    namespaces_age_seconds: freshness.ageMs() / 1000,
  }));
  return {
    source: {
      get refusal() {
        return freshness.refusal();
      },
      // What may not be told of is told to nobody, whoever forgets to ask first.
      labelsOf: (name) => (freshness.refusal() === undefined ? index.of(name) : undefined),
      details: () => slices.details(),
    },
    done: reflector.run(signal),
  };
}
