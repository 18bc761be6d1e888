import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Freshness } from '../../src/http/freshness.ts';
import { FakeSource } from './support/service.ts';

const LIMIT = 300_000;

test('C1 what answers carry follows the age and the version, whichever of them changes', () => {
  const source = new FakeSource();
  const freshness = new Freshness(source, LIMIT);
  const told = (): string[] => freshness.told().filter((_, i) => i % 2 === 1);
  const before = freshness.told();
  assert.deepEqual(told(), ['no-store', '0.250', '4711']);
  source.age = 251;
  assert.deepEqual(told(), ['no-store', '0.251', '4711']);
  source.resourceVersion = '4712';
  assert.deepEqual(told(), ['no-store', '0.251', '4712']);
  source.synced = false;
  assert.deepEqual(told(), ['no-store', 'Infinity', '0']);
  source.synced = true;
  assert.deepEqual(told(), ['no-store', '0.251', '4712']);
  assert.deepEqual(before[3], '0.250', 'what was handed out stays as it is');
});

test('C2 C3 with the age of this turn the refusal is the same as without', () => {
  const source = new FakeSource();
  const freshness = new Freshness(source, LIMIT);
  for (const [synced, age, limit, refusal] of [
    [true, 250, undefined, undefined],
    [true, LIMIT, undefined, undefined],
    [true, LIMIT + 0.001, undefined, 'stale'],
    [true, LIMIT + 1, LIMIT * 2, 'stale'],
    [true, 1000, 999, 'stale'],
    [true, 999, 999, undefined],
    [true, Number.NaN, undefined, 'stale'],
    [false, 0, undefined, 'not_synced'],
  ] as const) {
    Object.assign(source, { synced, age });
    assert.equal(freshness.refusal(limit), refusal, `${synced} ${age} ${limit}`);
    assert.equal(freshness.refusal(limit, freshness.ageMs()), refusal, `${synced} ${age} ${limit}`);
  }
});
