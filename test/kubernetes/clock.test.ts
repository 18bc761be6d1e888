import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SystemClock } from '../../src/kubernetes/clock.ts';

/** Two clocks that go as the test says. */
function sources() {
  let monotonic = 50_000;
  let wall = 1_700_000_000_000;
  return {
    monotonic: () => monotonic,
    wall: () => wall,
    pass: (ms: number) => {
      monotonic += ms;
      wall += ms;
    },
    suspend: (ms: number) => {
      wall += ms;
    },
    slew: (ms: number, off: number) => {
      monotonic += ms;
      wall += ms + off;
    },
  };
}

test('B11 ages run on the monotonic clock', (t) => {
  const time = sources();
  const clock = new SystemClock(time);
  t.after(() => clock.close());
  const before = clock.now();
  time.pass(5_000);
  assert.equal(clock.now() - before, 5_000);
});

test('B11 a clock jump forward, of the wall clock against the monotonic one, counts: a suspended machine stops the monotonic one', (t) => {
  const time = sources();
  const clock = new SystemClock(time);
  t.after(() => clock.close());
  const before = clock.now();
  time.pass(1_000);
  time.suspend(600_000);
  assert.equal(clock.now() - before, 601_000);
  time.pass(1_000);
  assert.equal(clock.now() - before, 602_000, 'once');
});

test('B11 the wall clock going back changes nothing, and does not hide a suspension after it', (t) => {
  const time = sources();
  const clock = new SystemClock(time);
  t.after(() => clock.close());
  const before = clock.now();
  time.suspend(-3_600_000);
  assert.equal(clock.now(), before);
  time.suspend(60_000);
  assert.equal(clock.now() - before, 60_000);
});

test('B11 what NTP slews does not add up to a jump', (t) => {
  const time = sources();
  const clock = new SystemClock(time);
  t.after(() => clock.close());
  const before = clock.now();
  for (let second = 0; second < 1_000; second++) {
    time.slew(1_000, 0.5);
    clock.now();
  }
  assert.equal(clock.now() - before, 1_000_000);
});

test('B11 sleepers whose time has passed in a suspension are woken', async (t) => {
  const time = sources();
  const clock = new SystemClock(time);
  t.after(() => clock.close());
  const sleep = clock.sleep(3_600_000, new AbortController().signal);
  time.suspend(3_600_001);
  clock.now(); // the sampler, once a second
  await sleep;
});

test('a sleep ends with its signal, and at once when it was aborted before', async (t) => {
  const clock = new SystemClock();
  t.after(() => clock.close());
  const stop = new AbortController();
  const sleep = clock.sleep(3_600_000, stop.signal);
  const forEver = clock.sleep(Infinity, stop.signal);
  stop.abort();
  await Promise.all([sleep, forEver]);
  await clock.sleep(3_600_000, stop.signal);
  assert.ok(!process.getActiveResourcesInfo().includes('Timeout'));
});

test('a sleep lasts as long as asked', async (t) => {
  const clock = new SystemClock();
  t.after(() => clock.close());
  const before = clock.now();
  await clock.sleep(30, new AbortController().signal);
  assert.ok(clock.now() - before >= 30);
});

test('a sleep longer than a timer can be does not end early', async (t) => {
  const clock = new SystemClock();
  t.after(() => clock.close());
  const stop = new AbortController();
  let ended = false;
  const sleep = clock.sleep(2 ** 32, stop.signal).then(() => (ended = true));
  await clock.sleep(20, new AbortController().signal);
  assert.equal(ended, false);
  stop.abort();
  await sleep;
});
