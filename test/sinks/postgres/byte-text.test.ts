import assert from 'node:assert/strict';
import * as fc from 'fast-check';
import { test } from 'node:test';
import { ByteText } from '../../../src/sinks/postgres/byte-text.ts';

test('a text that is put together as bytes is the same text, however long it becomes, and is the next one after it', () => {
  const pieces = fc.array(
    fc.oneof(fc.string({ unit: 'binary' }), fc.constantFrom('', 'é', '\ud83d\ude00', '\ud800', '\n')),
  );
  fc.assert(
    fc.property(fc.array(pieces, { maxLength: 3 }), (texts) => {
      const bytes = new ByteText(4);
      const taken = texts.map((some) => {
        for (const text of some) bytes.text(text);
        bytes.byte(10);
        assert.equal(bytes.length, bytes.view().length);
        return bytes.take();
      });
      for (const [i, some] of texts.entries())
        assert.deepEqual(taken[i], Buffer.from([...some, '\n'].map((text) => text.toWellFormed()).join('')));
      assert.equal(bytes.length, 0);
    }),
  );
});

test('what one huge text took is given back', () => {
  const bytes = new ByteText(4);
  bytes.text('x'.repeat(1_000));
  const { buffer } = bytes.view();
  bytes.clear();
  assert.ok(buffer.byteLength >= 1_000 && bytes.view().buffer.byteLength === 4);
});
