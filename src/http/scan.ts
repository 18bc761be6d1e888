import type { Pod } from '../pod.ts';
import type { Pods } from './context.ts';
import type { PodFilter } from './pod-filter.ts';
import { isAfter } from './position.ts';
import type { Position } from './position.ts';
import type { Turns } from '../turns.ts';

export interface ScanOptions {
  readonly index: Pods;
  readonly turns: Turns;
  /** Pods looked at in one turn, as `workPerTurn` has it. */
  readonly perTurn: number;
  readonly filter: PodFilter;
  readonly after?: Position | undefined;
  readonly signal: AbortSignal;
}

/**
 * The pods that match, in the index's order, at most `perTurn` looked at in one turn of the event loop. Not a snapshot: what is
 * there throughout comes exactly once, what comes or goes meanwhile may or may not. Ends early when the signal aborts.
 */
export async function* scan({ index, turns, perTurn, filter, after, signal }: ScanOptions): AsyncGenerator<Pod[]> {
  const few = filter.ip === undefined ? undefined : firstOf(index.holders(filter.ip), perTurn);
  if (few) {
    const pods = few.filter((pod) => filter.matches(pod) && (after === undefined || isAfter(pod, after)));
    yield pods.sort((a, b) => (isAfter(a, b) ? 1 : -1));
    return;
  }
  for (let last = after; ;) {
    await turns.next();
    if (signal.aborted) return;
    const pods: Pod[] = [];
    let looked = 0;
    for (const pod of walk(index, filter, last)) {
      last = pod;
      if (filter.matches(pod)) pods.push(pod);
      if (++looked === perTurn) break;
    }
    yield pods;
    if (looked < perTurn) return;
  }
}

export function walk(index: Pods, { namespace }: PodFilter, after: Position | undefined): Iterable<Pod> {
  return index.walk({
    ...(namespace !== undefined && { namespace }),
    ...(after && { after: { namespace: after.namespace, name: after.name } }),
  });
}

/** A selector may have 900 requirements: of the pods that a turn may look at, as many as ask no more than this many tests of each. */
const TESTS_PER_POD = 8;

export function workPerTurn(perTurn: number, { tests }: PodFilter): number {
  return Math.max(1, Math.floor((perTurn * TESTS_PER_POD) / Math.max(TESTS_PER_POD, tests)));
}

/** All of them, or undefined when there are more than `max`. */
function firstOf<T>(all: Iterable<T>, max: number): T[] | undefined {
  const some: T[] = [];
  for (const one of all) {
    if (some.length === max) return undefined;
    some.push(one);
  }
  return some;
}
