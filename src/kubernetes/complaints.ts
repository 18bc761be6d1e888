import type { Logger } from 'pino';
import type { Clock } from './clock.ts';

const EVERY_MS = 60_000;

/** A fault that goes on is logged when it begins and then once a minute, with how often it came meanwhile; and when it is over. */
export class Complaints {
  readonly #log: Logger;
  readonly #clock: Clock;
  readonly #current = new Map<string, { loggedAt: number; unlogged: number; sentence: string }>();

  constructor(log: Logger, clock: Clock) {
    this.#log = log;
    this.#clock = clock;
  }

  /** `message` is constant; `sentence` is what /ready?verbose says until `settled(message)`. */
  warn(message: string, sentence: string, fields: object): void {
    const now = this.#clock.now();
    const known = this.#current.get(message);
    if (known && now - known.loggedAt < EVERY_MS) {
      known.unlogged++;
      known.sentence = sentence;
      return;
    }
    this.#log.warn({ ...fields, ...(known && { repeated: known.unlogged + 1 }) }, message);
    this.#current.set(message, { loggedAt: now, unlogged: 0, sentence });
  }

  settled(message: string): void {
    const known = this.#current.get(message);
    if (!known) return;
    this.#current.delete(message);
    this.#log.info({ was: message }, 'works again');
  }

  /** The sentences of what is wrong now. */
  get sentences(): string | undefined {
    const all = [...this.#current.values()].map(({ sentence }) => sentence);
    return all.length > 0 ? all.join('; ') : undefined;
  }
}
