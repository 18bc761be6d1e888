import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { createLog } from '../../../src/log.ts';
import { readServeSettings } from '../../../src/serve-settings.ts';
import { startService } from '../../../src/service.ts';
import type { Service } from '../../../src/service.ts';
import { startSimulator } from '../../../src/simulator/simulator.ts';
import type { Simulator } from '../../../src/simulator/simulator.ts';
import { startChild } from '../../support/child-process.ts';
import type { Child } from '../../support/child-process.ts';
import { startPostgres } from '../../support/real-postgres.ts';
import type { RealPostgres } from '../../support/real-postgres.ts';
import { TrueHolds } from '../../support/true-holds.ts';
import { until } from '../../support/until.ts';

/** How many writers are killed; more by this variable. */
const KILLS = Number(process.env['PODWHOIS_KILLS'] ?? 20);
const TABLES = ['pods', 'ip_history'] as const;

let postgres: RealPostgres;
let simulator: Simulator;
/** Knows the cluster, and writes nothing. */
let observer: Service;
const dir = mkdtempSync(join(tmpdir(), 'podwhois-crashes-'));
const writers = new Set<Child>();

before(async () => {
  postgres = await startPostgres();
  simulator = await startSimulator({ pods: 2_000, history: 1_000_000 });
  const environment = { K8S_API_SERVER: simulator.url, HOST: '127.0.0.1', PORT: '0' };
  const settings = readServeSettings({ flags: {}, environment });
  observer = await startService(settings, { log: createLog({ level: 'fatal', format: 'json' }) });
});
after(async () => {
  for (const writer of writers) await writer.stop();
  await observer.close();
  await simulator.close();
  await postgres.down();
  rmSync(dir, { recursive: true });
});

let started = 0;

function startWriter(schema: string): Child {
  const writer = startChild({
    name: 'writer',
    file: process.execPath,
    args: [join(import.meta.dirname, 'writer-process.ts')],
    logFile: join(dir, `${++started}.log`),
    env: {
      PATH: process.env['PATH'],
      ...postgres.environment({ PODWHOIS_SCHEMA: schema }),
      K8S_API_SERVER: simulator.url,
      HOST: '127.0.0.1',
      PORT: '0',
      SNAPSHOT: 'true',
      SNAPSHOT_FLUSH_INTERVAL: '100ms',
    },
  });
  writers.add(writer);
  return writer;
}

/** When it began to write a table, the last time; 0: never. */
function tookAt(writer: Child, table: (typeof TABLES)[number]): number {
  const end = `"table":"${table}","msg":"this process writes the table now"}`;
  const line = writer
    .output()
    .split('\n')
    .findLast((one) => one.endsWith(end));
  return line === undefined ? 0 : Date.parse((JSON.parse(line) as { time: string }).time);
}

const writes = async (writer: Child): Promise<unknown> =>
  await until(
    'it writes',
    () => {
      if (writer.ended !== undefined) throw new Error(writer.output());
      return TABLES.every((table) => tookAt(writer, table) > 0);
    },
    { timeoutMs: 60_000, everyMs: 20 },
  );

/** What is open in the history is what is held, no hold is there twice, and none is lost that somebody had watched. */
async function historyIsRight(schema: string, truth: TrueHolds): Promise<void> {
  await until('what is open in the history is what is held', async () => {
    const [row] = await postgres.query<{ count: number }>(
      `SELECT count(*)::int AS count FROM ${schema}.ip_history WHERE valid_until = 'infinity'`,
    );
    return row?.count === truth.open && (await truth.contradictions(postgres, schema)).length === 0;
  }).catch(async (error: unknown) => {
    assert.deepEqual(await truth.contradictions(postgres, schema), []);
    throw error;
  });
}

async function equal(schema: string): Promise<void> {
  await until('the table equals the cluster', async () => {
    const rows = await postgres.query<{ row: string }>(
      `SELECT uid || ' ' || resource_version || ' ' || array_to_string(pod_ips, ',') AS row FROM ${schema}.pods`,
    );
    const pods = [...observer.index.walk()].map((pod) => `${pod.uid} ${pod.resourceVersion} ${pod.podIps.join()}`);
    return JSON.stringify(rows.map(({ row }) => row).sort()) === JSON.stringify(pods.sort());
  });
}

test(`kill -9 of the writer at ${KILLS} random moments under churn: the table equals the cluster afterwards, and the history its log`, async (t) => {
  const schema = postgres.schema();
  const truth = new TrueHolds(simulator.cluster);
  simulator.setChurn(100);
  t.after(() => simulator.setChurn(0));
  for (let i = 0; i < KILLS; i++) {
    const writer = startWriter(schema);
    await writes(writer);
    await sleep(Math.random() * 600);
    await writer.stop('SIGKILL');
  }
  const last = startWriter(schema);
  await writes(last);
  simulator.setChurn(0);
  await equal(schema);
  await historyIsRight(schema, truth);
  const leases = await postgres.query<{ epoch: string }>(`SELECT epoch FROM ${schema}.leases`);
  assert.equal(leases.length, 2);
  for (const { epoch } of leases) assert.ok(Number(epoch) > KILLS, 'every writer had an epoch of its own');
  await last.stop();
});

test('a paused writer that wakes after its lease writes nothing more, and table and history are right', async (t) => {
  const schema = postgres.schema();
  const truth = new TrueHolds(simulator.cluster);
  simulator.setChurn(100);
  t.after(() => simulator.setChurn(0));
  const first = startWriter(schema);
  await writes(first);
  const second = startWriter(schema);
  await until('the second one waits', () => second.output().includes('watching'));
  for (let taken = 0; taken < 3;) {
    await sleep(Math.random() * 300);
    // On a slow machine half a second is little: one may lose a lease to the other without being paused.
    const [holder, other] = tookAt(first, 'pods') > tookAt(second, 'pods') ? [first, second] : [second, first];
    holder.signal('SIGSTOP');
    const stoppedAt = Date.now();
    await until('the other one writes', () => TABLES.every((table) => tookAt(other, table) > tookAt(holder, table)), {
      timeoutMs: 60_000,
      everyMs: 20,
    });
    if (TABLES.some((table) => tookAt(other, table) > stoppedAt)) taken++;
    holder.signal('SIGCONT');
    await sleep(300);
  }
  simulator.setChurn(0);
  await equal(schema);
  await historyIsRight(schema, truth);
  await first.stop();
  await second.stop();
});
