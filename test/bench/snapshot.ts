import { Readable } from 'node:stream';
import { PodIndex } from '../../src/index/pod-index.ts';
import { SystemClock } from '../../src/kubernetes/clock.ts';
import type { Pod } from '../../src/pod.ts';
import { accessOf } from '../../src/sinks/postgres/access.ts';
import { Database } from '../../src/sinks/postgres/database.ts';
import { ByteText } from '../../src/sinks/postgres/byte-text.ts';
import { withDigest } from '../../src/sinks/postgres/flush.ts';
import { Lease } from '../../src/sinks/postgres/lease.ts';
import { migrate } from '../../src/sinks/postgres/migrate.ts';
import type { MirroredTable } from '../../src/sinks/postgres/mirrored-table.ts';
import { statementsOf } from '../../src/sinks/postgres/statements.ts';
import { copyLine } from '../../src/sinks/postgres/values.ts';
import { mirrored } from '../../src/sinks/postgres/target.ts';
import { Writer } from '../../src/sinks/postgres/writer.ts';
import { PodTruth } from '../../src/sinks/snapshot/pod-truth.ts';
import { podRow, podsTable } from '../../src/sinks/snapshot/pods-table.ts';
import { makeContainer, makePod } from '../index/make-pod.ts';
import { startPostgres } from '../support/real-postgres.ts';
import { until } from '../support/until.ts';
import { progress } from './rows.ts';
import type { Scale } from './rows.ts';
import { median, ratios, spread } from './statistics.ts';
import type { Row } from './table.ts';

const silent = { info: () => {}, warn: () => {}, error: (fields: object) => console.error(fields) };

/** The first snapshot against the bare COPY and upsert of the same rows, whose lines are ready; a resync without changes against the first. */
export async function snapshot({ pods: count, rounds }: Scale): Promise<readonly Row[]> {
  const postgres = await startPostgres();
  const clock = new SystemClock();
  const database = new Database({ access: accessOf(postgres.settings()), poolSize: 2, log: silent });
  try {
    const pods = Array.from({ length: count }, (_, i) => pod(i));
    const index = new PodIndex();
    const list = index.slice().beginReplace();
    for (const one of pods) list.add(one);
    list.commit('1000');
    const bare: number[] = [];
    const first: number[] = [];
    const again: number[] = [];
    const written = new Set<number>();
    for (let round = 0; round < rounds; round++) {
      progress(`first snapshot of ${count} pods, round ${round + 1} of ${rounds}`);
      const schema = postgres.schema();
      await migrate(database, schema);
      const table = podsTable(schema, 'c');
      bare.push(await bareCopy(database, table, pods));
      await postgres.query(`TRUNCATE ${schema}.pods`);
      await postgres.query('CHECKPOINT');
      const sync = async (times: number[]): Promise<void> => {
        const writer = new Writer({
          database,
          lease: new Lease({ schema, cluster: 'c', sink: 'snapshot', holder: 'bench' }),
          prepare: async () => void (await migrate(database, schema)),
          target: mirrored(table, new PodTruth(index, { synced: true })),
          clock,
          log: silent,
          flushMs: 3_000,
        });
        const ending = new AbortController();
        const begun = performance.now();
        const running = writer.run(ending.signal);
        await until('it is written', () => writer.counts.flushes > 0, { timeoutMs: 300_000, everyMs: 5 });
        times.push(performance.now() - begun);
        ending.abort();
        await running;
        if (times === again) written.add(writer.counts.written);
      };
      await sync(first);
      await postgres.query('CHECKPOINT');
      await sync(again);
      await postgres.query(`DROP SCHEMA ${schema} CASCADE`);
    }
    const [slower, resync] = [ratios(first, bare), ratios(again, first)];
    const name = `${count.toLocaleString('en')} pods`;
    return [
      {
        what: `first snapshot of ${name}`,
        ours: `${spread(first, 0)} ms`,
        floor: `${spread(bare, 0)} ms`,
        result: `× ${spread(slower)}`,
        target: '≤ 1.3 × the bare COPY and upsert',
        met: median(slower) <= 1.3,
      },
      {
        what: `resync of ${name} without changes (${[...written].join()} rows written)`,
        ours: `${spread(again, 0)} ms`,
        floor: `${spread(first, 0)} ms`,
        result: `× ${spread(resync)}`,
        target: '≤ 0.5 × the first snapshot, no row written',
        met: median(resync) <= 0.5 && [...written].every((rows) => rows === 0),
      },
    ];
  } finally {
    await database.close();
    clock.close();
    await postgres.down();
  }
}

/** What nobody can do without: the lines are ready, one COPY, one upsert, one commit. */
async function bareCopy(database: Database, table: MirroredTable, pods: readonly Pod[]): Promise<number> {
  const statements = statementsOf(table);
  const text = new ByteText(2 ** 20);
  const lines: Buffer[] = [];
  for (let from = 0; from < pods.length; from += 200) {
    for (const one of pods.slice(from, from + 200)) copyLine(text, withDigest(table, podRow(one)));
    lines.push(text.take());
  }
  const begun = performance.now();
  await database.transaction(async (session) => {
    await session.write(statements.createStage('bare'));
    await session.copyIn(statements.copyInto('bare'), Readable.from(lines));
    await session.write(statements.upsertFromStage('bare'), ['c']);
  });
  return performance.now() - begun;
}

/** As they are in clusters: some hundred pods of a template share their labels. */
function pod(i: number): Pod {
  const template = i % 1_500;
  const hash = (template * 2_654_435_761) % 4_294_967_296;
  labels[template] ??= {
    app: `app-${template}`,
    'pod-template-hash': hash.toString(36),
    tier: 'web',
    team: `team-${template % 20}`,
  };
  return makePod({
    uid: `${i.toString(16).padStart(8, '0')}-aaaa-4bbb-8ccc-${hash.toString(16).padStart(12, '0')}`,
    name: `app-${template}-${hash.toString(36)}-${i.toString(36)}`,
    namespace: `team-${template % 20}`,
    labels: labels[template],
    podIps: [`10.${(i >> 16) & 255}.${(i >> 8) & 255}.${i & 255}`],
    hostIps: [`192.168.${(i % 5_000) >> 8}.${(i % 5_000) & 255}`],
    nodeName: `node-${i % 5_000}`,
    owner: { kind: 'ReplicaSet', name: `app-${template}-${hash.toString(36)}`, uid: `owner-${template}` },
    workload: { kind: 'Deployment', name: `app-${template}`, source: 'pod-template-hash' },
    containers: [
      makeContainer(`containerd://${i.toString(16).padStart(64, '0')}`, {
        image: `registry.example.com/app-${template}:1.2.3`,
      }),
    ],
    startedAt: 1_700_000_001_000,
  });
}

const labels: Record<string, string>[] = [];
