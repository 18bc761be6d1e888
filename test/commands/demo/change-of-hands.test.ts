import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { changeOfHands } from '../../../src/commands/demo/change-of-hands.ts';
import type { ChangeOfHands } from '../../../src/commands/demo/change-of-hands.ts';
import { PodIndex } from '../../../src/index/pod-index.ts';
import { makePod } from '../../index/make-pod.ts';

const X = '10.42.0.5';
const Y = '10.42.0.6';
const START = Date.parse('2026-11-20T14:03:00.500Z');

interface Life {
  /** Seconds since the start. */
  readonly at: number;
  readonly comes?: string;
  readonly goes?: string;
  readonly ip?: string;
  readonly workload?: string;
  readonly phase?: 'Succeeded';
}

/** What is found when things happen. */
async function found(before: readonly Life[], then: readonly Life[]): Promise<ChangeOfHands | undefined> {
  const index = new PodIndex();
  const slice = index.slice();
  let version = 10;
  let now = START;
  const play = ({ at, comes, goes, ip = X, workload = comes, phase }: Life): void => {
    now = START + at * 1000;
    const uid = comes ?? goes ?? '';
    const kind = { kind: 'Deployment', name: workload ?? '', source: 'owner' } as const;
    const pod = makePod({
      uid,
      name: uid,
      podIps: [ip],
      workload: kind,
      phase: phase ?? 'Running',
      resourceVersion: String(++version),
    });
    if (comes === undefined) slice.remove(pod);
    else slice.upsert(pod);
  };
  slice.beginReplace().commit('1');
  for (const one of before) play(one);
  now = START;
  const result = changeOfHands(index, () => now);
  for (const one of then) {
    play(one);
    await turn();
  }
  return await Promise.race([result, turn(undefined)]);
}

test('an address has changed hands when a pod of another workload answers for it', async () => {
  const story = await found(
    [{ at: 0, comes: 'cart' }],
    [
      { at: 9, goes: 'cart' },
      { at: 12, comes: 'web' },
    ],
  );
  assert.deepEqual([story?.ip, story?.before.name, story?.now.name], [X, 'cart', 'web']);
  // A whole second in which the former one had it.
  assert.equal(new Date(story?.at ?? 0).toISOString(), '2026-11-20T14:03:08.000Z');
});

const NO_STORIES: Readonly<Record<string, readonly Life[]>> = {
  'the pod is replaced by one of its own workload': [
    { at: 9, goes: 'cart' },
    { at: 12, comes: 'cart-2', workload: 'cart' },
  ],
  'the former one had it for a moment only': [
    { at: 1, goes: 'cart' },
    { at: 12, comes: 'web' },
  ],
  'nobody has it yet': [{ at: 9, goes: 'cart' }],
  'two claim it': [{ at: 9, comes: 'web' }],
  'the former one has finished, and claims it still': [
    { at: 9, comes: 'cart', phase: 'Succeeded' },
    { at: 12, comes: 'web' },
  ],
  'another address is taken': [
    { at: 9, goes: 'cart' },
    { at: 12, comes: 'web', ip: Y },
  ],
};

for (const [why, then] of Object.entries(NO_STORIES)) {
  test(`no address has changed hands when ${why}`, async () => {
    assert.equal(await found([{ at: 0, comes: 'cart' }], then), undefined);
  });
}

test('whoever came while it is followed has it from then on', async () => {
  const story = await found(
    [],
    [
      { at: 5, comes: 'cart' },
      { at: 6, comes: 'twin' },
      { at: 7, goes: 'twin' },
      { at: 20, goes: 'cart' },
      { at: 21, comes: 'web' },
    ],
  );
  assert.equal(new Date(story?.at ?? 0).toISOString(), '2026-11-20T14:03:19.000Z');
});
