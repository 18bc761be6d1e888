import assert from 'node:assert/strict';
import type { TestContext } from 'node:test';
import { startMirror } from '../../src/mirror-endpoints.ts';
import type { MirrorService } from '../../src/mirror-endpoints.ts';
import { readMirrorSettings } from '../../src/mirror-settings.ts';
import type { Cluster } from '../../src/simulator/cluster.ts';
import type { EndpointObject, EndpointSliceObject } from '../../src/simulator/endpoint-slice-object.ts';
import { startSimulator } from '../../src/simulator/simulator.ts';
import type { Simulator, SimulatorOptions } from '../../src/simulator/simulator.ts';
import { keptLog } from './reflector-harness.ts';
import type { RealPostgres } from './real-postgres.ts';
import { until } from './until.ts';

export interface Answer {
  readonly status: number;
  readonly type: string;
  readonly text: string;
}

export interface RunningMirror extends MirrorService {
  get(path: string, method?: string): Promise<Answer>;
  /** The named check of /ready?verbose. */
  check(name: string): Promise<{ readonly ok: boolean; readonly message: string } | undefined>;
  untilReady(): Promise<void>;
  metric(name: string): Promise<number>;
  readonly lines: ReturnType<typeof keptLog>['lines'];
}

/** The mirror in this process, by the variables as somebody would set them; closed at the end of the test. */
export async function runMirror(t: TestContext, environment: Readonly<Record<string, string>>): Promise<RunningMirror> {
  const { log, lines } = keptLog();
  const settings = readMirrorSettings({ flags: {}, environment: { HOST: '127.0.0.1', PORT: '0', ...environment } });
  const mirror = await startMirror(settings, { log });
  const { url } = mirror;
  t.after(async () => await mirror.close());
  const get = async (path: string, method = 'GET'): Promise<Answer> => {
    const response = await fetch(url + path, { method });
    return { status: response.status, type: response.headers.get('content-type') ?? '', text: await response.text() };
  };
  return {
    url,
    close: async () => await mirror.close(),
    get,
    lines,
    async check(name) {
      const { checks } = JSON.parse((await get('/ready?verbose')).text) as {
        checks: readonly { name: string; ok: boolean; message: string }[];
      };
      return checks.find((one) => one.name === name);
    },
    async untilReady() {
      await until('the mirror is ready', async () => (await get('/ready')).status === 200, { everyMs: 20 });
    },
    async metric(name) {
      const { text } = await get('/metrics');
      return Number(new RegExp(`^podwhois_${name} (\\S+)$`, 'm').exec(text)?.[1]);
    },
  };
}

/** The observer's table, as its documentation has it made by hand. */
export const observersTable = (table: string): string => `
  CREATE TABLE IF NOT EXISTS ${table} (
    cluster     text        NOT NULL,
    namespace   text        NOT NULL,
    service     text        NOT NULL,
    pod_uid     text        NOT NULL,
    pod_name    text,
    pod_ip      inet        NOT NULL,
    ready       boolean     NOT NULL DEFAULT true,
    first_seen  timestamptz NOT NULL DEFAULT now(),
    last_seen   timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (cluster, namespace, service, pod_uid)
  )`;

/** What the table holds, one line a row: `cluster namespace/service pod_name pod_uid pod_ip ready`. */
export async function tableRows(postgres: RealPostgres, table: string): Promise<readonly string[]> {
  const rows = await postgres.query<{ line: string }>(
    `SELECT concat_ws(' ', cluster, namespace || '/' || service, pod_name, pod_uid, host(pod_ip), ready) AS line FROM ${table}`,
  );
  return rows.map(({ line }) => line).toSorted();
}

export interface MirrorStage {
  readonly simulator: Simulator;
  readonly cluster: Cluster;
  readonly table: string;
  readonly environment: Readonly<Record<string, string>>;
  /** The table's rows, in order. */
  readonly rows: () => Promise<readonly string[]>;
  /** Waits until the table holds these rows. */
  readonly untilRows: (expected: () => readonly string[]) => Promise<void>;
}

/** A simulated cluster, a schema of its own with the observer's table in it, and the variables that lead to both. */
export async function startMirrorStage(
  t: TestContext,
  postgres: RealPostgres,
  options: SimulatorOptions = {},
): Promise<MirrorStage> {
  const simulator = await startSimulator({ pods: 0, ...options });
  t.after(() => simulator.close());
  const schema = postgres.schema();
  const table = `${schema}.server`;
  await postgres.query(`CREATE SCHEMA ${schema}`);
  await postgres.query(observersTable(table));
  const rows = async (): Promise<readonly string[]> => await tableRows(postgres, table);
  return {
    simulator,
    cluster: simulator.cluster,
    table,
    rows,
    environment: postgres.environment({
      K8S_API_SERVER: simulator.url,
      TABLE_NAME: table,
      CLUSTER_NAME: 'dev',
      PODWHOIS_SCHEMA: `${schema}_own`,
    }),
    async untilRows(expected) {
      let found: readonly string[] = [];
      try {
        await until(
          'the table holds what it should',
          async () => {
            found = await rows();
            return found.join('\n') === expected().join('\n');
          },
          { everyMs: 20 },
        );
      } catch {
        assert.deepEqual(found, expected());
      }
    },
  };
}

/** A pod of the namespace `shop` as an endpoint. */
export const endpoint = (name: string, ip: string, ready?: boolean): EndpointObject => ({
  addresses: [ip],
  conditions: ready === undefined ? {} : { ready },
  targetRef: { kind: 'Pod', namespace: 'shop', name, uid: `uid-${name}` },
});

/** An EndpointSlice of a Service in `shop`. */
export const slice = (
  service: string,
  endpoints: readonly EndpointObject[],
  change: Partial<EndpointSliceObject['metadata']> = {},
): EndpointSliceObject => {
  const name = change.name ?? `${service}-1`;
  const labels = { 'kubernetes.io/service-name': service };
  const metadata = { name, namespace: 'shop', uid: `slice-${name}`, creationTimestamp: '2026-11-20T00:00:00Z', labels };
  return { metadata: { ...metadata, ...change }, addressType: 'IPv4', endpoints, ports: null };
};

/** A line of `tableRows`. */
export const row = (name: string, ip: string, { service = 'shop/web', ready = 't' } = {}): string =>
  `dev ${service} ${name} uid-${name} ${ip} ${ready}`;
