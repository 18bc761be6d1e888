import type { ServerResponse } from 'node:http';
import { Problem } from './problem.ts';

/** How many of something expensive may go on at once. */
export class Slots {
  #free: number;

  constructor(count: number) {
    this.#free = count;
  }

  /** Takes one until the answer is written or its reader has gone; throws a Problem when there is none left. */
  take(response: ServerResponse): void {
    if (this.#free === 0) throw new Problem('overloaded', 'too many such requests are under way');
    if (response.destroyed) return;
    this.#free--;
    response.once('close', () => this.#free++);
  }
}

/** Characters. Nearly every pod is described in less, and as many connections as there may be hold 128 MiB of it. */
export const SHORT = 32 * 1024;

/** Room for long answers, all together: whoever asks for many and reads none must not fill the memory. */
export class Room {
  #left: number;

  constructor(bytes: number) {
    this.#left = bytes;
  }

  /**
   * For one answer, until it is written or its reader has gone: takes bytes, and says whether there is room for more. What is
   * taken last may be too much. Throws a Problem when there is no room to begin with.
   */
  begin(response: ServerResponse): (bytes: number) => boolean {
    if (this.#left <= 0) throw new Problem('overloaded', 'too many long answers are under way');
    let taken = 0;
    let over = response.destroyed;
    response.once('close', () => {
      over = true;
      this.#left += taken;
    });
    return (bytes) => {
      if (!over) {
        taken += bytes;
        this.#left -= bytes;
      }
      return this.#left > 0;
    };
  }
}
