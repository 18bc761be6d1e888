import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { TestContext } from 'node:test';
import type { Piece } from '../../../src/index/history/piece.ts';
import type { Window } from '../../../src/index/history/recall.ts';
import { SystemClock } from '../../../src/kubernetes/clock.ts';
import { accessOf } from '../../../src/sinks/postgres/access.ts';
import { Database } from '../../../src/sinks/postgres/database.ts';
import { migrate } from '../../../src/sinks/postgres/migrate.ts';
import { HistoryArchive, READ_LIMITS } from '../../../src/sinks/snapshot/history-archive.ts';
import { openPiece } from '../../index/history/open-piece.ts';
import { insertPieces, insertStretches } from '../../support/history-rows.ts';
import type { Place } from '../../support/history-rows.ts';
import { startPostgres } from '../../support/real-postgres.ts';
import type { RealPostgres } from '../../support/real-postgres.ts';
import { TcpProxy } from '../../support/tcp-proxy.ts';
import { until } from '../../support/until.ts';

let postgres: RealPostgres;
before(async () => void (postgres = await startPostgres()));
after(async () => await postgres.down());

const X = '10.0.0.1';
const START = Date.UTC(2026, 10, 20, 14, 0, 0);

let versions = 100;

/** One that `uid` held from one second to another; of a fresh version. */
function piece(uid: string, from: number, until: number | undefined, more: Partial<Piece> = {}): Piece {
  const sinceVersion = String((versions += 10));
  return {
    ...openPiece(X, sinceVersion, START + from * 1000),
    holder: {
      uid,
      namespace: 'default',
      name: uid,
      labels: { app: uid },
      serviceAccount: 'default',
      nodeName: 'node-1',
      workload: undefined,
      hostNetwork: false,
    },
    until: until === undefined ? undefined : START + until * 1000,
    untilVersion: until === undefined ? undefined : String(versions + 5),
    ...more,
  };
}

interface Stage {
  readonly archive: HistoryArchive;
  readonly database: Database;
  readonly logged: unknown[];
  /** What was sent in transactions, without their beginnings and ends. */
  readonly sent: string[];
  readonly place: Place;
  readonly insert: (pieces: readonly Piece[], cluster?: string) => Promise<void>;
  /** What is read of windows, as uid and second of beginning. */
  readonly windows: (...windows: readonly Partial<Window>[]) => Promise<readonly string[]>;
}

async function stage(t: TestContext, port = postgres.port): Promise<Stage> {
  const schema = postgres.schema();
  const log = { info: () => {}, warn: (fields: object) => void logged.push(fields), error: () => {} };
  const open = (more: Readonly<Record<string, string>>): Database =>
    new Database({ access: accessOf(postgres.settings(more)), poolSize: 2, log, limits: READ_LIMITS });
  const logged: unknown[] = [];
  const sent: string[] = [];
  const own = open({});
  await migrate(own, schema);
  await own.close();
  const database = open({ PGPORT: String(port) });
  const clock = new SystemClock();
  t.after(async () => {
    await database.close();
    clock.close();
  });
  const counting: Pick<Database, 'place' | 'transaction'> = {
    place: database.place,
    transaction: async (work, first) =>
      await database.transaction(
        async (session, rows) =>
          await work(
            {
              ...session,
              query: async (sql, values) => {
                sent.push(sql);
                return await session.query(sql, values);
              },
            },
            rows,
          ),
        first,
      ),
  };
  const options = { schema, cluster: 'here', retentionMs: 3_600_000, clock, log };
  const archive = new HistoryArchive({ ...options, database: counting });
  const place = { query: async (sql: string, values: readonly unknown[]) => await postgres.query(sql, values), schema };
  await insertStretches({ ...place, cluster: 'here' }, [
    { from: START, until: START + 600_000, sinceVersion: '100', untilVersion: '9000' },
  ]);
  return {
    archive,
    database,
    logged,
    sent,
    place: { ...place, cluster: 'here' },
    insert: async (pieces, cluster = 'here') => await insertPieces({ ...place, cluster }, pieces),
    windows: async (...windows) => {
      const pieces = await archive.recall(() => ({
        windows: windows.map((window) => ({ ip: X, from: START, until: START, neighbours: false, ...window })),
        courses: [],
      }));
      return named(pieces);
    },
  };
}

const named = (pieces: readonly Piece[]): readonly string[] =>
  pieces.map(({ holder, from }) => `${holder?.uid ?? 'nobody'} ${(from - START) / 1000}`).toSorted();

const at = (second: number): Pick<Window, 'from' | 'until'> => ({
  from: START + second * 1000,
  until: START + second * 1000,
});

test('what was written is read as it was, whatever is in it', async (t) => {
  const { archive, insert } = await stage(t);
  const hostile = `'; DROP TABLE ip_history; -- "\\ \t\n \u{1f600} %s $1 {} \u202e`;
  const holder = {
    uid: 'u"\\',
    namespace: hostile,
    name: hostile,
    labels: { [hostile]: hostile, empty: '' },
    serviceAccount: '',
    nodeName: hostile,
    workload: { kind: hostile, name: hostile, source: 'pod-template-hash' as const },
    hostNetwork: true,
  };
  const all = [
    piece('a', 0, 10, {
      ip: 'fd00::1',
      holder,
      terminatingFrom: START + 5_001,
      terminatingVersion: '7',
      finishedFrom: START + 6_002,
      finishedVersion: '8',
    }),
    piece('b', 1, undefined, {
      ip: 'fd00::1',
      heldFrom: START - 5,
      sinceVersion: `1${'0'.repeat(50)}`,
    }),
    piece('', 2, 12, { ip: 'fd00::1', holder: undefined, goesOn: false }),
    piece('c', 3, 13, { ip: '::10.0.0.1' }),
  ];
  await insert(all);
  const stretches: unknown[] = [];
  const read = await archive.recall((watched) => {
    stretches.push(...watched);
    const windows = ['fd00::1', '::10.0.0.1', '::a00:1'].map((ip) => ({ ip, ...at(9), neighbours: false }));
    return { windows, courses: [] };
  });
  assert.deepEqual(stretches, [{ from: START, until: START + 600_000, sinceVersion: '100', untilVersion: '9000' }]);
  assert.deepEqual(
    read.filter(({ ip }) => ip === 'fd00::1').toSorted((a, b) => a.from - b.from),
    all.slice(0, 3),
  );
  assert.ok(read.some(({ holder: one }) => one?.uid === 'c'));
});

test('of an address is read what touches the time, on both sides of it where that is wanted, and nothing else', async (t) => {
  const { insert, windows } = await stage(t);
  await insert([
    piece('a', 0, 10),
    piece('b', 10, 20),
    piece('c', 30, 40),
    piece('d', 50, 60),
    piece('e', 70, undefined),
    piece('other address', 0, 100, { ip: '10.0.0.2' }),
  ]);
  await insert([piece('other cluster', 0, 100)], 'there');
  assert.deepEqual(await windows(at(5)), ['a 0']);
  assert.deepEqual(await windows(at(10)), ['a 0', 'b 10'], 'its end and its beginning');
  assert.deepEqual(await windows(at(45)), []);
  assert.deepEqual(await windows({ ...at(45), neighbours: true }), ['c 30', 'd 50']);
  assert.deepEqual(await windows({ from: START + 35_000, until: START + 55_000, neighbours: true }), [
    'b 10',
    'c 30',
    'd 50',
    'e 70',
  ]);
  assert.deepEqual(await windows({ from: -Infinity, until: START, neighbours: true }), ['a 0', 'b 10']);
  assert.deepEqual(await windows({ from: START + 65_000, until: Infinity, neighbours: true }), ['d 50', 'e 70']);
  assert.deepEqual(await windows(at(5), at(75)), ['a 0', 'e 70']);
});

test('what cannot be known for an unreadable object is read with both sides of it', async (t) => {
  const { insert, windows } = await stage(t);
  await insert([
    piece('a', 0, 10),
    piece('', 20, 30, { holder: undefined }),
    piece('', 31, 32, { holder: undefined }),
    piece('b', 40, 50),
  ]);
  assert.deepEqual(await windows(at(25)), ['a 0', 'b 40', 'nobody 20']);
  assert.deepEqual(await windows({ ...at(15), neighbours: true }), ['a 0', 'b 40'], 'nobody is no neighbour');
});

test('of a hold that goes on its last row is read too, however often it was labelled anew', async (t) => {
  const { insert, windows } = await stage(t);
  const first = piece('a', 0, 1, { goesOn: true });
  const more = Array.from({ length: 5_000 }, (_, i) =>
    piece('a', 1 + i, 2 + i, { heldFrom: first.heldFrom, goesOn: i < 4_999 }),
  );
  await insert([first, ...more, piece('b', 6_000, undefined)]);
  assert.deepEqual(await windows({ from: START + 500, until: START + 500 }), ['a 0', 'a 5000']);
});

test("of a node's address with thousands of pods a bounded part is read, and what decides is in it", async (t) => {
  const { insert, windows } = await stage(t);
  await insert(
    Array.from({ length: 3_000 }, (_, i) =>
      piece(`done-${i}`, i % 5, undefined, { finishedFrom: START, finishedVersion: '1' }),
    ),
  );
  const host = piece('z', 4, undefined);
  await insert([
    { ...host, holder: host.holder && { ...host.holder, hostNetwork: true } },
    piece('runs', 4, undefined),
  ]);
  const read = await windows(at(100));
  assert.ok(read.length < 500, `${read.length} rows`);
  assert.ok(read.includes('z 4') && read.includes('runs 4'));
});

test('what one pod did at an address is read from a version on, also where it ended before', async (t) => {
  const { archive, insert } = await stage(t);
  const [early, later, last] = [piece('a', 0, 10), piece('a', 20, 30), piece('a', 40, undefined)];
  await insert([early, later, last, piece('b', 0, 100), { ...piece('a', 20, 30), ip: '10.0.0.2' }]);
  const courses = [{ ip: X, uid: 'a', sinceVersion: later.sinceVersion }];
  assert.deepEqual(named(await archive.recall(() => ({ windows: [], courses }))), ['a 20', 'a 40']);
  assert.deepEqual(await archive.recall(() => ({ windows: [], courses: [] })), []);
});

test('of a pod that was labelled anew thousands of times the first row and the last ones are read, or of a search the last one', async (t) => {
  const { archive, insert } = await stage(t);
  const more = Array.from({ length: 3_000 }, (_, i) =>
    piece('a', i, i + 1, { heldFrom: START, goesOn: true, holder: piece('a', 0, 1).holder }),
  );
  await insert([...more, piece('a', 3_000, undefined, { heldFrom: START }), piece('b', 5, 2_500)]);
  const courses = [{ ip: X, uid: 'a', sinceVersion: more[1_000]?.sinceVersion ?? '' }];
  const read = named(await archive.recall(() => ({ windows: [], courses })));
  assert.ok(read.length < 250, `${read.length} rows`);
  for (const row of ['a 1000', 'a 2999', 'a 3000']) assert.ok(read.includes(row), row);
  const times = { since: START, until: Infinity, recent: START + 1_000_000, size: 10, after: undefined };
  const { recent } = await archive.search({ whose: { ip: X }, ...times, courses: () => [], isWanted: () => true });
  assert.deepEqual(named(recent), ['a 3000', 'b 5']);
});

test('a thousand questions are one statement', async (t) => {
  const { insert, sent, windows } = await stage(t);
  await insert(Array.from({ length: 2_000 }, (_, i) => piece(`p${i}`, i, i + 1, { ip: `10.0.${i >> 8}.${i & 255}` })));
  const asked = Array.from({ length: 1_000 }, (_, i) => ({
    ip: `10.0.${i >> 8}.${i & 255}`,
    from: START + i * 1000 + 500,
    until: START + i * 1000 + 500,
  }));
  assert.equal((await windows(...asked)).length, 1_000);
  assert.equal(sent.length, 1, 'the rows: when somebody was watching goes with the beginning');
});

test('what is guessed to be asked for comes with the beginning, and is asked for where the guess was wrong', async (t) => {
  const { archive, insert, sent } = await stage(t);
  await insert([piece('a', 0, 10), piece('b', 20, 30), piece("it's", 40, 50)]);
  const windowOf = (from: number, until = from): Window => ({
    ip: X,
    from: START + from * 1000,
    until: START + until * 1000,
    neighbours: false,
  });
  const read = async (guess: Window, ...windows: readonly Window[]): Promise<readonly string[]> => {
    sent.length = 0;
    return [...named(await archive.recall(() => ({ windows, courses: [] }), guess)), `${sent.length} more`];
  };
  assert.deepEqual(await read(windowOf(5), windowOf(5)), ['a 0', '0 more']);
  assert.deepEqual(await read(windowOf(15), windowOf(15)), ['0 more']);
  assert.deepEqual(await read(windowOf(5), windowOf(25)), ['b 20', '1 more']);
  assert.deepEqual(await read(windowOf(25), windowOf(15, 25)), ['b 20', '1 more']);
  assert.deepEqual(await read(windowOf(25), windowOf(-Infinity, Infinity)), ['a 0', 'b 20', "it's 40", '1 more']);
  assert.deepEqual(await read(windowOf(-Infinity, Infinity), windowOf(-Infinity, Infinity)), [
    'a 0',
    'b 20',
    "it's 40",
    '0 more',
  ]);
});

test('nobody waits for a read to be committed', async (t) => {
  const { database, insert, place } = await stage(t);
  await insert([piece('a', 0, 10)]);
  const clock = new SystemClock();
  t.after(() => clock.close());
  const uncommitted: Pick<Database, 'place' | 'transaction'> = {
    place: database.place,
    async transaction(work, first) {
      await database.transaction(work, first);
      return await new Promise(() => {});
    },
  };
  const log = { info: () => {}, warn: () => {}, error: () => {} };
  const archive = new HistoryArchive({ ...place, database: uncommitted, retentionMs: 3_600_000, clock, log });
  const windows = [{ ip: X, from: START + 5_000, until: START + 5_000, neighbours: false }];
  assert.deepEqual(named(await archive.recall(() => ({ windows, courses: [] }))), ['a 0']);
});

test('a row that touches many of the times asked for is sent once', async (t) => {
  const { insert, windows } = await stage(t);
  await insert([piece('a', 10, 500), piece('b', 20, 400)]);
  assert.deepEqual(await windows(...Array.from({ length: 100 }, (_, i) => at(100 + i))), ['a 10', 'b 20']);
});

test('a search gives all of late, and of what ended before one page after another', async (t) => {
  const { archive, insert } = await stage(t);
  const long = piece('a', 0, 5, { goesOn: true });
  const pieces = [
    long,
    piece('a', 5, 9, { heldFrom: long.heldFrom }),
    ...Array.from({ length: 25 }, (_, i) => piece(`p${i % 2 ? 'é' : 'e'}${i}`, 10 + (i >> 2), 50 + i)),
    piece('', 11, 12, { holder: undefined }),
    piece('open', 20, undefined),
    piece('late', 80, 130),
  ];
  await insert(pieces);
  const found: string[] = [];
  let after: [number, string, string] | undefined;
  for (;;) {
    const search = {
      whose: { ip: X },
      since: START,
      until: Infinity,
      recent: START + 100_000,
      size: 7,
      after,
      courses: () => [],
      isWanted: () => true,
    };
    const { old, recent, watched } = await archive.search(search);
    assert.deepEqual(named(recent), ['late 80', 'open 20']);
    assert.equal(watched.length, 1);
    const last = old.at(-1);
    if (!last) break;
    found.push(...old.map(({ holder, heldFrom }) => `${(heldFrom - START) / 1000} ${holder?.uid}`));
    after = [last.heldFrom, last.ip, last.holder?.uid ?? ''];
  }
  assert.equal(found.length, 26);
  assert.equal(new Set(found).size, 26, 'each once');
  assert.equal(found[0], '0 a');
  const old = async (whose: Parameters<HistoryArchive['search']>[0]['whose'], since = 0, until = 1e6) => {
    const times = { since: START + since * 1000, until: START + until * 1000, recent: START + 100_000 };
    return named(
      (await archive.search({ whose, ...times, size: 10, after: undefined, courses: () => [], isWanted: () => true }))
        .old,
    );
  };
  assert.deepEqual(await old({ uid: 'a' }), ['a 5'], 'one row for all of a hold: the last');
  assert.deepEqual(await old({ namespace: 'default', name: 'a' }), ['a 5']);
  assert.deepEqual(await old({ namespace: 'other', name: 'a' }), []);
  assert.deepEqual(await old({ uid: 'a' }, 10), []);
  assert.deepEqual(await old({ ip: X }, 0, 10), ['a 5']);
});

test('what podwhois cannot have written says nothing, and is in nobody’s way', async (t) => {
  const { archive, insert, place, windows } = await stage(t);
  const labelled = (labels: unknown): Partial<Piece> => {
    const { holder } = piece('garbage', 0, 10);
    return { holder: holder && { ...holder, labels: labels as Record<string, string> } };
  };
  const garbage: readonly Partial<Piece>[] = [
    { heldFrom: -Infinity },
    { from: -Infinity },
    { until: -Infinity, from: -Infinity },
    { terminatingFrom: -Infinity },
    { finishedFrom: 8.65e15 },
    { sinceVersion: 'NaN' },
    { sinceVersion: '1.5' },
    { sinceVersion: '-1' },
    { untilVersion: '1'.padEnd(400, '0') },
    labelled(5),
    labelled(['a']),
    labelled({ a: 1 }),
    labelled('text'),
  ];
  await insert([piece('a', 0, 10), ...garbage.map((more) => piece('garbage', 0, 10, more))]);
  await insertStretches(place, [
    { from: -Infinity, until: START, sinceVersion: '7', untilVersion: '8' },
    { from: START, until: START, sinceVersion: 'NaN', untilVersion: 'NaN' },
    { from: START, until: START, sinceVersion: '9', untilVersion: '1'.padEnd(400, '0') },
  ]);
  assert.equal(
    ((await place.query(`SELECT FROM ${place.schema}.ip_history`, [])) as unknown[]).length,
    1 + garbage.length,
  );
  assert.deepEqual(await windows(at(5)), ['a 0']);
  const search = {
    whose: { ip: X },
    since: START,
    until: Infinity,
    recent: START,
    after: undefined,
    courses: () => [],
    isWanted: () => true,
  };
  const { recent, watched } = await archive.search({ ...search, size: 100 });
  assert.deepEqual(named(recent), ['a 0']);
  // In a page of their own, before the one that is ours.
  const strange = garbage.map((more, i) =>
    piece(`${i}`, -60, -50, { ...more, holder: more.holder && { ...more.holder, uid: `${i}` } }),
  );
  await insert([...strange, piece('b', -30, -20)]);
  const { old } = await archive.search({ ...search, since: START - 100_000, size: 3 });
  assert.deepEqual(named(old), ['b -30']);
  assert.deepEqual(
    watched.map(({ sinceVersion }) => sinceVersion),
    ['100'],
  );
});

const reject = async (work: Promise<unknown>): Promise<void> => await assert.rejects(work);

test('down at start, long outage: a database that does not answer is given up after two seconds, and too many are refused at once', async (t) => {
  const proxy = await TcpProxy.to(postgres.port);
  t.after(async () => await proxy.close());
  const { archive, logged, windows } = await stage(t, proxy.port);
  await windows(at(5));
  proxy.blackHole = true;
  const begun = performance.now();
  const waiting = Array.from({ length: 64 }, async () => await reject(windows(at(5))));
  await reject(windows(at(5)));
  assert.ok(performance.now() - begun < 1_800, 'the 65th at once');
  await Promise.all(waiting);
  const took = performance.now() - begun;
  assert.ok(took > 1_900 && took < 6_000, `${took} ms`);
  assert.equal(logged.length, 1, 'said once');
  const { failed, refused } = archive.counts;
  // The first one's COMMIT, which nobody waited for, may be among the 64.
  assert.ok(failed + refused === 65 && refused >= 1 && refused <= 2, `${failed} failed, ${refused} refused`);
});

test('half-open connection: after the network has healed the history is read again', async (t) => {
  const proxy = await TcpProxy.to(postgres.port);
  t.after(async () => await proxy.close());
  const { insert, windows } = await stage(t, proxy.port);
  await insert([piece('a', 0, 10)]);
  assert.deepEqual(await windows(at(5)), ['a 0']);
  proxy.blackHole = true;
  await reject(windows(at(5)));
  proxy.blackHole = false;
  proxy.cut();
  await until('it is read again', async () => (await windows(at(5))).join() === 'a 0');
});
