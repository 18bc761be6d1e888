import assert from 'node:assert/strict';
import { array, assert as check, nat, property, tuple } from 'fast-check';
import { test } from 'node:test';
import { fillsHole } from '../../../src/index/history/fills-hole.ts';
import { mergeWatched } from '../../../src/index/history/merge.ts';
import type { Stretch } from '../../../src/index/history/piece.ts';
import { inEra } from '../../../src/resource-version.ts';

/** Of versions; a version is heard of at ten times that. */
const watched = (...bounds: readonly (readonly [since: number, until: number])[]): readonly Stretch[] =>
  bounds.map(([since, until]) => ({
    from: since * 10,
    until: until * 10,
    sinceVersion: String(since),
    untilVersion: String(until),
  }));

const inEraOf = (era: number, stretches: readonly Stretch[]): readonly Stretch[] =>
  stretches.map((stretch) => ({
    ...stretch,
    sinceVersion: inEra(stretch.sinceVersion, era),
    untilVersion: inEra(stretch.untilVersion, era),
  }));

for (const [what, archived, own, expected] of [
  ['nothing is archived: whoever writes has not come that far', [], [[10, 90]], false],
  ['who has not watched fills nothing', [[10, 50]], [], false],
  ['the former writer lost Postgres, and another one began', [[10, 30], [50, 80]], [[10, 90]], true], // prettier-ignore
  ['it had ended and begun anew within that', [[10, 30], [50, 80]], [[10, 35], [60, 90]], true], // prettier-ignore
  ['it watched somewhere between', [[10, 30], [50, 80]], [[35, 40], [60, 90]], true], // prettier-ignore
  ['it began in it', [[10, 30], [50, 80]], [[40, 90]], true], // prettier-ignore
  ['before anybody who has written', [[50, 80]], [[10, 90]], true],
  ['long before', [[50, 80]], [[10, 20], [60, 90]], true], // prettier-ignore
  ['two times that have nothing between them, and its own', [[10, 30], [31, 80]], [[20, 90]], true], // prettier-ignore
  ['the hole was its own, too', [[10, 30], [50, 80]], [[10, 30], [50, 90]], false], // prettier-ignore
  ['it was another one’s, and longer', [[10, 30], [50, 80]], [[20, 29], [51, 90]], false], // prettier-ignore
  ['a failover: who takes over had watched all along', [[10, 80]], [[40, 90]], false],
  ['what comes after all that is archived is still to be written', [[10, 50]], [[10, 50], [70, 90]], false], // prettier-ignore
  ['no hole: two times touch', [[10, 30], [30, 80]], [[10, 90]], false], // prettier-ignore
  ['it is behind', [[10, 30], [50, 80]], [[10, 79]], false], // prettier-ignore
  ['it is as far', [[10, 30], [50, 80]], [[10, 80]], true], // prettier-ignore
] satisfies [string, [number, number][], [number, number][], boolean][]) {
  test(`${expected ? 'a hole to fill' : 'none to fill'}: ${what}`, () => {
    assert.equal(fillsHole(watched(...archived), watched(...own)), expected);
    assert.equal(fillsHole(watched(...archived).toReversed(), watched(...own)), expected, 'in whatever order');
    assert.equal(fillsHole(inEraOf(1, watched(...archived)), inEraOf(1, watched(...own))), expected, 'after a restore');
    const archive = mergeWatched(watched(...archived), watched(...own));
    assert.equal(fillsHole(archive, watched(...own)), false, 'once it has written');
  });
}

test('B8 none to fill in doubt: where etcd was restored while it watched, before it began, or as others have heard', () => {
  const archived = watched([10, 30], [50, 80]);
  const restored = [...archived, ...inEraOf(1, watched([20, 30], [50, 60]))];
  const own = watched([10, 90]);
  assert.equal(fillsHole(restored, own), false);
  assert.equal(fillsHole(restored, [...own, ...inEraOf(1, own)]), false);
  assert.equal(fillsHole(archived, inEraOf(1, own)), false);
  assert.equal(fillsHole(restored, inEraOf(1, own)), true, 'what is before it is as it was');
});

test('a hole to fill is one that is less when it has written, wherever anybody has watched', () => {
  const bounds = array(tuple(nat(40), nat(8)), { maxLength: 6 });
  /** With what lies between two versions. */
  const places = (stretches: readonly Stretch[]): Set<number> =>
    new Set(
      stretches.flatMap(({ sinceVersion, untilVersion }) => {
        const [since, until] = [2 * Number(sinceVersion), 2 * Number(untilVersion)];
        return Array.from({ length: until - since + 1 }, (_, i) => since + i);
      }),
    );
  const seen = { filled: 0, none: 0 };
  check(
    property(bounds, bounds, (a, b) => {
      const [archived, own] = [a, b].map((some) =>
        watched(...some.map(([since, length]) => [since + 1, since + length + 1] as const)),
      ) as [readonly Stretch[], readonly Stretch[]];
      const [there, mine] = [places(archived), places(own)];
      const latest = Math.max(...there);
      const isBehind = Math.max(...mine) < latest;
      const expected = !isBehind && [...mine].some((place) => place < latest && !there.has(place));
      assert.equal(fillsHole(archived, own), expected);
      assert.equal(fillsHole(mergeWatched(archived, own), own), false);
      seen[expected ? 'filled' : 'none']++;
    }),
    { numRuns: 5_000 },
  );
  assert.ok(seen.filled > 500 && seen.none > 500, JSON.stringify(seen));
});
