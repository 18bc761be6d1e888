import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { CAPABILITIES } from '../src/capabilities.ts';
import { COUNTERS, createMetrics, GAUGES } from '../src/metrics.ts';
import type { Family } from '../src/metrics.ts';
import { FAMILIES as FILES } from '../src/service-files.ts';

const page = readFileSync(join(import.meta.dirname, '../docs/metrics.md'), 'utf8');

test('the document and the code list the same metrics', () => {
  const rows = page
    .split('\n')
    .filter((line) => line.startsWith('| `podwhois_'))
    .map((line) =>
      line
        .slice(2, -2)
        .split(' | ')
        .map((cell) => cell.replaceAll('`', '').trim()),
    );
  assert.deepEqual(rows, [
    ...Object.entries(GAUGES).map(([name, help]) => [`podwhois_${name}`, 'gauge', '', help]),
    ...Object.entries(COUNTERS).map(([name, { help, label, values }]) => [
      `podwhois_${name}`,
      'counter',
      label === undefined ? '' : `${label}: ${values.join(', ')}`,
      help,
    ]),
    ...[FILES, ...CAPABILITIES.map(({ metrics = {} }) => metrics)]
      .flatMap(Object.entries<Family>)
      .map(([name, { type, help, labels }]) => [
        `podwhois_${name}`,
        type,
        Object.entries(labels)
          .map(([label, values]) => `${label}: ${typeof values === 'string' ? values : values.join(', ')}`)
          .join('; '),
        help,
      ]),
  ]);
});

test("a capability's metrics have names of their own and no label that could hold an address or a pod", () => {
  const families = CAPABILITIES.flatMap(({ metrics = {} }) => Object.entries(metrics));
  const names = [...Object.keys(GAUGES), ...Object.keys(COUNTERS), ...families.map(([name]) => name)];
  assert.equal(new Set(names).size, names.length);
  for (const [name, { type, labels }] of families) {
    assert.equal(name.endsWith('_total'), type === 'counter', name);
    for (const label of Object.keys(labels))
      assert.doesNotMatch(label, /^(ip|.*address|pod|uid|name|host|peer)$/, name);
  }
});

test("a capability's family is read at the scrape, with all its labels, and starts empty", async () => {
  const metrics = createMetrics();
  const counted = new Map<string, number>();
  const labels = { outcome: ['allow', 'deny'], rule: 'as the rules file names it' };
  metrics.publish('verdicts_total', { type: 'counter', help: 'Verdicts', labels }, () =>
    Array.from(counted, ([key, count]) => [key.split('/'), count] as const),
  );
  metrics.publish('rules', { type: 'gauge', help: 'Rules', labels: {} }, () => [[[], 3]]);
  assert.match(await metrics.text(), /^# TYPE podwhois_verdicts_total counter$/m);
  assert.doesNotMatch(await metrics.text(), /^podwhois_verdicts_total\{/m);
  assert.match(await metrics.text(), /^podwhois_rules 3$/m);
  counted.set('allow/the "office"', 2).set('deny/-', 5);
  for (const scrape of ['first', 'second']) {
    const text = await metrics.text();
    assert.match(text, /^podwhois_verdicts_total\{outcome="allow",rule="the \\"office\\""\} 2$/m, scrape);
    assert.match(text, /^podwhois_verdicts_total\{outcome="deny",rule="-"\} 5$/m, scrape);
    assert.match(text, /^podwhois_rules 3$/m, scrape);
  }
});

test('every counter is there from the start, with all its labels, and counts', async () => {
  const metrics = createMetrics();
  for (const [name, { label, values }] of Object.entries(COUNTERS)) {
    for (const value of values) {
      const line = `podwhois_${name}${label === undefined ? '' : `{${label}="${value}"}`}`;
      assert.ok((await metrics.text()).includes(`\n${line} 0\n`), line);
      (metrics.counters[name as keyof typeof COUNTERS] as Record<string, number>)[value]! += 3;
      assert.ok((await metrics.text()).includes(`\n${line} 3\n`), line);
      assert.ok((await metrics.text()).includes(`\n${line} 3\n`), 'a scrape does not count');
    }
  }
});

test('gauges are read at the scrape, each from whoever knows it', async () => {
  const metrics = createMetrics();
  let pods = 1;
  metrics.observe(() => ({ pods, age_seconds: Infinity }));
  metrics.observe(() => ({ waiters: 7 }));
  assert.match(await metrics.text(), /^podwhois_pods 1$[^]*^podwhois_age_seconds \+Inf$[^]*^podwhois_waiters 7$/m);
  pods = 2;
  assert.match(await metrics.text(), /^podwhois_pods 2$/m);
  assert.doesNotMatch(await metrics.text(), /^podwhois_stream_clients \d/m);
  assert.match(metrics.contentType, /^text\/plain; version=0\.0\.4/);
});

test('the process tells of itself, and two services do not share their numbers', async () => {
  const [one, two] = [createMetrics(), createMetrics()];
  one.counters.lookups_total.found++;
  assert.match(await one.text(), /^process_cpu_seconds_total [\d.]+$/m);
  assert.match(await one.text(), /^nodejs_eventloop_lag_seconds /m);
  assert.match(await two.text(), /^podwhois_lookups_total\{outcome="found"\} 0$/m);
});

test('how busy the event loop is is looked at once a second: each look costs, and many at once stop it', async () => {
  const metrics = createMetrics();
  await sleep(1_500);
  const [, count] = /^nodejs_eventloop_utilization_summary_count (\d+)$/m.exec(await metrics.text()) ?? [];
  assert.ok(Number(count) >= 1 && Number(count) <= 9, `${count} looks`);
});
