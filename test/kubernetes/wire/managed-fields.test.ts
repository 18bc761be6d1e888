import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { withoutManagedFields } from '../../../src/kubernetes/wire/managed-fields.ts';

const cut = (text: string, which: 'first' | 'all' = 'all'): string | undefined =>
  withoutManagedFields(Buffer.from(text), which);

const ENTRY = { manager: 'kubelet', operation: 'Update', fieldsV1: { 'f:status': { 'k:{"ip":"10.0.0.1"}': {} } } };

test('B12 managedFields are cut', () => {
  const pod = { metadata: { name: 'a', managedFields: [ENTRY, ENTRY] }, spec: {} };
  assert.equal(cut(JSON.stringify(pod)), '{"metadata":{"name":"a"},"spec":{}}');
});

test('B12 of a list, those of every item', () => {
  const pod = { metadata: { name: 'Zoë 🦊', managedFields: [ENTRY] }, spec: {} };
  const left = { metadata: { name: 'Zoë 🦊' }, spec: {} };
  const list = JSON.stringify({ items: [pod, pod] });
  assert.equal(cut(list), JSON.stringify({ items: [left, left] }));
  assert.equal(cut(list, 'first'), JSON.stringify({ items: [left, pod] }));
});

const LEFT_ALONE: Readonly<Record<string, string>> = {
  'none there': '{"metadata":{"name":"a"},"spec":{}}',
  'in a text': JSON.stringify({ a: ',"managedFields":[1],"b":' }),
  'in a text in a text': JSON.stringify({ a: JSON.stringify({ x: 1, managedFields: [1], b: 2 }) }),
  'the end of another key': '{"x":1,"a\\"managedFields":[1],"b":2}',
  'a list in the list': '{"x":1,"managedFields":[[1],2],"b":2}',
  'a bracket in a text in the list': '{"x":1,"managedFields":["]"],"b":2}',
  'not a list': '{"x":1,"managedFields":{"a":[1]},"b":2}',
  spaces: '{"x":1, "managedFields": [1], "b":2}',
  'the first of its object': '{"managedFields":[1],"b":2}',
  'the last of everything': '{"x":1,"managedFields":[1]}',
  'no end': '{"x":1,"managedFields":[1,"b":2',
};
for (const [what, text] of Object.entries(LEFT_ALONE)) {
  test(`B12 left in: ${what}`, () => assert.equal(cut(text), undefined));
}

test('B12 what is no JSON does not become JSON', () => {
  const text = '{"a":"x,"managedFields":["],"b":2}';
  assert.throws(() => JSON.parse(text));
  assert.throws(() => JSON.parse(cut(text) ?? ''));
});

test('B12 any JSON is read alike with and without it', () => {
  const hostile = fc.constantFrom(
    ',"managedFields":[',
    '"managedFields":[1],"a"',
    'managedFields',
    ']},"spec":',
    ']',
    '\\',
    '"',
    '"]},"a":"',
  );
  // No key is escaped: V8 13.6 reads `{"a":1,"\\"":2}` wrong when it has read `{"a":1,"\\\\":2}` before.
  const key = fc.oneof(fc.constantFrom('managedFields', ']},', ',', 'A'), fc.stringMatching(/^[a-z\]{,:[]{0,4}$/));
  const { value } = fc.letrec((tie) => ({
    value: fc.oneof(
      { maxDepth: 3 },
      hostile,
      fc.constant([]),
      fc.array(tie('value')),
      fc.dictionary(key, tie('value')),
    ),
  }));
  const managedFields = fc.array(fc.oneof(hostile, fc.constant({ a: { '"': {} } }), value), { maxLength: 3 });
  const object = fc.tuple(value, managedFields, key, value).map(([before, entries, next, after]) => ({
    before,
    in: { before, managedFields: entries, [next]: after },
    after,
  }));
  let cuts = 0;
  const property = fc.property(object, (object) => {
    const text = JSON.stringify(object);
    const left = cut(text);
    if (left === undefined) return;
    cuts++;
    assert.deepEqual(bare(JSON.parse(left)), bare(JSON.parse(text)));
  });
  fc.assert(property, { numRuns: 3000 });
  assert.ok(cuts > 200, `only ${cuts} had something to cut`);
});

/** Without lists called managedFields, wherever they are. */
function bare(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(bare);
  if (typeof value !== 'object' || value === null) return value;
  return Object.entries(value)
    .filter(([key, inner]) => key !== 'managedFields' || !Array.isArray(inner))
    .map(([key, inner]) => [key, bare(inner)]);
}
