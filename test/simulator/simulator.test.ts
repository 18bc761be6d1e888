import assert from 'node:assert/strict';
import { test } from 'node:test';
import { startSimulator } from '../../src/simulator/simulator.ts';
import type { Simulator, SimulatorOptions } from '../../src/simulator/simulator.ts';

interface Line {
  readonly type: string;
  readonly object: {
    readonly metadata: Record<string, unknown> & { readonly name: string; readonly resourceVersion: string };
  };
}

async function withSimulator(options: SimulatorOptions, use: (simulator: Simulator) => Promise<void>): Promise<void> {
  const simulator = await startSimulator(options);
  try {
    await use(simulator);
  } finally {
    await simulator.close();
  }
}

const SYNC =
  'watch=1&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true&timeoutSeconds=1';

async function lines(url: string): Promise<Line[]> {
  const text = await (await fetch(url)).text();
  return text
    .trim()
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as Line);
}

test('a sync gives every pod in the order of keys and then the bookmark that ends the initial events', async () => {
  await withSimulator({ pods: 40 }, async ({ url, cluster }) => {
    const events = await lines(`${url}/api/v1/pods?${SYNC}`);
    const end = events.pop();
    assert.equal(end?.type, 'BOOKMARK');
    assert.deepEqual(end?.object.metadata['annotations'], { 'k8s.io/initial-events-end': 'true' });
    assert.equal(end?.object.metadata.resourceVersion, String(cluster.store.version));
    assert.deepEqual(
      events.map(({ type, object }) => `${type} ${String(object.metadata['namespace'])}/${object.metadata.name}`),
      cluster.store.pods.map(({ key }) => `ADDED ${key}`),
    );
  });
});

test('a watch gives the changes after a version, deletions with their own version', async () => {
  await withSimulator({ pods: 0 }, async ({ url, cluster }) => {
    cluster.createPod({ name: 'a' });
    const { version } = cluster.store;
    cluster.createPod({ name: 'b' });
    cluster.patchStatus('default', 'a', { phase: 'Failed' });
    cluster.deletePod('default', 'b');
    const events = await lines(`${url}/api/v1/pods?watch=1&timeoutSeconds=1&resourceVersion=${version}`);
    assert.deepEqual(
      events.map(({ type, object: { metadata } }) => [type, metadata.name, Number(metadata.resourceVersion) - version]),
      [
        ['ADDED', 'b', 1],
        ['MODIFIED', 'a', 2],
        ['DELETED', 'b', 3],
      ],
    );
  });
});
