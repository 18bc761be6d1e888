import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { Cluster } from '../../src/simulator/cluster.ts';
import type { PodObject } from '../../src/simulator/pod-object.ts';
import { Revision } from '../../src/simulator/revision.ts';
import { ObjectStore } from '../../src/simulator/store.ts';

const pod = (name: string): PodObject => ({
  metadata: { name, namespace: 'n', uid: name, creationTimestamp: '2026-11-21T12:00:00Z' },
  spec: { containers: [] },
  status: { phase: 'Running' },
});

const store = (history = 1000): ObjectStore<PodObject> =>
  new ObjectStore({ history, revision: new Revision(10), keepBytes: false });

test('every version that is remembered can be had again, and its events lead to the present', () => {
  const action = fc.tuple(fc.constantFrom('put', 'delete', 'tick'), fc.constantFrom('a', 'b', 'c', 'd'));
  fc.assert(
    fc.property(fc.array(action, { maxLength: 40 }), (actions) => {
      const pods = store();
      const states = new Map([[10, [] as string[]]]);
      const show = (): string[] => pods.objects.map(({ key, version }) => `${key}@${version}`);
      for (const [what, name] of actions) {
        if (what === 'put') pods.put(pod(name));
        else if (what === 'delete') pods.delete('n', name);
        else pods.tick();
        states.set(pods.version, show());
      }
      for (const [version, state] of states) {
        assert.deepEqual(
          pods.at(version)?.map(({ key, version }) => `${key}@${version}`),
          state,
        );
        const live = new Map((pods.at(version) ?? []).map((one) => [one.key, one.version]));
        for (const { type, current } of pods.since(version) ?? []) {
          if (type === 'DELETED') assert.ok(live.delete(current.key));
          else live.set(current.key, current.version);
        }
        assert.deepEqual([...live].map(([key, at]) => `${key}@${at}`).sort(), show().sort());
      }
    }),
  );
});

test('the history is bounded: what is older is neither listed nor watched', () => {
  const pods = store(10);
  for (let i = 0; i < 100; i++) pods.put(pod(`p${i}`));
  assert.ok(pods.log.length >= 10 && pods.log.length <= 20);
  assert.equal(pods.since(pods.floor)?.length, pods.log.length);
  assert.equal(pods.since(pods.floor - 1), undefined);
  assert.equal(pods.at(pods.floor - 1), undefined);
  assert.equal(pods.at(pods.floor)?.length, 100 - pods.log.length);
  pods.compact();
  assert.equal(pods.since(pods.version - 1), undefined);
  assert.deepEqual(pods.since(pods.version), []);
});

test('kept bytes and fresh bytes are the same, in both formats', () => {
  const [fresh, kept] = [false, true].map(
    (keepBytes) => new Cluster({ pods: 50, keepBytes, now: () => 1_795_262_400_000 }),
  );
  for (const format of ['json', 'protobuf'] as const) {
    for (const [i, one] of fresh?.store.objects.entries() ?? []) {
      const expected = Buffer.from(one.bytes({ format, kind: 'Pod' })).toString('latin1');
      for (let n = 0; n < 2; n++)
        assert.equal(
          Buffer.from(kept?.store.objects[i]?.bytes({ format, kind: 'Pod' }) ?? []).toString('latin1'),
          expected,
        );
    }
  }
});
