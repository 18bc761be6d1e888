import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import type { TestContext } from 'node:test';
import type { EndpointSlice } from '../../src/endpoint-slice.ts';
import { EndpointSliceIndex } from '../../src/index/endpoint-slice-index.ts';
import { PodIndex } from '../../src/index/pod-index.ts';
import { createMetrics } from '../../src/metrics.ts';
import type { Pod } from '../../src/pod.ts';
import { EndpointMirror } from '../../src/sinks/endpoint-mirror/mirror.ts';
import { MirrorTruth } from '../../src/sinks/endpoint-mirror/truth.ts';
import { accessOf } from '../../src/sinks/postgres/access.ts';
import { Database } from '../../src/sinks/postgres/database.ts';
import { Lease } from '../../src/sinks/postgres/lease.ts';
import { migrate } from '../../src/sinks/postgres/migrate.ts';
import { Writer } from '../../src/sinks/postgres/writer.ts';
import { HistoryTarget } from '../../src/sinks/snapshot/history-target.ts';
import { plug } from '../../src/sinks/snapshot/snapshot.ts';
import { makePod } from '../index/make-pod.ts';
import { hastyClock } from '../support/hasty-clock.ts';
import { tableRows } from '../support/mirror-stage.ts';
import { atEveryStep, STEP_FAULTS, StepProxy } from '../support/postgres-steps.ts';
import type { StepFault } from '../support/postgres-steps.ts';
import { RecordedIndex } from '../support/recorded-index.ts';
import { startPostgres } from '../support/real-postgres.ts';
import type { RealPostgres } from '../support/real-postgres.ts';
import { keepRunning } from '../support/running-writer.ts';
import { keptLog } from '../support/reflector-harness.ts';
import { until } from '../support/until.ts';

// "Dies in a transaction, before the commit is acknowledged" and "half-open connection" of faults.md, at every message of the protocol.

let postgres: RealPostgres;
before(async () => {
  postgres = await startPostgres();
});
after(async () => await postgres?.down());

interface Written {
  /** Changes the truth; `undo` takes a part of it back, which must not come back by a transaction that was thought lost. */
  readonly change: (round: number) => void;
  readonly undo: (round: number) => void;
  /** Takes back what a round has changed, before the next one. */
  readonly clear?: (round: number) => void;
  readonly table: () => Promise<readonly string[]>;
  readonly expected: () => readonly string[];
  /** Milliseconds for which something has waited to be written. */
  readonly lagMs: () => number;
}

async function survives(
  t: TestContext,
  proxy: StepProxy,
  faults: readonly StepFault[],
  { change, undo, clear, table, expected, lagMs }: Written,
): Promise<void> {
  const settled = async (): Promise<void> => {
    let wrong: readonly string[] = [];
    const isEqual = async (): Promise<boolean> => {
      if (lagMs() !== 0) return false;
      const [found, right] = [new Set(await table()), new Set(expected())];
      wrong = [...found.symmetricDifference(right)].toSorted();
      return lagMs() === 0 && wrong.length === 0;
    };
    await until('the table equals the truth', isEqual, { everyMs: 5, timeoutMs: 60_000 }).catch((error: unknown) => {
      throw new Error(`rows that are missing or too many: ${wrong.slice(0, 20).join(', ')}`, { cause: error });
    });
  };
  let rounds = 0;
  const steps: Record<string, number> = {};
  for (const fault of faults) {
    for (const from of fault === 'late' ? (['client'] as const) : (['client', 'server'] as const)) {
      const first = rounds;
      steps[`${fault} ${from}`] = await atEveryStep({
        proxy,
        fault,
        from,
        clear: () => clear?.(rounds),
        change: () => change(++rounds),
        afterwards: () => undo(rounds),
        settled,
      });
      assert.ok(rounds - first > 10, `${fault} ${from}: ${rounds - first} rounds`);
    }
  }
  t.diagnostic(JSON.stringify(steps));
}

describe('a snapshot', () => {
  /** `count` pods change in each round. From 1,000 on they go by COPY. */
  async function snapshot(t: TestContext, count: number, faults: readonly StepFault[] = STEP_FAULTS): Promise<void> {
    const proxy = await StepProxy.to(postgres.port);
    t.after(async () => await proxy.close());
    const schema = postgres.schema();
    const index = new PodIndex();
    let version = 100;
    const pod = (uid: string): Pod =>
      makePod({ uid, name: uid, podIps: [], resourceVersion: String(++version), labels: { version: String(version) } });
    const list = index.slice().beginReplace();
    for (let i = 0; i < count; i++) list.add(pod(`pod-${i}`));
    list.commit(String(version));
    const metrics = createMetrics();
    let readLag = (): number => Infinity;
    const plugged = plug({
      settings: {
        ...postgres.settings({ PGPORT: String(proxy.port), PODWHOIS_SCHEMA: schema, CLUSTER_NAME: 'c' }),
        snapshot: true,
        snapshotFlushInterval: 100,
        snapshotHistoryRetention: 0,
        readyMaxStaleness: 60_000,
        serveMaxStaleness: 60_000,
        resyncInterval: 600_000,
      },
      index,
      recorder: new RecordedIndex().recorder,
      view: { clusterCidrs: [] },
      source: { synced: true, ageMs: () => 0, prove: async () => await Promise.resolve() },
      clock: hastyClock(t),
      log: keptLog().log,
      metrics: {
        ...metrics,
        publish(name, family, samples) {
          if (name === 'snapshot_lag_seconds') readLag = () => [...samples()][0]?.[1] ?? Infinity;
          metrics.publish(name, family, samples);
        },
      },
    });
    t.after(async () => await plugged.close());
    const setAside = (ip: string): void =>
      index.slice().setAside({ key: 'x', namespace: undefined, name: undefined, ips: [ip], reason: 'made up' });
    await survives(t, proxy, faults, {
      change(round) {
        const slice = index.slice();
        setAside(`10.0.${round >> 8}.${round & 255}`);
        for (let i = 0; i < count; i++) if (index.byUid(`pod-${i}`)) slice.upsert(pod(`pod-${i}`));
        slice.upsert(pod(`new-${round}`));
        slice.remove(pod(`new-${round - 1}`));
      },
      undo(round) {
        index.slice().remove(pod(`new-${round}`));
        setAside('10.1.0.0');
      },
      table: async () =>
        (
          await postgres
            .query<{ line: string }>(
              `SELECT uid || ' ' || (labels->>'version') AS line FROM ${schema}.pods WHERE cluster = 'c'
               UNION ALL SELECT host(unnest(unreadable_ips)) FROM ${schema}.unanswered WHERE cluster = 'c'`,
            )
            .catch(() => [])
        )
          .map(({ line }) => line)
          .toSorted(),
      expected: () =>
        [
          ...Array.from(index.walk(), ({ uid, resourceVersion }) => `${uid} ${resourceVersion}`),
          ...index.unreadableIps(),
        ].toSorted(),
      lagMs: () => readLag(),
    });
  }

  test('of few pods equals the cluster, whatever message of its flush is the last one', async (t) =>
    await snapshot(t, 5));

  test('of many pods, by COPY, too', async (t) => await snapshot(t, 1_200, ['cut', 'black-hole']));
});

describe('the mirror', () => {
  test('equals the cluster, whatever message of its flush is the last one', async (t) => {
    const proxy = await StepProxy.to(postgres.port);
    t.after(async () => await proxy.close());
    const schema = postgres.schema();
    await postgres.query(`CREATE SCHEMA ${schema}`);
    const index = new EndpointSliceIndex();
    let version = 100;
    const slice = (service: string, names: readonly string[]): EndpointSlice => ({
      uid: `uid-${service}`,
      namespace: 'shop',
      name: service,
      resourceVersion: String(++version),
      labels: {},
      service,
      pods: names.map((name) => ({
        uid: `uid-${name}`,
        name,
        ip: `10.1.${version >> 8}.${version & 255}`,
        ready: true,
      })),
      skipped: 0,
    });
    const services = ['web', 'api', 'db'];
    const list = index.slice().beginReplace();
    for (const service of services) list.add(slice(service, ['a', 'b']));
    list.commit(String(version));
    const { log } = keptLog();
    const access = accessOf(postgres.settings({ PGPORT: String(proxy.port) }));
    const database = new Database({ access, poolSize: 2, log });
    const table = { schema, name: 'server', text: `${schema}.server` };
    const mirror = new EndpointMirror({
      database,
      truth: new MirrorTruth({
        index,
        scope: { selector: undefined, namespaces: [], includeNotReady: false },
        isFresh: () => true,
      }),
      clock: hastyClock(t),
      log,
      holder: 'one',
      cluster: 'dev',
      table,
      enriched: false,
      part: '',
      schema: `${schema}_own`,
      requeueAfterMs: 3_600_000,
    });
    keepRunning(t, mirror, database);
    await survives(t, proxy, STEP_FAULTS, {
      change(round) {
        for (const service of services) index.slice().upsert(slice(service, ['a', `${service}-${round}`]));
        index.slice().upsert(slice(`new-${round}`, ['a']));
        index.slice().remove(slice(`new-${round - 1}`, []));
      },
      undo: (round) => index.slice().remove(slice(`new-${round}`, [])),
      table: async () => await tableRows(postgres, table.text).catch(() => []),
      expected: () =>
        Array.from(index.services())
          .flatMap(({ namespace, name }) =>
            index
              .of({ namespace, name })
              .flatMap(({ pods }) => pods.map((pod) => `dev ${namespace}/${name} ${pod.name} ${pod.uid} ${pod.ip} t`)),
          )
          .toSorted(),
      lagMs: () => mirror.state.lagMs,
    });
  });
});

describe('the history', () => {
  const FEW = 3;
  /**
   * `count` pods come in each round and a few go, and one that has come is labelled anew. Others go between the rounds: of each the flush reads
   * a row, and that is a step.
   */
  async function history(t: TestContext, count: number, faults: readonly StepFault[] = STEP_FAULTS): Promise<void> {
    const proxy = await StepProxy.to(postgres.port);
    t.after(async () => await proxy.close());
    const schema = postgres.schema();
    const { log } = keptLog();
    // Memory reaches back a few rounds, and what is written stays watched all the same.
    const world = new RecordedIndex({ retentionMs: 60 });
    const slice = world.index.slice();
    let version = 100;
    /** What happened: each pod as it was from a version until a version. */
    const lines: { uid: string; since: number; until: number | undefined }[] = [];
    const open = new Map<string, { until: number | undefined }>();
    const note = (uid: string, isThere: boolean): void => {
      const last = open.get(uid);
      if (last) last.until = version;
      open.delete(uid);
      if (!isThere) return;
      const line = { uid, since: version, until: undefined };
      lines.push(line);
      open.set(uid, line);
    };
    const pod = (uid: string): Pod => {
      const resourceVersion = String(++version);
      // `pod-ROUND-NUMBER`: the next round's has the same address.
      const number = Number(uid.split('-')[2] ?? 0);
      const podIps = [`10.0.${number >> 8}.${number & 255}`];
      return makePod({ uid, name: uid, podIps, resourceVersion, labels: { version: resourceVersion } });
    };
    const put = (uid: string): void => {
      slice.upsert(pod(uid));
      note(uid, true);
    };
    const remove = (uid: string): void => {
      if (!world.index.byUid(uid)) return;
      slice.remove(pod(uid));
      note(uid, false);
    };
    world.list([], String(version));
    const database = new Database({
      access: accessOf(postgres.settings({ PGPORT: String(proxy.port) })),
      poolSize: 2,
      log,
    });
    const writer = new Writer({
      database,
      lease: new Lease({ schema, cluster: 'c', sink: 'history', holder: 'one' }),
      prepare: async () => void (await migrate(database, schema)),
      target: new HistoryTarget({
        schema,
        cluster: 'c',
        recorded: world.recorder,
        source: { synced: true },
        retentionMs: 2_592_000_000,
      }),
      clock: hastyClock(t),
      log,
      flushMs: 100,
    });
    keepRunning(t, writer, database);
    const pass = (work: () => void): void => {
      world.pass(10);
      work();
      world.recorder.look();
    };
    const textsSince = (first: number): string[] =>
      lines
        .filter(({ until: end = Infinity }) => end >= first)
        .map(({ uid, since, until: end }) => `${uid} ${since} ${end ?? ''} ${end === undefined}`);
    const rowsSince = async (first: number): Promise<string[]> =>
      (
        await postgres
          .query<{ line: string }>(
            `SELECT uid || ' ' || since_version || ' ' || coalesce(until_version::text, '') || ' ' || (valid_until = 'infinity') AS line
             FROM ${schema}.ip_history WHERE cluster = 'c' AND coalesce(until_version, 'infinity') >= $1`,
            [first],
          )
          .catch(() => [])
      ).map(({ line }) => line);
    /** Of the round before the last one: all of it is compared again and again, and everything once. */
    let [first, next] = [0, 0];
    await survives(t, proxy, faults, {
      change: (round) =>
        pass(() => {
          [first, next] = [next, version];
          for (let i = 0; i < count; i++) {
            put(`pod-${round}-${i}`);
            remove(`pod-${round - 1}-${i}`);
          }
          remove(`new-${round - 1}`);
          put(`new-${round}`);
          world.recorder.look();
          world.pass(1);
          put(`new-${round}`);
        }),
      undo: (round) => pass(() => remove(`new-${round}`)),
      clear: (round) =>
        pass(() => {
          for (let i = FEW; i < count; i++) remove(`pod-${round}-${i}`);
        }),
      table: async () => await rowsSince(first),
      expected: () => textsSince(first),
      lagMs: () => writer.lagMs(),
    });
    assert.deepEqual((await rowsSince(0)).toSorted(), textsSince(0).toSorted());
    const watched = `SELECT since_version::text AS since FROM ${schema}.ip_history_watched`;
    assert.deepEqual(await postgres.query(watched), [{ since: '100' }], 'one time without a hole');
  }

  test('of few pods has every hold once, whatever message of its flush is the last one', async (t) =>
    await history(t, FEW, ['cut', 'late', 'black-hole']));

  test('of many pods, by COPY, too', async (t) => await history(t, 1_000, ['cut']));
});
