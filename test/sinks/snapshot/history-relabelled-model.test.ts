import assert from 'node:assert/strict';
import process from 'node:process';
import { array, assert as check, asyncProperty, nat } from 'fast-check';
import { after, before, test } from 'node:test';
import type { Pod } from '../../../src/pod.ts';
import { makePod } from '../../index/make-pod.ts';
import { startPostgres } from '../../support/real-postgres.ts';
import type { RealPostgres } from '../../support/real-postgres.ts';
import { RecordedIndex } from '../../support/recorded-index.ts';
import { historyOf, Scribe, startPlace } from '../../support/scribe.ts';
import type { Place } from '../../support/scribe.ts';

/** Each of some 50 steps. */
const PLAYS = Number(process.env['PODWHOIS_HISTORIES'] ?? 5_000) / 200;

const [X, Y] = ['10.0.0.1', 'fd00::1'];

let postgres: RealPostgres;
let place: Place;
before(async () => {
  postgres = await startPostgres();
  place = await startPlace(postgres);
});
after(async () => {
  await place.database.close();
  await postgres.down();
});

const rows = async (cluster: string): Promise<readonly string[]> => await historyOf(postgres, place.schema, cluster);

/** Two replicas hear of one pod and its successors; one of them writes twice: what is new, and all there is. */
class Play {
  readonly #name: string;
  readonly #worlds = [new RecordedIndex(), new RecordedIndex()] as [RecordedIndex, RecordedIndex];
  readonly #isCutOff = [false, false];
  #pod = makePod({ uid: 'a0', podIps: [X], resourceVersion: '100' });
  #version = 100;
  readonly #scribes: [Scribe, Scribe][];
  #writer = 0;
  /** Whoever writes has compared. */
  #isSure = false;
  rests = 0;

  constructor(name: string) {
    this.#name = name;
    this.#list(0);
    this.#list(1);
    this.#scribes = this.#worlds.map((world) => this.#scribesOf(world));
  }

  #scribesOf({ recorder }: RecordedIndex): [Scribe, Scribe] {
    return [new Scribe(place, recorder, `${this.#name} news`), new Scribe(place, recorder, `${this.#name} all`)];
  }

  async step(number: number): Promise<void> {
    const rest = number >>> 5;
    switch (number & 31) {
      case 0:
        return this.#change({ deletionTimestamp: this.#pod.deletionTimestamp ?? 99 });
      case 1:
        return this.#change({ phase: 'Failed' });
      case 2:
        return this.#change({ podIps: [[X], [X, Y], [Y], [X]][rest % 4] as string[] });
      case 3:
        return this.#replace();
      case 4:
        this.#isCutOff[rest % 2] = true;
        return this.#pass(200_000);
      case 5:
        return this.#list(rest % 2);
      case 6:
        return this.#setClock(rest % 2, ((rest >> 1) % 9) * 200 - 800);
      case 7:
        return this.#die(rest % 2);
      case 8:
        return await this.#hand(rest);
      case 9:
      case 10:
        return await this.#flush(rest % 2 === 0 ? 'unheard' : 'rolled back');
      case 11:
      case 12:
      case 13:
      case 14:
        return await this.#flush('committed');
      default:
        for (let i = 0; i < 3 + (rest % 8); i++) this.#change({ labels: { app: `v${(rest >> i) % 5}` } });
    }
  }

  async end(): Promise<void> {
    await this.#flush('committed');
  }

  async #flush(outcome: 'committed' | 'unheard' | 'rolled back'): Promise<void> {
    const [news, all] = this.#scribes[this.#writer] as [Scribe, Scribe];
    if (!this.#isSure) {
      if (!(await news.compare()) || !(await all.compare())) return;
      this.#isSure = true;
    } else if ((await all.forget()) === 'later') return;
    await all.flush(outcome);
    await news.flush(outcome);
    this.rests = Math.max(this.rests, news.work.rests);
    assert.deepEqual(await rows(`${this.#name} news`), await rows(`${this.#name} all`));
  }

  /** All that one has heard is written, and the other one, which may have heard more, begins with a failure. */
  async #hand(rest: number): Promise<void> {
    if (rest % 2 === 0 && this.#isCutOff[this.#writer]) this.#list(this.#writer);
    await this.#flush('committed');
    this.#takeOver(1 - this.#writer);
    if (rest % 4 < 2) await this.#flush('rolled back');
    await this.#flush('committed');
  }

  #takeOver(writer: number): void {
    if (this.#isCutOff[writer]) this.#list(writer);
    this.#writer = writer;
    this.#isSure = false;
    // Nobody who is behind goes on.
    this.#pass(10);
  }

  /**
   * Where the clocks differ, what was written long before may have a time between them, which a merge of everything would put back with the
   * clock, and a merge of what is new does not look at: it is compared first.
   */
  #setClock(which: number, byMs: number): void {
    const [a, b] = this.#worlds;
    if (which === this.#writer && a.wall !== b.wall) this.#isSure = false;
    (this.#worlds[which] as RecordedIndex).wall += byMs;
  }

  #die(which: number): void {
    const { now, wall } = this.#worlds[which] as RecordedIndex;
    const world = (this.#worlds[which] = new RecordedIndex({ maxEnded: 60 }));
    Object.assign(world, { now, wall });
    this.#scribes[which] = this.#scribesOf(world);
    this.#list(which);
    if (which === this.#writer) this.#takeOver(which);
  }

  #list(which: number): void {
    const world = this.#worlds[which] as RecordedIndex;
    const list = world.index.slice().beginReplace();
    list.add(this.#pod);
    list.commit(String(this.#version));
    world.age = 0;
    this.#isCutOff[which] = false;
    world.recorder.look();
  }

  #pass(ms: number): void {
    for (const [i, world] of this.#worlds.entries()) {
      world.pass(100);
      if (this.#isCutOff[i]) world.age += ms;
      world.recorder.look();
    }
  }

  #change(change: Partial<Pod>): void {
    this.#pod = { ...this.#pod, ...change, resourceVersion: String(++this.#version) };
    this.#tell((index) => index.slice().upsert(this.#pod));
  }

  #replace(): void {
    const last = { ...this.#pod, resourceVersion: String(++this.#version) };
    this.#tell((index) => index.slice().remove(last));
    const resourceVersion = String(++this.#version);
    this.#pod = makePod({ uid: `a${this.#version}`, podIps: last.podIps, resourceVersion });
    this.#tell((index) => index.slice().upsert(this.#pod));
  }

  #tell(tell: (index: RecordedIndex['index']) => void): void {
    for (const [i, { index }] of this.#worlds.entries()) if (!this.#isCutOff[i]) tell(index);
    this.#pass(10);
  }
}

test('whatever happens to a pod that is labelled anew, and to who writes, what is new leads to what all of it leads to', async () => {
  let [plays, rests] = [0, 0];
  await check(
    asyncProperty(array(nat(0xf_ffff), { minLength: 40, maxLength: 60, size: 'max' }), async (numbers) => {
      const play = new Play(`play ${plays++}`);
      for (const number of numbers) await play.step(number);
      await play.end();
      rests += play.rests;
    }),
    { numRuns: PLAYS },
  );
  assert.ok(rests > 2 * plays, `${rests} rests in ${plays} plays`);
});
