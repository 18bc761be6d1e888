import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Progress } from '../../src/kubernetes/progress.ts';

/** Listed at version 100, sent at time 0. */
function listed(): Progress {
  const progress = new Progress();
  progress.listed(progress.sending(0), '100');
  return progress;
}

test('a watch may start where the store has come to, by event, bookmark or list, whichever is later', () => {
  const progress = listed();
  progress.advance('110');
  progress.listed(progress.sending(0), '105');
  assert.equal(progress.resumeFrom, '110');
  progress.listed(progress.sending(0), '120');
  progress.advance('115'); // the watch is behind the list
  assert.equal(progress.resumeFrom, '120');
});

test('what was lost can be resumed only after a list', () => {
  const progress = new Progress();
  assert.equal(progress.resumeFrom, undefined);
  progress.listed(progress.sending(0), '100');
  progress.lost();
  progress.advance('110');
  assert.equal(progress.resumeFrom, undefined);
  assert.equal(progress.version, '110');
  progress.listed(progress.sending(0), '105');
  assert.equal(progress.resumeFrom, '110');
});

test('B8 an answer is measured by what had been seen when it was sent, not by what the watch has seen since', () => {
  const progress = listed();
  const sent = progress.sending(1_000);
  progress.advance('200');
  assert.equal(progress.judge('150', sent, 2_000), 'ok');
  assert.equal(progress.judge('199', progress.sending(2_000), 2_000), 'older');
});

test('B8 what a consistent answer has shown counts as seen', () => {
  const progress = listed();
  progress.judge('300', progress.sending(0), 0);
  assert.equal(progress.judge('299', progress.sending(0), 0), 'older');
});

test('B8 older, and older again in an answer that was sent a second after the first: backwards', () => {
  const progress = listed();
  assert.equal(progress.judge('90', progress.sending(0), 5_000), 'older');
  assert.equal(progress.judge('90', progress.sending(5_999), 9_000), 'older', 'sent too soon');
  assert.equal(progress.judge('90', progress.sending(6_000), 9_000), 'backwards');
});

test('B8 an answer that is not older ends the suspicion', () => {
  const progress = listed();
  progress.judge('90', progress.sending(0), 0);
  progress.judge('100', progress.sending(500), 500);
  assert.equal(progress.judge('90', progress.sending(60_000), 60_000), 'older');
});

test('B8 after an older answer nothing is proof until a list is committed, even when the next one is not older', () => {
  const progress = listed();
  progress.judge('90', progress.sending(1_000), 1_000);
  const sent = progress.sending(2_000);
  assert.equal(progress.judge('100', sent, 2_000), 'ok');
  progress.read(sent, '100');
  assert.equal(progress.ageMs(3_000), 3_000);
  progress.listed(progress.sending(2_500), '101');
  assert.equal(progress.ageMs(3_000), 500);
});

test('B8 a rebuild goes back, and what was seen before is forgotten', () => {
  const progress = listed();
  progress.rebuilt(progress.sending(5_000), '50');
  assert.equal(progress.resumeFrom, '50');
  assert.equal(progress.ageMs(6_000), 1_000);
  assert.equal(progress.judge('51', progress.sending(6_000), 6_000), 'ok');
});
