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
import { until } from '../../support/until.ts';

/** How many writers are killed; more by this variable. */
const KILLS = Number(process.env['PODWHOIS_KILLS'] ?? 20);
const WRITES = 'this process writes the table now';

let postgres: RealPostgres;
let simulator: Simulator;
/** Knows the cluster, and writes nothing. */
let observer: Service;
const dir = mkdtempSync(join(tmpdir(), 'podwhois-crashes-'));
const writers = new Set<Child>();

before(async () => {
  postgres = await startPostgres();
  simulator = await startSimulator({ pods: 2_000 });
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

const writes = async (writer: Child): Promise<unknown> =>
  await until(
    'it writes',
    () => {
      if (writer.ended !== undefined) throw new Error(writer.output());
      return writer.output().includes(WRITES);
    },
    { timeoutMs: 60_000, everyMs: 20 },
  );

async function equal(schema: string): Promise<void> {
  await until('the table equals the cluster', async () => {
    const rows = await postgres.query<{ row: string }>(
      `SELECT uid || ' ' || resource_version || ' ' || array_to_string(pod_ips, ',') AS row FROM ${schema}.pods`,
    );
    const pods = [...observer.index.walk()].map((pod) => `${pod.uid} ${pod.resourceVersion} ${pod.podIps.join()}`);
    return JSON.stringify(rows.map(({ row }) => row).sort()) === JSON.stringify(pods.sort());
  });
}

test(`kill -9 of the writer at ${KILLS} random moments under churn: the table equals the cluster afterwards`, async (t) => {
  const schema = postgres.schema();
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
  const [lease] = await postgres.query<{ epoch: string }>(`SELECT epoch FROM ${schema}.leases`);
  assert.ok(Number(lease?.epoch) > KILLS, 'every writer had an epoch of its own');
  await last.stop();
});

test('a paused writer that wakes after its lease writes nothing more, and the table equals the cluster', async (t) => {
  const schema = postgres.schema();
  simulator.setChurn(100);
  t.after(() => simulator.setChurn(0));
  const first = startWriter(schema);
  await writes(first);
  const second = startWriter(schema);
  await until('the second one waits', () => second.output().includes('watching'));
  for (let i = 0; i < 3; i++) {
    const [holder, other] = i % 2 === 0 ? [first, second] : [second, first];
    const times = (child: Child): number => child.output().split(WRITES).length;
    const before = times(other);
    await sleep(Math.random() * 300);
    holder.signal('SIGSTOP');
    await until('the other one takes over', () => times(other) > before, { timeoutMs: 60_000, everyMs: 20 });
    holder.signal('SIGCONT');
    await sleep(300);
  }
  simulator.setChurn(0);
  await equal(schema);
  await first.stop();
  await second.stop();
});
