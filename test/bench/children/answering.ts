import { monitorEventLoopDelay } from 'node:perf_hooks';
import type { Usage } from '../child.ts';

type Handler = (argument: never) => unknown;

/** The child's side of `startChild`: answers the parent's questions by name; `usage` and `gc` are always there. */
export function answering(handlers: Readonly<Record<string, Handler>>): void {
  const delay = monitorEventLoopDelay({ resolution: 1 });
  delay.enable();
  const all: Record<string, Handler> = {
    usage: (): Usage => {
      const { user, system } = process.cpuUsage();
      const stallMs = delay.max / 1e6;
      delay.reset();
      return {
        cpu: (user + system) / 1e6,
        rssMb: process.memoryUsage.rss() / 2 ** 20,
        peakRssMb: process.resourceUsage().maxRSS / 1024,
        stallMs,
      };
    },
    heap: () => {
      globalThis.gc?.();
      globalThis.gc?.();
      // Columns of numbers stand outside of the heap.
      const { heapUsed, arrayBuffers } = process.memoryUsage();
      return heapUsed + arrayBuffers;
    },
    ...handlers,
  };
  process.once('disconnect', () => process.exit()); // nobody is left to stop it
  process.on('message', (message: { id: number; ask: string; argument: never }) => {
    void (async () => {
      try {
        const value = await all[message.ask]?.(message.argument);
        process.send?.({ id: message.id, value });
      } catch (error) {
        process.send?.({
          id: message.id,
          error: error instanceof Error ? (error.stack ?? error.message) : String(error),
        });
      }
    })();
  });
}
