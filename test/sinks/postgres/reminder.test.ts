import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SetupError } from '../../../src/sinks/postgres/error-class.ts';
import { Reminder } from '../../../src/sinks/postgres/reminder.ts';

const refused = Object.assign(new Error('no'), { code: 'ECONNREFUSED' });
const ended = new Error('Connection terminated unexpectedly');

test('a failure that goes on is said when it begins and then once a minute, another kind of it at once, and anew when it was over', () => {
  const reminder = new Reminder();
  const seen = (
    [
      [refused, 0],
      [ended, 1],
      [refused, 59_999],
      [refused, 60_000],
      [new SetupError('a', 'see A'), 60_001],
      [new SetupError('a', 'see A'), 60_002],
      [new SetupError('b', 'see B'), 60_003],
    ] as const
  ).map(([error, now]) => reminder.isDue(error, now));
  assert.deepEqual(seen, [true, false, false, true, true, false, true]);
  reminder.forget();
  assert.equal(reminder.isDue(new SetupError('b', 'see B'), 60_004), true);
});
