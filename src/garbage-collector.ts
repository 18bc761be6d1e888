import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { constants, setPriority } from 'node:os';
import type { Log } from './log.ts';

/** What Node calls V8's threads, for the kernel. */
const NAME = 'V8Worker';
/** The threads of this process, as Linux lists them. */
const TASKS = '/proc/self/task';
const ASK_MS = 100;

/**
 * From the first sync on V8's threads, which mark garbage for a fifth of a second at a time, leave the core to lookups: they have the lowest
 * priority there is within this process' cgroup. Not before: while all pods are read at full speed they would not keep up. What is lowered stays so, for only a
 * privileged process may raise it. Where threads are no tasks of the kernel with a priority of their own, which is everywhere but on Linux,
 * nothing happens.
 */
export function collectorGivesWay(source: { readonly synced: boolean }, log: Log): void {
  const timer = setInterval(() => {
    if (!source.synced) return;
    clearInterval(timer);
    try {
      lowerPriority();
    } catch (err) {
      log.warn(
        { err },
        "the kernel refuses V8's threads a lower priority: lookups wait longer while garbage is collected",
      );
    }
  }, ASK_MS).unref();
}

function lowerPriority(): void {
  if (!existsSync(TASKS)) return;
  for (const id of readdirSync(TASKS)) {
    if (readFileSync(`${TASKS}/${id}/comm`, 'utf8').trim() === NAME) {
      setPriority(Number(id), constants.priority.PRIORITY_LOW);
    }
  }
}
