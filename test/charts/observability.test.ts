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
import { startSimulator } from '../../src/simulator/simulator.ts';
import { startChild } from '../support/child-process.ts';
import { freePorts } from '../support/free-ports.ts';
import { PodwhoisProcess } from '../support/podwhois-process.ts';
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
for (const { metrics = {} } of CAPABILITIES) {
  for (const [name, { labels }] of Object.entries(metrics)) KNOWN.set(`podwhois_${name}`, labels);
}

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
          if (label === 'namespace') continue; // Prometheus' own
          const values = labels[label];
          assert.ok(values !== undefined, `${name} has no label ${label}`);
          for (const value of wanted.split('|'))
            assert.ok(values.includes(value), `${label}="${value}" in ${expression}`);
        }
        for (const [, by = ''] of expression.matchAll(/by \((\w+)\)/g)) {
          assert.ok(
            by === 'pod' || names.every(([, one = '']) => Object.hasOwn(KNOWN.get(one) ?? {}, by)),
            `by (${by}) in ${expression}`,
          );
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

    test('a real Prometheus scrapes the service, and the dashboard has its series', async () => {
      const folder = mkdtempSync(join(tmpdir(), 'podwhois-prometheus-'));
      const simulator = await startSimulator({ pods: 20 });
      const service = await PodwhoisProcess.start({ K8S_API_SERVER: simulator.url });
      const [port = 0] = await freePorts(1);
      writeFileSync(
        join(folder, 'prometheus.yml'),
        JSON.stringify({
          global: { scrape_interval: '1s' },
          scrape_configs: [
            {
              job_name: 'podwhois',
              static_configs: [{ targets: [new URL(service.url).host], labels: { pod: 'a', namespace: 'b' } }],
            },
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
      const query = async (expr: string): Promise<readonly unknown[]> => {
        const { body } = await request(`http://127.0.0.1:${port}/api/v1/query?query=${encodeURIComponent(expr)}`);
        return ((await body.json()) as { data: { result: unknown[] } }).data.result;
      };
      try {
        await service.untilReady();
        await until('it has been scraped', async () => (await query('podwhois_synced == 1')).length === 1);
        // Ranges need two scrapes.
        await until(
          'it has been scraped twice',
          async () => (await query('count_over_time(podwhois_synced[1m]) > 2')).length === 1,
        );
        for (const expr of queries.filter((one) => !/preflights/.test(one))) {
          const asked = expr.replaceAll('$__rate_interval', '1m').replaceAll('$namespace', '.*');
          assert.ok((await query(asked)).length > 0, asked);
        }
      } finally {
        await prometheus.stop();
        await service.stop();
        await simulator.close();
        rmSync(folder, { recursive: true, force: true });
      }
    });
  },
);
