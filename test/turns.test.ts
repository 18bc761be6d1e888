import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Steps } from '../src/index/history/steps.ts';
import { inTurns, TURNS } from '../src/turns.ts';

test('however many work at once, a turn of the event loop takes one step of one of them', async () => {
  let turn = 0;
  const turns: number[] = [];
  function* steps(name: string): Steps<string> {
    for (let i = 0; i < 20; i++) {
      yield;
      turns.push(turn);
    }
    return name;
  }
  const count = (): void => {
    turn++;
    counting = setImmediate(count);
  };
  let counting = setImmediate(count);
  const all = [inTurns(steps('a')), inTurns(steps('b')), inTurns(steps('c')), TURNS.next().then(() => 'd')];
  assert.deepEqual(await Promise.all(all), ['a', 'b', 'c', 'd']);
  clearImmediate(counting);
  assert.deepEqual(turns, [...new Set(turns)]);
  assert.equal(turns.length, 60);
});

test('who has the next turn is told what the event loop took until then', async () => {
  const began = performance.now();
  const waiting = TURNS.next();
  const end = performance.now() + 30;
  while (performance.now() < end);
  const ms = await waiting;
  assert.ok(ms >= 30 && ms <= performance.now() - began, `${ms} ms`);
});
