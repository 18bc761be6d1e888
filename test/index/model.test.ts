import { array, assert, boolean, constantFrom, nat, property, record } from 'fast-check';
import { test } from 'node:test';
import { History } from './model/history.ts';

/** How many histories are played; 10,000 take some 20 s of one core. */
const HISTORIES = Number(process.env['PODWHOIS_HISTORIES'] ?? 10_000);

const setting = record({
  namespaces: constantFrom([], ['constructor', 'b']),
  feedCapacity: constantFrom(1, 4, 1000),
  containers: boolean(),
  synced: constantFrom(undefined, 0, 3, 9),
});
const steps = array(nat(0xffff_ffff), { maxLength: 100, size: 'max' });

test('G duplicates, reordering, replay, lost events, relists: whatever happens, the index says what a naive oracle says', () => {
  assert(
    property(setting, steps, (chosen, numbers) => {
      const history = new History(chosen);
      for (const number of numbers) history.step(number);
      history.finish();
    }),
    { numRuns: HISTORIES },
  );
});
