import type { TestContext } from 'node:test';
import { startMirror } from '../../src/mirror-endpoints.ts';
import type { MirrorService } from '../../src/mirror-endpoints.ts';
import { readMirrorSettings } from '../../src/mirror-settings.ts';
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
