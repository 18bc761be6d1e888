import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Backoff } from '../../src/kubernetes/backoff.ts';

const delays = (count: number, random: number): number[] => {
  const backoff = new Backoff({ firstMs: 100, capMs: 1_000, random: () => random });
  return Array.from({ length: count }, () => backoff.next());
};

test('B5 delays double up to the cap, and lie between half and the whole of it', () => {
  assert.deepEqual(delays(6, 0), [50, 100, 200, 400, 500, 500]);
  assert.deepEqual(delays(6, 1), [100, 200, 400, 800, 1_000, 1_000]);
});

test('B5 success resets', () => {
  const backoff = new Backoff({ firstMs: 100, capMs: 1_000, random: () => 0 });
  backoff.next();
  backoff.next();
  backoff.reset();
  assert.equal(backoff.next(), 50);
});

test('B5 Retry-After is the least, with a tenth of jitter, also above the cap', () => {
  const backoff = (random: number) => new Backoff({ firstMs: 100, capMs: 1_000, random: () => random });
  assert.equal(backoff(0).next(7_000), 7_000);
  assert.equal(Math.round(backoff(1).next(7_000)), 7_700);
  assert.equal(backoff(1).next(10), 100);
});

test('B5 a Retry-After of years does not silence it for more than some minutes', () => {
  const backoff = new Backoff({ firstMs: 100, capMs: 1_000, random: () => 0 });
  assert.equal(backoff.next(1e12), 300_000);
});

test('B5 after thousands of failures the delay is still the cap', () => {
  assert.equal(delays(5_000, 1).at(-1), 1_000);
});
