import type { TestContext } from 'node:test';
import { SystemClock } from '../../src/kubernetes/clock.ts';
import type { Clock } from '../../src/kubernetes/clock.ts';

/** Twenty times as fast, so that pauses after a failure do not count. */
export function hastyClock(t: TestContext): Clock {
  const clock = new SystemClock();
  t.after(() => clock.close());
  return {
    now: () => 20 * clock.now(),
    wall: () => clock.wall(),
    sleep: async (ms, signal) => await clock.sleep(ms / 20, signal),
    random: () => clock.random(),
  };
}
