import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { View } from '../../../src/index/answer.ts';
import { PodIndex } from '../../../src/index/pod-index.ts';
import type { Pod, PodPhase, Unreadable } from '../../../src/pod.ts';
import { accessOf } from '../../../src/sinks/postgres/access.ts';
import { Database } from '../../../src/sinks/postgres/database.ts';
import type { Session } from '../../../src/sinks/postgres/database.ts';
import { migrate } from '../../../src/sinks/postgres/migrate.ts';
import { mirrored } from '../../../src/sinks/postgres/target.ts';
import { PodTruth } from '../../../src/sinks/snapshot/pod-truth.ts';
import { podsTable } from '../../../src/sinks/snapshot/pods-table.ts';
import { unanswered } from '../../../src/sinks/snapshot/unanswered.ts';
import { makePod } from '../../index/make-pod.ts';
import { startPostgres } from '../../support/real-postgres.ts';
import type { RealPostgres } from '../../support/real-postgres.ts';
import { toldByLookup, toldBySql, viewOf } from './answers.ts';

let postgres: RealPostgres;
let database: Database;
before(async () => {
  postgres = await startPostgres();
  const silent = { info: () => {}, warn: () => {}, error: () => {} };
  database = new Database({ access: accessOf(postgres.settings()), poolSize: 1, log: silent });
});
after(async () => {
  await database.close();
  await postgres.down();
});

interface Stored {
  readonly view?: View;
  readonly aside?: readonly Unreadable[];
}

/** By the snapshot's own target, without its writer. */
async function store(
  schema: string,
  cluster: string,
  pods: readonly Pod[],
  { view = viewOf([]), aside = [] }: Stored = {},
): Promise<PodIndex> {
  const index = new PodIndex();
  const list = index.slice().beginReplace();
  for (const pod of pods) list.add(pod);
  for (const object of aside) list.addUnreadable(object);
  list.commit('1000');
  const truth = new PodTruth(index, { synced: true });
  const target = mirrored(podsTable(schema, cluster), truth, unanswered({ schema, cluster, index, view }));
  const beside = target.beside?.();
  const uids = pods.map(({ uid }) => uid);
  const enter = async (): Promise<void> => await Promise.resolve();
  const leave = async (session: Session): Promise<void> => await beside?.(session, new Set());
  const manner = { batch: 1_000, copy: false, careful: false, enter, leave };
  await database.transaction(async (session) => await target.flush(session, uids, manner));
  return index;
}

const NODE_IPS = ['192.0.2.1', '192.0.2.2', '192.0.2.3', 'fd00::2'];
const IPS = ['10.0.0.1', '10.0.0.2', '10.0.0.3', 'fd00::1', ...NODE_IPS];
/** Also with bits behind the prefix, mapped, and as wide as can be: an IPv6 one contains no IPv4 address. */
const CIDRS = [
  '10.0.0.3/30',
  '10.0.0.2/32',
  '::ffff:192.0.2.2/127',
  '0.0.0.0/0',
  'fd00::/127',
  'FD00:0::2/128',
  '::/0',
];
/** As texts joined by "/" they are in another order than name by name. */
const NAMESPACES = ['n', 'n-1', 'n.2'];
const PHASES: readonly PodPhase[] = ['Pending', 'Running', 'Running', 'Running', 'Succeeded', 'Failed', 'Unknown'];

test('A1, A4, A6, B6 in SQL: the view says of every address of random clusters what the lookup says', async () => {
  const schema = postgres.schema();
  await migrate(database, schema);
  let seed = 20_261_125;
  const random = (below: number): number => {
    seed = (Math.imul(seed, 1_103_515_245) + 12_345) >>> 0;
    return Math.floor((seed / 2 ** 32) * below);
  };
  const seen = new Map<string, number>();
  for (let round = 0; round < 150; round++) {
    const pods = Array.from({ length: 1 + random(8) }, (_, i) => {
      const podIps = IPS.filter(() => random(4) === 0);
      const deletionTimestamp = random(3) === 0 ? 1_700_000_000_000 : undefined;
      const hostIps = NODE_IPS.filter(() => random(3) === 0);
      const phase = PHASES[random(PHASES.length)] ?? 'Running';
      return makePod({
        name: `p-${i}`,
        namespace: NAMESPACES[random(3)] ?? '',
        podIps,
        hostIps,
        phase,
        deletionTimestamp,
        hostNetwork: random(10) === 0,
      });
    });
    const view = viewOf(CIDRS.filter(() => random(5) === 0));
    // As a list has them: never of a pod that could be read.
    const aside = Array.from({ length: random(3) }, (_, i) => ({
      key: `unreadable-${i}`,
      namespace: random(2) === 0 ? undefined : 'n',
      name: `u-${i}`,
      ips: IPS.filter(() => random(8) === 0),
      reason: 'made up',
    }));
    const index = await store(schema, `c-${round}`, pods, { view, aside });
    const told = await toldBySql(postgres, schema, `c-${round}`);
    for (const ip of IPS) {
      const expected = toldByLookup(index, ip, view);
      const kind = expected === undefined ? 'no-pod' : (expected.reason ?? 'one');
      seen.set(kind, (seen.get(kind) ?? 0) + 1);
      assert.deepEqual(told.get(ip), expected, `round ${round}, ${ip}`);
    }
  }
  for (const kind of [
    'one',
    'ambiguous',
    'no-pod',
    'host-network',
    'node',
    'terminal',
    'outside-cluster-cidr',
    'unreadable',
  ]) {
    assert.ok((seen.get(kind) ?? 0) > 10, `${kind}: ${seen.get(kind)}`);
  }
});

test('the view finds one address by indexes, however many pods there are', async () => {
  const schema = postgres.schema();
  await migrate(database, schema);
  const pods = Array.from({ length: 2_000 }, (_, i) =>
    makePod({
      name: `p-${i}`,
      podIps: [`10.0.${i >> 8}.${i & 255}`, `fd00::${i.toString(16)}`],
      hostIps: [`192.0.2.${i % 100}`, `fd01::${i % 100}`],
    }),
  );
  await store(schema, 'c', pods);
  await postgres.query(`ANALYZE ${schema}.pods`);
  const plan = await postgres.query<{ 'QUERY PLAN': string }>(
    `EXPLAIN SELECT * FROM ${schema}.pods_by_ip WHERE cluster = 'c' AND ip = '10.0.0.1'`,
  );
  const text = plan.map((line) => line['QUERY PLAN']).join('\n');
  assert.doesNotMatch(text, /Seq Scan/);
  for (const index of ['pod_ip', 'second_pod_ip', 'host_ip', 'second_host_ip']) {
    assert.match(text, new RegExp(`pods_by_${index}\\b`));
  }
  assert.match(text, /Function Scan on unnest doubt/);
  // The one that holds nothing is the way to what there is nothing of.
  assert.equal(text.match(/pods_of_more_ips\b/g)?.length, 2, text);
});

test('hostile labels and annotations are stored as they are, but for what jsonb has no place for', async () => {
  const schema = postgres.schema();
  await migrate(database, schema);
  const hostile = {
    quotes: `'"; DROP TABLE pods; -- \\ {} , NULL \\N`,
    lines: 'a\tb\nc\r\\.\n\u2028',
    nul: 'a\u0000b',
    half: 'a\ud800b',
    whole: '\u{1f600} \\u0000',
    long: 'x'.repeat(65_536),
  };
  const pod = makePod({ annotations: hostile, labels: { constructor: 'x', __proto_: 'y' }, nodeName: '', podIps: [] });
  await store(schema, 'c', [pod]);
  const [row] = await postgres.query<{ annotations: unknown; labels: unknown; node_name: unknown }>(
    `SELECT annotations, labels, node_name FROM ${schema}.pods`,
  );
  assert.deepEqual(row, {
    annotations: { ...hostile, nul: 'a\ufffdb', half: 'a\ufffdb' },
    labels: { constructor: 'x', __proto_: 'y' },
    node_name: null,
  });
});

test('no name of an owner and no time that an API server takes keeps a pod out of the table', async () => {
  const schema = postgres.schema();
  await migrate(database, schema);
  const owner = { apiGroup: '', kind: 'a\u0000b', name: '\u0000', uid: "'" };
  const times = ['0000-01-01T00:00:00Z', '9999-12-31T23:59:59-14:00', '0001-01-01T00:00:01Z'].map((at) =>
    Date.parse(at),
  );
  await store(
    schema,
    'c',
    times.map((startedAt, i) => makePod({ name: `p-${i}`, owner, startedAt })),
  );
  const rows = await postgres.query(
    `SELECT owner_kind, owner_name, to_json(started_at AT TIME ZONE 'UTC') AS started FROM ${schema}.pods ORDER BY name`,
  );
  assert.deepEqual(
    rows,
    ['-infinity', 'infinity', '0001-01-01T00:00:01'].map((started) => ({
      owner_kind: 'a\ufffdb',
      owner_name: '\ufffd',
      started,
    })),
  );
});
