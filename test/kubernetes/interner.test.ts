import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Interner } from '../../src/kubernetes/interner.ts';

test('what has the same key is the same object', () => {
  const interner = new Interner<object>(1000);
  assert.equal(interner.get('a'), undefined);
  const a = interner.set('a', {});
  assert.equal(interner.get('a'), a);
  assert.equal(interner.get('b'), undefined);
  assert.equal(interner.get('a'), a);
});

test('churn does not fill it: what is not asked for goes, what is asked for stays', () => {
  const interner = new Interner<object>(1000);
  const kept = interner.set('kept', {});
  let largest = 0;
  for (let i = 0; i < 100_000; i++) {
    interner.set(`passing-${i}`, {});
    if (i % 5 === 0) assert.equal(interner.get('kept'), kept);
    largest = Math.max(largest, interner.size);
  }
  assert.equal(interner.get('passing-0'), undefined);
  assert.ok(largest < 60, `${largest} entries of over 40 characters in two generations of 1000`);
});

test('large keys count for what they are, empty ones for something', () => {
  const large = new Interner<number>(1000);
  for (let i = 0; i < 100; i++) large.set(`${i}${'x'.repeat(900)}`, i);
  assert.ok(large.size <= 5, `${large.size}`);
  const small = new Interner<number>(1000);
  for (let i = 0; i < 1000; i++) small.set(String.fromCharCode(i), i);
  assert.ok(small.size <= 70, `${small.size}`);
});

test('__proto__ is a key like others', () => {
  const interner = new Interner<number>(1000);
  assert.equal(interner.get('__proto__'), undefined);
  interner.set('__proto__', 1);
  assert.equal(interner.get('__proto__'), 1);
  assert.equal(interner.get('constructor'), undefined);
});
