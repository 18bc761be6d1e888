import assert from 'node:assert/strict';
import { test } from 'node:test';
import { escapeInDocument, isUnsafe, oneLine } from '../src/terminal.ts';

const HOSTILE =
  '\u0000\u0007\b\t\r\u001b[31m\u007f\u0085\u009b\u00ad\u200b\u200e\u2028\u202e\u2066\ufeff\u{e0001}\ud800';

test('nothing that a terminal obeys is left in a line', () => {
  const line = oneLine(`a\n${HOSTILE}ü✓`);
  assert.match(line, /^a\\u000a\\u0000\\u0007[\x20-\x7e]*ü✓$/);
  assert.doesNotMatch(line, /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/u);
});

test('a long text is cut, its length told', () => {
  assert.equal(oneLine('x'.repeat(200)), 'x'.repeat(200));
  assert.equal(oneLine('x'.repeat(201)), `${'x'.repeat(200)}… (201 characters)`);
  // A pair of surrogates cut in two leaves half a character: that is escaped as well.
  assert.equal(oneLine('a😀', 2), String.raw`a\ud83d… (3 characters)`);
});

test('in JSON the escapes keep the meaning', () => {
  const value = { [HOSTILE]: [HOSTILE] };
  const text = escapeInDocument(JSON.stringify(value, null, 2));
  assert.deepEqual(JSON.parse(text), value);
  assert.doesNotMatch(text.replaceAll('\n', ''), /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/u);
});

test('plain text is not taken for unsafe', () => {
  assert.equal(isUnsafe('Größe ✓ 😀'), false);
  for (const character of HOSTILE.replace('[31m', '')) assert.equal(isUnsafe(character), true);
});
