import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Slices } from '../src/slices.ts';
import type { Slice } from '../src/slices.ts';

const slice = (age: number, resourceVersion: string, more: Partial<Slice> = {}): Slice => ({
  synced: age !== Infinity,
  ageMs: () => age,
  resourceVersion,
  problem: undefined,
  prove: async () => await Promise.resolve(),
  ...more,
});

const over = (...slices: Slice[]): Slices =>
  new Slices(new Map(slices.map((one, position) => [`ns-${position}`, one])), { partial: true });

test('A10 age and version are those of the oldest slice', () => {
  const slices = over(slice(10, '300'), slice(2000, '100'), slice(500, '200'));
  assert.deepEqual([slices.ageMs(), slices.resourceVersion, slices.synced], [2000, '100', true]);
  assert.deepEqual([over(slice(0, '7')).ageMs(), over(slice(0, '7')).resourceVersion], [0, '7']);
});

test('A10 what all have reached is the lowest version, whoever is the oldest', () => {
  assert.equal(over(slice(10, '95'), slice(2000, '1000'), slice(500, '200')).reachedVersion, '95');
  assert.equal(over(slice(10, '300'), slice(Infinity, '')).reachedVersion, '');
});

test('A10 nothing is synced until all slices are', () => {
  const slices = over(slice(10, '300'), slice(Infinity, ''));
  assert.deepEqual([slices.synced, slices.ageMs(), slices.resourceVersion], [false, Infinity, '']);
  assert.equal(over(slice(10, '300'), slice(10, '301')).synced, true);
});

test('every slice tells of itself', () => {
  const slices = over(slice(10, '300'), slice(Infinity, '', { problem: 'forbidden: list pods' }));
  assert.deepEqual(slices.details(), [
    { slice: 'ns-0', synced: true, ageMs: 10, resourceVersion: '300', problem: undefined },
    { slice: 'ns-1', synced: false, ageMs: Infinity, resourceVersion: '', problem: 'forbidden: list pods' },
  ]);
});
