import assert from 'node:assert/strict';
import { execFile, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { promisify } from 'node:util';
import { request } from 'undici';
import { parse } from 'yaml';
import { CAPABILITIES } from '../../src/capabilities.ts';
import { COUNTERS, GAUGES } from '../../src/metrics.ts';
import type { Family } from '../../src/metrics.ts';
import { FAMILIES as FILES } from '../../src/service-files.ts';
import { startSimulator } from '../../src/simulator/simulator.ts';
import { FAMILIES as MIRROR } from '../../src/sinks/endpoint-mirror/settings.ts';
import { startChild } from '../support/child-process.ts';
import { freePorts } from '../support/free-ports.ts';
import { PodwhoisProcess } from '../support/podwhois-process.ts';
import { startPostgres } from '../support/real-postgres.ts';
import { until } from '../support/until.ts';

const ROOT = join(import.meta.dirname, '../..');
const CHART = join(ROOT, 'charts/podwhois');
const read = (path: string): string => readFileSync(join(ROOT, path), 'utf8');
const run = promisify(execFile);

/** Every metric of ours, with its labels and their values. */
const KNOWN = new Map<string, Readonly<Record<string, readonly string[] | string>>>();
for (const name of Object.keys(GAUGES)) KNOWN.set(`podwhois_${name}`, {});
for (const [name, { label, values }] of Object.entries(COUNTERS)) {
  KNOWN.set(`podwhois_${name}`, label === undefined ? {} : { [label]: values });
}
for (const families of [FILES, MIRROR, ...CAPABILITIES.map(({ metrics = {} }) => metrics)]) {
  for (const [name, { labels }] of Object.entries<Family>(families)) KNOWN.set(`podwhois_${name}`, labels);
}

/** What Prometheus itself puts on every series of a pod; `cluster` where one Prometheus sees several. */
const PROMETHEUS_OWN: readonly string[] = ['cluster', 'namespace', 'job', 'pod'];

interface Alerts {
  readonly groups: readonly { readonly rules: readonly { readonly alert: string; readonly expr: string }[] }[];
}
const alerts = (parse(read('charts/podwhois/files/alerts.yaml')) as Alerts).groups.flatMap(({ rules }) => rules);
const dashboard = read('charts/podwhois/files/dashboard.json');
const queries = [...dashboard.matchAll(/"expr": "((?:[^"\\]|\\.)*)"/g)].map(
  ([, expr = '']) => JSON.parse(`"${expr}"`) as string,
);

for (const [where, expressions] of [
  ['alerts', alerts.map(({ expr }) => expr)],
  ['the dashboard', queries],
] as const) {
  test(`every metric, label and value that ${where} name is there`, () => {
    assert.ok(expressions.length > 5);
    for (const expression of expressions) {
      const names = [...expression.matchAll(/\b(podwhois_\w+)(\{[^}]*\})?/g)];
      assert.ok(names.length > 0 || /\b(?:process|nodejs)_/.test(expression), expression);
      for (const [, name = '', selector = ''] of names) {
        const labels = KNOWN.get(name);
        assert.ok(labels, `${name} in ${expression}`);
        for (const [, label = '', wanted = ''] of selector.matchAll(/(\w+)=~?"([^"]*)"/g)) {
          if (PROMETHEUS_OWN.includes(label)) continue;
          const values = labels[label];
          assert.ok(values !== undefined, `${name} has no label ${label}`);
          for (const value of wanted.split('|'))
            assert.ok(values.includes(value), `${label}="${value}" in ${expression}`);
        }
        for (const [, list = ''] of expression.matchAll(/by \(([^)]+)\)/g)) {
          for (const by of list.split(', ')) {
            const isKnown = names.every(([, one = '']) => Object.hasOwn(KNOWN.get(one) ?? {}, by));
            assert.ok(PROMETHEUS_OWN.includes(by) || isKnown, `by (${by}) in ${expression}`);
          }
        }
      }
    }
  });
}

test('docs/operations.md has a part for each alert, and for no other', () => {
  const parts = [...read('docs/operations.md').matchAll(/^### (Podwhois\w+)$/gm)].map(([, name = '']) => name);
  assert.deepEqual(parts.sort(), alerts.map(({ alert }) => alert).sort());
});

const missing = ['promtool', 'prometheus'].find((name) => spawnSync(name, ['--version']).status !== 0);
if (missing !== undefined && process.env['CI'] === 'true')
  throw new Error(`${missing} is not installed: apt-get install prometheus`);

describe(
  'Prometheus itself',
  { skip: missing === undefined ? false : `${missing} is not installed: apt-get install prometheus`, timeout: 60_000 },
  () => {
    test('promtool accepts the alerts, and each fires when it should and not otherwise', async () => {
      await run('promtool', ['check', 'rules', join(CHART, 'files/alerts.yaml')]);
      await run('promtool', ['test', 'rules', join(CHART, 'tests/prometheus/alerts_test.yaml')]);
    });

    test('every alert is in the tests of promtool', () => {
      const text = read('charts/podwhois/tests/prometheus/alerts_test.yaml');
      const fires = text.slice(text.indexOf('nobody reports'));
      const quiet = text.slice(0, text.indexOf('nobody reports'));
      for (const { alert } of alerts) {
        assert.match(quiet, new RegExp(`alertname: ${alert}, exp_alerts: \\[\\]`));
        assert.match(fires, new RegExp(`\\b${alert}\\b`));
      }
    });

    test('a real Prometheus scrapes the service and the mirror, and the dashboard has its series', async (t) => {
      const folder = mkdtempSync(join(tmpdir(), 'podwhois-prometheus-'));
      t.after(() => rmSync(folder, { recursive: true, force: true }));
      const [simulator, postgres] = await Promise.all([startSimulator({ pods: 20 }), startPostgres()]);
      t.after(async () => await Promise.all([simulator.close(), postgres.down()]));
      const [token, rules] = [join(folder, 'token'), join(folder, 'rules.yaml')];
      writeFileSync(token, 'a-token-that-is-long-enough');
      writeFileSync(rules, 'rules: [{ name: all, match: {}, allow: [{ serviceAccount: demo/default }] }]');
      const environment = { K8S_API_SERVER: simulator.url, ...postgres.environment({ CLUSTER_NAME: 'here' }) };
      const everything = {
        LOOKUP_TOKEN_FILE: token,
        FORWARD_AUTH_RULES: rules,
        FORWARD_AUTH_DIRECT: 'true',
        SNAPSHOT: 'true',
      };
      const service = await PodwhoisProcess.start({ ...environment, ...everything });
      t.after(async () => await service.stop());
      const mirror = await PodwhoisProcess.start(environment, { command: 'mirror-endpoints' });
      t.after(async () => await mirror.stop());
      const [port = 0] = await freePorts(1);
      const scraped = (name: string, { url }: PodwhoisProcess, more: object = {}): object => ({
        job_name: name,
        static_configs: [{ targets: [new URL(url).host], labels: { pod: name, namespace: 'b' } }],
        ...more,
      });
      writeFileSync(
        join(folder, 'prometheus.yml'),
        JSON.stringify({
          global: { scrape_interval: '1s' },
          scrape_configs: [
            scraped('podwhois', service, { authorization: { credentials_file: token } }),
            scraped('mirror', mirror),
          ],
        }),
      );
      const prometheus = startChild({
        name: 'prometheus',
        file: 'prometheus',
        args: [
          `--config.file=${folder}/prometheus.yml`,
          `--storage.tsdb.path=${folder}/data`,
          `--web.listen-address=127.0.0.1:${port}`,
        ],
        logFile: join(folder, 'log'),
      });
      t.after(async () => await prometheus.stop());
      const query = async (expr: string): Promise<readonly unknown[]> => {
        const { body } = await request(`http://127.0.0.1:${port}/api/v1/query?query=${encodeURIComponent(expr)}`);
        return ((await body.json()) as { data: { result: unknown[] } }).data.result;
      };
      await service.untilReady();
      await service.get('/authorize');
      for (const expr of ['podwhois_snapshot_lag_seconds < 60', 'podwhois_mirror_lag_seconds < 60', ...queries]) {
        const asked = expr.replaceAll('$__rate_interval', '1m').replaceAll('$namespace', '.*');
        // Ranges need two scrapes.
        await until(`there is ${asked}`, async () => (await query(asked)).length > 0);
      }
    });
  },
);
