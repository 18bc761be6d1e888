import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { COUNTERS, GAUGES } from '../../../src/metrics.ts';
import { MIRROR } from '../../../src/mirror-settings.ts';
import { ENDPOINT_MIRROR, FAMILIES } from '../../../src/sinks/endpoint-mirror/settings.ts';
import { flagName } from '../../../src/settings/schema.ts';

const root = join(import.meta.dirname, '../../..');
const read = (file: string): string => readFileSync(join(root, file), 'utf8');

test('the README and the code list the same metrics', () => {
  const rows = read('src/sinks/endpoint-mirror/README.md')
    .split('\n')
    .filter((line) => line.startsWith('| `podwhois_'))
    .map((line) =>
      line
        .slice(2, -2)
        .split(' | ')
        .map((cell) => cell.replaceAll('`', '').trim()),
    );
  const listed = Object.entries(FAMILIES).map(([name, { type, help, labels }]) => [
    `podwhois_${name}`,
    type,
    Object.entries(labels)
      .map(([label, values]) => `${label}: ${values.join(', ')}`)
      .join('; '),
    help,
  ]);
  assert.deepEqual(rows, listed);
});

test('names of metrics are of their own, and say whether they only grow', () => {
  for (const [name, { type }] of Object.entries(FAMILIES)) {
    assert.ok(!(name in GAUGES) && !(name in COUNTERS), name);
    assert.equal(name.endsWith('_total'), type === 'counter', name);
  }
});

test("the observer's variables and flags are there, with its defaults", () => {
  const flags = Object.values(MIRROR).map((setting) => flagName(setting));
  assert.equal(new Set(flags).size, flags.length);
  const variables = Object.values(MIRROR).map(({ variable }) => variable);
  assert.equal(new Set(variables).size, variables.length);
  for (const flag of ['--requeue-after', '--selector', '--namespace', '--table', '--cluster']) {
    assert.ok(flags.includes(flag), flag);
  }
  const own = ['PGHOST', 'PGPORT', 'PGUSER', 'PGPASSWORD', 'PGDATABASE', 'PGSSLMODE', 'ENDPOINT_SELECTOR', 'NAMESPACE'];
  for (const variable of [...own, 'TABLE_NAME', 'CLUSTER_NAME']) assert.ok(variables.includes(variable), variable);
  const { table, clusterName, requeueAfter, endpointSelector } = ENDPOINT_MIRROR;
  const defaults = [table.fallback.text, clusterName.fallback, requeueAfter.fallback, endpointSelector.fallback];
  assert.deepEqual(defaults, ['public.server', 'default', 30_000, undefined]);
  assert.deepEqual([MIRROR.pgPort.fallback, MIRROR.pgSslMode.fallback], [5432, 'require']);
});
