import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { Freshness } from '../../src/kubernetes/freshness.ts';

test('C1 nothing proven is infinitely old', () => {
  const freshness = new Freshness();
  freshness.reached('100');
  assert.equal(freshness.ageMs(5_000), Infinity);
});

test('C1 a finished list proves its sending, not its end', () => {
  const freshness = new Freshness();
  freshness.listed(1_000, '100');
  assert.equal(freshness.ageMs(9_000), 8_000);
});

test('C1 a read counts from its sending, once the stream has reached its version: by going past it, or by being there', () => {
  const freshness = new Freshness();
  freshness.listed(0, '100');
  freshness.read(1_000, '105');
  assert.equal(freshness.ageMs(2_000), 2_000, 'not reached');
  freshness.reached('104');
  assert.equal(freshness.ageMs(2_000), 2_000, 'nearly reached');
  freshness.reached('106');
  assert.equal(freshness.ageMs(2_000), 1_000);
  freshness.read(1_500, '106');
  assert.equal(freshness.ageMs(2_000), 500, 'equal versions');
});

test('C1 events and bookmarks prove nothing by themselves', () => {
  const freshness = new Freshness();
  freshness.listed(0, '100');
  for (let version = 101; version < 200; version++) freshness.reached(String(version));
  assert.equal(freshness.ageMs(60_000), 60_000);
});

test('C1 a later list reaches the versions of reads before it', () => {
  const freshness = new Freshness();
  freshness.listed(0, '100');
  freshness.read(5_000, '150');
  freshness.listed(3_000, '150');
  assert.equal(freshness.ageMs(6_000), 1_000);
});

test('C1 of many reads that wait, the oldest and the newest are kept', () => {
  const freshness = new Freshness();
  freshness.listed(0, '1');
  for (let n = 1; n <= 1_000; n++) freshness.read(n, String(1_000 + n));
  freshness.reached('1001');
  assert.equal(freshness.ageMs(1_000), 999);
  freshness.reached('2000');
  assert.equal(freshness.ageMs(1_000), 0);
});

test('C1 answers that overtake each other never make it older', () => {
  const freshness = new Freshness();
  freshness.listed(0, '100');
  freshness.read(2_000, '100');
  freshness.read(1_000, '100');
  assert.equal(freshness.ageMs(2_000), 0);
});

test('B8 after a rebuild the former history proves nothing newer', () => {
  const freshness = new Freshness();
  freshness.listed(0, '1000');
  freshness.read(1_000, '1005');
  freshness.rebuilt(2_000, '900');
  freshness.reached('1006');
  assert.equal(freshness.ageMs(5_000), 3_000);
  freshness.read(4_000, '1007');
  assert.equal(freshness.ageMs(5_000), 3_000);
});

test('B9 while a list waits for its confirmation nothing is proof, not even what was about to be', () => {
  const freshness = new Freshness();
  freshness.listed(0, '100');
  freshness.read(1_000, '105');
  freshness.withhold();
  freshness.reached('105');
  freshness.read(2_000, '105');
  assert.equal(freshness.ageMs(3_000), 3_000);
  freshness.listed(2_500, '106');
  freshness.read(2_800, '106');
  assert.equal(freshness.ageMs(3_000), 200);
});

test('C1 in any order of reads and arrivals the proof is never newer than the newest read whose version was reached', () => {
  const step = fc.oneof(
    fc.record({ kind: fc.constant('read' as const), late: fc.nat(20), ahead: fc.nat(10) }),
    fc.record({ kind: fc.constant('reach' as const), ahead: fc.nat(5) }),
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 100 }), (steps) => {
      const freshness = new Freshness();
      freshness.listed(0, '100');
      const reads: { sentAt: number; version: number }[] = [{ sentAt: 0, version: 100 }];
      let reached = 100;
      let now = 0;
      for (const one of steps) {
        now += 10;
        if (one.kind === 'read') {
          const read = { sentAt: now - one.late, version: reached + one.ahead };
          reads.push(read);
          freshness.read(read.sentAt, String(read.version));
        } else {
          reached += one.ahead;
          freshness.reached(String(reached));
        }
        const best = Math.max(...reads.filter(({ version }) => version <= reached).map(({ sentAt }) => sentAt));
        assert.ok(now - freshness.ageMs(now) <= best, 'never fresher than the truth');
        // Versions here span more than the 16 that are kept only in extreme runs; up to then it is exact.
        if (reads.length <= 16) assert.equal(now - freshness.ageMs(now), best);
      }
    }),
    { numRuns: 500 },
  );
});
