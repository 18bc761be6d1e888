import { pino } from 'pino';
import { Reflector } from '../../src/kubernetes/reflector.ts';
import { MemoryStore } from './memory-store.ts';
import { ModelCluster } from './model-cluster.ts';
import { VirtualClock } from './virtual-clock.ts';
import type { TestContext } from 'node:test';
import type { Pod } from '../../src/pod.ts';
import type { ReflectorOptions } from '../../src/kubernetes/reflector.ts';
import type { ReflectorMetrics } from '../../src/kubernetes/reflector-metrics.ts';

export function zeroMetrics(): ReflectorMetrics {
  return {
    lists_total: { ok: 0, error: 0, older: 0, shrunken: 0 },
    watches_total: { clean: 0, error: 0, gone: 0, corrupt: 0, idle: 0 },
    watch_events_total: { added: 0, modified: 0, deleted: 0, bookmark: 0, error: 0 },
    relists_total: { start: 0, periodic: 0, gone: 0, corrupt: 0, backwards: 0, outage: 0, error: 0 },
    drift_total: { added: 0, modified: 0, deleted: 0 },
    consistent_reads_total: { ok: 0, error: 0, backwards: 0 },
    unreadable_total: { all: 0 },
    backwards_total: { all: 0 },
  };
}

export interface LogLine {
  readonly level: number;
  readonly msg: string;
  readonly [field: string]: unknown;
}

/** A pino logger whose lines are kept. */
export function keptLog(): { log: pino.Logger; lines: LogLine[] } {
  const lines: LogLine[] = [];
  const log = pino({ level: 'debug' }, { write: (line: string) => lines.push(JSON.parse(line) as LogLine) });
  return { log, lines };
}

export interface Harness {
  readonly clock: VirtualClock;
  readonly cluster: ModelCluster;
  /** Unless another one was given. */
  readonly store: MemoryStore<Pod>;
  readonly metrics: ReflectorMetrics;
  readonly lines: LogLine[];
  readonly reflector: Reflector<Pod>;
  /** Names of what is served, in order. */
  readonly served: () => string[];
  readonly stop: () => Promise<void>;
}

/** A reflector on a model cluster, in virtual time; READY_MAX_STALENESS 90 s, RESYNC_INTERVAL 10 min. Not running yet. */
export function harness(
  t: TestContext,
  options: Partial<ReflectorOptions<Pod>> & { readonly clock?: VirtualClock } = {},
): Harness & { readonly start: () => Promise<void> } {
  const clock = options.clock ?? new VirtualClock();
  const cluster = new ModelCluster();
  const store = new MemoryStore<Pod>();
  const metrics = zeroMetrics();
  const { log, lines } = keptLog();
  const reflector = new Reflector<Pod>({
    what: 'pods at cluster scope',
    listWatch: cluster,
    log,
    metrics,
    readyMaxStalenessMs: 90_000,
    resyncIntervalMs: 600_000,
    addressesOf: (pod) => pod.podIps,
    store,
    ...options,
    clock,
  });
  const stopping = new AbortController();
  let running: Promise<void> | undefined;
  const stop = async (): Promise<void> => {
    stopping.abort();
    await running;
  };
  t.after(stop);
  return {
    clock,
    cluster,
    store,
    metrics,
    lines,
    reflector,
    served: () => [...store.objects.values()].map(({ name }) => name).sort(),
    stop,
    async start() {
      running = reflector.run(stopping.signal);
      await clock.settle();
    },
  };
}

/** The same, running and synced on three pods. */
export async function synced(...given: Parameters<typeof harness>): Promise<Harness> {
  const all = harness(...given);
  for (const name of ['a', 'b', 'c']) all.cluster.put(name);
  await all.start();
  return all;
}
