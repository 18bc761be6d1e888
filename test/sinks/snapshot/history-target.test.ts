import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { TestContext } from 'node:test';
import { SystemClock } from '../../../src/kubernetes/clock.ts';
import { accessOf } from '../../../src/sinks/postgres/access.ts';
import { Database } from '../../../src/sinks/postgres/database.ts';
import { Lease } from '../../../src/sinks/postgres/lease.ts';
import { migrate } from '../../../src/sinks/postgres/migrate.ts';
import { groupKey } from '../../../src/sinks/postgres/mirrored-table.ts';
import { Writer } from '../../../src/sinks/postgres/writer.ts';
import { HistoryTarget } from '../../../src/sinks/snapshot/history-target.ts';
import { inEra } from '../../../src/resource-version.ts';
import type { Pod } from '../../../src/pod.ts';
import { makePod } from '../../index/make-pod.ts';
import { RecordedIndex } from '../../support/recorded-index.ts';
import { startPostgres } from '../../support/real-postgres.ts';
import type { RealPostgres } from '../../support/real-postgres.ts';
import { keepRunning } from '../../support/running-writer.ts';
import { until } from '../../support/until.ts';

let postgres: RealPostgres;
before(async () => void (postgres = await startPostgres()));
after(async () => await postgres.down());

const X = '10.0.0.1';
const HOUR = 3_600_000;
const MINUTE = 60_000;

const silent = { info: () => {}, warn: () => {}, error: () => {} };

interface Stage {
  readonly world: RecordedIndex;
  readonly writer: Writer;
  readonly stop: () => Promise<void>;
}

/** A process that watches an index in a time that the test moves, and writes its history. */
async function start(t: TestContext, schema: string, pods: readonly Pod[], version: string): Promise<Stage> {
  const world = new RecordedIndex();
  world.list(pods, version);
  const database = new Database({ access: accessOf(postgres.settings()), poolSize: 2, log: silent });
  const clock = new SystemClock();
  const writer = new Writer({
    database,
    lease: new Lease({ schema, cluster: 'c', sink: 'history', holder: `${version} ${Math.random()}` }),
    prepare: async () => void (await migrate(database, schema)),
    target: new HistoryTarget({
      schema,
      cluster: 'c',
      recorded: world.recorder,
      source: { synced: true },
      retentionMs: HOUR,
    }),
    clock: { now: () => clock.now(), random: Math.random, sleep: async (ms, signal) => await clock.sleep(ms, signal) },
    log: silent,
    flushMs: 20,
  });
  return { world, writer, stop: keepRunning(t, writer, database, clock) };
}

/** `uid since..until`, in the order of versions. */
async function rows(schema: string): Promise<string> {
  const found = await postgres
    .query<{ row: string }>(
      `SELECT uid || ' ' || since_version || '..' || coalesce(until_version::text, '') AS row FROM ${schema}.ip_history
       ORDER BY since_version, uid`,
    )
    .catch(() => []);
  return found.map(({ row }) => row).join(', ');
}

const become = async (schema: string, expected: string): Promise<unknown> =>
  await until(`the rows are ${expected}`, async () => (await rows(schema)) === expected).catch(async () => {
    assert.equal(await rows(schema), expected);
  });

const on = (uid: string, resourceVersion: string, more: Partial<Pod> = {}): Pod =>
  makePod({ uid, name: uid, podIps: [X], resourceVersion, ...more });

/** A target and how it is told to write, without a writer around it. */
function writing(t: TestContext, schema: string, { recorder: recorded }: RecordedIndex, { careful = false } = {}) {
  const database = new Database({ access: accessOf(postgres.settings()), poolSize: 1, log: silent });
  t.after(async () => await database.close());
  const target = new HistoryTarget({ schema, cluster: 'c', recorded, source: { synced: true }, retentionMs: HOUR });
  const nothing = async (): Promise<void> => await Promise.resolve();
  return { database, target, manner: { batch: 100, copy: false, careful, enter: nothing, leave: nothing } };
}

test('B8 etcd was restored while nobody wrote: what is gone ends, and what is there counts in a new era', async (t) => {
  const schema = postgres.schema();
  const first = await start(t, schema, [on('a', '50'), on('b', '900')], '1000');
  await become(schema, 'a 50.., b 900..');
  await first.stop();
  // Versions went back to 500: b had not been made yet.
  const second = await start(t, schema, [on('a', '50')], '500');
  await until('it waits for proof', () => second.writer.leading && second.writer.asked);
  assert.equal(await rows(schema), 'a 50.., b 900..', 'it might as well be behind');
  second.world.pass(60_000);
  second.world.recorder.look();
  const later = (version: string): string => inEra(version, 1);
  await become(schema, `a 50.., b 900..${later('500')}`);
  second.world.pass(10);
  second.world.index.slice().remove(on('a', '510'));
  second.world.recorder.look();
  await become(schema, `a 50..${later('510')}, b 900..${later('500')}`);
  await second.stop();
  const third = await start(t, schema, [on('c', '520')], '600');
  await until('it has compared', () => third.writer.counts.flushes > 0);
  await become(schema, `a 50..${later('510')}, b 900..${later('500')}, c ${later('520')}..`);
});

test('whoever is behind what another one wrote takes nothing back, and goes on when it has heard of it', async (t) => {
  const schema = postgres.schema();
  const ahead = await start(t, schema, [on('a', '50')], '100');
  ahead.world.pass(10);
  ahead.world.index.slice().upsert(on('b', '200'));
  ahead.world.recorder.look();
  await become(schema, 'a 50.., b 200..');
  await ahead.stop();
  const behind = await start(t, schema, [on('a', '50')], '100');
  await until('it has the lease', () => behind.writer.leading);
  behind.world.index.slice().upsert(on('b', '200'));
  behind.world.pass(10);
  behind.world.recorder.look();
  await until('it has written', () => behind.writer.counts.flushes > 0);
  assert.equal(await rows(schema), 'a 50.., b 200..');
});

test('B8 whoever listed earlier than another one, while no pod changes, is not taken for one after a restore', async (t) => {
  const schema = postgres.schema();
  const listedLater = await start(t, schema, [on('a', '50')], '1000');
  await become(schema, 'a 50..');
  await listedLater.stop();
  const earlier = await start(t, schema, [on('a', '50')], '900');
  await until('it has the lease', () => earlier.writer.leading);
  // A consistent read of 1005, which a bookmark has reached.
  earlier.world.reachedVersion = '1005';
  earlier.world.pass(10);
  earlier.world.recorder.look();
  await until('it has written', () => earlier.writer.counts.flushes > 0);
  assert.equal(await rows(schema), 'a 50..');
  assert.deepEqual(await postgres.query(`SELECT until_version::text FROM ${schema}.ip_history_watched`), [
    { until_version: '1005' },
  ]);
});

test('pruned is what ended a minute before the retention, in batches, and the time before it is not called watched', async (t) => {
  const schema = postgres.schema();
  const { world, writer, stop } = await start(t, schema, [on('a', '50')], '100');
  await become(schema, 'a 50..');
  await stop();
  assert.equal(
    writer.counts.flushes,
    2,
    'one with the row, and the last one, which claims what was watched up to the end',
  );
  const wall = world.wall;
  await postgres.query(
    `INSERT INTO ${schema}.ip_history
     SELECT 'c', '10.0.0.2', 'old-' || i, 'n', 'old', '{}', NULL, NULL, NULL, NULL, NULL, false, t, t, t, false, NULL, NULL, i, NULL, NULL, i + 1
     FROM generate_series(1, 12000) AS i, to_timestamp($1 / 1000.0) AS t`,
    [wall - HOUR - MINUTE - 1],
  );
  // A question that began within the retention may still be reading.
  await postgres.query(
    `INSERT INTO ${schema}.ip_history
     SELECT 'c', '10.0.0.2', 'just', 'n', 'just', '{}', NULL, NULL, NULL, NULL, NULL, false, t, t, t, false, NULL, NULL, 20000, NULL, NULL, 20001
     FROM to_timestamp($1 / 1000.0) AS t`,
    [wall - HOUR - MINUTE],
  );
  await postgres.query(
    `INSERT INTO ${schema}.ip_history SELECT 'other', ip, uid, namespace, name, labels, service_account, node_name, workload_kind, workload_name, workload_source,
       host_network, held_from, valid_from, valid_until, goes_on, terminating_from, finished_from, since_version, terminating_version, finished_version, until_version
     FROM ${schema}.ip_history WHERE uid = 'old-1'`,
  );
  await postgres.query(
    `INSERT INTO ${schema}.ip_history_watched VALUES ('c', 1, 5, to_timestamp($1 / 1000.0), to_timestamp($2 / 1000.0)),
       ('c', 6, 40, to_timestamp($1 / 1000.0), to_timestamp($3 / 1000.0))`,
    [wall - 3 * HOUR, wall - 2 * HOUR, wall - HOUR / 2],
  );
  const second = await start(t, schema, [on('a', '50')], '200');
  await until('all are gone', () => second.writer.counts.pruned === 12_000);
  assert.equal(
    (await postgres.query(`SELECT FROM ${schema}.ip_history WHERE cluster = 'other'`)).length,
    1,
    'another cluster’s are not touched',
  );
  const watched = await postgres.query<{ since: string; age: number }>(
    `SELECT since_version::text AS since, ($1 - extract(epoch FROM watched_from) * 1000)::float8 AS age
     FROM ${schema}.ip_history_watched WHERE cluster = 'c' ORDER BY since_version`,
    [second.world.wall],
  );
  assert.deepEqual(
    watched.map(({ since }) => since),
    ['6', '100', '200'],
  );
  assert.equal(watched[0]?.age, HOUR + MINUTE);
  assert.equal((await postgres.query(`SELECT FROM ${schema}.ip_history WHERE uid = 'just'`)).length, 1);
});

test('one poisonous row is left out with its reason, and the others are written', async (t) => {
  const schema = postgres.schema();
  const { world, writer } = await start(t, schema, [on('a', '50')], '100');
  await become(schema, 'a 50..');
  world.pass(10);
  world.index.slice().upsert(on('b', '110', { namespace: 'n\u0000' }));
  world.index.slice().upsert(on('c', '111'));
  world.recorder.look();
  await become(schema, 'a 50.., c 111..');
  await until('it is told', () => writer.quarantined.size === 1);
  assert.match([...writer.quarantined.values()].join(), /0x00/);
  world.pass(10);
  world.index.slice().remove(on('b', '112', { namespace: 'n\u0000' }));
  world.recorder.look();
  await until('it is tried again', () => writer.dirty === 0);
});

test('what is refused does not take with it what it would have replaced', async (t) => {
  const schema = postgres.schema();
  const first = await start(t, schema, [on('a', '50')], '100');
  await become(schema, 'a 50..');
  await first.stop();
  // Who has heard of it earlier writes another row, in the place of that one.
  const world = new RecordedIndex();
  world.wall -= MINUTE;
  world.list([on('a', '50', { namespace: 'n\u0000' })], '100');
  const { database, target, manner } = writing(t, schema, world, { careful: true });
  const group = groupKey([X, 'a']);
  const done = await database.transaction(async (session) => await target.flush(session, [group], manner));
  assert.deepEqual([...done.poison.keys()], [group]);
  assert.equal(await rows(schema), 'a 50..');
});

test('a mass delete by mistake: more than half of what is open is looked at twice before it ends', async (t) => {
  const schema = postgres.schema();
  const pods = Array.from({ length: 10 }, (_, i) => on(`p${i}`, `${50 + i}`));
  const first = await start(t, schema, pods, '100');
  await until('all are there', async () => (await rows(schema)).split(', ').length === 10);
  await first.stop();
  const begun = performance.now();
  const second = await start(t, schema, pods.slice(0, 2), '200');
  await until('eight have ended', async () => (await rows(schema)).split('..200').length === 9);
  assert.ok(performance.now() - begun >= 1_000, 'not at once');
  assert.ok(second.writer.counts.comparisons >= 2);
});

test('what memory drops between the question and the writing is not claimed: it may not have been written', async (t) => {
  const schema = postgres.schema();
  const world = new RecordedIndex({ maxEnded: 2 });
  world.list([], '100');
  const database = new Database({ access: accessOf(postgres.settings()), poolSize: 1, log: silent });
  t.after(async () => await database.close());
  await migrate(database, schema);
  const recorded = world.recorder;
  const target = new HistoryTarget({ schema, cluster: 'c', recorded, source: { synced: true }, retentionMs: HOUR });
  const comeAndGo = (uid: string, version: number): void => {
    world.pass(10);
    world.index.slice().upsert(on(uid, String(version)));
    world.recorder.look();
    world.index.slice().remove(on(uid, String(version + 1)));
    world.recorder.look();
  };
  for (const [uid, version] of [
    ['a', 110],
    ['b', 120],
  ] as const)
    comeAndGo(uid, version);
  const claim = target.claim();
  comeAndGo('c', 130);
  await database.transaction(async (session) => await claim(session));
  const claimed = async (): Promise<unknown> =>
    await postgres.query(
      `SELECT since_version::text AS since, until_version::text AS until,
         (extract(epoch FROM watched_from) * 1000)::float8 - 1000000 AS from FROM ${schema}.ip_history_watched`,
    );
  assert.deepEqual(await claimed(), [{ since: '111', until: '121', from: 10 }], 'a has been dropped');
  const late = target.claim();
  for (const version of [140, 150, 160]) comeAndGo(`at ${version}`, version);
  await postgres.query(`DELETE FROM ${schema}.ip_history_watched`);
  await database.transaction(async (session) => await late(session));
  assert.deepEqual(await claimed(), [], 'all of it has been');
});

test('the writing is not taken over for what is soon pruned', async (t) => {
  const schema = postgres.schema();
  const world = new RecordedIndex();
  world.list([], '100');
  const passes = (minutes: number, ageing: boolean): void => {
    for (let second = 0; second < 60 * minutes; second++) {
      world.pass(1_000);
      if (ageing) world.age += 1_000;
      world.recorder.look();
    }
  };
  passes(1, false);
  // Nobody is watching for ten minutes.
  passes(10, true);
  world.age = 0;
  world.list([], '200');
  const database = new Database({ access: accessOf(postgres.settings()), poolSize: 1, log: silent });
  t.after(async () => await database.close());
  await migrate(database, schema);
  const misses = async (minutes: number): Promise<boolean> => {
    const retentionMs = minutes * MINUTE;
    const recorded = world.recorder;
    const target = new HistoryTarget({ schema, cluster: 'c', recorded, source: { synced: true }, retentionMs });
    return await database.transaction(async (session) => await target.misses(session));
  };
  assert.equal(await misses(11), false, 'nobody has written anything');
  await postgres.query(
    `INSERT INTO ${schema}.ip_history_watched VALUES ('c', 200, 200, to_timestamp($1 / 1000.0), to_timestamp($1 / 1000.0))`,
    [world.wall],
  );
  assert.deepEqual([await misses(11), await misses(9)], [true, false]);
});

test('clock jump: whoever has a clock that is a year ahead prunes nothing that is not old by the database’s', async (t) => {
  const schema = postgres.schema();
  const first = await start(t, schema, [on('a', '50')], '100');
  await become(schema, 'a 50..');
  await first.stop();
  const ago = (ms: number): number => Date.now() - ms;
  await postgres.query(
    `UPDATE ${schema}.ip_history SET held_from = t, valid_from = t, valid_until = t, until_version = 90 FROM to_timestamp($1 / 1000.0) AS t`,
    [ago(HOUR / 2)],
  );
  await postgres.query(`DELETE FROM ${schema}.ip_history_watched`);
  const world = new RecordedIndex();
  world.wall = Date.now() + 365 * 24 * HOUR;
  world.list([on('a', '60')], '100');
  const { database, target, manner } = writing(t, schema, world);
  await database.transaction(async (session) => await target.flush(session, [groupKey([X, 'a'])], manner));
  const prune = async () => await database.transaction(async (session) => await target.prune(session));
  assert.deepEqual(await prune(), { deleted: 0, more: false });
  assert.equal(await rows(schema), 'a 50..90, a 100..');
  await postgres.query(
    `UPDATE ${schema}.ip_history SET valid_until = to_timestamp($1 / 1000.0) WHERE until_version = 90`,
    [ago(2 * HOUR)],
  );
  assert.deepEqual(await prune(), { deleted: 1, more: false });
});
