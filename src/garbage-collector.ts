import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { constants, setPriority } from 'node:os';
import { setFlagsFromString } from 'node:v8';
import type { ChangeFeed } from './index/change-feed.ts';
import type { Log } from './log.ts';

/** Node's name for V8's threads: they collect garbage, and compile what is called often. */
const NAME = 'V8Worker';
/** The threads of this process, as Linux lists them. */
const TASKS = '/proc/self/task';

interface Watching {
  readonly source: { readonly synced: boolean };
  readonly index: { readonly changes: ChangeFeed };
}

/**
 * From the first sync on V8's threads leave the core to lookups: they mark garbage for a fifth of a second at a time. Not before, for they
 * would not keep up while all pods are read at full speed; and for as long as the process lives, for only a privileged one may raise a priority
 * again. Elsewhere than on Linux, where a thread has no priority of its own, nothing happens. See docs/decisions/0011-what-lookups-wait-for.md.
 */
export function collectorGivesWay({ source, index }: Watching, log: Log): void {
  const stop = index.changes.onChange(() => {
    if (!source.synced) return;
    stop();
    if (!existsSync(TASKS)) return;
    // Or they would free what was read too late: while everything is listed again the main thread keeps the core busy.
    setFlagsFromString('--no-concurrent-array-buffer-sweeping');
    const threads = readdirSync(TASKS).filter((id) => nameOf(id) === NAME);
    try {
      for (const id of threads) setPriority(Number(id), constants.priority.PRIORITY_LOW);
      log.debug({ threads: threads.length }, "V8's threads give way to lookups from now on");
    } catch (err) {
      log.warn(
        { err },
        "the kernel refuses V8's threads a lower priority: lookups wait longer while garbage is collected",
      );
    }
  });
}

/** Empty when the thread has ended meanwhile. */
function nameOf(id: string): string {
  try {
    return readFileSync(`${TASKS}/${id}/comm`, 'utf8').trim();
  } catch {
    return '';
  }
}
