import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Steps } from './index/history/steps.ts';

/** Each step in a turn of the event loop of its own. */
export async function inTurns<T>(steps: Steps<T>): Promise<T> {
  for (;;) {
    const { done, value } = steps.next();
    if (done) return value;
    await nextTurn();
  }
}
