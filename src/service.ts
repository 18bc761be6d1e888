import type { Loaded } from './capabilities.ts';
import { createServer } from './http/server.ts';
import type { Remark } from './http/context.ts';
import type { Limits } from './http/limits.ts';
import type { HttpPlug } from './http/plug.ts';
import { PodIndex } from './index/pod-index.ts';
import { IpRecorder } from './ip-recorder.ts';
import { JoinedPast } from './joined-past.ts';
import type { Archive } from './joined-past.ts';
import { ApiClient } from './kubernetes/client.ts';
import { SystemClock } from './kubernetes/clock.ts';
import { findAccess } from './kubernetes/credentials.ts';
import type { Surroundings } from './kubernetes/credentials.ts';
import { json } from './kubernetes/wire/json.ts';
import { protobuf } from './kubernetes/wire/protobuf.ts';
import type { Log } from './log.ts';
import { createMetrics } from './metrics.ts';
import type { Metrics } from './metrics.ts';
import { NamespacesOnDemand } from './namespaces-on-demand.ts';
import type { Settings } from './settings.ts';
import { openServiceFiles } from './service-files.ts';
import { Slices } from './slices.ts';
import { podwhoisVersion } from './version.ts';
import { watchNamespaces } from './watch-namespaces.ts';
import { podReflectors } from './watch-pods.ts';

/** The lookup service, running. */
export interface Service {
  /** Where it listens. */
  readonly url: string;
  readonly preflightUrl: string | undefined;
  readonly index: PodIndex;
  readonly source: Slices;
  readonly metrics: Metrics;
  /**
   * Not ready from now on, still serving for `delayMs`; then requests under way finish, watching ends and every connection is
   * closed. Called again without a delay it hurries.
   */
  close(options?: { readonly delayMs?: number }): Promise<void>;
}

export interface ServiceOptions {
  readonly log: Log;
  /** Of `loadCapabilities`: plugged in in this order. */
  readonly capabilities?: readonly Loaded[];
  /** Where the API server could be found besides the settings; for tests. */
  readonly surroundings?: Surroundings;
  readonly limits?: Partial<Limits>;
}

/** By media type, in order of preference. */
const FORMATS = { 'application/vnd.kubernetes.protobuf': protobuf, 'application/json': json };

/**
 * Composes the service out of its settings and starts it. Resolves when it listens, which is before the first sync (rule C4).
 * Throws `SettingsError` when a file that the settings name cannot be used, `AccessError` when there is no API server to be found,
 * and whatever keeps a capability from starting or the server from listening; nothing is left running then.
 */
export async function startService(settings: Settings, options: ServiceOptions): Promise<Service> {
  const { log, capabilities = [], limits = {} } = options;
  const version = podwhoisVersion();
  const partial =
    settings.namespaces.length > 0 || settings.nodeName !== undefined || settings.labelSelector !== undefined;
  const clock = new SystemClock();
  const metrics = createMetrics();
  const index = new PodIndex({
    namespaces: settings.namespaces,
    onListenerError: (err) => log.error({ err }, 'a listener of the change feed failed'),
  });
  // What is running besides the server, to be ended in reverse.
  await using starting = new AsyncDisposableStack();
  starting.defer(() => clock.close());
  const stopping = new AbortController();
  starting.defer(() => stopping.abort());
  const files = await openServiceFiles(settings, {
    clock,
    log: log.child({ component: 'files' }),
    metrics,
    signal: stopping.signal,
  });
  const access = await findAccess(settings, options.surroundings);
  const client = new ApiClient({
    access,
    formats: FORMATS,
    clock,
    log: log.child({ component: 'client' }),
    userAgent: `podwhois/${version}`,
  });
  starting.defer(async () => await client.close());
  const reflectors = podReflectors({ transport: client, clock, log, metrics: metrics.counters, settings, index });
  const source = new Slices(new Map(reflectors.map((reflector) => [reflector.what, reflector])), { partial });
  const watching: Promise<unknown>[] = [];
  starting.defer(async () => {
    stopping.abort();
    await Promise.all(watching);
  });
  const labels = new NamespacesOnDemand(() => {
    const { source, done } = watchNamespaces({ transport: client, clock, log, metrics, settings }, stopping.signal);
    watching.push(done);
    return source;
  });
  const view = { partial, clusterCidrs: settings.clusterCidrs };
  const past = new IpRecorder({
    index,
    view,
    source,
    clock,
    counters: metrics.counters.history_holes_total,
    retentionMs: settings.historyRetention,
    maxEnded: settings.historyMaxEntries,
    maxAgeMs: settings.readyMaxStaleness,
    onError: (err) => log.error({ err }, 'writing down who has which address failed, and begins again'),
  });
  metrics.observe(() => ({ history_intervals: past.intervals, history_depth_seconds: past.depthMs / 1000 }));
  const plugs: HttpPlug[] = [];
  let archive: Archive | undefined;
  const remarks: (() => readonly Remark[])[] = [];
  for (const { name, plug } of capabilities) {
    const plugged = await plug({
      settings,
      index,
      recorder: past,
      view,
      source,
      clock,
      log: log.child({ component: name }),
      metrics,
      namespaces: labels.for(name),
    });
    starting.defer(async () => await plugged.close?.());
    if (plugged.http) plugs.push(plugged.http);
    archive ??= plugged.archive;
    remarks.push(() => plugged.remarks?.() ?? []);
  }
  const server = await createServer(
    {
      index,
      source,
      besides: () => labels.details,
      settings,
      tokens: files.tokens,
      tls: files.tls,
      remarks: () => [...files.remarks(), ...remarks.flatMap((tell) => tell())],
      metrics,
      clock,
      version,
      view,
      past: new JoinedPast({ memory: past, archive, view, isHostIp: (ip) => index.isHostIp(ip) }),
      limits,
      log: log.child({ component: 'http' }),
    },
    plugs,
  );
  const urls = await server.listen().catch(async (error: unknown) => {
    await server.close();
    throw error;
  });
  log.info(
    {
      component: 'service',
      apiServer: access.baseUrl,
      credentials: access.source,
      watching: reflectors.map(({ what }) => what),
    },
    'watching',
  );
  watching.push(past.run(stopping.signal), ...reflectors.map((reflector) => reflector.run(stopping.signal)));
  const running = starting.move();
  let closed: Promise<void> | undefined;
  return {
    ...urls,
    index,
    source,
    metrics,
    close({ delayMs = 0 } = {}) {
      const served = server.close({ delayMs });
      closed ??= served.then(async () => await running.disposeAsync());
      return closed;
    },
  };
}
