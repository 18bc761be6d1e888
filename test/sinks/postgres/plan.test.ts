import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  afterFailure,
  afterSuccess,
  MOST_AT_ONCE,
  nextFlush,
  nextStep,
  NO_TROUBLE,
  secondLook,
} from '../../../src/sinks/postgres/plan.ts';
import type { State } from '../../../src/sinks/postgres/plan.ts';

const PACE = { flushMs: 1_000, leaseMs: 4_000 };
const state = (given: Partial<State> = {}): State => ({
  ready: true,
  prepared: true,
  leading: true,
  provenAt: 0,
  doubt: false,
  compareAt: Infinity,
  dirty: 0,
  flushAt: 1_000,
  retryAt: 0,
  pruneAt: Infinity,
  takeOverAt: -Infinity,
  ...given,
});

test('the steps come in their order: wait after a failure, schema, lease, comparison, flush', () => {
  assert.deepEqual(nextStep(state({ retryAt: 50, prepared: false }), 10, PACE), { kind: 'wait', ms: 40 });
  assert.deepEqual(nextStep(state({ prepared: false, leading: false }), 10, PACE), { kind: 'prepare' });
  assert.deepEqual(nextStep(state({ leading: false, doubt: true }), 10, PACE), { kind: 'acquire', takeOver: true });
  assert.deepEqual(nextStep(state({ doubt: true, dirty: 1 }), 10, PACE), { kind: 'compare' });
  assert.deepEqual(nextStep(state({ dirty: 1 }), 1_000, PACE), { kind: 'flush' });
  assert.deepEqual(nextStep(state({ dirty: 1 }), 400, PACE), { kind: 'wait', ms: 600 });
  assert.deepEqual(nextStep(state(), 3_999, PACE), { kind: 'wait', ms: 1 });
  assert.deepEqual(nextStep(state(), 4_000, PACE), { kind: 'prove' });
});

test('what nobody doubts is compared when its time has come, before anything is written', () => {
  assert.deepEqual(nextStep(state({ compareAt: 500 }), 400, PACE), { kind: 'wait', ms: 100 });
  assert.deepEqual(nextStep(state({ compareAt: 500, dirty: 1 }), 1_000, PACE), { kind: 'compare' });
});

test('the lease is taken over when its time has come', () => {
  for (const [given, takeOver] of [
    [{}, true],
    [{ takeOverAt: 400 }, true],
    [{ takeOverAt: 401 }, false],
    [{ takeOverAt: Infinity }, false],
  ] as const) {
    assert.deepEqual(nextStep(state({ leading: false, ...given }), 400, PACE), { kind: 'acquire', takeOver });
  }
});

test('what is too old is deleted when nothing else is to be done', () => {
  assert.deepEqual(nextStep(state({ pruneAt: 500 }), 400, PACE), { kind: 'wait', ms: 100 });
  assert.deepEqual(nextStep(state({ pruneAt: 500, dirty: 1 }), 600, PACE), { kind: 'prune' });
  assert.deepEqual(nextStep(state({ pruneAt: 500, dirty: 1 }), 1_000, PACE), { kind: 'flush' });
  assert.deepEqual(nextStep(state({ pruneAt: 500 }), 4_000, PACE), { kind: 'prove' });
  assert.deepEqual(nextStep(state({ pruneAt: 500, leading: false }), 4_000, PACE), { kind: 'acquire', takeOver: true });
});

test('flushes begin an interval apart, earlier where one takes long; a slow one is followed by a rest as long, of an interval at most', () => {
  const long = { ...PACE, flushMs: 3_000 };
  assert.equal(nextFlush(500, 1_250, long), 3_500);
  assert.equal(nextFlush(0, 1_000, long), 2_750);
  assert.equal(nextFlush(0, 1_250, long), 2_500);
  assert.equal(nextFlush(0, 1_500, long), 3_000);
  assert.equal(nextFlush(0, 9_000, long), 12_000);
  assert.equal(nextFlush(0, 20_000, { ...PACE, flushMs: 60_000 }), 59_500);
  assert.equal(nextFlush(0, 900, { ...PACE, flushMs: 1_500 }), 1_800);
  assert.equal(nextFlush(500, 600, PACE), 1_500);
  assert.equal(nextFlush(0, 500, PACE), 1_000);
  assert.equal(nextFlush(0, 700, PACE), 1_400);
  assert.equal(nextFlush(0, 5_000, PACE), 6_000);
});

test('while the truth is not to be believed nothing is done but the schema, so that the lease runs out and nobody asks for it', () => {
  const second = { kind: 'wait', ms: 1_000 };
  for (const given of [{ doubt: true, dirty: 5 }, { leading: false }, { pruneAt: 0 }, { compareAt: 0 }]) {
    assert.deepEqual(nextStep(state({ ready: false, ...given }), 60_000, PACE), second);
  }
  assert.deepEqual(nextStep(state({ ready: false, prepared: false }), 60_000, PACE), { kind: 'prepare' });
});

test('every failure is tried again within ten seconds, later each time, and what is unknown is read back', () => {
  for (const failure of ['connection', 'read-only', 'full', 'conflict', 'timeout', 'setup', 'poison'] as const) {
    let trouble = NO_TROUBLE;
    let last = 0;
    for (let i = 0; i < 30; i++) {
      const consequence = afterFailure(trouble, failure, 100, 0.5);
      assert.ok(consequence.delayMs >= last && consequence.delayMs <= 10_000, `${failure}: ${consequence.delayMs}`);
      assert.equal(consequence.doubt, ['connection', 'read-only', 'setup'].includes(failure));
      [trouble, last] = [consequence.trouble, consequence.delayMs];
    }
    assert.ok(last > 0);
  }
});

test('what took too long without writing says nothing of the batch', () => {
  assert.equal(afterFailure(NO_TROUBLE, 'timeout', 0, 0).trouble.batch, MOST_AT_ONCE);
});

test('a batch that takes too long is halved down to one row, one without an answer not so far, and both grow back', () => {
  let slow = NO_TROUBLE;
  slow = afterFailure(slow, 'timeout', 300, 0).trouble;
  assert.equal(slow.batch, 150);
  for (let i = 0; i < 20; i++) slow = afterFailure(slow, 'timeout', 300, 0).trouble;
  assert.equal(slow.batch, 1);
  let silent = NO_TROUBLE;
  for (let i = 0; i < 20; i++) silent = afterFailure(silent, 'connection', 300, 0).trouble;
  assert.equal(silent.batch, 1_000);
  for (let i = 0; i < 20; i++) slow = afterSuccess(slow);
  assert.equal(slow.batch, MOST_AT_ONCE);
});

test('a loss of more than half of five rows or more is looked at again after a second', () => {
  assert.equal(secondLook(4, 4, undefined, 0), undefined);
  assert.equal(secondLook(5, 10, undefined, 0), undefined);
  assert.equal(secondLook(6, 10, undefined, 100), 1_000);
  assert.equal(secondLook(6, 10, 100, 600), 500);
  assert.equal(secondLook(6, 10, 100, 1_100), undefined);
});
