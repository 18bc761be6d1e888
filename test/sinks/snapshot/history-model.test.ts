import assert from 'node:assert/strict';
import { once } from 'node:events';
import process from 'node:process';
import { array, assert as check, asyncProperty, nat } from 'fast-check';
import { after, before, test } from 'node:test';
import { isDeepStrictEqual } from 'node:util';
import { answerThen, tenureOf } from '../../../src/index/history/answer-then.ts';
import type { Then } from '../../../src/index/history/answer-then.ts';
import { holderOf, isHeld } from '../../../src/index/history/interval.ts';
import type { Held, Tenure } from '../../../src/index/history/interval.ts';
import { merge, mergeWatched } from '../../../src/index/history/merge.ts';
import type { Knowledge } from '../../../src/index/history/merge.ts';
import { toIntervals } from '../../../src/index/history/piece.ts';
import { commonHoles, holesBetween, holesSince, Unwatched } from '../../../src/index/history/unwatched.ts';
import { JoinedPast } from '../../../src/joined-past.ts';
import type { Whose } from '../../../src/joined-past.ts';
import type { Pod } from '../../../src/pod.ts';
import { accessOf } from '../../../src/sinks/postgres/access.ts';
import { Database } from '../../../src/sinks/postgres/database.ts';
import { migrate } from '../../../src/sinks/postgres/migrate.ts';
import { HistoryArchive } from '../../../src/sinks/snapshot/history-archive.ts';
import { atOnce } from '../../../src/index/history/steps.ts';
import { makePod } from '../../index/make-pod.ts';
import { startPostgres } from '../../support/real-postgres.ts';
import type { RealPostgres } from '../../support/real-postgres.ts';
import { RecordedIndex } from '../../support/recorded-index.ts';
import { Scribe } from '../../support/scribe.ts';

/** How many histories are played; each of up to 80 steps, asked about at all of its moments. */
const HISTORIES = Number(process.env['PODWHOIS_HISTORIES'] ?? 40_000) / 200;

const IPS = ['10.0.0.1', '10.0.0.2', 'fd00::1'];
const VIEW = { partial: false, clusterCidrs: [] };
/** What a replica has not heard is a hole. */
const MAX_AGE = 0;

let postgres: RealPostgres;
let database: Database;
let schema: string;
/** However busy the machine is: nobody loses patience here. */
const clock = {
  now: () => 0,
  random: () => 0,
  sleep: async (_ms: number, signal: AbortSignal) => void (await once(signal, 'abort')),
};
const log = { info: () => {}, warn: (fields: object) => console.error(fields), error: () => {} };
before(async () => {
  postgres = await startPostgres();
  database = new Database({ access: accessOf(postgres.settings()), poolSize: 2, log });
  schema = postgres.schema();
  await migrate(database, schema);
});
after(async () => {
  await database.close();
  await postgres.down();
});

const NOTHING: Knowledge = { pieces: [], watched: [] };

function both(a: Knowledge, b: Knowledge): Knowledge {
  const keyOf = ({ ip, holder }: Knowledge['pieces'][number]): string => `${ip} ${holder?.uid}`;
  const [ofA, ofB] = [Map.groupBy(a.pieces, keyOf), Map.groupBy(b.pieces, keyOf)];
  return {
    pieces: [...new Set([...ofA.keys(), ...ofB.keys()])].flatMap((key) =>
      atOnce(merge({ ...a, pieces: ofA.get(key) ?? [] }, { ...b, pieces: ofB.get(key) ?? [] })),
    ),
    watched: mergeWatched(a.watched, b.watched),
  };
}

/** A replica: it hears what happens, or is cut off and lists again, or dies and begins anew. */
class Replica {
  world = this.#born(0);
  isCutOff = false;

  #born(now: number): RecordedIndex {
    // Six changes at once overrun the feed; what ended is soon forgotten.
    const world = new RecordedIndex({ feedCapacity: 6, maxAgeMs: MAX_AGE, maxEnded: 6, retentionMs: 300 });
    world.now = now;
    world.wall = now + 1_000_000;
    return world;
  }

  die(now: number): void {
    this.world = this.#born(now);
    this.world.synced = false;
    this.isCutOff = true;
  }

  list(pods: Iterable<Pod>, version: number): void {
    const list = this.world.index.slice().beginReplace();
    for (const pod of pods) list.add(pod);
    list.commit(String(version));
    this.isCutOff = false;
    this.world.synced = true;
    this.world.age = 0;
    this.world.recorder.look();
  }

  get knowledge(): Knowledge {
    const { recorder, synced } = this.world;
    if (!synced) return NOTHING;
    return { pieces: IPS.flatMap((ip) => atOnce(recorder.piecesOf(ip))), watched: recorder.stretches() };
  }
}

/** A cluster, two replicas, what the one of them that writes has written, and an oracle that hears and keeps everything. */
class Play {
  readonly oracle = new RecordedIndex({ maxAgeMs: 1e9, retentionMs: 1e9 });
  readonly replicas = [new Replica(), new Replica()] as const;
  readonly moments = new Set<number>();
  /** By what is decided by all of it at once. */
  written: Knowledge = NOTHING;
  /** How often one has written what the other could not know. */
  takenOver = 0;
  readonly #cluster: string;
  readonly #pods = new Map<string, Pod>();
  #version = 10;
  #made = 0;
  #now = 0;

  constructor(cluster: string) {
    this.#cluster = cluster;
    this.oracle.index.slice().beginReplace().commit('10');
    this.oracle.recorder.look();
    this.#list(this.replicas[0]);
    this.replicas[1].die(0);
    this.#pass(5);
  }

  async step(number: number): Promise<void> {
    const kind = number % 16;
    const rest = number >>> 4;
    const replica = this.replicas[rest % 2] as Replica;
    if (kind < 3) this.#put(this.#make(rest >>> 1));
    else if (kind === 3) this.#relabel(rest);
    else if (kind === 4) this.#change(rest, { deletionTimestamp: 99 });
    else if (kind === 5) this.#change(rest, { phase: 'Failed' });
    else if (kind < 9) this.#delete(rest);
    else if (kind === 9) this.#vacate(IPS[rest % 3] as string);
    else if (kind === 10) replica.isCutOff = true;
    else if (kind === 11) replica.die(this.#now);
    else if (kind < 14) this.#list(replica);
    else if (kind === 14) await this.#take(replica, rest);
    else this.#burst(rest);
    this.#hear();
    // What two do in one moment has no order.
    this.#pass(1 + (rest % 7) * 4);
  }

  /** Whoever is asked has read everything; the other may be dead. */
  end(): void {
    this.#list(this.replicas[0]);
    this.#pass(1);
  }

  /** One gets the lease and writes; then the other one may take over, if it knows what is missing. */
  async #take(replica: Replica, rest: number): Promise<void> {
    const scribe = this.#scribe(replica);
    if (!(await this.#write(replica, scribe)) || (rest >>> 1) % 2 === 0) return;
    for (const other of this.replicas.filter((one) => one !== replica && one.world.synced)) {
      const follower = this.#scribe(other);
      if (!(await follower.misses())) continue;
      this.takenOver++;
      if (!(await this.#write(other, follower))) continue;
      assert.equal(await scribe.misses(), false, 'nor does the former one take it back');
    }
  }

  /** Whether that could be done. */
  async #write({ world, knowledge }: Replica, scribe: Scribe): Promise<boolean> {
    // Whoever is behind what is written waits.
    if (!world.synced || !(await scribe.compare())) return false;
    await scribe.flush();
    assert.equal(await scribe.misses(), false, 'it has written what it knows');
    this.written = both(this.written, knowledge);
    return true;
  }

  #scribe({ world }: Replica): Scribe {
    return new Scribe({ database, schema }, world.recorder, this.#cluster);
  }

  /** More than the feed of a replica holds. */
  #burst(rest: number): void {
    for (let i = 0; i < 12; i++) {
      if ((rest >>> i) % 2 === 0) this.#delete(rest >>> i);
      else this.#put(this.#make(rest >>> i));
    }
  }

  /** What came meanwhile came in one turn of the event loop. */
  #hear(): void {
    for (const { recorder } of [this.oracle, ...this.replicas.map(({ world }) => world)]) recorder.now();
  }

  #pass(ms: number): void {
    for (const near of [-1, 0, 1]) this.moments.add(this.#now + near);
    this.#now += ms;
    this.oracle.pass(ms);
    this.oracle.recorder.look();
    for (const { world, isCutOff } of this.replicas) {
      world.pass(ms);
      if (isCutOff) world.age += ms;
      world.recorder.look();
    }
  }

  #list(replica: Replica): void {
    replica.list(this.#pods.values(), this.#version);
  }

  #make(rest: number): Pod {
    const uid = `u${++this.#made}`;
    const podIps = [IPS[rest % 3], ...(rest % 5 === 0 ? [IPS[(rest + 1) % 3]] : [])] as string[];
    return makePod({ uid, name: uid, podIps, labels: { app: 'v0' }, hostNetwork: rest % 23 === 0 });
  }

  #put(pod: Pod): void {
    const next = { ...pod, resourceVersion: String(++this.#version) };
    this.#pods.set(pod.uid, next);
    this.#tell((index) => index.slice().upsert(next));
  }

  #change(rest: number, change: Partial<Pod>): void {
    const pod = this.#any(rest);
    if (pod) this.#put({ ...pod, ...change });
  }

  /** One pod, again and again. */
  #relabel(rest: number): void {
    const { uid } = this.#any(rest) ?? {};
    for (let i = 0; i <= (rest >> 4) % 12; i++) {
      const pod = this.#pods.get(uid ?? '');
      if (pod) this.#put({ ...pod, labels: { app: `v${(rest >> i) % 3}` } });
      this.#hear();
      this.#pass(1);
    }
  }

  #delete(rest: number): void {
    const pod = this.#any(rest);
    if (pod) this.#remove(pod);
  }

  /** Nobody has it any more. */
  #vacate(ip: string): void {
    for (const pod of this.#pods.values()) if (pod.podIps.includes(ip)) this.#remove(pod);
  }

  #remove(pod: Pod): void {
    this.#pods.delete(pod.uid);
    const last = { ...pod, resourceVersion: String(++this.#version) };
    this.#tell((index) => index.slice().remove(last));
  }

  #any(rest: number): Pod | undefined {
    return [...this.#pods.values()][rest % Math.max(1, this.#pods.size)];
  }

  #tell(tell: (index: RecordedIndex['index']) => void): void {
    tell(this.oracle.index);
    for (const { world, isCutOff } of this.replicas) if (!isCutOff) tell(world.index);
  }
}

/** All that can be known, by reading all of it. */
function known({ written, replicas: [replica] }: Play): {
  readonly at: (ip: string, time: number) => Then;
  readonly unwatched: Unwatched;
  readonly tenures: readonly Tenure[];
} {
  const { recorder, index } = replica.world;
  const all = both(written, replica.knowledge);
  const holes = holesSince(recorder.reach, recorder.holes(-Infinity, Infinity));
  const unwatched = new Unwatched(commonHoles(holes, holesBetween(written.watched)));
  const intervals = Map.groupBy(toIntervals(all.pieces), ({ ip }) => ip);
  const isHostIp = (ip: string): boolean => index.isHostIp(ip);
  const ends = toIntervals(all.pieces).filter((interval) => isHeld(interval) && !interval.goesOn) as Held[];
  return {
    unwatched,
    tenures: ends.map((end) => tenureOf(end, end, unwatched)),
    at: (ip, time) =>
      answerThen(ip, time, {
        intervals: intervals.get(ip) ?? [],
        unwatched,
        reach: -Infinity,
        view: VIEW,
        isHostIp,
      }),
  };
}

/** What an answer says, without what else a record holds. */
function brief(then: Then): unknown {
  const one = (tenure: Tenure | undefined): unknown =>
    tenure && {
      ...tenure,
      holder: { ...holderOf(tenure.holder), deletionTimestamp: tenure.holder.deletionTimestamp !== undefined },
    };
  if (then.kind === 'one') return { ...then, tenure: one(then.tenure) };
  if (then.kind === 'ambiguous') return then.candidates.map(({ uid }) => uid);
  return then.kind === 'not-observed' ? { kind: then.kind, before: one(then.before), after: one(then.after) } : then;
}

/** What was true, where somebody whose knowledge is at hand was watching. */
function compareWithTruth(then: Then, truth: Then, where: string): void {
  assert.equal(then.kind, truth.kind, where);
  if (then.kind === 'none' && truth.kind === 'none') assert.equal(then.reason, truth.reason, where);
  if (then.kind === 'ambiguous' && truth.kind === 'ambiguous') {
    const names = (candidates: typeof then.candidates): string[] => candidates.map(({ uid }) => uid);
    assert.deepEqual(names(then.candidates), names(truth.candidates), where);
  }
  if (then.kind !== 'one' || truth.kind !== 'one') return;
  const [a, b] = [then.tenure, truth.tenure];
  assert.equal(a.holder.uid, b.holder.uid, where);
  assert.deepEqual(a.holder.labels, b.holder.labels, where);
  assert.equal(a.holder.deletionTimestamp === undefined, b.holder.deletionTimestamp === undefined, where);
  assert.ok(
    a.from.observed ? a.from.at === b.from.at : a.from.at >= b.from.at,
    `${where} from ${a.from.at} ${b.from.at}`,
  );
  if (a.until === undefined) return assert.equal(b.until, undefined, `${where} until`);
  const end = b.until?.at ?? Infinity;
  assert.ok(a.until.observed ? a.until.at === end : a.until.at <= end, `${where} until ${a.until.at} ${end}`);
}

/** Of each address, page by page, and of one pod. */
async function compareLists(past: JoinedPast, expected: readonly Tenure[]): Promise<void> {
  const keyOf = ({ ip, holder, from, until }: Tenure): string => JSON.stringify([from, ip, holder.uid, until]);
  const inOrder = (tenures: Iterable<Tenure>): Tenure[] =>
    [...tenures].toSorted(
      (a, b) => a.from.at - b.from.at || (a.ip < b.ip ? -1 : a.ip > b.ip ? 1 : a.holder.uid < b.holder.uid ? -1 : 1),
    );
  const pages = async (whose: Whose): Promise<string[]> => {
    const all: string[] = [];
    for (let after: [number, string, string] | undefined, size = 3; ;) {
      const found = await past.search({ whose, since: -Infinity, until: Infinity, after, size });
      const later = ({ from, ip, holder }: Tenure): boolean =>
        after === undefined ||
        from.at > after[0] ||
        (from.at === after[0] && (ip > after[1] || (ip === after[1] && holder.uid > after[2])));
      const page = inOrder([...(found?.tenures ?? [])].filter((one) => one !== undefined).filter(later)).slice(0, size);
      all.push(...page.map(keyOf));
      const last = page.at(-1);
      if (!last || page.length < size) return all;
      after = [last.from.at, last.ip, last.holder.uid];
    }
  };
  for (const ip of IPS) {
    assert.deepEqual(await pages({ ip }), inOrder(expected.filter((one) => one.ip === ip)).map(keyOf), ip);
  }
  const { uid } = expected[0]?.holder ?? { uid: 'nobody' };
  assert.deepEqual(await pages({ uid }), inOrder(expected.filter(({ holder }) => holder.uid === uid)).map(keyOf), uid);
}

test('whatever happens to two replicas and the cluster, memory and Postgres together say what an oracle says that kept everything', async () => {
  const seen = { histories: 0, read: 0, holes: 0, takenOver: 0 };
  await check(
    asyncProperty(array(nat(0xffff_ffff), { minLength: 30, maxLength: 80, size: 'max' }), async (numbers) => {
      seen.histories++;
      const cluster = String(seen.histories);
      const play = new Play(cluster);
      for (const number of numbers) await play.step(number);
      play.end();
      seen.takenOver += play.takenOver;
      const archive = new HistoryArchive({ database, schema, cluster, retentionMs: 1e9, clock, log });
      const { recorder, index } = play.replicas[0].world;
      const past = new JoinedPast({
        memory: recorder,
        archive,
        view: VIEW,
        isHostIp: (ip) => index.isHostIp(ip),
        skewMs: 0,
      });
      const times = [...play.moments].map((moment) => moment + 1_000_000).filter((time) => time <= past.now());
      const questions = times.flatMap((time) => IPS.map((ip) => ({ ip, time })));
      const answers = await past.at(questions);
      seen.read += archive.counts.ok;
      const { at, unwatched, tenures } = known(play);
      await compareLists(past, tenures);
      for (const [i, { ip, time }] of questions.entries()) {
        const then = answers[i] as Then;
        const where = `${ip} at ${time}`;
        // Where memory decides it also knows of bounds that it has seen, and all else about them forgotten.
        if (!isDeepStrictEqual(then, recorder.at(ip, time))) assert.deepEqual(brief(then), brief(at(ip, time)), where);
        if (unwatched.around(time)) seen.holes++;
        else compareWithTruth(then, play.oracle.recorder.at(ip, time), where);
      }
    }),
    { numRuns: HISTORIES },
  );
  assert.ok(seen.read > seen.histories / 2 && seen.holes > 0 && seen.takenOver > 0, JSON.stringify(seen));
});
