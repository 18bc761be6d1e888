import type { Log } from './database.ts';

/** Rows that are named in the log at once, of those that Postgres does not take: it may be all of them. */
const MOST_SAID = 10;

/** Groups of a table that Postgres does not take, and why; each is tried again when it changes, and with each comparison. */
export class Quarantine {
  readonly #table: string;
  readonly #log: Log;
  readonly #reasons = new Map<string, string>();

  constructor(table: string, log: Log) {
    this.#table = table;
    this.#log = log;
  }

  get reasons(): ReadonlyMap<string, string> {
    return this.#reasons;
  }

  /** What is left out once groups have been written, but for those that Postgres has refused. */
  after(groups: ReadonlySet<string>, refused: ReadonlyMap<string, string>): ReadonlySet<string> {
    const others = this.#reasons.keys().filter((group) => !groups.has(group));
    return new Set([...refused.keys(), ...others]);
  }

  clear(): void {
    this.#reasons.clear();
  }

  /** These have been written, but for some of them. */
  settle(groups: Iterable<string>, refused: ReadonlyMap<string, string>): void {
    for (const group of groups) this.#reasons.delete(group);
    for (const [group, reason] of refused) this.#reasons.set(group, reason);
    const [table, log] = [this.#table, this.#log];
    for (const [row, reason] of [...refused].slice(0, MOST_SAID)) {
      log.error({ table, row, reason }, 'Postgres does not take a row: it is left out until it changes');
    }
    const unsaid = refused.size - MOST_SAID;
    if (unsaid > 0) log.error({ table, rows: unsaid }, 'Postgres does not take more rows than are named');
  }
}
