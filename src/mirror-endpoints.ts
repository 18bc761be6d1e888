import { randomUUID } from 'node:crypto';
import { hostname } from 'node:os';
import { formatDuration } from './duration.ts';
import { startStatusServer } from './http/status-server.ts';
import type { StatusCheck } from './http/status-server.ts';
import { EndpointSliceIndex } from './index/endpoint-slice-index.ts';
import { PodIndex } from './index/pod-index.ts';
import { ApiClient } from './kubernetes/client.ts';
import { SystemClock } from './kubernetes/clock.ts';
import { findAccess } from './kubernetes/credentials.ts';
import type { Surroundings } from './kubernetes/credentials.ts';
import { json } from './kubernetes/wire/json.ts';
import { protobuf } from './kubernetes/wire/protobuf.ts';
import type { Log } from './log.ts';
import { createMetrics, zeroCounters } from './metrics.ts';
import type { Metrics, Sample } from './metrics.ts';
import type { MirrorSettings } from './mirror-settings.ts';
import { EndpointMirror } from './sinks/endpoint-mirror/mirror.ts';
import { PodDetails } from './sinks/endpoint-mirror/pod-details.ts';
import { FAMILIES } from './sinks/endpoint-mirror/settings.ts';
import { MirrorTruth } from './sinks/endpoint-mirror/truth.ts';
import { accessOf } from './sinks/postgres/access.ts';
import { Database } from './sinks/postgres/database.ts';
import { servicesWithEndpointSlices } from './services-with-endpoint-slices.ts';
import { Slices } from './slices.ts';
import { podwhoisVersion } from './version.ts';
import { watchEndpointSlices } from './watch-endpoint-slices.ts';
import { podReflectors } from './watch-pods.ts';
import type { PodReflectorsOptions } from './watch-pods.ts';

/** The mirror, running. */
export interface MirrorService {
  /** Where `/health`, `/ready` and `/metrics` are. */
  readonly url: string;
  /** Stops watching, writes what is left for at most 5 s, gives the lease up and closes everything. */
  close(): Promise<void>;
}

export interface MirrorServiceOptions {
  readonly log: Log;
  /** Where the API server could be found besides the settings; for tests. */
  readonly surroundings?: Surroundings;
}

const FORMATS = { 'application/vnd.kubernetes.protobuf': protobuf, 'application/json': json };

/**
 * `podwhois mirror-endpoints`: composes the watch of EndpointSlices and what writes them to Postgres. Resolves when it listens, whether
 * or not the API server and Postgres can be reached. Throws what keeps it from starting; nothing is left running then.
 */
export async function startMirror(settings: MirrorSettings, options: MirrorServiceOptions): Promise<MirrorService> {
  const { log } = options;
  const clock = new SystemClock();
  const metrics = createMetrics();
  // What is running, to be ended in reverse.
  await using starting = new AsyncDisposableStack();
  starting.defer(() => clock.close());
  const access = await findAccess(settings, options.surroundings);
  const client = new ApiClient({
    access,
    formats: FORMATS,
    clock,
    log: log.child({ component: 'client' }),
    userAgent: `podwhois/${podwhoisVersion()}`,
  });
  starting.defer(async () => await client.close());
  const postgresLog = log.child({ component: 'postgres' });
  const database = new Database({
    access: accessOf(settings),
    poolSize: settings.postgresPoolSize,
    log: postgresLog,
  });
  starting.defer(async () => await database.close());

  const { namespaces, enrichPods } = settings;
  const index = new EndpointSliceIndex({ namespaces, findByPod: enrichPods });
  let source: Slices | undefined;
  const pods = enrichPods ? podsToWatch({ transport: client, clock, log, settings }) : undefined;
  const truth = new MirrorTruth({
    index,
    scope: { selector: settings.endpointSelector, namespaces, includeNotReady: settings.includeNotReady },
    isFresh: () => source !== undefined && source.synced && source.ageMs() <= settings.serveMaxStaleness,
    details: pods && new PodDetails(pods.index, pods.source),
  });
  const mirror = new EndpointMirror({
    database,
    truth,
    clock: { now: () => clock.now(), sleep: async (ms, signal) => await clock.sleep(ms, signal), random: Math.random },
    log: postgresLog,
    holder: `${hostname()} ${randomUUID()}`,
    cluster: settings.clusterName,
    table: settings.table,
    enriched: enrichPods,
    part: partOf(settings),
    schema: settings.podwhoisSchema,
    requeueAfterMs: settings.requeueAfter,
    partial:
      namespaces.length === 0
        ? undefined
        : { namespaces, lookup: servicesWithEndpointSlices({ transport: client, clock }) },
  });
  publish(metrics, { index, truth, mirror, ageMs: () => (source?.synced === true ? source.ageMs() : Infinity) });
  const server = await startStatusServer({
    host: settings.host,
    port: settings.port,
    checks: () => [
      ...watchChecks([...(source?.details() ?? []), ...(pods?.source.details() ?? [])], settings.readyMaxStaleness),
      ...mirrorChecks(mirror, settings.readyMaxStaleness),
    ],
    metrics,
    log: log.child({ component: 'http' }),
  });
  starting.defer(async () => await server.close());

  const watching = new AbortController();
  const writing = new AbortController();
  const watched = watchEndpointSlices(
    { transport: client, clock, log, metrics: metrics.counters, settings, index },
    watching.signal,
  );
  ({ source } = watched);
  const podsWatched = pods?.run(watching.signal);
  const written = mirror.run(writing.signal);
  starting.defer(async () => {
    // What was known last is written, before nothing is known any more.
    writing.abort();
    await written;
    watching.abort();
    await Promise.all([watched.done, podsWatched]);
  });
  log.info(
    {
      component: 'mirror',
      apiServer: access.baseUrl,
      credentials: access.source,
      database: database.place,
      table: settings.table.text,
      cluster: settings.clusterName,
    },
    'mirroring',
  );
  const running = starting.move();
  let closed: Promise<void> | undefined;
  return { url: server.url, close: async () => await (closed ??= running.disposeAsync()) };
}

type PodsOptions = Pick<PodReflectorsOptions, 'transport' | 'clock' | 'log'> & { readonly settings: MirrorSettings };

/** The pods for ENRICH_PODS. They count for themselves: the counters at `/metrics` are about EndpointSlices. */
function podsToWatch({ settings, ...options }: PodsOptions): {
  readonly index: PodIndex;
  readonly source: Slices;
  run(signal: AbortSignal): Promise<unknown>;
} {
  const { namespaces, readyMaxStaleness, resyncInterval } = settings;
  const index = new PodIndex({
    namespaces,
    onListenerError: (err) => options.log.error({ err }, 'a listener of the change feed failed'),
  });
  const reflectors = podReflectors({
    ...options,
    metrics: zeroCounters(),
    settings: { namespaces, readyMaxStaleness, resyncInterval },
    index,
  });
  const source = new Slices(new Map(reflectors.map((reflector) => [reflector.what, reflector])), {
    partial: namespaces.length > 0,
  });
  return {
    index,
    source,
    run: async (signal) => await Promise.all(reflectors.map(async (reflector) => await reflector.run(signal))),
  };
}

const partOf = ({ namespaces, endpointSelector }: MirrorSettings): string =>
  (namespaces.length === 0 ? '' : ` of ${namespaces.toSorted().join(', ')}`) +
  (endpointSelector === undefined ? '' : ` where ${endpointSelector.text}`);

function watchChecks(details: ReturnType<Slices['details']>, limit: number): readonly StatusCheck[] {
  return details.map(({ slice, synced, ageMs, resourceVersion, problem }) => ({
    name: slice,
    ok: synced && ageMs <= limit,
    message: [
      synced ? `read ${formatDuration(Math.round(ageMs))} ago, at version ${resourceVersion}` : 'not read yet',
      `at most ${formatDuration(limit)} allowed`,
      ...(problem === undefined ? [] : [problem]),
    ].join('; '),
  }));
}

const LEASE = {
  unknown: 'not known: Postgres has not said who writes',
  held: 'this process writes',
  elsewhere: 'another process writes',
  none: 'there is none, for the role may not have the schema it would be in: only one process may run',
} as const;

/** A standby is as ready as who writes: else a rollout would wait for ever for the new one to lead. */
function mirrorChecks({ state }: EndpointMirror, limit: number): readonly StatusCheck[] {
  const { lease, problem, lagMs, quarantined, abandoned } = state;
  const isBehind = (lease === 'held' || lease === 'none') && lagMs > limit;
  const lag = lagMs === Infinity ? 'not compared yet' : `behind by ${formatDuration(Math.round(lagMs))}`;
  return [
    {
      name: 'postgres',
      ok: lease !== 'unknown' && problem === undefined && !isBehind,
      message: [
        ...(lease === 'elsewhere' || lease === 'unknown' ? [] : [lag]),
        ...(quarantined === 0 ? [] : [`${quarantined} Services left out, see the log`]),
        problem ?? (lease === 'unknown' ? 'not asked who writes' : 'reached'),
      ].join('; '),
    },
    { name: 'lease', ok: true, message: LEASE[lease] },
    ...(abandoned === undefined ? [] : [{ name: 'rows of other namespaces', ok: true, message: abandoned }]),
  ];
}

interface Published {
  readonly index: EndpointSliceIndex;
  readonly truth: MirrorTruth;
  readonly mirror: EndpointMirror;
  /** Of what is known of EndpointSlices. */
  readonly ageMs: () => number;
}

function publish(metrics: Metrics, { index, truth, mirror, ageMs }: Published): void {
  const one = (value: number | undefined): readonly Sample[] => (value === undefined ? [] : [[[], value]]);
  const samples: Readonly<Record<keyof typeof FAMILIES, () => Iterable<Sample>>> = {
    mirror_rows: () => one(truth.count().rows),
    mirror_services: () => one(truth.count().services),
    mirror_skipped_endpoints: () => one(truth.count().skipped),
    mirror_unknown_pods: () => one(truth.count().unknown),
    mirror_leading: () => one(['held', 'none'].includes(mirror.state.lease) ? 1 : 0),
    mirror_lag_seconds: () => one(mirror.state.lagMs / 1000),
    mirror_quarantined_services: () => one(mirror.state.quarantined),
    mirror_rows_written_total: () => one(mirror.counts.written),
    mirror_rows_deleted_total: () => one(mirror.counts.deleted),
    mirror_failures_total: () => [...mirror.failures].map(([kind, count]) => [[kind], count] as const),
    endpoint_slices: () => one(index.size),
    endpoint_slices_age_seconds: () => one(ageMs() / 1000),
    unreadable_endpoint_slices: () => one(index.unreadable),
  };
  for (const [name, family] of Object.entries(FAMILIES)) {
    metrics.publish(name, family, samples[name as keyof typeof FAMILIES]);
  }
}
