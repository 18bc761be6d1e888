import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { CLUSTER, realServer } from '../support/real-servers.ts';
import { until } from '../support/until.ts';
import { Churn } from './churn.ts';
import { Stage } from './stage.ts';
import type { Child } from '../support/child-process.ts';

const READY_MAX_STALENESS_MS = 15_000; // the least that does not flap on a quiet cluster (C3)
const SERVE_MAX_STALENESS_MS = 20_000;
/** faults.md: "fresh within 6 s of its return". */
const RETURN_MS = 6_000;
/** By so much a busy machine answers later. */
const SLOW_MS = 3_000;

describe('faults of a real control plane under load', { ...realServer(...CLUSTER), timeout: 300_000 }, () => {
  let stage: Stage;
  let churn: Churn;

  before(async () => {
    const settings = {
      READY_MAX_STALENESS: `${READY_MAX_STALENESS_MS}ms`,
      SERVE_MAX_STALENESS: `${SERVE_MAX_STALENESS_MS}ms`,
      RESYNC_INTERVAL: '10s', // so that lists, too, meet every fault
    };
    stage = await Stage.up({}, settings);
    churn = await Churn.start(stage.plane, stage.kubectl);
    await until('the load is there', () => stage.observer.timeline.addresses().length > 20);
  });
  after(async () => {
    await churn?.pause();
    await stage?.down();
  });

  /**
   * Returns when podwhois answers out of a read sent after `since`, as `performance.now()` tells; fails when that takes longer than
   * `withinMs` from now.
   */
  async function fresh({ since = performance.now(), withinMs = RETURN_MS } = {}): Promise<void> {
    const isFresh = async (): Promise<boolean> => {
      const askedAt = performance.now();
      const { status, age } = await stage.podwhois.whoHas('10.42.0.2');
      return status !== 503 && age * 1000 < askedAt - since;
    };
    await until('podwhois is fresh again', isFresh, { timeoutMs: withinMs, everyMs: 20 });
  }

  /** The server cannot be read from: the age must grow past both limits, in time, whatever still trickles in. */
  async function goesStale(): Promise<void> {
    const since = performance.now();
    const { podwhois } = stage;
    const least = async (): Promise<number> =>
      performance.now() - since - (await podwhois.whoHas('10.42.0.2')).age * 1000;
    await until('/ready says 503', async () => !(await podwhois.ready()), {
      timeoutMs: READY_MAX_STALENESS_MS + SLOW_MS,
    });
    assert.notEqual((await podwhois.whoHas('10.42.0.2')).status, 503, 'lookups are served up to the second limit');
    assert.ok((await least()) <= 0, 'the age counts from before the fault');
    const refused = async (): Promise<boolean> => (await podwhois.whoHas('10.42.0.2')).status === 503;
    const left = SERVE_MAX_STALENESS_MS + SLOW_MS - (performance.now() - since);
    await until('lookups say 503', refused, { timeoutMs: left });
    assert.equal((await podwhois.get('/health')).status, 200, 'alive all the time (C4)');
  }

  test('API server restarts: killed under load and brought back, again and again', async () => {
    for (let round = 0; round < 2; round++) {
      await stage.plane.apiServer.stop('SIGKILL');
      const since = performance.now(); // what is read from now on, the one reads that comes back
      await sleep(round * 2_000);
      await stage.plane.startApiServer();
      await fresh({ since });
    }
    const { judged, unavailable } = await stage.questioner.judge();
    assert.equal(unavailable, 0, 'the index serves while the API server is away');
    assert.ok((judged.get(200) ?? 0) > 100, `${judged.get(200)}`);
  });

  test('the API server is frozen and thawed', async () => {
    await whileFrozen(stage.plane.apiServer, goesStale);
    await fresh({ withinMs: RETURN_MS + 5_000 }); // a watch reconnect may stand in its longest back-off of 5 s (B5)
    await stage.questioner.judge();
  });

  test('API server cut off from etcd: bookmarks and cached lists go on, the age grows', async () => {
    await whileFrozen(stage.plane.etcd, goesStale);
    await stage.plane.apiServerReady();
    await fresh({ withinMs: RETURN_MS + 5_000 });
    await stage.questioner.judge();
  });

  test('frozen process, and 410 after a compaction: podwhois thaws to versions that are gone', async () => {
    const { plane, podwhois, observer, questioner } = stage;
    const thawed = Promise.withResolvers<void>();
    questioner.pauseWhile(thawed.promise);
    let since = 0;
    await whileFrozen(podwhois.child, async () => {
      since = performance.now();
      await plane.apiServer.stop('SIGKILL');
      await plane.startApiServer();
      await observer.catchUp();
      await sleep(2_000); // of churn
      await observer.catchUp();
      await plane.compact();
    });
    thawed.resolve();
    await fresh({ since, withinMs: RETURN_MS + 5_000 }); // it wakes among broken connections, as above
    await questioner.judge();
  });

  test('etcd restored, versions go back: detected, rebuilt, loud', async () => {
    const { plane, podwhois, observer, questioner } = stage;
    const snapshot = plane.snapshotEtcd();
    await sleep(3_000); // of churn: other pods on the same addresses
    await churn.pause();
    await plane.bumpVersions(1_000); // so that the restored etcd does not reach the old versions in this test
    await plane.stopCluster(); // nobody writes a pod any more, so what the observer has caught up with is the last there is
    await stage.assertAtRest();
    const from = (await podwhois.whoHas('10.42.0.2')).version;
    await questioner.judge();
    const timeline = await observer.suspend();
    const at = performance.now();
    await plane.apiServer.stop();
    timeline.reached(await plane.version(), at); // the API server goes on writing leases of its own
    await plane.restoreEtcd(snapshot);
    observer.resume();
    await fresh({ withinMs: RETURN_MS + 5_000 });
    const { version } = await podwhois.whoHas('10.42.0.2');
    assert.ok(version < timeline.known, `${version} is not of the restored etcd, ${timeline.known} was reached before`);
    await stage.assertAtRest();
    await plane.startCluster();
    churn.resume();
    await sleep(3_000);
    await questioner.judge({ timeline, from, at });
    assert.match((await podwhois.get('/metrics')).body['text'] as string, /^podwhois_backwards_total [1-9]/m);
    assert.ok(podwhois.logged().some((line) => /went back to an older state/.test(line)));
  });

  test('at rest every IP answers as the truth says', async () => {
    await churn.pause();
    await stage.assertAtRest(20_000);
    await stage.questioner.judge();
  });
});

async function whileFrozen(child: Child, act: () => Promise<void>): Promise<void> {
  child.signal('SIGSTOP');
  try {
    await act();
  } finally {
    child.signal('SIGCONT');
  }
}
