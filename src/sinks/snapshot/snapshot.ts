import { randomUUID } from 'node:crypto';
import { hostname } from 'node:os';
import type { View } from '../../index/answer.ts';
import type { PodIndex } from '../../index/pod-index.ts';
import type { Metrics } from '../../metrics.ts';
import { accessOf } from '../postgres/access.ts';
import { Database } from '../postgres/database.ts';
import type { Log, Session } from '../postgres/database.ts';
import { Lease, LEASE_TTL_MS } from '../postgres/lease.ts';
import { migrate } from '../postgres/migrate.ts';
import { standingOf } from '../postgres/standing.ts';
import { mirrored } from '../postgres/target.ts';
import type { Target } from '../postgres/target.ts';
import { Writer } from '../postgres/writer.ts';
import type { Clock } from '../postgres/writer.ts';
import { HistoryArchive, READ_LIMITS } from './history-archive.ts';
import { historyScope } from './history-scope.ts';
import type { InView } from './history-scope.ts';
import { HistoryTarget } from './history-target.ts';
import type { Recorded } from './history-target.ts';
import { PodTruth } from './pod-truth.ts';
import { podsTable } from './pods-table.ts';
import { requireSameTime } from './same-time.ts';
import type { SnapshotSettings } from './settings.ts';
import { publish, publishHistory, publishReads } from './snapshot-metrics.ts';
import { unanswered } from './unanswered.ts';

/** What the service gives; `src/capabilities.ts` says more. */
export interface Surroundings {
  readonly settings: SnapshotSettings &
    InView & {
      readonly readyMaxStaleness: number;
      readonly serveMaxStaleness: number;
      readonly resyncInterval: number;
    };
  readonly index: PodIndex;
  readonly view: Pick<View, 'clusterCidrs'>;
  readonly recorder: Recorded;
  readonly source: { readonly synced: boolean; ageMs(): number; prove(signal: AbortSignal): Promise<void> };
  readonly clock: Clock;
  readonly log: Log;
  readonly metrics: Metrics;
  /** For tests, which kill many writers. */
  readonly leaseTtlMs?: number;
}

export interface Snapshot {
  /** How the history is read; undefined: none is kept. */
  readonly archive?: HistoryArchive;
  /** For `/ready?verbose`. */
  remarks(): readonly { readonly name: string; readonly ok: boolean; readonly message: string }[];
  close(): Promise<void>;
}

/** Plugs the snapshot into the service. Waits for no database: whatever is wrong with it is tried again, and logged. */
export function plug(surroundings: Surroundings): Snapshot {
  const { settings, index, view, source, recorder, metrics } = surroundings;
  const { podwhoisSchema: schema, clusterName: cluster, snapshotHistoryRetention: retentionMs } = settings;
  // What is too old for the lookups is not written either, and not called fresh.
  const fresh = {
    get synced() {
      return source.synced && source.ageMs() <= settings.serveMaxStaleness;
    },
  };
  const pods = run(surroundings, {
    sink: 'snapshot',
    cluster,
    target: mirrored(
      podsTable(schema, cluster),
      new PodTruth(index, fresh),
      unanswered({ schema, cluster, index, view }),
    ),
    // As lists do with the index (rule B7).
    compareEveryMs: settings.resyncInterval,
  });
  publish(metrics, pods.writer);
  const scope = historyScope(cluster, settings);
  const history =
    retentionMs === 0
      ? undefined
      : run(surroundings, {
          sink: 'history',
          cluster: scope,
          target: new HistoryTarget({ schema, cluster: scope, recorded: recorder, source: fresh, retentionMs }),
          // Also while it writes: a clock can be set at any time.
          allow: async (session) => await requireSameTime(session, () => recorder.now()),
        });
  if (history) publishHistory(metrics, history.writer);
  const reading = readerOf(surroundings);
  return {
    ...(reading && { archive: reading.archive }),
    remarks: () => [
      { name: 'SNAPSHOT', ...pods.standing() },
      ...(history ? [{ name: 'SNAPSHOT_HISTORY_RETENTION', ...history.standing() }] : []),
    ],
    close: async () => {
      const closeHistory = async (): Promise<void> => {
        if (history?.writer.leading) await proven(surroundings);
        await history?.close();
      };
      await Promise.all([pods.close(), closeHistory(), reading?.database.close()]);
    },
  };
}

interface Work {
  readonly sink: string;
  /** As it stands in the rows. */
  readonly cluster: string;
  readonly target: Target;
  readonly allow?: (session: Session) => Promise<void>;
  readonly compareEveryMs?: number;
}

/** A writer at work, with a lease and connections of its own: none waits for another. */
function run(surroundings: Surroundings, { sink, cluster, target, allow, compareEveryMs }: Work) {
  const { settings, clock, log, leaseTtlMs: ttlMs = LEASE_TTL_MS } = surroundings;
  const { podwhoisSchema: schema, snapshotFlushInterval: flushMs, postgresPoolSize } = settings;
  const database = new Database({ access: accessOf(settings), poolSize: postgresPoolSize, log });
  const writer = new Writer({
    database,
    lease: new Lease({ schema, cluster, sink, holder: `${hostname()}/${randomUUID()}`, ttlMs }),
    prepare: async () => {
      const { applied } = await migrate(database, schema);
      if (applied.length > 0) log.info({ schema, database: database.place, applied }, 'the schema was brought up');
      // Before it asks for the lease, which another replica may have then.
      if (allow) await database.transaction(allow);
    },
    allow,
    target,
    clock,
    log,
    flushMs,
    ...(compareEveryMs !== undefined && { compareEveryMs }),
  });
  const ending = new AbortController();
  const running = writer.run(ending.signal);
  return {
    writer,
    standing() {
      const { asked, leading, failing, quarantined } = writer;
      const times = { lagMs: writer.lagMs(), failingMs: writer.failingMs() };
      return standingOf(
        { asked, leading, failing, quarantined: quarantined.size, ...times },
        settings.readyMaxStaleness,
      );
    },
    async close() {
      ending.abort();
      await running;
      await database.close();
    },
  };
}

/**
 * Finds out that all until now has been heard of. The last flush claims the time up to the last proof, and that is half a minute old at any
 * moment: after a restart it would be a hole.
 */
async function proven({ source, log }: Surroundings): Promise<void> {
  const limit = AbortSignal.timeout(LAST_PROOF_MS);
  try {
    await source.prove(limit);
    limit.throwIfAborted();
  } catch (err) {
    log.info({ err }, 'the last seconds of the history are not proven, and will be a hole');
  }
}

/** Usually milliseconds; a bookmark of a watch that is asked for takes one to two seconds. */
const LAST_PROOF_MS = 2_500;

/** By connections of its own: a question waits for no writer. */
function readerOf({ settings, clock, log, metrics }: Surroundings) {
  const { podwhoisSchema: schema, clusterName, snapshotHistoryRetention: retentionMs } = settings;
  const cluster = historyScope(clusterName, settings);
  if (retentionMs === 0) return undefined;
  const database = new Database({
    access: accessOf(settings),
    poolSize: READERS,
    log,
    limits: READ_LIMITS,
    snapshot: true,
  });
  const archive = new HistoryArchive({ database, schema, cluster, retentionMs, clock, log });
  publishReads(metrics, archive);
  return { database, archive };
}

const READERS = 2;
