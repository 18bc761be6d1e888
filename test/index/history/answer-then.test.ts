import assert from 'node:assert/strict';
import { test } from 'node:test';
import { answerThen, backTo } from '../../../src/index/history/answer-then.ts';
import type { Then } from '../../../src/index/history/answer-then.ts';
import type { Interval } from '../../../src/index/history/interval.ts';
import { Unwatched } from '../../../src/index/history/unwatched.ts';
import type { Pod } from '../../../src/pod.ts';
import { makePod } from '../make-pod.ts';

const X = '10.0.0.1';

const on = (
  uid: string,
  from: number,
  until?: number,
  given: Partial<Interval> & { pod?: Partial<Pod> } = {},
): Interval => ({
  ip: X,
  from,
  until,
  heldFrom: from,
  goesOn: false,
  holder: makePod({ uid, name: uid, podIps: [X], ...given.pod }),
  ...given,
});

/** Watched from 0 on, but in these holes. */
function watched(...holes: readonly (readonly [number, number | undefined])[]): Unwatched {
  const unwatched = new Unwatched();
  unwatched.end(0);
  for (const [from, until] of holes) {
    unwatched.begin(from);
    if (until !== undefined) unwatched.end(until);
  }
  return unwatched;
}

/** The answer in a line: `a 10..20`, `a (inferred) <=10..>=20`, `a,b?`, `no-pod`, `not-observed a|b`. */
function ask(
  at: number,
  intervals: readonly Interval[],
  options: { unwatched?: Unwatched; reach?: number; nodes?: string[] } = {},
): string {
  const { unwatched = watched(), reach = -Infinity, nodes = [] } = options;
  const view = { partial: false, clusterCidrs: [] };
  return shown(answerThen(X, at, { intervals, unwatched, reach, view, isHostIp: (ip) => nodes.includes(ip) }));
}

function shown(then: Then): string {
  if (then.kind === 'one') {
    const { holder, from, until } = then.tenure;
    const begin = `${from.observed ? '' : '<='}${from.at}`;
    const end = until === undefined ? '' : `${until.observed ? '' : '>='}${until.at}`;
    return `${holder.uid}${then.inferred ? ' (inferred)' : ''} ${begin}..${end}`;
  }
  if (then.kind === 'ambiguous') return `${then.candidates.map(({ uid }) => uid).join(',')}?`;
  if (then.kind === 'none') return then.reason;
  if (then.kind === 'beyond-retention') return then.kind;
  return `not-observed ${then.before?.holder.uid ?? ''}|${then.after?.holder.uid ?? ''}`;
}

test('an address that changed hands was the one pod’s until the other’s, to the millisecond', () => {
  const hands = [on('a', 10, 20), on('b', 20, 30), on('c', 40)];
  assert.deepEqual(
    [9, 10, 19, 20, 29, 30, 39, 40, 99].map((at) => ask(at, hands)),
    ['no-pod', 'a 10..20', 'a 10..20', 'b 20..30', 'b 20..30', 'no-pod', 'no-pod', 'c 40..', 'c 40..'],
  );
});

test('A1 A4 A5 A6 who answered is decided by what was so then', () => {
  const gone = { deletionTimestamp: 99 };
  const rows: readonly (readonly [string, readonly Interval[], string])[] = [
    ['a finished pod answers for nothing', [on('a', 0, 99, { pod: { phase: 'Succeeded' } })], 'terminal'],
    ['nor does it stand in the way', [on('a', 0, 99, { pod: { phase: 'Failed' } }), on('b', 5)], 'b 5..'],
    ['two claimants', [on('b', 0, 99), on('a', 5)], 'a,b?'],
    ['the only one that was not terminating', [on('a', 0, 99, { pod: gone }), on('b', 5)], 'b 5..'],
    ['a terminating one alone', [on('a', 5, 99, { pod: gone })], 'a 5..99'],
    ['two terminating ones', [on('a', 0, 99, { pod: gone }), on('b', 5, 99, { pod: gone })], 'a,b?'],
    ['a pod on its node’s network', [on('a', 0, 99, { pod: { hostNetwork: true } }), on('b', 5)], 'host-network'],
    ['what could not be read may have had it', [on('a', 0), on('?', 5, 15, { holder: undefined })], 'not-observed a|a'],
  ];
  for (const [name, intervals, expected] of rows) assert.equal(ask(10, intervals), expected, name);
  assert.equal(ask(10, [], { nodes: [X] }), 'node');
});

test('a pod that was relabelled or began to terminate held its address all along', () => {
  const parts = [
    on('a', 10, 20, { goesOn: true }),
    on('a', 20, 30, { goesOn: true, heldFrom: 10 }),
    on('a', 30, 40, { heldFrom: 10, pod: { deletionTimestamp: 40 } }),
    on('a', 50),
  ];
  assert.deepEqual(
    [15, 25, 35, 45, 55].map((at) => ask(at, parts)),
    ['a 10..40', 'a 10..40', 'a 10..40', 'no-pod', 'a 50..'],
  );
});

test('who lost an address and had it again at the same moment has held it since then', () => {
  const parts = [on('a', 20), on('a', 10, 20, { goesOn: true }), on('a', 20, 20, { heldFrom: 10 })];
  assert.deepEqual(
    [15, 20].map((at) => ask(at, parts)),
    ['a 10..20', 'a 20..'],
  );
});

test('before the first sync nobody watched, and what was there then began not later', () => {
  const unwatched = watched();
  assert.equal(ask(-5, [on('a', 0)], { unwatched }), 'not-observed |a');
  assert.equal(ask(0, [on('a', 0)], { unwatched }), 'a <=0..');
  assert.equal(ask(1, [on('a', 0, 7)], { unwatched }), 'a <=0..7');
});

test('in a hole the same pod on both sides is inferred; otherwise both sides are told', () => {
  const rows: readonly (readonly [string, readonly Interval[], string])[] = [
    ['throughout', [on('a', 10)], 'a (inferred) 10..'],
    ['gone after the hole', [on('a', 10, 70)], 'a (inferred) 10..70'],
    ['gone in the hole', [on('a', 10, 60)], 'not-observed a|'],
    ['another afterwards', [on('a', 10, 60), on('b', 60)], 'not-observed a|b'],
    ['only afterwards', [on('b', 60)], 'not-observed |b'],
    ['nobody on either side', [], 'not-observed |'],
    ['gone before, another long after', [on('a', 10, 20), on('b', 90)], 'not-observed a|b'],
    ['begun as the hole began', [on('a', 40)], 'a (inferred) 40..'],
    ['begun in the hole, later', [on('a', 55)], 'not-observed |a'],
    ['away for a moment of the hole', [on('a', 10, 52), on('a', 53)], 'not-observed a|a'],
    [
      'relabelled in the hole',
      [on('a', 10, 52, { goesOn: true }), on('a', 52, undefined, { heldFrom: 10 })],
      'a (inferred) 10..',
    ],
    ['another one beside it for a moment', [on('a', 10), on('b', 52, 53)], 'not-observed a|a'],
    ['another one, gone as soon as it was heard of', [on('a', 10), on('b', 52, 52)], 'not-observed a|a'],
    [
      'gone as soon as it was heard of again',
      [on('a', 10, 60, { goesOn: true }), on('a', 60, 60, { heldFrom: 10 })],
      'not-observed a|a',
    ],
    ['another one that came and went just before', [on('a', 10), on('b', 40, 40)], 'a (inferred) 10..'],
    ['a finished one beside it', [on('a', 10), on('b', 20, 58, { pod: { phase: 'Failed' } })], 'a (inferred) 10..'],
    ['two on both sides', [on('a', 10), on('b', 10)], 'not-observed a|a'],
  ];
  for (const [name, intervals, expected] of rows) {
    assert.equal(ask(50, intervals, { unwatched: watched([40, 60]) }), expected, name);
  }
  assert.equal(ask(50, [on('a', 10)], { unwatched: watched([40, undefined]) }), 'not-observed a|a', 'it lasts');
});

test('in a hole what was heard up to the moment is known, and what was heard later may have been so already', () => {
  const rows: readonly (readonly [string, readonly Interval[], number, string])[] = [
    ['before it was heard of', [on('a', 45)], 44, 'not-observed |a'],
    ['as it was heard of', [on('a', 45)], 45, 'a (inferred) <=45..'],
    ['after it was heard of', [on('a', 45)], 50, 'a (inferred) <=45..'],
    ['and gone long after', [on('a', 45, 90)], 50, 'a (inferred) <=45..90'],
    ['and heard to be gone in the hole', [on('a', 45, 55)], 50, 'not-observed a|'],
    ['and gone as the hole ended', [on('a', 45, 60)], 50, 'not-observed a|'],
    ['after another one', [on('b', 10, 45), on('a', 45)], 50, 'a (inferred) <=45..'],
    ['before another one joined it', [on('a', 45), on('b', 55)], 50, 'not-observed a|a'],
    ['after another one beside it had gone', [on('a', 10), on('b', 20, 45)], 50, 'a (inferred) 10..'],
    [
      'another one heard later, and something between',
      [on('a', 10, 52, { goesOn: true }), on('a', 52, undefined, { heldFrom: 10 }), on('b', 55, 57)],
      50,
      'not-observed a|a',
    ],
    ['after one that was gone as soon as it was heard of', [on('a', 10), on('b', 45, 45)], 50, 'a (inferred) 10..'],
    ['before one that was gone as soon as it was heard of', [on('a', 45), on('b', 55, 55)], 50, 'not-observed a|a'],
    ['away for a moment, and back', [on('a', 10, 43), on('a', 45)], 50, 'a (inferred) <=45..'],
    ['while it was away', [on('a', 10, 43), on('a', 45)], 44, 'not-observed a|a'],
  ];
  for (const [name, intervals, at, expected] of rows) {
    assert.equal(ask(at, intervals, { unwatched: watched([40, 60]) }), expected, name);
  }
});

test('how it was at both ends of a hole is known', () => {
  const unwatched = watched([40, 60]);
  const hands = [on('a', 10, 60), on('b', 60)];
  assert.deepEqual(
    [40, 41, 59, 60].map((at) => ask(at, hands, { unwatched })),
    ['a 10..>=40', 'not-observed a|b', 'not-observed a|b', 'b <=60..'],
  );
});

test('what was heard of in a hole began not later and ended not earlier than it is told', () => {
  const unwatched = watched([40, 60]);
  assert.equal(ask(30, [on('a', 10, 55)], { unwatched }), 'a 10..>=40');
  assert.equal(ask(70, [on('a', 55)], { unwatched }), 'a <=55..');
  assert.equal(ask(61, [on('a', 60, 80)], { unwatched }), 'a <=60..80');
  assert.equal(ask(30, [on('a', 10, 40)], { unwatched }), 'a 10..40', 'heard of before the hole');
});

test('what is longer ago than what is kept is not answered at all', () => {
  const known = [on('a', 10)];
  assert.equal(ask(19, known, { reach: 20 }), 'beyond-retention');
  assert.equal(ask(20, known, { reach: 20 }), 'a 10..');
});

test('holes are joined where they meet, and the oldest where there are too many', () => {
  const unwatched = watched([10, 20], [30, 40]);
  unwatched.begin(35);
  unwatched.begin(15);
  assert.deepEqual(
    unwatched.holes.slice(1).map(({ from, until }) => [from, until]),
    [[10, undefined]],
  );
  unwatched.end(50);
  for (let i = 0; i < 1_500; i++) {
    unwatched.begin(100 + 10 * i);
    unwatched.end(105 + 10 * i);
  }
  assert.equal(unwatched.holes.length, 1_000);
  assert.equal(unwatched.holes[0]?.from, -Infinity);
  assert.ok(unwatched.around(107), 'between two of the oldest');
  assert.equal(unwatched.around(14_097), undefined);
  assert.equal(unwatched.around(14_093)?.until, 14_095);
  assert.equal(backTo(unwatched, 14_093), 14_090);
  assert.equal(backTo(unwatched, 14_097), 14_097);
});

test('what lies between holes was watched, from a version to a version', () => {
  const unwatched = new Unwatched();
  assert.deepEqual(unwatched.stretches(5, '9'), []);
  unwatched.end(10, '100');
  unwatched.begin(20, '150');
  assert.deepEqual(unwatched.stretches(99, '199'), [{ from: 10, until: 20, sinceVersion: '100', untilVersion: '150' }]);
  unwatched.end(30, '180');
  assert.deepEqual(unwatched.stretches(40, '185').slice(1), [
    { from: 30, until: 40, sinceVersion: '180', untilVersion: '185' },
  ]);
  assert.deepEqual(unwatched.stretches(25, '185').slice(1), [
    { from: 30, until: 30, sinceVersion: '180', untilVersion: '185' },
  ]);
  unwatched.begin(5, '190');
  assert.deepEqual(unwatched.stretches(99, '199'), [], 'nothing was proven');
});
