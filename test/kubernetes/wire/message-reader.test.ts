import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { MessageReader } from '../../../src/kubernetes/wire/message-reader.ts';

/** A message of one field: number 1, length-delimited. */
function message(value: Uint8Array): Uint8Array {
  return Buffer.concat([Buffer.from([0x0a, value.length]), value]);
}

test('a text is what its bytes say, whatever it was likely to be', () => {
  const text = fc.oneof(fc.string({ maxLength: 6 }), fc.string({ maxLength: 6, unit: 'binary' }));
  const bytes = fc.oneof(
    text.map((one) => Buffer.from(one)),
    // One character a byte: beyond ASCII that is not UTF-8, and must not pass for the text it looks like.
    text.map((one) => Buffer.from(one, 'latin1')),
  );
  const property = fc.property(bytes, text, (value, other) => {
    const expected = value.toString();
    for (const likely of [other, expected, value.toString('latin1'), `${expected}x`, undefined]) {
      const reader = new MessageReader(message(value));
      assert.equal(reader.nextField(), 1);
      assert.equal(reader.text(reader.length, likely), expected);
      reader.close(reader.length);
    }
  });
  fc.assert(property, { numRuns: 1000, examples: [[Buffer.from('é', 'latin1'), 'é']] });
});
