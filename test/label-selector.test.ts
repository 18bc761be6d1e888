import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { parseLabelSelector } from '../src/label-selector.ts';

interface Golden {
  readonly labels: readonly Record<string, string>[];
  /** Selector → one digit per label set, 1 when it matches; '' when Kubernetes refuses the selector. */
  readonly cases: Readonly<Record<string, string>>;
}

const golden = JSON.parse(readFileSync(join(import.meta.dirname, 'label-selector.golden.json'), 'utf8')) as Golden;

test('selectors are read and matched exactly as Kubernetes does', () => {
  const cases = Object.entries(golden.cases);
  assert.ok(cases.length >= 1200);
  assert.ok(cases.some(([, matches]) => matches === '') && cases.some(([, matches]) => matches.includes('10')));
  for (const [text, matches] of cases) {
    const { selector } = parseLabelSelector(text);
    const ours = selector ? golden.labels.map((labels) => (selector.matches(labels) ? '1' : '0')).join('') : '';
    assert.equal(ours, matches, JSON.stringify(text));
  }
});

test('a wrong selector says what is wrong, and where', () => {
  const errors: Readonly<Record<string, [number, string]>> = {
    'a=b,': [5, 'found the end, expected a label key'],
    'a b': [3, 'found "b", expected one of =, ==, !=, in, notin, >, <'],
    'a=b c': [5, 'found "c", expected "," or the end'],
    'app in web': [8, 'found "web", expected "("'],
    'app in (web': [12, 'found the end, expected "," or ")"'],
    'x=1,-a=b': [5, '"-a" is not a label key'],
    'x=1, a = b_ ': [10, '"b_" is not a label value'],
    'n>many': [3, '"many" is not an integer'],
    'a>': [3, '"" is not an integer'],
  };
  for (const [text, [column, message]] of Object.entries(errors)) {
    assert.deepEqual(parseLabelSelector(text).error, { message, column }, text);
  }
});

test('a NUL, a control character and a long word are refused, and the message stays short', () => {
  for (const text of ['a\0', 'a=\0b', 'a\u00a0=b', `a=${'v'.repeat(100_000)}`, 'k/'.repeat(50_000), '🦭']) {
    const { error } = parseLabelSelector(text);
    assert.ok(error && error.message.length < 500, text.slice(0, 20));
  }
});

test('names that every JavaScript object answers to are labels like others', () => {
  const bare = Object.assign(Object.create(null) as Record<string, string>, { app: 'web' });
  for (const labels of [bare, { app: 'web' }]) {
    for (const key of ['constructor', 'toString', 'hasOwnProperty', 'valueOf']) {
      assert.equal(parseLabelSelector(key).selector?.matches(labels), false, key);
      assert.equal(parseLabelSelector(`!${key}`).selector?.matches(labels), true, key);
    }
  }
});

test('the time grows with the length of the text, not with its square', () => {
  const hostile = [
    (n: number) => 'a'.repeat(n),
    (n: number) => '!'.repeat(n),
    (n: number) => ' '.repeat(n),
    (n: number) => `a in (${','.repeat(n)}`,
    (n: number) => 'a=b,'.repeat(n),
    (n: number) => `${'a-.'.repeat(n)}/x`,
    (n: number) => `a in (${'b '.repeat(n)}`,
  ];
  for (const make of hostile) {
    const text = make(500_000);
    const began = performance.now();
    parseLabelSelector(text);
    // Some 100 ms; were it the square, hours.
    assert.ok(performance.now() - began < 10_000, make(3));
  }
});
