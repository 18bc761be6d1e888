import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createLog } from '../src/log.ts';
import { startService } from '../src/service.ts';
import { readCoreSettings } from '../src/settings.ts';
import { startSimulator } from '../src/simulator/simulator.ts';
import { answer } from '../src/index/answer.ts';
import { until } from './support/until.ts';

test('churn storm of 1,000 events/s and a rollout of 10,000 pods: nothing grows but the pods, and at rest every IP is right', async (t) => {
  const simulator = await startSimulator({ pods: 2000, churn: 1000 });
  t.after(() => simulator.close());
  const settings = readCoreSettings({
    flags: {},
    environment: { PORT: '0', HOST: '127.0.0.1', K8S_API_SERVER: simulator.url },
  });
  const service = await startService(settings, { log: createLog({ level: 'silent', format: 'json' }) });
  t.after(() => service.close());
  await until('synced', () => service.source.synced);
  const { cluster } = simulator;
  const before = service.index.changes.sequence;
  await until('3,000 changes have come', () => service.index.changes.sequence - before > 3000, { timeoutMs: 60_000 });

  for (let i = 0; i < 10_000; i++) {
    cluster.createPod({ namespace: 'storm', name: `old-${i}`, ips: [`10.250.${i >> 8}.${i & 255}`] });
  }
  for (let i = 0; i < 10_000; i++) {
    cluster.deletePod('storm', `old-${i}`);
    cluster.createPod({ namespace: 'storm', name: `new-${i}`, ips: [`10.250.${i >> 8}.${i & 255}`] });
  }
  simulator.setChurn(0);
  const atRest = String(cluster.store.version);
  cluster.createPod({ namespace: 'storm', name: 'last' });
  await until('the last event has come', () => service.index.byName('storm', 'last'), { timeoutMs: 60_000 });

  assert.ok(Number(atRest) > 30_000);
  assert.equal(service.index.size, cluster.store.size);
  assert.equal(service.metrics.counters.relists_total.corrupt, 0);
  assert.equal(service.index.changes.since(before), undefined, 'the feed holds no more than its ring');
  for (const [ip, claims] of cluster.truth()) {
    const held = [...service.index.holders(ip)].map((pod) => pod.uid).sort();
    assert.deepEqual(held, claims.map((claim) => claim.uid).sort(), ip);
    const found = answer(service.index, ip, { partial: false, clusterCidrs: [] });
    const living = claims.filter((claim) => claim.phase !== 'Succeeded' && claim.phase !== 'Failed');
    const [only] = living;
    if (living.length === 1 && !claims.some((claim) => claim.hostNetwork)) {
      assert.equal(found.kind === 'one' && found.pod.uid, only?.uid, ip);
    }
  }
});
