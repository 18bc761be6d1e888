import assert from 'node:assert/strict';
import { after, before, beforeEach, describe, test } from 'node:test';
import * as fc from 'fast-check';
import { AbandonedRows, listsOf } from '../../../src/sinks/endpoint-mirror/abandoned-rows.ts';
import type { EndpointSliceLookup } from '../../../src/sinks/endpoint-mirror/abandoned-rows.ts';
import { accessOf } from '../../../src/sinks/postgres/access.ts';
import { Database } from '../../../src/sinks/postgres/database.ts';
import { Lease } from '../../../src/sinks/postgres/lease.ts';
import { migrate } from '../../../src/sinks/postgres/migrate.ts';
import { observersTable } from '../../support/mirror-stage.ts';
import { startPostgres } from '../../support/real-postgres.ts';
import type { RealPostgres } from '../../support/real-postgres.ts';
import { keptLog } from '../../support/reflector-harness.ts';

describe('which lists are made', () => {
  const of = (...names: readonly string[]) =>
    listsOf(
      names.map((name) => {
        const [namespace = '', service = ''] = name.split('/');
        return { namespace, service };
      }),
    ).map(({ namespace, names: services }) => `${namespace}: ${services.join(' ')}`);

  test('one for each namespace', () => {
    assert.deepEqual(of('a/x', 'a/y', 'b/x'), ['a: x y', 'b: x']);
    assert.deepEqual(of(), []);
  });

  test('fifty names in one at most', () => {
    const many = Array.from({ length: 101 }, (_, i) => `a/s${i}`);
    assert.deepEqual(
      of(...many).map((list) => list.split(' ').length - 1),
      [50, 50, 1],
    );
  });

  test('names that no namespace or Service can have are asked nobody, and so their rows stay', () => {
    const odd = ['../x', '', 'A', 'a?b', 'a b', 'x'.repeat(64)];
    assert.deepEqual(
      listsOf([
        ...odd.map((namespace) => ({ namespace, service: 'web' })),
        ...['', 'a,b', ')', 'a b', '-', 'x'.repeat(64)].map((service) => ({ namespace: 'a', service })),
      ]),
      [],
    );
  });
});

describe('rows of namespaces that are not watched', () => {
  const OLD = '2026-01-01T00:00:00Z';
  let postgres: RealPostgres;
  let database: Database;
  let schema: string;
  before(async () => {
    postgres = await startPostgres();
    database = new Database({ access: accessOf(postgres.settings()), poolSize: 2, log: keptLog().log });
  });
  after(async () => {
    await database?.close();
    await postgres?.down();
  });
  beforeEach(async () => {
    schema = postgres.schema();
    await postgres.query(`CREATE SCHEMA ${schema}`);
    await postgres.query(observersTable(`${schema}.server`));
  });

  async function insert(place: string, { seen = OLD, pod = 'a', cluster = 'dev' } = {}): Promise<void> {
    await postgres.query(
      `INSERT INTO ${schema}.server (cluster, namespace, service, pod_uid, pod_ip, last_seen) VALUES ($1, $2, $3, $4, '10.1.0.1', $5)
       ON CONFLICT (cluster, namespace, service, pod_uid) DO UPDATE SET last_seen = EXCLUDED.last_seen`,
      [cluster, ...place.split('/'), pod, seen],
    );
  }

  const rows = async (): Promise<readonly string[]> =>
    (
      await postgres.query<{ line: string }>(
        `SELECT cluster || ' ' || namespace || '/' || service || ' ' || pod_uid AS line FROM ${schema}.server ORDER BY 1`,
      )
    ).map(({ line }) => line);

  interface Stage {
    readonly abandoned: AbandonedRows;
    /** What was asked, `namespace: services`. */
    readonly asked: string[];
    readonly slept: number[];
    readonly lines: ReturnType<typeof keptLog>['lines'];
    readonly round: () => Promise<void>;
  }

  /** `having` is what the cluster has: Services with EndpointSlices; `between` happens between the two looks. */
  function stage({
    having = new Set<string>(),
    between = async () => {},
    answer,
    mayWrite = () => true,
    lease,
  }: {
    having?: Set<string>;
    between?: () => Promise<void>;
    answer?: EndpointSliceLookup['having'];
    mayWrite?: () => boolean;
    lease?: Lease;
  } = {}): Stage {
    const asked: string[] = [];
    const slept: number[] = [];
    const { log, lines } = keptLog();
    const signal = new AbortController().signal;
    const abandoned = new AbandonedRows({
      database,
      lease,
      table: { schema, name: 'server', text: `${schema}.server` },
      cluster: 'dev',
      namespaces: ['shop', 'bank'],
      lookup: {
        async having(namespace, services, ...more) {
          asked.push(`${namespace}: ${services.join(' ')}`);
          const own = await answer?.(namespace, services, ...more);
          return own ?? new Set(services.filter((service) => having.has(`${namespace}/${service}`)));
        },
      },
      mayWrite,
      clock: {
        now: () => 0,
        random: () => 0.5,
        async sleep(ms) {
          slept.push(ms);
          await between();
        },
      },
      log,
    });
    return { abandoned, asked, slept, lines, round: async () => await abandoned.round(signal) };
  }

  test('go when their Service has no EndpointSlices left, by two looks that lie 5 s apart (B9), and stay when it has some', async () => {
    for (const place of ['office/gone', 'office/web', 'shop/gone']) await insert(place);
    await insert('office/gone', { cluster: 'prod' });
    const { abandoned, asked, slept, round } = stage({ having: new Set(['office/web']) });
    assert.match(abandoned.remark, /^not looked/);
    await round();
    assert.deepEqual(await rows(), ['dev office/web a', 'dev shop/gone a', 'prod office/gone a']);
    assert.deepEqual([asked, slept], [['office: gone web', 'office: gone'], [5_000]]);
    assert.equal(abandoned.deleted, 1);
    assert.match(abandoned.remark, / go$/);
  });

  test('stay when the second look finds EndpointSlices: the first list had lost them', async () => {
    await insert('office/web');
    const having = new Set<string>();
    const { asked, round } = stage({ having, between: async () => void having.add('office/web') });
    await round();
    assert.deepEqual([asked.length, await rows()], [2, ['dev office/web a']]);
  });

  test('are not asked for while somebody writes them', async () => {
    await insert('office/web', { seen: new Date().toISOString() });
    const { abandoned, asked, round } = stage();
    await round();
    assert.deepEqual([asked, await rows()], [[], ['dev office/web a']]);
    assert.match(abandoned.remark, /^none/);
  });

  test('stay that another mirror wrote meanwhile: the Service was made anew after the looks', async () => {
    await insert('office/web');
    await insert('office/web', { pod: 'old' });
    const between = async (): Promise<void> => await insert('office/web', { seen: new Date().toISOString() });
    await stage({ between }).round();
    assert.deepEqual(await rows(), ['dev office/web a']);
  });

  test('stay where listing is forbidden; it is said once, and the next round asks another namespace', async () => {
    for (const place of ['a/web', 'b/web', 'c/web']) await insert(place);
    const answer = async (namespace: string) => (namespace === 'b' ? 'forbidden' : new Set<string>());
    const { abandoned, asked, lines, round } = stage({ answer });
    await round();
    assert.deepEqual(
      [asked, await rows()],
      [
        ['a: web', 'b: web', 'a: web'],
        ['dev b/web a', 'dev c/web a'],
      ],
    );
    assert.match(abandoned.remark, /^they stay: there is no right to list endpointslices/);
    await round();
    assert.deepEqual([asked.slice(3), await rows()], [['c: web', 'c: web'], ['dev b/web a']]);
    await round();
    await round();
    assert.deepEqual(asked.slice(5), ['b: web']);
    assert.match(abandoned.remark, /^they stay/);
    const said = lines.filter(({ msg }) => /there is no right/.test(msg));
    assert.deepEqual(
      said.map(({ level, namespace }) => [level, namespace]),
      [[30, 'b']],
    );
  });

  test('stay when the API server does not answer, also the second time', async () => {
    await insert('office/web');
    let looks = 0;
    const answer = async (): Promise<ReadonlySet<string>> => {
      if (++looks % 2 === 0) throw new Error('no answer');
      return new Set();
    };
    const { abandoned, lines, round } = stage({ answer });
    await round();
    assert.deepEqual([looks, await rows()], [2, ['dev office/web a']]);
    assert.match(abandoned.remark, /^they stay for now/);
    assert.deepEqual(
      lines.map(({ level }) => level),
      [40],
    );
    await postgres.query(`TRUNCATE ${schema}.server`);
    await round();
    assert.match(abandoned.remark, /^none/);
  });

  test('are left to who has the lease', async () => {
    await insert('office/web');
    await migrate(database, schema);
    const of = (holder: string): Lease => new Lease({ schema, cluster: 'dev', sink: 'x', holder, ttlMs: 1 });
    const [one, other] = [of('one'), of('other')];
    assert.ok(await one.acquire(database));
    const taken = stage({ lease: one, between: async () => void (await other.acquire(database)) });
    await taken.round();
    assert.deepEqual([await rows(), taken.lines], [['dev office/web a'], []]);
    await stage({ lease: other }).round();
    assert.deepEqual(await rows(), []);
  });

  test('stay when what is known of the cluster has gone stale between the looks', async () => {
    await insert('office/web');
    let fresh = true;
    await stage({ mayWrite: () => fresh, between: async () => void (fresh = false) }).round();
    assert.deepEqual(await rows(), ['dev office/web a']);
  });

  test('many are asked for in rounds of 500 Services, in the order of their names, and from the first again', async () => {
    await postgres.query(
      `INSERT INTO ${schema}.server (cluster, namespace, service, pod_uid, pod_ip, last_seen)
       SELECT 'dev', 'office', 's' || lpad(i::text, 4, '0'), 'a', '10.1.0.1', '${OLD}' FROM generate_series(0, 699) AS i`,
    );
    const all = new Set(Array.from({ length: 700 }, (_, i) => `office/s${String(i).padStart(4, '0')}`));
    const { asked, round } = stage({ having: all });
    const lists: number[] = [];
    for (let i = 0; i < 3; i++) {
      await round();
      lists.push(asked.length);
    }
    assert.deepEqual(lists, [10, 14, 24]);
    assert.match(asked[10] ?? '', /^office: s0500 /);
    assert.match(asked[14] ?? '', /^office: s0000 /);
    assert.equal((await rows()).length, 700);
  });

  test('a random history: whatever comes and goes during a round, and whichever look lies, no row of a Service that is there is lost', async () => {
    const SERVICES = ['a', 'b', 'c'];
    const event = fc.record({
      service: fc.constantFrom(...SERVICES),
      what: fc.constantFrom('made', 'deleted', 'orphaned'),
    });
    const history = fc.record({
      /** What of each Service there is at first, with a row that nobody has written for long: another mirror that seldom compares. */
      there: fc.subarray(SERVICES),
      /** Before the first look, between the two, and between the second one and the deletion. */
      events: fc.array(fc.array(event, { maxLength: 3 }), { minLength: 3, maxLength: 3 }),
      lie: fc.constantFrom(undefined, 0, 1),
    });
    await fc.assert(
      fc.asyncProperty(history, async ({ there, events, lie }) => {
        await postgres.query(`TRUNCATE ${schema}.server`);
        const having = new Set<string>(there);
        for (const service of SERVICES) await insert(`office/${service}`);
        /** The other mirror, which writes at once. */
        const happen = async (point: number): Promise<void> => {
          for (const { service, what } of events[point] ?? []) {
            if (what === 'made') {
              having.add(service);
              await insert(`office/${service}`, { seen: new Date().toISOString() });
            } else having.delete(service);
            if (what === 'deleted') await postgres.query(`DELETE FROM ${schema}.server WHERE service = $1`, [service]);
          }
        };
        let looks = 0;
        await stage({
          between: async () => await happen(1),
          async answer(_, services) {
            const look = looks++;
            if (look === 0) await happen(0);
            const found = look === lie ? new Set<string>() : new Set(services.filter((service) => having.has(service)));
            if (look === 1) await happen(2);
            return found;
          },
        }).round();
        const left = (await rows()).map((line) => line.charAt('dev office/'.length));
        for (const service of having) assert.ok(left.includes(service), `the row of ${service} is lost`);
        const untouched = SERVICES.filter((service) => !events.flat().some((one) => one.service === service));
        if (lie === undefined) {
          for (const service of untouched) assert.equal(left.includes(service), there.includes(service));
        }
      }),
      { numRuns: 60 },
    );
  });
});
