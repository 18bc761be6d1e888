import type { Logger } from 'pino';
import type { Clock } from './clock.ts';

const EVERY_MS = 60_000;

interface Complaint {
  loggedAt: number;
  /** How often it came since then. */
  unlogged: number;
  /** undefined: it is over. */
  sentence: string | undefined;
  settledAt: number;
}

/**
 * A fault that goes on is logged when it begins and then once a minute, with how often it came meanwhile; and when it is over.
 * One that comes and goes is logged no oftener. Messages are constant, so there are few of them.
 */
export class Complaints {
  readonly #log: Logger;
  readonly #clock: Clock;
  readonly #all = new Map<string, Complaint>();

  constructor(log: Logger, clock: Clock) {
    this.#log = log;
    this.#clock = clock;
  }

  /** `sentence` is what /ready?verbose says until `settled(message)`. */
  warn(message: string, sentence: string, fields: object): void {
    const now = this.#clock.now();
    const known = this.#all.get(message) ?? { loggedAt: -Infinity, unlogged: 0, sentence, settledAt: -Infinity };
    known.sentence = sentence;
    known.unlogged++;
    if (now - known.loggedAt >= EVERY_MS) {
      this.#log.warn({ ...fields, ...(known.unlogged > 1 && { times: known.unlogged }) }, message);
      known.loggedAt = now;
      known.unlogged = 0;
    }
    this.#all.set(message, known);
  }

  settled(message: string): void {
    const known = this.#all.get(message);
    if (known?.sentence === undefined) return;
    known.sentence = undefined;
    const now = this.#clock.now();
    if (now - known.settledAt < EVERY_MS) return;
    known.settledAt = now;
    this.#log.info({ was: message }, 'works again');
  }

  /** The sentences of what is wrong now. */
  get sentences(): string | undefined {
    const all = [...this.#all.values()].flatMap(({ sentence }) => sentence ?? []);
    return all.length > 0 ? all.join('; ') : undefined;
  }
}
