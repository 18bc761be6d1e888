import assert from 'node:assert/strict';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { test } from 'node:test';
import type { Database, Session } from '../../../src/sinks/postgres/database.ts';
import type { Target } from '../../../src/sinks/postgres/target.ts';
import { Writer } from '../../../src/sinks/postgres/writer.ts';
import { VirtualClock } from '../../support/virtual-clock.ts';

/**
 * A target of which something has always changed that comes to light when a claim is asked for: the claim speaks of it. Who is written
 * is remembered when the transaction commits.
 */
class Surprising implements Target {
  readonly name = 'surprising';
  readonly ready = true;
  readonly size = 1;
  readonly written = new Set<string>();
  claims = 0;
  surprises: number;
  #came = 0;
  #changed: string[] = [];
  #wake = (): void => {};

  constructor(surprises: number) {
    this.surprises = surprises;
  }

  changed(): readonly string[] {
    return this.#changed.splice(0);
  }

  change(): void {
    this.#changed.push(`change ${++this.#came}`);
    this.#wake();
  }

  onChange(wake: () => void): () => void {
    this.#wake = wake;
    return () => {};
  }

  compare = async () => await Promise.resolve({ differing: new Set<string>(), gone: new Set<string>(), groups: 0 });

  claim(): (session: Session) => Promise<void> {
    if (this.surprises-- > 0) this.change();
    const spoken = this.#came;
    return async () => {
      this.claims++;
      assert.equal(this.written.size, spoken, 'what is claimed has been written');
      await nextTurn();
    };
  }

  async flush(session: Session, groups: readonly string[], { enter, leave }: Parameters<Target['flush']>[2]) {
    await enter(session);
    for (const group of groups) this.written.add(group);
    await leave(session, new Map());
    return { written: groups.length, deleted: 0, poison: new Map<string, string>() };
  }
}

for (const [when, surprises] of [
  ['a flush', 1],
  ['a proof of the lease', 5],
] as const) {
  test(`a claim that brings changes to light is not made before they are written: at ${when}`, async () => {
    const target = new Surprising(surprises);
    const errors: unknown[] = [];
    const session = {} as Session;
    const database = {
      place: 'nowhere',
      breaks: 0,
      breakOff() {},
      transaction: async (work: (own: Session) => Promise<unknown>) => await work(session),
    } as unknown as Database;
    const clock = new VirtualClock();
    const log = { info() {}, warn() {}, error: (fields: { err?: unknown }) => void errors.push(fields.err) };
    const writer = new Writer({ database, lease: undefined, prepare: nextTurn, target, clock, log, flushMs: 100 });
    const ending = new AbortController();
    const running = writer.run(ending.signal);
    while (target.surprises > -3 && errors.length === 0) {
      await clock.advance(1_000);
    }
    ending.abort();
    await running;
    assert.deepEqual(errors, []);
    assert.ok(target.claims >= 3);
    assert.equal(target.written.size, surprises);
  });
}
