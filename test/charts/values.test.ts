import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { cpSync, globSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { promisify } from 'node:util';
import { parse, parseAllDocuments } from 'yaml';
import { namespace } from '../cluster/objects.ts';
import { Kubectl } from '../support/kubectl.ts';
import { API_ONLY, HELM, realServer, startControlPlane } from '../support/real-servers.ts';
import { serverBinary } from '../support/server-binaries.ts';
import { temporaryDirectory } from '../support/test-certificates.ts';
import type { ControlPlane } from '../support/real-servers.ts';

const CHART = join(import.meta.dirname, '../../charts/podwhois');
const FOLDER = join(import.meta.dirname, 'values');
const FILES = globSync('*.yaml', { cwd: FOLDER }).sort();
const NAMESPACES = ['every-release', 'every-namespace', 'every-watched', 'every-other'];

type Leaf = readonly [path: string, value: unknown];

/** What is neither a map with something in it nor inside a list, by its path. */
function leaves(value: unknown, path = ''): readonly Leaf[] {
  const entries = typeof value === 'object' && value !== null && !Array.isArray(value) ? Object.entries(value) : [];
  if (entries.length === 0) return [[path, value]];
  return entries.flatMap(([key, inner]) => leaves(inner, path === '' ? key : `${path}.${key}`));
}

/** Every text and number in it, a template's result aside. */
function scalars(value: unknown): readonly string[] {
  if (typeof value === 'object' && value !== null) return Object.values(value).flatMap(scalars);
  return typeof value === 'boolean' || String(value).includes('{{') ? [] : [String(value)];
}

const readValues = (file: string): unknown => parse(readFileSync(file, 'utf8'));

async function template(chart: string, ...args: readonly string[]): Promise<readonly unknown[]> {
  const all = ['template', 'every', chart, '--namespace', 'every-release', '--kube-version', '1.36.3', ...args];
  const { stdout } = await promisify(execFile)(serverBinary('helm'), all, { maxBuffer: 1 << 26, timeout: 60_000 });
  return parseAllDocuments(stdout)
    .map((document) => document.toJS() as unknown)
    .filter((one) => one !== null);
}

const skipped = realServer(...API_ONLY, 'kubectl', ...HELM);

describe('every value of the chart', { ...skipped, timeout: 120_000 }, () => {
  let plane: ControlPlane;
  let kubectl: Kubectl;
  before(async () => {
    plane = await startControlPlane({ apiOnly: true });
    kubectl = new Kubectl(plane.kubeconfig);
    await kubectl.run('apply', '--server-side', '-f', serverBinary('monitoring-crds'));
    await kubectl.apply(...NAMESPACES.map(namespace));
  });
  after(async () => await plane?.down());

  test('is set to something else in one of the files of values', () => {
    const set = new Map<string, unknown[]>();
    for (const [path, value] of FILES.flatMap((file) => leaves(readValues(join(FOLDER, file))))) {
      set.set(path, [...(set.get(path) ?? []), value]);
    }
    for (const [path, fallback] of leaves(readValues(join(CHART, 'values.yaml')))) {
      if (path === 'global') continue; // the parent's
      const given = [...set].flatMap(([one, values]) => (`${one}.`.startsWith(`${path}.`) ? values : []));
      assert.ok(
        given.some((value) => JSON.stringify(value) !== JSON.stringify(fallback)),
        `${path} is ${JSON.stringify(fallback)} everywhere`,
      );
    }
  });

  for (const file of FILES) {
    test(`of ${file} is found in what the chart makes, which the API server accepts`, async () => {
      const objects = await template(CHART, '--values', join(FOLDER, file));
      const made = join(plane.dir, file);
      writeFileSync(made, JSON.stringify({ apiVersion: 'v1', kind: 'List', items: objects }));
      await kubectl.run('create', '--dry-run=server', '--validate=strict', '-f', made);
      const text = JSON.stringify(objects);
      for (const [path, value] of leaves(readValues(join(FOLDER, file)))) {
        if (path === 'watch.scope') continue; // says of which kind the roles are
        for (const scalar of scalars(value)) assert.ok(text.includes(scalar), `${path}: ${scalar}`);
      }
    });
  }
});

test('it can be a subchart that its parent turns off', skipped, async (t) => {
  const parent = temporaryDirectory(t);
  mkdirSync(join(parent, 'charts'));
  cpSync(CHART, join(parent, 'charts/podwhois'), { recursive: true });
  const dependencies = [{ name: 'podwhois', version: '*', condition: 'podwhois.enabled' }];
  writeFileSync(
    join(parent, 'Chart.yaml'),
    JSON.stringify({ apiVersion: 'v2', name: 'parent', version: '1.0.0', dependencies }),
  );
  const values = { global: { imageRegistry: 'x' }, podwhois: { enabled: true, replicas: 5 } };
  writeFileSync(join(parent, 'values.yaml'), JSON.stringify(values));
  assert.match(JSON.stringify(await template(parent)), /"replicas":5/);
  assert.deepEqual(await template(parent, '--set', 'podwhois.enabled=false'), []);
});
