import { connectTo } from './one-connection.ts';
import type { OneConnection } from './one-connection.ts';

const CONNECTIONS = 16;

export interface Probe {
  /** Milliseconds. Those that are not answered yet have waited until `stop`. */
  readonly waits: readonly number[];
  /** Why a connection ended before `stop`; undefined: none did. */
  readonly broken: Error | undefined;
  stop(): void;
}

/**
 * One GET every few milliseconds, whatever becomes of those before it; its wait counts from when it was due, so that a stall is not left
 * out. Whose connection ends waits for another one.
 */
export function probe(url: string, everyMs: number, pathOf: () => string): Probe {
  return new Probing(url, everyMs, pathOf);
}

class Probing implements Probe {
  readonly waits: number[] = [];
  broken: Error | undefined;
  readonly #url: string;
  readonly #everyMs: number;
  readonly #pathOf: () => string;
  /** When those were due that wait for a connection. */
  readonly #due: number[] = [];
  /** The longest idle first, so that none is idle for so long that it is closed. */
  readonly #idle: OneConnection[] = [];
  /** Since when each waits for its answer; undefined: it is idle, or not there yet. */
  readonly #open = new Map<OneConnection, number | undefined>();
  readonly #timer: NodeJS.Timeout;
  #isStopped = false;

  constructor(url: string, everyMs: number, pathOf: () => string) {
    this.#url = url;
    this.#everyMs = everyMs;
    this.#pathOf = pathOf;
    for (let i = 0; i < CONNECTIONS; i++) this.#connect();
    this.#timer = setInterval(() => {
      this.#due.push(performance.now());
      this.#ask();
    }, everyMs);
  }

  stop(): void {
    if (this.#isStopped) return;
    this.#isStopped = true;
    clearInterval(this.#timer);
    const now = performance.now();
    for (const since of [...this.#open.values(), ...this.#due]) if (since !== undefined) this.waits.push(now - since);
    for (const connection of this.#open.keys()) connection.close();
  }

  #ask(): void {
    while (this.#idle.length > 0) {
      const since = this.#due.shift();
      if (since === undefined) return;
      const connection = this.#idle.shift() as OneConnection;
      this.#open.set(connection, since);
      connection.get(this.#pathOf());
    }
  }

  #connect(): void {
    if (this.#isStopped) return;
    const connection = connectTo(this.#url, {
      connected: () => this.#free(connection),
      answered: () => {
        const since = this.#open.get(connection);
        if (this.#isStopped || since === undefined) return;
        this.waits.push(performance.now() - since);
        this.#free(connection);
      },
      closed: (error) => {
        if (this.#isStopped) return;
        this.broken = error ?? new Error('the server has closed a connection');
        const at = this.#idle.indexOf(connection);
        if (at >= 0) this.#idle.splice(at, 1);
        const since = this.#open.get(connection);
        this.#open.delete(connection);
        if (since !== undefined) this.#due.unshift(since);
        setTimeout(() => this.#connect(), this.#everyMs);
      },
    });
    this.#open.set(connection, undefined);
  }

  #free(connection: OneConnection): void {
    this.#open.set(connection, undefined);
    this.#idle.push(connection);
    this.#ask();
  }
}
