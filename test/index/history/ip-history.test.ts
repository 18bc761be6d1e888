import assert from 'node:assert/strict';
import { test } from 'node:test';
import { IpHistory } from '../../../src/index/history/ip-history.ts';
import type { Pod } from '../../../src/pod.ts';
import { makePod } from '../make-pod.ts';

const X = '10.0.0.1';
const Y = 'fd00::1';

const texts = (history: IpHistory, ip: string, back = -Infinity): string[] =>
  history.of(ip, back).map(({ holder, from, until, heldFrom, goesOn }) => {
    const since = heldFrom === from ? '' : ` since ${heldFrom}`;
    return `${holder?.uid ?? '?'} ${from}..${until ?? ''}${goesOn ? '+' : ''}${since}`;
  });

test('an interval is begun, goes on while nothing that matters changes, and ends, for each address', () => {
  const history = new IpHistory({ maxEnded: 10 });
  const pod = makePod({ uid: 'a', podIps: [X, Y] });
  history.see(makePod({ uid: 'a' }), [], 1);
  history.see(pod, [], 2);
  history.see({ ...pod, ready: false, resourceVersion: '101' }, [X, Y], 3);
  assert.deepEqual([texts(history, X), texts(history, Y)], [['a 2..'], ['a 2..']]);
  const [open] = history.of(X, 0);
  assert.equal((open?.holder as Pod | undefined)?.resourceVersion, '101', 'the former record is not kept alive');
  history.see({ ...pod, podIps: [Y] }, [X, Y], 5);
  assert.deepEqual([texts(history, X), texts(history, Y)], [['a 2..5'], ['a 2..']]);
  history.lose({ ...pod, podIps: [Y] }, 7, '200');
  assert.deepEqual(texts(history, Y), ['a 2..7']);
  history.lose(pod, 8, '200');
  assert.equal(history.size, 2, 'nothing ends twice');
  assert.ok(!('containers' in (history.of(X, 0)[0]?.holder ?? {})), 'of the record only what identifies is kept');
});

test('who held the addresses of one pod is kept once', () => {
  const history = new IpHistory({ maxEnded: 10 });
  const [a, b] = ['a', 'b'].map((uid) => makePod({ uid, name: uid, podIps: [X, Y] }));
  const holders = (ip: string): unknown[] => history.of(ip, -Infinity).map(({ holder }) => holder);
  for (const one of [a, b]) history.see(one!, [], 1);
  history.see({ ...a!, labels: { app: 'b' } }, [X, Y], 2);
  history.lose({ ...a!, labels: { app: 'b' } }, 3, '200');
  history.lose(b!, 4, '200');
  assert.deepEqual(texts(history, X), ['b 1..4', 'a 2..3 since 1', 'a 1..2+']);
  assert.equal(new Set([...holders(X), ...holders(Y)]).size, 3);
});

test('what decides or identifies makes another interval: labels, terminating, finished', () => {
  const history = new IpHistory({ maxEnded: 10 });
  const pod = makePod({ uid: 'a', podIps: [X] });
  history.see(pod, [], 0);
  history.see({ ...pod, labels: { app: 'b' } }, [X], 1);
  history.see({ ...pod, labels: { app: 'b' } }, [X], 2);
  history.see({ ...pod, labels: { app: 'b' }, deletionTimestamp: 9 }, [X], 3);
  history.see({ ...pod, labels: { app: 'b' }, deletionTimestamp: 9, phase: 'Failed' }, [X], 4);
  history.see({ ...pod, labels: { app: 'c' }, deletionTimestamp: 9, phase: 'Failed' }, [X], 4);
  history.lose(pod, 5, '200');
  assert.deepEqual(texts(history, X), [
    'a 4..5 since 0',
    'a 4..4+ since 0',
    'a 3..4+ since 0',
    'a 1..3+ since 0',
    'a 0..1+',
  ]);
});

test('the bound drops the oldest endings, and says from where on everything is known', () => {
  const history = new IpHistory({ maxEnded: 2 });
  assert.equal(history.reach, -Infinity);
  for (let i = 0; i < 5; i++) {
    const pod = makePod({ uid: `${i}`, podIps: [X] });
    history.see(pod, [], 10 * i);
    history.lose(pod, 10 * i + 5, '200');
  }
  assert.deepEqual(texts(history, X), ['4 40..45', '3 30..35']);
  assert.equal(history.reach, 25);
  history.forgetBefore(45);
  assert.deepEqual(texts(history, X), ['4 40..45']);
  assert.equal(history.reach, 35);
  assert.deepEqual(texts(history, X, 44), ['4 40..45']);
});

test('labels of any length keep nothing alive beyond their bound', () => {
  const history = new IpHistory({ maxEnded: 1_000, maxCharacters: 5_000 });
  for (let i = 0; i < 50; i++) {
    const pod = makePod({ podIps: [X], labels: { long: 'x'.repeat(996) } });
    history.see(pod, [], i);
    history.lose(pod, i, '200');
  }
  assert.equal(history.endedCount, 5);
});

test('thousands dropped leave no hole in the order, and nothing behind', () => {
  const history = new IpHistory({ maxEnded: 100 });
  for (let i = 0; i < 10_000; i++) {
    const pod = makePod({ uid: `${i}`, podIps: [`ip-${i % 7}`] });
    history.see(pod, [], i);
    history.lose(pod, i, '200');
  }
  assert.deepEqual(
    [...history.all()].map(({ until }) => until),
    Array.from({ length: 100 }, (_, i) => 9_900 + i),
  );
  assert.equal(history.of('ip-0', -Infinity).length, 14);
  history.forgetBefore(Infinity);
  assert.deepEqual([history.size, history.of('ip-0', 0).length], [0, 0]);
});

test('a walk over everything meets what is there throughout, whatever comes and goes meanwhile', () => {
  const history = new IpHistory({ maxEnded: 5_000 });
  const pods = Array.from({ length: 4_000 }, (_, i) => makePod({ uid: `${i}`, podIps: [`ip-${i}`] }));
  for (const pod of pods) history.see(pod, [], 1);
  for (const pod of pods.slice(0, 2_000)) history.lose(pod, 2, '200');
  const met = new Set<string | undefined>();
  let i = 0;
  for (const { holder } of history.all()) {
    met.add(holder?.uid);
    const ending = pods[2_000 + (i++ % 1_500)];
    if (ending) history.lose(ending, 3, '200');
    if (i === 100) history.forgetBefore(3);
  }
  for (let uid = 2_000; uid < 4_000; uid++) assert.ok(met.has(`${uid}`), `${uid}`);
});

test('a comparison ends what is not there any more, and leaves what came meanwhile', () => {
  const history = new IpHistory({ maxEnded: 10 });
  const [a, b, c] = ['a', 'b', 'c'].map((uid) => makePod({ uid, podIps: [X] })) as [Pod, Pod, Pod];
  history.see(a, [], 1);
  history.see(b, [], 1);
  history.doubt(new Set([X]), 1, 2, '200');
  history.compare();
  history.see(a, [], 3);
  history.see(c, [], 3);
  assert.equal(
    [
      ...history.endMissing(
        () => 4,
        () => '200',
      ),
    ].length,
    3,
    'a piece is counted in what is looked at',
  );
  assert.deepEqual(texts(history, X).sort(), ['? 1..', 'a 1..', 'b 1..4', 'c 3..']);
});

test('B6 what an object that cannot be read may hold is in doubt, from before it was noticed', () => {
  const history = new IpHistory({ maxEnded: 10 });
  history.doubt(new Set([X]), 5, 6, '200');
  history.doubt(new Set([X, Y]), 6, 7, '200');
  assert.equal(history.hasDoubts, true);
  history.doubt(new Set(), 8, 9, '200');
  assert.deepEqual([texts(history, X), texts(history, Y)], [['? 5..9'], ['? 6..9']]);
  assert.equal(history.hasDoubts, false);
});
