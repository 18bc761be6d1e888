import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { View } from '../../../src/index/answer.ts';
import { PodIndex } from '../../../src/index/pod-index.ts';
import type { Pod, PodPhase, Unreadable } from '../../../src/pod.ts';
import { accessOf } from '../../../src/sinks/postgres/access.ts';
import { Database } from '../../../src/sinks/postgres/database.ts';
import type { Session } from '../../../src/sinks/postgres/database.ts';
import { Lease } from '../../../src/sinks/postgres/lease.ts';
import { migrate } from '../../../src/sinks/postgres/migrate.ts';
import { MIGRATIONS } from '../../../src/sinks/postgres/migrations.ts';
import { mirrored } from '../../../src/sinks/postgres/target.ts';
import { Writer } from '../../../src/sinks/postgres/writer.ts';
import { PodTruth } from '../../../src/sinks/snapshot/pod-truth.ts';
import { podsTable } from '../../../src/sinks/snapshot/pods-table.ts';
import { unanswered } from '../../../src/sinks/snapshot/unanswered.ts';
import { makePod } from '../../index/make-pod.ts';
import { hastyClock } from '../../support/hasty-clock.ts';
import { startPostgres } from '../../support/real-postgres.ts';
import type { RealPostgres } from '../../support/real-postgres.ts';
import { keptLog } from '../../support/reflector-harness.ts';
import { keepRunning } from '../../support/running-writer.ts';
import { until } from '../../support/until.ts';
import { toldByLookup, toldBySql, viewOf } from './answers.ts';
import type { Told } from './answers.ts';

/** That SQL and HTTP do not disagree: what the view `pods_by_ip` knows beside the rows of `pods`, on a real Postgres. */

let postgres: RealPostgres;
before(async () => void (postgres = await startPostgres()));
after(async () => await postgres.down());

interface Options {
  readonly view?: View;
  readonly allow?: (session: Session) => Promise<void>;
  readonly pods?: readonly Pod[];
}

/** A snapshot's writer at work, in a schema where rows of pods with the label `refused` are refused. */
async function start(t: TestContext, { view = viewOf([]), allow, pods = [] }: Options = {}) {
  const schema = postgres.schema();
  const index = new PodIndex();
  const list = index.slice().beginReplace();
  for (const pod of pods) list.add(pod);
  list.commit('100');
  const { log } = keptLog();
  const database = new Database({ access: accessOf(postgres.settings()), poolSize: 2, log });
  await migrate(database, schema);
  await postgres.query(
    `CREATE FUNCTION ${schema}.refuse() RETURNS trigger LANGUAGE plpgsql AS $$
       BEGIN IF NEW.labels ? 'refused' THEN RAISE 'refused'; END IF; RETURN NEW; END $$;
     CREATE TRIGGER refuse BEFORE INSERT OR UPDATE ON ${schema}.pods FOR EACH ROW EXECUTE FUNCTION ${schema}.refuse()`,
  );
  const writer = new Writer({
    database,
    lease: new Lease({ schema, cluster: 'c', sink: 'snapshot', holder: 'one', ttlMs: 6_000_000 }),
    prepare: async () => await Promise.resolve(),
    allow,
    target: mirrored(
      podsTable(schema, 'c'),
      new PodTruth(index, { synced: true }),
      unanswered({ schema, cluster: 'c', index, view }),
    ),
    clock: hastyClock(t),
    log,
    flushMs: 100,
  });
  keepRunning(t, writer, database);
  const told = async (): Promise<ReadonlyMap<string, Told>> => await toldBySql(postgres, schema, 'c');
  return { schema, index, writer, told };
}

const UNREADABLE: Told = { reason: 'unreadable', candidates: null, uid: null };
const OUTSIDE: Told = { reason: 'outside-cluster-cidr', candidates: null, uid: null };

/** An object of which nothing but its uid could be read. */
const setAside = (key: string, fields: Partial<Unreadable> = {}): Unreadable => ({
  key,
  namespace: undefined,
  name: undefined,
  ips: [],
  reason: 'made up',
  ...fields,
});

const NODE_IPS = ['192.0.2.1', '192.0.2.2', 'fd00::2'];
const IPS = ['10.0.0.1', '10.0.0.2', '10.0.0.3', '10.0.0.4', 'fd00::1', ...NODE_IPS];
const PHASES: readonly PodPhase[] = ['Pending', 'Running', 'Running', 'Running', 'Succeeded', 'Failed'];
const NAMES = ['a', 'b', 'c', 'd', 'e', 'f'];

for (const [title, cidrs] of [
  ['all addresses', []],
  ['CLUSTER_CIDR', ['10.0.0.0/30', 'fd00::/127', '192.0.2.2/32']],
] as const) {
  test(`B6 in SQL, with ${title}: over random histories the view says of every address what the lookup says, and names nobody where a row was refused`, async (t) => {
    let seed = 20_261_126;
    const random = (below: number): number => {
      seed = (Math.imul(seed, 1_103_515_245) + 12_345) >>> 0;
      return Math.floor((seed / 2 ** 32) * below);
    };
    const view = viewOf(cidrs);
    const { schema, index, writer, told } = await start(t, { view });
    const slice = index.slice();
    const pods = new Map<string, Pod>();
    let version = 100;
    const make = (name: string, uid: string): Pod =>
      makePod({
        uid,
        name,
        resourceVersion: String(++version),
        labels: random(8) === 0 ? { refused: 'yes' } : {},
        podIps: IPS.filter(() => random(5) === 0),
        hostIps: NODE_IPS.filter(() => random(3) === 0),
        phase: PHASES[random(PHASES.length)] ?? 'Running',
        deletionTimestamp: random(3) === 0 ? 1_700_000_000_000 : undefined,
        hostNetwork: random(10) === 0,
      });
    const unreadableOf = ({ uid, namespace, name, podIps }: Pod): Unreadable => {
      const named = random(2) === 0 ? { namespace, name } : {};
      const key = 'name' in named && random(2) === 0 ? `${namespace}/${name}` : uid;
      return setAside(key, { ...named, ips: random(2) === 0 ? podIps : [] });
    };
    const step = (): void => {
      const name = NAMES[random(NAMES.length)] ?? '';
      const old = pods.get(name);
      const what = random(12);
      if (what < 6 || old === undefined) {
        const one = make(name, old !== undefined && random(4) > 0 ? old.uid : `${name}-${version}`);
        pods.set(name, one);
        slice.upsert(one);
      } else if (what < 8) {
        pods.delete(name);
        slice.remove({ ...old, resourceVersion: String(++version) });
      } else if (what < 10) slice.setAside(unreadableOf(old));
      else if (what < 11) {
        const ips = IPS.filter(() => random(4) === 0);
        slice.setAside(setAside(`unknown-${random(3)}`, { ips }));
      } else {
        const list = slice.beginReplace();
        const unread = random(2) === 0 ? old : undefined;
        for (const one of pods.values()) if (one !== unread) list.add(one);
        if (unread) list.addUnreadable(unreadableOf(unread));
        list.commit(String(++version));
      }
    };
    /** Of pods whose row is refused: as they are, and as their row is. */
    const refused = async (): Promise<ReadonlySet<string>> => {
      const uids = [...index.walk()].filter(({ labels }) => 'refused' in labels).map(({ uid }) => uid);
      const rows = await postgres.query<{ ip: string }>(
        `SELECT host(unnest(pod_ips || host_ips)) AS ip FROM ${schema}.pods WHERE uid = ANY ($1)`,
        [uids],
      );
      const now = uids.flatMap((uid) => [...(index.byUid(uid)?.podIps ?? []), ...(index.byUid(uid)?.hostIps ?? [])]);
      return new Set([...now, ...rows.map(({ ip }) => ip)]);
    };
    const seen = new Map<string, number>();
    for (let round = 0; round < 200; round++) {
      for (let steps = 1 + random(5); steps > 0; steps--) {
        step();
        // Some of it meets a flush under way.
        if (random(3) === 0) await sleep(random(10));
      }
      let wrong: readonly unknown[] = [];
      const isAsSaid = async (): Promise<boolean> => {
        const [bySql, inDoubt] = [await told(), await refused()];
        const expected = (ip: string): Told | undefined =>
          inDoubt.has(ip)
            ? view.clusterCidrs.length === 0 || view.clusterCidrs.some((cidr) => cidr.contains(ip))
              ? UNREADABLE
              : OUTSIDE
            : toldByLookup(index, ip, view);
        wrong = IPS.map((ip) => ({ ip, sql: bySql.get(ip), right: expected(ip) })).filter(
          ({ sql, right }) => JSON.stringify(sql) !== JSON.stringify(right),
        );
        if (wrong.length > 0) return false;
        for (const ip of IPS) {
          const said = expected(ip);
          const kind = inDoubt.has(ip) ? 'refused' : said === undefined ? 'no-pod' : (said.reason ?? 'one');
          seen.set(kind, (seen.get(kind) ?? 0) + 1);
        }
        return true;
      };
      await until(`round ${round}`, isAsSaid, { everyMs: 5, timeoutMs: 20_000 }).catch((error: unknown) => {
        throw new Error(JSON.stringify(wrong), { cause: error });
      });
    }
    const kinds = ['one', 'ambiguous', 'no-pod', 'host-network', 'node', 'terminal', 'unreadable', 'refused'];
    for (const kind of cidrs.length === 0 ? kinds : [...kinds, 'outside-cluster-cidr']) {
      assert.ok((seen.get(kind) ?? 0) > 10, `${kind}: ${seen.get(kind)}`);
    }
    t.diagnostic(`${writer.counts.flushes} flushes, ${JSON.stringify(Object.fromEntries(seen))}`);
  });
}

test('what can be read, and nothing else, changes: it is written with the next flush, and not again while it is so', async (t) => {
  const a = makePod({ uid: 'a', name: 'a', podIps: ['10.0.0.1'] });
  const { schema, index, writer, told } = await start(t, { pods: [a] });
  await until('the pod is there', async () => (await told()).get('10.0.0.1')?.uid === 'a');
  // No proof of the lease, and no other flush, comes within the time of this test.
  index.slice().setAside(setAside('a'));
  await until('it is in doubt', async () => (await told()).get('10.0.0.1')?.reason === 'unreadable');
  assert.equal(writer.dirty, 0);
  const row = async (): Promise<unknown> =>
    await postgres.query(`SELECT xmin, ctid, unreadable_ips::text FROM ${schema}.unanswered`);
  const written = await row();
  index.slice().upsert(makePod({ uid: 'b', name: 'b', podIps: ['10.0.0.2'], resourceVersion: '200' }));
  await until('another pod is written', async () => (await told()).has('10.0.0.2'));
  assert.deepEqual(await row(), written);
  index.slice().upsert({ ...a, resourceVersion: '300' });
  await until('it is read again', async () => (await told()).get('10.0.0.1')?.uid === 'a');
  assert.notDeepEqual(await row(), written);
});

test('an object that is read again while a flush is under way is in doubt until its row is written', async (t) => {
  const before = makePod({ uid: 'a', name: 'a', podIps: ['10.0.0.1'] });
  /** Before a flush ends. */
  let last = async (): Promise<void> => await Promise.resolve();
  const { index, told } = await start(t, { pods: [before], allow: async () => await last() });
  await until('the pod is there', async () => (await told()).get('10.0.0.1')?.uid === 'a');
  const slice = index.slice();
  slice.setAside(setAside('a'));
  await until('it is in doubt', async () => (await told()).get('10.0.0.1')?.reason === 'unreadable');
  const next = Promise.withResolvers<void>();
  last = async () => {
    last = async () => await next.promise;
    slice.upsert({ ...before, podIps: ['10.0.0.2'], resourceVersion: '300' });
    await Promise.resolve();
  };
  slice.upsert(makePod({ uid: 'b', name: 'b', podIps: ['10.0.0.3'], resourceVersion: '200' }));
  try {
    await until('that flush has ended', async () => (await told()).has('10.0.0.3'));
    assert.equal(index.isUnreadable('10.0.0.1'), false);
    assert.deepEqual((await told()).get('10.0.0.1'), UNREADABLE);
  } finally {
    next.resolve();
  }
  await until('it has moved', async () => (await told()).get('10.0.0.2')?.uid === 'a');
  assert.equal((await told()).get('10.0.0.1'), undefined);
});

test('a database of the release before: the view keeps its columns and its readers, and says what it said until the writer has begun', async (t) => {
  const schema = postgres.schema();
  const { log } = keptLog();
  const database = new Database({ access: accessOf(postgres.settings()), poolSize: 1, log });
  t.after(async () => await database.close());
  await migrate(
    database,
    schema,
    MIGRATIONS.filter(({ id }) => id <= 4),
  );
  const index = new PodIndex();
  const list = index.slice().beginReplace();
  const running = { nodeName: 'n', hostIps: ['192.0.2.1'] };
  list.add(makePod({ ...running, uid: 'a', name: 'a', podIps: ['10.0.0.1', 'fd00::1'] }));
  list.add(makePod({ ...running, uid: 'b', name: 'b', podIps: ['10.0.0.2', 'fd00::1'] }));
  list.commit('100');
  const target = mirrored(podsTable(schema, 'c'), new PodTruth(index, { synced: true }));
  const nothing = async (): Promise<void> => await Promise.resolve();
  const manner = { batch: 1_000, copy: false, careful: false, enter: nothing, leave: nothing };
  await database.transaction(async (session) => await target.flush(session, ['a', 'b'], manner));
  await postgres.query(`CREATE ROLE old_reader; GRANT SELECT ON ${schema}.pods_by_ip TO old_reader`);
  const columns = async (): Promise<unknown> =>
    await postgres.query(
      `SELECT column_name, data_type FROM information_schema.columns WHERE table_schema = $1 AND table_name = 'pods_by_ip'
       ORDER BY ordinal_position`,
      [schema],
    );
  const former = [await columns(), await toldBySql(postgres, schema, 'c')];
  const { applied } = await migrate(database, schema);
  assert.deepEqual(applied, ['unanswered', 'pods_by_ip_unanswered']);
  assert.deepEqual([await columns(), await toldBySql(postgres, schema, 'c')], former);
  const [may] = await postgres.query(
    `SELECT has_table_privilege('old_reader', '${schema}.pods_by_ip', 'SELECT') AS may`,
  );
  assert.deepEqual(may, { may: true });
  const beside = unanswered({ schema, cluster: 'c', index, view: viewOf(['10.0.0.1/32']) });
  await database.transaction(async (session) => await beside()(session, new Set()));
  const told = await toldBySql(postgres, schema, 'c');
  assert.deepEqual([told.get('10.0.0.1')?.uid, told.get('10.0.0.2')], ['a', OUTSIDE]);
});

test('a whole cluster of objects that cannot be read is written, and found', async (t) => {
  const { schema, index, writer, told } = await start(t);
  const list = index.slice().beginReplace();
  const ip = (i: number): string => `10.${(i >> 16) & 255}.${(i >> 8) & 255}.${i & 255}`;
  for (let i = 0; i < 150_000; i++) list.addUnreadable(setAside(`uid-${i}`, { ips: [ip(i)] }));
  list.commit('200');
  await until('they are there', async () => (await told()).size === 150_000, { timeoutMs: 60_000, everyMs: 500 });
  const asked = `SELECT reason FROM ${schema}.pods_by_ip WHERE cluster = 'c' AND ip = $1`;
  assert.deepEqual(await postgres.query(asked, [ip(149_999)]), [{ reason: 'unreadable' }]);
  index.slice().beginReplace().commit('300');
  await until('none is in doubt', async () => (await told()).size === 0);
  assert.deepEqual(writer.counts.failures.timeout, 0);
});
