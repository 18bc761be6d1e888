import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { merge } from '../../../src/index/history/merge.ts';
import { atOnce } from '../../../src/index/history/steps.ts';
import type { Piece } from '../../../src/index/history/piece.ts';
import type { Pod } from '../../../src/pod.ts';
import { groupKey } from '../../../src/sinks/postgres/mirrored-table.ts';
import { HistoryTarget } from '../../../src/sinks/snapshot/history-target.ts';
import type { Recorded } from '../../../src/sinks/snapshot/history-target.ts';
import { makePod } from '../../index/make-pod.ts';
import { startPostgres } from '../../support/real-postgres.ts';
import type { RealPostgres } from '../../support/real-postgres.ts';
import { RecordedIndex } from '../../support/recorded-index.ts';
import { historyOf, Scribe, startPlace } from '../../support/scribe.ts';
import type { Place } from '../../support/scribe.ts';

const X = '10.0.0.1';

let postgres: RealPostgres;
let place: Place;
before(async () => {
  postgres = await startPostgres();
  place = await startPlace(postgres);
});
after(async () => {
  await place.database.close();
  await postgres.down();
});

const rows = async (cluster: string): Promise<readonly string[]> => await historyOf(postgres, place.schema, cluster);

const relabelled = (version: number): Pod =>
  makePod({ uid: 'a', name: 'a', podIps: [X], resourceVersion: String(version), labels: { at: String(version) } });

/** A pod is labelled anew with every version. */
function relabel(world: RecordedIndex, from: number, until: number): void {
  for (let version = from; version < until; version++) {
    world.pass(10);
    world.index.slice().upsert(relabelled(version));
    world.recorder.look();
  }
}

function began(pods: readonly Pod[] = [], version = '10'): RecordedIndex {
  const world = new RecordedIndex();
  const list = world.index.slice().beginReplace();
  for (const pod of pods) list.add(pod);
  list.commit(version);
  world.recorder.look();
  return world;
}

test('of a pod that is labelled anew without end a flush reads and merges what is new, however much there is', async () => {
  const world = began();
  relabel(world, 1_000, 4_000);
  const scribe = new Scribe(place, world.recorder, 'endless');
  await scribe.compare();
  assert.equal(await scribe.flush(), 3_000);
  assert.ok(scribe.work.most <= 250, `${scribe.work.most} rows in one statement`);
  for (let version = 4_000; version < 4_050; version += 5) {
    relabel(world, version, version + 5);
    // The one that goes on, and five new ones.
    assert.equal(await scribe.flush(), 6);
    const { heard, read } = scribe.work;
    assert.ok(heard < 10 && read < 10, `${heard} pieces heard, ${read} rows read`);
  }
  const all = await rows('endless');
  assert.equal(all.length, 3_050);
  // When it was in doubt it knows nothing of what is there.
  await postgres.query(`DELETE FROM ${place.schema}.ip_history WHERE cluster = 'endless' AND since_version < 2000`);
  await scribe.compare();
  assert.equal(await scribe.flush(), 1_000);
  assert.deepEqual(await rows('endless'), all);
});

test('what only the new writer has heard is written, also when its first flush fails', async () => {
  const [first, second] = [began(), began()];
  for (const world of [first, second]) relabel(world, 1_000, 1_020);
  relabel(second, 1_020, 1_030);
  // The first one was cut off meanwhile, and lists again.
  first.pass(100);
  first.age = 200_000;
  first.recorder.look();
  const list = first.index.slice().beginReplace();
  list.add(relabelled(1_029));
  list.commit('1029');
  first.age = 0;
  for (const world of [first, second]) relabel(world, 1_030, 1_060);
  const [one, other] = [
    new Scribe(place, first.recorder, 'handed on'),
    new Scribe(place, second.recorder, 'handed on'),
  ];
  await one.compare();
  assert.equal(await one.flush(), 51);
  await other.compare();
  await other.flush('rolled back');
  await other.flush();
  assert.equal((await rows('handed on')).length, 60);
});

test('where the hold turns out to have begun at another time all of its rows say so', async () => {
  const world = began();
  relabel(world, 1_000, 1_050);
  const scribe = new Scribe(place, world.recorder, 'another time');
  await scribe.compare();
  await scribe.flush();
  await postgres.query(
    `UPDATE ${place.schema}.ip_history SET held_from = held_from + interval '1 ms' WHERE cluster = 'another time'`,
  );
  relabel(world, 1_050, 1_051);
  assert.equal(await scribe.flush(), 51);
});

test('pieces are made in steps, in which thousands of them are not looked at', () => {
  const world = began();
  relabel(world, 1_000, 6_000);
  assert.ok([...world.recorder.pieces(X, 'a')].length > 4 * (5_000 / 500));
  assert.equal(atOnce(world.recorder.pieces(X, 'a')).length, 5_000);
  assert.equal(atOnce(world.recorder.pieces(X, 'a', '5990')).length, 10);
});

test('rows of a pod that has thousands are made in turns, so that no lookup waits for all of them', async () => {
  const count = 10_000;
  let [madeNow, most] = [0, 0];
  /** Of each row its namespace is read once. */
  const holder = (label: number): Piece['holder'] => ({
    ...WHO,
    get namespace() {
      most = Math.max(most, ++madeNow);
      return 'default';
    },
    labels: { label: String(label) },
  });
  const pieces = Array.from({ length: count }, (_, i) => pieceOf(X, holder(i), i, i === count - 1));
  const asked: Asked = {
    *pieces() {
      yield;
      return pieces;
    },
    stretches: () => [{ from: 0, until: count, sinceVersion: '999999', untilVersion: '2000000' }],
  };
  let turn: NodeJS.Immediate = setImmediate(function again() {
    madeNow = 0;
    turn = setImmediate(again);
  });
  const made = await rowsWrittenOf(asked, [groupKey([X, 'a'])]);
  clearImmediate(turn);
  assert.equal(made, count);
  assert.ok(most <= 1_000, `${most} rows in one turn`);
});

test('how far memory has watched is asked for many pods at once, for to take that over is work', async () => {
  let asked = 0;
  const groups = Array.from({ length: 100 }, (_, i) => groupKey([X, `pod-${i}`]));
  const made = await rowsWrittenOf(
    {
      pieces: (ip, uid) =>
        merge({ pieces: [pieceOf(ip, { ...WHO, uid, name: uid }, 0, true)], watched: [] }, { pieces: [], watched: [] }),
      stretches() {
        asked++;
        return [{ from: 0, until: 1, sinceVersion: '999999', untilVersion: '2000000' }];
      },
    },
    groups,
  );
  assert.equal(made, 100);
  assert.ok(asked <= 10, `${asked} times`);
});

const WHO = {
  uid: 'a',
  namespace: 'default',
  name: 'a',
  labels: {},
  serviceAccount: '',
  nodeName: '',
  workload: undefined,
  hostNetwork: false,
};

function pieceOf(ip: string, holder: Piece['holder'], i: number, isLast: boolean): Piece {
  return {
    ip,
    holder,
    heldFrom: 0,
    from: i,
    until: isLast ? undefined : i + 1,
    goesOn: !isLast,
    terminatingFrom: undefined,
    finishedFrom: undefined,
    sinceVersion: String(1_000_000 + i),
    terminatingVersion: undefined,
    finishedVersion: undefined,
    untilVersion: isLast ? undefined : String(1_000_001 + i),
  };
}

type Asked = Pick<Recorded, 'pieces' | 'stretches'>;

/** By one flush of what memory says of groups, none of it plain, into a database that takes all. */
async function rowsWrittenOf(asked: Asked, groups: readonly string[]): Promise<number> {
  const target = new HistoryTarget({
    schema: 's',
    cluster: 'c',
    source: { synced: true },
    retentionMs: 3_600_000,
    recorded: {
      isReady: true,
      intervals: groups.length,
      now: () => 0,
      keys: () => [],
      whole: () => undefined,
      isHeld: () => true,
      onChange: () => () => {},
      ...asked,
    },
  });
  let made = 0;
  const nextTurn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
  const session = {
    query: async () => [],
    write: async (_sql: string, values: readonly unknown[] = []) => {
      made += Array.isArray(values[1]) ? values[1].length : 0;
      return 0;
    },
    copyIn: async () => {},
  };
  const manner = { batch: 10_000, copy: true, careful: false, enter: nextTurn, leave: nextTurn };
  await target.flush(session, groups, manner);
  return made;
}
