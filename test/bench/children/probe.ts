import { connectTo } from './lone-connection.ts';
import type { LoneConnection } from './lone-connection.ts';

const CONNECTIONS = 16;

export interface Probe {
  /** Milliseconds, of what has been answered until now. */
  readonly waits: readonly number[];
  stop(): void;
}

/** One GET every few milliseconds, whatever becomes of those before it; its wait counts from when it was due, so that a stall is not left out. */
export function probe(url: string, everyMs: number, pathOf: () => string): Probe {
  const waits: number[] = [];
  /** When those were due that wait for a connection. */
  const due: number[] = [];
  /** The longest idle first, so that none is idle for so long that it is closed. */
  const idle: Asker[] = [];
  const open = new Set<LoneConnection>();
  interface Asker {
    ask(since: number): void;
  }
  const next = (): void => {
    while (idle.length > 0 && due.length > 0) idle.shift()?.ask(due.shift() ?? 0);
  };
  const connect = (): void => {
    let since = 0;
    const asker: Asker = {
      ask: (at) => {
        since = at;
        connection.get(pathOf());
      },
    };
    const free = (): void => {
      idle.push(asker);
      next();
    };
    const connection = connectTo(url, {
      connected: free,
      answered: () => {
        waits.push(performance.now() - since);
        free();
      },
      closed: () => {
        if (idle.includes(asker)) idle.splice(idle.indexOf(asker), 1);
        if (open.delete(connection)) setTimeout(connect, everyMs);
      },
    });
    open.add(connection);
  };
  for (let i = 0; i < CONNECTIONS; i++) connect();
  const timer = setInterval(() => {
    due.push(performance.now());
    next();
  }, everyMs);
  return {
    waits,
    stop: () => {
      clearInterval(timer);
      for (const connection of open) {
        open.delete(connection);
        connection.close();
      }
    },
  };
}
