import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { answer } from '../../../src/index/answer.ts';
import { PodIndex } from '../../../src/index/pod-index.ts';
import type { Pod, PodPhase } from '../../../src/pod.ts';
import { accessOf } from '../../../src/sinks/postgres/access.ts';
import { Database } from '../../../src/sinks/postgres/database.ts';
import { flush } from '../../../src/sinks/postgres/flush.ts';
import { migrate } from '../../../src/sinks/postgres/migrate.ts';
import { statementsOf } from '../../../src/sinks/postgres/statements.ts';
import { PodTruth } from '../../../src/sinks/snapshot/pod-truth.ts';
import { podsTable } from '../../../src/sinks/snapshot/pods-table.ts';
import { makePod } from '../../index/make-pod.ts';
import { startPostgres } from '../../support/real-postgres.ts';
import type { RealPostgres } from '../../support/real-postgres.ts';

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

const view = { partial: false, clusterCidrs: [] };

async function store(schema: string, cluster: string, pods: readonly Pod[]): Promise<PodIndex> {
  const index = new PodIndex();
  const list = index.slice().beginReplace();
  for (const pod of pods) list.add(pod);
  list.commit('1000');
  const truth = new PodTruth(index, { synced: true });
  const table = podsTable(schema, cluster);
  const nothing = async (): Promise<void> => await Promise.resolve();
  await database.transaction(
    async (session) =>
      await flush(
        session,
        pods.map(({ uid }) => uid),
        {
          table,
          statements: statementsOf(table),
          rows: (uid) => truth.rows(uid),
          mayDelete: () => true,
          batch: 1_000,
          copy: false,
          careful: false,
          enter: nothing,
          leave: nothing,
        },
      ),
  );
  return index;
}

const NODE_IPS = ['192.0.2.1', '192.0.2.2', '192.0.2.3', 'fd00::2'];
const IPS = ['10.0.0.1', '10.0.0.2', '10.0.0.3', 'fd00::1', ...NODE_IPS];
/** As texts joined by "/" they are in another order than name by name. */
const NAMESPACES = ['n', 'n-1', 'n.2'];
const PHASES: readonly PodPhase[] = ['Pending', 'Running', 'Running', 'Running', 'Succeeded', 'Failed', 'Unknown'];

test('A1, A4, A6 in SQL: the view says of every address of random clusters what the lookup says', async () => {
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
    const index = await store(schema, `c-${round}`, pods);
    const rows = await postgres.query<{
      ip: string;
      reason: string | null;
      candidates: string[] | null;
      uid: string | null;
    }>(`SELECT host(ip) AS ip, reason, candidates, uid FROM ${schema}.pods_by_ip WHERE cluster = $1`, [`c-${round}`]);
    const told = new Map(rows.map(({ ip, ...rest }) => [ip, rest]));
    assert.equal(told.size, rows.length, 'one row for an address');
    for (const ip of IPS) {
      const expected = answer(index, ip, view);
      const kind = expected.kind === 'none' ? expected.reason : expected.kind;
      seen.set(kind, (seen.get(kind) ?? 0) + 1);
      const references = (all: readonly Pod[]): string[] => all.map(({ namespace, name }) => `${namespace}/${name}`);
      assert.deepEqual(
        told.get(ip) ?? 'no-pod',
        expected.kind === 'one'
          ? { reason: null, candidates: null, uid: expected.pod.uid }
          : expected.kind === 'ambiguous'
            ? { reason: 'ambiguous', candidates: references(expected.candidates), uid: null }
            : kind === 'no-pod'
              ? 'no-pod'
              : { reason: kind, candidates: null, uid: null },
        `round ${round}, ${ip}`,
      );
    }
  }
  for (const kind of ['one', 'ambiguous', 'no-pod', 'host-network', 'node', 'terminal']) {
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
