import assert from 'node:assert/strict';
import { test } from 'node:test';
import { compareResourceVersions, eraOf, erasLater, inEra, nextVersion } from '../src/resource-version.ts';

test('B8 versions after a restore come after all of the history before it', () => {
  const longest = '9'.repeat(39);
  const ordered = ['1', '9', '10', longest, inEra('1', 1), inEra(longest, 1), inEra('1', 2), inEra('7', 12)];
  for (const [i, version] of ordered.entries()) {
    for (const [j, other] of ordered.entries()) {
      assert.equal(Math.sign(compareResourceVersions(version, other)), Math.sign(i - j), `${version} ${other}`);
    }
  }
  assert.deepEqual(ordered.map(eraOf), [0, 0, 0, 0, 1, 1, 2, 12]);
  assert.equal(erasLater('10', 0), '10');
  assert.equal(erasLater('10', 3), inEra('10', 3));
  assert.equal(erasLater(inEra('10', 3), 2), inEra('10', 5));
  assert.equal(nextVersion('9'), '10');
});
