import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { ApiError, DeadlineError } from '../../src/kubernetes/api-error.ts';
import { WireError } from '../../src/kubernetes/wire/format.ts';
import { ClusterTimeline } from '../support/cluster-timeline.ts';
import { GONE, podOf, silence } from '../support/model-cluster.ts';
import { harness } from '../support/reflector-harness.ts';
import { VirtualClock } from '../support/virtual-clock.ts';
import type { TestContext } from 'node:test';
import type { Pod } from '../../src/pod.ts';
import type { Reflector } from '../../src/kubernetes/reflector.ts';
import { MemoryStore } from '../support/memory-store.ts';
import { PodIndex } from '../../src/index/pod-index.ts';
import type { SliceStore } from '../../src/kubernetes/store.ts';
import type { Harness } from '../support/reflector-harness.ts';
import type { ModelCluster, ModelRequest } from '../support/model-cluster.ts';

const RUNS = Number(process.env['PODWHOIS_REFLECTOR_RUNS'] ?? 300);

const NAMES = ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h'];
const name = fc.constantFrom(...NAMES);
const verb = fc.constantFrom('stream' as const, 'pages' as const, 'read' as const, 'watch' as const);

/** What happens in the cluster and on the way to it. Weights: mostly life and time, many small faults, few disasters. */
const step = fc.oneof(
  { weight: 8, arbitrary: fc.record({ kind: fc.constant('put' as const), name }) },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('delete' as const), name }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('recreate' as const), name }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('tick' as const) }) },
  { weight: 6, arbitrary: fc.record({ kind: fc.constant('pass' as const), ms: fc.integer({ min: 1, max: 3_000 }) }) },
  {
    weight: 3,
    arbitrary: fc.record({ kind: fc.constant('pass' as const), ms: fc.integer({ min: 3_000, max: 700_000 }) }),
  },
  {
    weight: 2,
    arbitrary: fc.record({ kind: fc.constant('freeze' as const), ms: fc.integer({ min: 1, max: 200_000 }) }),
  },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('close' as const) }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('reset' as const) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('corrupt' as const) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('silence' as const) }) },
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constant('error' as const), code: fc.constantFrom(410, 429, 500, 504) }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('compact' as const) }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('bookmark' as const) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('snapshot' as const) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('restore' as const), overtaken: fc.boolean() }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('replay' as const) }) },
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constant('fail' as const),
      verb,
      times: fc.integer({ min: 1, max: 4 }),
      how: fc.constantFrom(400, 401, 403, 410, 422, 429, 500, 503, 'reset' as const, 'hang' as const),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({ kind: fc.constant('slow' as const), verb, ms: fc.integer({ min: 1, max: 8_000 }) }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constant('slowEnd' as const), ms: fc.integer({ min: 0, max: 8_000 }) }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constant('streams' as const), mode: fc.constantFrom('yes', 'refused') }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constant('lieOnce' as const), lie: fc.constantFrom('empty', 'older') }),
  },
);

/** What hides from the watcher that it has missed something. */
const stepHidden = fc.oneof(
  { weight: 50, arbitrary: step },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('lose' as const) }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('unreadable' as const), name }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('readable' as const), name }) },
);

type Step = typeof stepHidden extends fc.Arbitrary<infer S> ? S : never;
type Failure = Extract<Step, { kind: 'fail' }>;

/** Plays steps to a model cluster. */
class Player {
  readonly #cluster: ModelCluster;
  readonly #clock: VirtualClock;
  readonly #reflector: Reflector<Pod>;
  readonly #pods: Served['pods'];
  #failures: { verb: Failure['verb']; times: number; how: Failure['how'] }[] = [];
  #slow: { verb: string; ms: number } | undefined;
  #snapshot: ReturnType<ModelCluster['snapshot']> | undefined;
  #generation = 0;
  #lied = false;
  /** Something was lost that only a list can show. */
  hides = false;

  constructor({
    cluster,
    clock,
    reflector,
    pods,
  }: Pick<Harness, 'cluster' | 'clock' | 'reflector'> & { pods: Served['pods'] }) {
    this.#reflector = reflector;
    this.#pods = pods;
    this.#clock = clock;
    this.#cluster = cluster;
    cluster.intercept = (request) => this.#intercept(request);
  }

  heal(): void {
    this.#failures = [];
    this.#slow = undefined;
    this.#cluster.listed = undefined;
    this.#cluster.whileStreaming = () => {};
    this.#cluster.unreadable.clear();
    this.#cluster.loseNextEvent = false;
  }

  async play(one: Step): Promise<void> {
    const cluster = this.#cluster;
    switch (one.kind) {
      case 'put':
        cluster.put(one.name, { uid: cluster.pods.get(one.name)?.uid ?? this.#uid(one.name) });
        break;
      case 'delete':
        cluster.delete(one.name);
        break;
      case 'recreate':
        cluster.delete(one.name);
        cluster.put(one.name, { uid: this.#uid(one.name) });
        break;
      case 'tick':
        cluster.tick();
        break;
      case 'pass':
        await this.#clock.advance(one.ms);
        break;
      case 'freeze':
        this.#clock.freeze(one.ms);
        break;
      case 'close':
        cluster.closeWatches();
        break;
      case 'reset':
        cluster.breakWatches();
        break;
      case 'corrupt':
        cluster.breakWatches(new WireError('corrupt'));
        break;
      case 'silence':
        cluster.breakWatches(new DeadlineError('silence'));
        break;
      case 'error':
        cluster.send({ type: 'ERROR', status: { ...GONE, code: one.code, reason: '' } });
        break;
      case 'compact':
        cluster.compact();
        break;
      case 'bookmark':
        cluster.bookmark();
        break;
      case 'snapshot':
        this.#snapshot = cluster.snapshot();
        break;
      case 'restore':
        if (this.#snapshot) await this.#restore(this.#snapshot, one.overtaken);
        break;
      case 'replay':
        for (const pod of cluster.pods.values()) cluster.send({ type: 'MODIFIED', object: pod });
        break;
      case 'fail':
        this.#failures.push({ ...one });
        break;
      case 'slow':
        this.#slow = one;
        break;
      case 'slowEnd':
        cluster.whileStreaming = (signal) => this.#clock.sleep(one.ms, signal);
        break;
      case 'streams':
        cluster.streams = one.mode;
        break;
      case 'lieOnce':
        this.#lieOnce(one.lie === 'empty');
        break;
      case 'lose':
        this.hides = true;
        cluster.loseNextEvent = true;
        break;
      case 'unreadable':
        this.hides = true;
        cluster.unreadable.add(one.name);
        break;
      case 'readable':
        cluster.unreadable.delete(one.name);
        break;
    }
  }

  /**
   * A read sees a version that went back, and after an outage a list sees one that has come past the old one again (decision 0006):
   * so nothing is written until it was seen, or while nothing is answered.
   */
  async #restore(state: ReturnType<ModelCluster['snapshot']>, overtaken: boolean): Promise<void> {
    const cluster = this.#cluster;
    this.heal();
    const former = cluster.version;
    const { intercept } = cluster;
    if (overtaken) {
      cluster.intercept = () => {
        throw new Error('ECONNREFUSED');
      };
    }
    cluster.restore(state);
    this.#snapshot = undefined;
    if (overtaken) {
      for (let n = 0; n < 3; n++) cluster.put(`new${n}`, { uid: this.#uid(`new${n}`) });
      cluster.version = Math.max(cluster.version, former) + 1;
      // Longer than a 429 of before lets the watch wait: whoever asks nothing meanwhile notices nothing (decision 0006).
      await this.#clock.advance(6_000);
      cluster.intercept = intercept;
    }
    await this.#clock.advance(90_000);
  }

  /** More than one lie in a row is the truth: B8 and B9 believe what is said twice. */
  #lieOnce(empty: boolean): void {
    const version = 50; // older than all that was seen when a list was sent that is under way now
    if (this.#lied || !this.#reflector.synced) return;
    this.#lied = true;
    this.#cluster.listed = () => {
      this.#cluster.listed = undefined;
      if (!empty) return { version, pods: [podOf('z', 1)] };
      // Where nothing is served an empty list is no surprise.
      const serves = [...this.#pods()].length > 0;
      return { version: this.#cluster.version, pods: serves ? [] : this.#cluster.pods.values() };
    };
  }

  async #intercept(request: ModelRequest): Promise<void> {
    const failure = this.#failures.find(({ verb }) => verb === request.verb);
    if (failure) {
      if (--failure.times === 0) this.#failures = this.#failures.filter((other) => other !== failure);
      if (failure.how === 'reset') throw new Error('ECONNRESET');
      if (typeof failure.how === 'number')
        throw new ApiError(failure.how, { retryAfterMs: failure.how === 429 ? 3_000 : 0 });
      const limit = new AbortController();
      const aborted = (): void => limit.abort(request.signal.reason);
      request.signal.addEventListener('abort', aborted);
      void this.#clock.sleep(20_000, limit.signal).then(() => limit.abort(new DeadlineError('hang')));
      await silence(limit.signal).finally(() => request.signal.removeEventListener('abort', aborted));
    }
    if (this.#slow?.verb === request.verb) await this.#clock.sleep(this.#slow.ms, request.signal);
  }

  #uid(name: string): string {
    return `uid-${name}-${this.#generation++}`;
  }
}

interface Served {
  readonly store: SliceStore<Pod>;
  readonly pods: () => Iterable<Pod>;
}

async function play(t: TestContext, steps: readonly Step[], seed: number, { store, pods }: Served): Promise<void> {
  let state = seed;
  const random = (): number => (state = (state * 48_271) % 2_147_483_647) / 2_147_483_647;
  const { cluster, clock, reflector, start, stop } = harness(t, { clock: new VirtualClock(random), store });
  const timeline = new ClusterTimeline(cluster, clock);
  const player = new Player({ cluster, clock, reflector, pods });
  await start();
  for (const one of steps) {
    await player.play(one);
    const check = (): void => {
      if (!reflector.synced || player.hides) return;
      assert.equal(timeline.contradiction(pods(), reflector.ageMs()), undefined);
    };
    check(); // as a frozen process would answer, before anything else runs
    await clock.settle();
    check();
  }
  player.heal();
  await clock.advance(330_000); // the longest Retry-After, and the longest back-off
  if (player.hides) await clock.advance(690_000); // a periodic list
  cluster.bookmark();
  await clock.settle();
  assert.equal(timeline.contradiction(pods(), 0), undefined, 'at rest the store is the cluster');
  await clock.advance(31_000);
  assert.ok(reflector.ageMs() <= 31_000, `at rest the age is ${reflector.ageMs()} ms`);
  assert.equal(reflector.problem, undefined);
  await stop();
  assert.equal(clock.sleepers, 0);
}

const memory = (): Served => {
  const store = new MemoryStore<Pod>();
  return { store, pods: () => store.objects.values() };
};

const index = (): Served => {
  const pods = new PodIndex();
  return { store: pods.slice(), pods: () => pods.walk() };
};

async function playMany(t: TestContext, one: fc.Arbitrary<Step>, served: () => Served): Promise<void> {
  const steps = fc.array(one, { minLength: 5, maxLength: 60, size: 'max' });
  const property = fc.asyncProperty(steps, fc.integer({ min: 1, max: 1e6 }), (all, seed) =>
    play(t, all, seed, served()),
  );
  await fc.assert(property, { numRuns: RUNS });
}

test('C1 B8 B9 in random histories with faults what is served is what the cluster was, no longer ago than the age says', (t) =>
  playMany(t, step, memory));

test('C1 B8 B9 the same with the index as the store', (t) => playMany(t, step, index));

test('B6 B7 with lost events and unreadable objects as well, what is served is the cluster once the faults have ended', (t) =>
  playMany(t, stepHidden, index));
