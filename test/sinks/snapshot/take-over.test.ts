import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { TestContext } from 'node:test';
import { SystemClock } from '../../../src/kubernetes/clock.ts';
import { accessOf } from '../../../src/sinks/postgres/access.ts';
import { Database, TIME_LIMITS } from '../../../src/sinks/postgres/database.ts';
import { SetupError } from '../../../src/sinks/postgres/error-class.ts';
import { Lease } from '../../../src/sinks/postgres/lease.ts';
import { migrate } from '../../../src/sinks/postgres/migrate.ts';
import { Writer } from '../../../src/sinks/postgres/writer.ts';
import { HistoryTarget } from '../../../src/sinks/snapshot/history-target.ts';
import type { Pod } from '../../../src/pod.ts';
import { makePod } from '../../index/make-pod.ts';
import { RecordedIndex } from '../../support/recorded-index.ts';
import { startPostgres } from '../../support/real-postgres.ts';
import type { RealPostgres } from '../../support/real-postgres.ts';
import { keepRunning } from '../../support/running-writer.ts';
import { TcpProxy } from '../../support/tcp-proxy.ts';
import { until } from '../../support/until.ts';

/** What a replica knows of the history that does not write, and the one that does knows not. */

let postgres: RealPostgres;
before(async () => void (postgres = await startPostgres()));
after(async () => await postgres.down());

const X = '10.0.0.1';
const TTL_MS = 2_000;
const RETENTION_MS = 3_600_000;
const silent = { info: () => {}, warn: () => {}, error: () => {} };

interface Replica {
  readonly name: string;
  readonly world: RecordedIndex;
  readonly writer: Writer;
  readonly proxy: TcpProxy;
  /** It hears of changes. */
  isWatching: boolean;
  /** By so many milliseconds its writer's clock has jumped. */
  jumped: number;
}

/** A cluster, and replicas that watch it, each with a way of its own to Postgres. */
class Stage {
  readonly schema = postgres.schema();
  readonly replicas: Replica[] = [];
  version = 100;
  readonly #t: TestContext;
  readonly #pods = new Map<string, Pod>();

  constructor(t: TestContext) {
    this.#t = t;
  }

  /** `allow`: as `WriterOptions` have it. */
  async start(name: string, { allow }: { readonly allow?: () => Promise<void> } = {}): Promise<Replica> {
    const proxy = await TcpProxy.to(postgres.port);
    this.#t.after(async () => await proxy.close());
    const world = new RecordedIndex();
    world.list(this.#pods.values(), String(this.version));
    const access = accessOf(postgres.settings({ PGPORT: String(proxy.port) }));
    const limits = { ...TIME_LIMITS, connect: 300, query: 2_000 };
    const database = new Database({ access, poolSize: 2, log: silent, limits });
    const clock = new SystemClock();
    const time = {
      now: () => clock.now() + replica.jumped,
      sleep: async (ms: number, signal: AbortSignal) => await clock.sleep(ms, signal),
      random: Math.random,
    };
    const { schema } = this;
    const writer = new Writer({
      database,
      lease: new Lease({ schema, cluster: 'c', sink: 'history', holder: name, ttlMs: TTL_MS }),
      prepare: async () => void (await migrate(database, schema)),
      allow,
      target: new HistoryTarget({
        schema,
        cluster: 'c',
        recorded: world.recorder,
        source: world,
        retentionMs: RETENTION_MS,
      }),
      clock: time,
      log: silent,
      flushMs: 20,
    });
    const replica: Replica = { name, world, writer, proxy, isWatching: true, jumped: 0 };
    keepRunning(this.#t, writer, database, clock);
    this.replicas.push(replica);
    return replica;
  }

  /** A pod at X comes. */
  come(uid: string, more: Partial<Pod> = {}): void {
    const pod = makePod({ uid, name: uid, podIps: [X], resourceVersion: String(++this.version), ...more });
    this.#pods.set(uid, pod);
    this.#tell((world) => world.index.slice().upsert(pod));
  }

  go(uid: string): void {
    const pod = { ...(this.#pods.get(uid) as Pod), resourceVersion: String(++this.version) };
    this.#pods.delete(uid);
    this.#tell((world) => world.index.slice().remove(pod));
  }

  comeAndGo(uid: string, more: Partial<Pod> = {}): void {
    this.come(uid, more);
    this.go(uid);
  }

  /** It does not hear of the cluster any more, until nothing of what it knows is believed. */
  blind(replica: Replica): void {
    replica.isWatching = false;
    for (let second = 0; second < 100; second++) {
      for (const { world, isWatching } of this.replicas) {
        world.pass(1_000);
        if (!isWatching) world.age += 1_000;
        world.recorder.look();
      }
    }
  }

  /** It lists anew. */
  watch(replica: Replica): void {
    replica.isWatching = true;
    replica.world.age = 0;
    replica.world.list(this.#pods.values(), String(this.version));
  }

  /** Of Postgres. */
  cutOff({ proxy }: Replica): void {
    proxy.blackHole = true;
    proxy.cut();
  }

  reconnect({ proxy }: Replica): void {
    proxy.blackHole = false;
    proxy.cut();
  }

  async leads({ name, writer }: Replica): Promise<void> {
    await until(`${name} writes`, () => writer.leading);
  }

  /** Who has written, one after the other; what is open to this day is the last one's. */
  async epoch(): Promise<number> {
    const [row] = await postgres.query<{ epoch: string }>(`SELECT epoch FROM ${this.schema}.leases`);
    return Number(row?.epoch);
  }

  async rows(): Promise<string> {
    const found = await postgres
      .query<{ row: string }>(
        `SELECT uid || ' ' || since_version || '..' || coalesce(until_version::text, '') AS row FROM ${this.schema}.ip_history
         ORDER BY since_version, uid`,
      )
      .catch(() => []);
    return found.map(({ row }) => row).join(', ');
  }

  /** From where to where somebody is said to have been watching; of the last time only from where. */
  async watched(): Promise<string> {
    const found = await postgres
      .query<{ since: string; until: string }>(
        `SELECT since_version::text AS since, until_version::text AS until FROM ${this.schema}.ip_history_watched ORDER BY since_version`,
      )
      .catch(() => []);
    return found.map(({ since, until: end }, i) => `${since}..${i < found.length - 1 ? end : ''}`).join(', ');
  }

  async become(what: 'rows' | 'watched', expected: string): Promise<void> {
    await until(`${what} are ${expected}`, async () => (await this[what]()) === expected).catch(async () => {
      assert.equal(await this[what](), expected);
    });
  }

  /** Through many looks of whoever does not write the lease stays where it is, while whoever has it goes on writing. */
  async stays(): Promise<void> {
    const epoch = await this.epoch();
    const flushedAt = async (): Promise<unknown> =>
      await postgres.query(`SELECT flushed_at::text FROM ${this.schema}.leases`);
    const flushed = async (): Promise<void> => {
      const before = JSON.stringify(await flushedAt());
      await until('it is proven', async () => JSON.stringify(await flushedAt()) !== before);
    };
    for (let i = 0; i < 6; i++) await flushed();
    assert.equal(await this.epoch(), epoch);
  }

  #tell(change: (world: RecordedIndex) => void): void {
    for (const { world, isWatching } of this.replicas) {
      world.pass(10);
      if (isWatching) change(world);
      world.recorder.look();
    }
  }
}

test('what the former writer watched alone, while it could not reach Postgres, is written by it', async (t) => {
  const stage = new Stage(t);
  stage.come('a');
  const first = await stage.start('first');
  await stage.become('rows', 'a 101..');
  stage.cutOff(first);
  stage.go('a');
  stage.comeAndGo('b');
  stage.comeAndGo('c');
  stage.come('d');
  const second = await stage.start('second');
  await stage.leads(second);
  await stage.become('watched', '101..101, 107..');
  assert.equal(await stage.rows(), 'a 101..107, d 107..', 'all that it can know');
  stage.reconnect(first);
  await stage.become('rows', 'a 101..102, b 103..104, c 105..106, d 107..');
  await stage.become('watched', '101..');
  assert.deepEqual([first.writer.leading, await stage.epoch()], [true, 3]);
  stage.go('d');
  stage.comeAndGo('e');
  await stage.become('rows', 'a 101..102, b 103..104, c 105..106, d 107..108, e 109..110');
  await stage.stays();
});

test('what a replica watched before the first one that could write, is written by it', async (t) => {
  const stage = new Stage(t);
  stage.come('a');
  const first = await stage.start('first');
  stage.cutOff(first);
  stage.go('a');
  stage.comeAndGo('b');
  const second = await stage.start('second');
  await stage.leads(second);
  await stage.become('watched', '104..');
  stage.reconnect(first);
  await stage.become('rows', 'a 101..102, b 103..104');
  await stage.become('watched', '101..');
  await stage.stays();
});

test('each of two knows what the other one and the one that writes do not: each takes over once at most, and all is written', async (t) => {
  const stage = new Stage(t);
  const [first, second] = [await stage.start('first'), await stage.start('second')];
  for (const replica of [first, second]) stage.cutOff(replica);
  await until('neither writes', () => [first, second].every(({ writer }) => !writer.leading || writer.lagMs() > 0));
  stage.blind(second);
  stage.comeAndGo('of the first one');
  stage.blind(first);
  stage.watch(second);
  stage.comeAndGo('of the second one');
  stage.watch(first);
  stage.come('d');
  const third = await stage.start('third');
  await stage.leads(third);
  await stage.become('rows', 'd 105..');
  const epoch = await stage.epoch();
  for (const replica of [first, second]) stage.reconnect(replica);
  await stage.become('rows', 'of the first one 101..102, of the second one 103..104, d 105..');
  // Between the two nobody was watching, and nothing happened.
  await stage.become('watched', '100..');
  assert.ok((await stage.epoch()) <= epoch + 2, `${epoch} ${await stage.epoch()}`);
  await stage.stays();
});

test('a failover: where who takes over has watched all along nobody takes over from it', async (t) => {
  const stage = new Stage(t);
  const first = await stage.start('first');
  await stage.leads(first);
  const [second, third] = [await stage.start('second'), await stage.start('third')];
  await until('they wait', () => [second, third].every(({ writer }) => writer.asked));
  stage.comeAndGo('a');
  await stage.become('rows', 'a 101..102');
  stage.cutOff(first);
  stage.comeAndGo('b');
  await until('another one writes', () => second.writer.leading || third.writer.leading);
  stage.reconnect(first);
  await stage.become('rows', 'a 101..102, b 103..104');
  await until('they wait', () => stage.replicas.filter(({ writer }) => writer.leading).length === 1);
  await stage.stays();
  assert.deepEqual([await stage.epoch(), await stage.watched()], [2, '100..']);
});

test('a row that Postgres refuses: who cannot write what it knows does not take over again', async (t) => {
  const stage = new Stage(t);
  const first = await stage.start('first');
  await stage.become('watched', '100..');
  stage.cutOff(first);
  stage.comeAndGo('b', { namespace: 'n\u0000' });
  stage.comeAndGo('c');
  const second = await stage.start('second');
  await stage.leads(second);
  await stage.become('watched', '100..100, 104..');
  stage.reconnect(first);
  await stage.leads(first);
  await until('it is refused', () => first.writer.quarantined.size === 1);
  await stage.become('rows', 'c 103..104');
  const epoch = await stage.epoch();
  assert.equal(epoch, 3);
  // Nothing is claimed, and nobody else knows better.
  const { flushes } = first.writer.counts;
  stage.come('d');
  await stage.become('rows', 'c 103..104, d 105..');
  assert.ok(first.writer.counts.flushes > flushes);
  assert.equal(await stage.watched(), '100..100, 104..');
  stage.cutOff(first);
  await stage.leads(second);
  stage.reconnect(first);
  await until('it waits', () => first.writer.asked && first.writer.failing === undefined);
  first.jumped = 600_000;
  await stage.stays();
  assert.deepEqual([await stage.epoch(), second.writer.leading, first.writer.leading], [4, true, false]);
});

for (const [what, isClock] of [
  ['whose clock is wrong', true],
  ['that does not know how the cluster is now', false],
] as const) {
  test(`a replica ${what} does not take over`, async (t) => {
    const stage = new Stage(t);
    let isWrong = false;
    const allow = async (): Promise<void> => {
      if (isWrong) throw new SetupError('the clock is wrong', 'set it');
      await Promise.resolve();
    };
    const first = await stage.start('first', { allow });
    await stage.become('watched', '100..');
    stage.cutOff(first);
    stage.comeAndGo('b');
    const second = await stage.start('second');
    await stage.leads(second);
    await stage.become('watched', '100..100, 102..');
    if (isClock) isWrong = true;
    else first.world.synced = false;
    stage.reconnect(first);
    if (isClock) await until('it has tried', () => first.writer.counts.failures.setup > 0);
    await stage.stays();
    assert.deepEqual([await stage.epoch(), second.writer.leading], [2, true]);
    [isWrong, first.world.synced] = [false, true];
    await stage.become('rows', 'b 101..102');
  });
}
