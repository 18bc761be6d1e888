import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import type { HttpAnswer, PodwhoisProcess } from '../support/podwhois-process.ts';
import type { Observer } from './observer.ts';
import type { Timeline, Verdict } from './truth.ts';

/**
 * Asks podwhois for addresses without pause, and judges every answer afterwards. What can be proven of an answer:
 *
 * 1. It carries the version V that podwhois' index stands at, and the versions of an etcd are totally ordered. So it must say
 *    exactly what the rules say of the pods as they were at V: the same pod in the same version, the same candidates, the
 *    same reason. No clock, no lag and no epsilon is in this. Whether the answer is out of date is another question:
 * 2. It carries its age. Whatever kubectl had printed before (moment of asking - age) had been written before the consistent
 *    read from which the age counts was sent, so V must not be older. kubectl's own delay only makes this check weaker.
 *    Both processes run on this machine's monotonic clock; ROUNDING allows for the digits of the header.
 *
 * 503 says nothing and cannot be wrong; whether it may be said is for each scenario to say (`report.unavailable`).
 */
const ROUNDING_MS = 20;

interface Given {
  readonly ip: string;
  readonly askedAt: number;
  readonly answer: HttpAnswer;
}

export interface Report {
  /** Judged answers by status. */
  readonly judged: ReadonlyMap<number, number>;
  /** How many were 503. */
  readonly unavailable: number;
}

/** A timeline that ended when its etcd was replaced; its answers may still be given, as old as they then are. */
export interface Ended {
  readonly timeline: Timeline;
  /** Only versions from here on: the etcd that came after it has older ones of the same numbers. */
  readonly from: number;
  /** When the API server was stopped: no consistent read of that etcd can have been sent later. */
  readonly at: number;
}

export class Questioner {
  readonly #podwhois: PodwhoisProcess;
  readonly #observer: Observer;
  readonly #stop = new AbortController();
  readonly #workers: Promise<void>[];
  #given: Given[] = [];
  #failed: unknown[] = [];
  #paused: Promise<void> | undefined;

  constructor(podwhois: PodwhoisProcess, observer: Observer, options: { readonly workers?: number } = {}) {
    this.#podwhois = podwhois;
    this.#observer = observer;
    this.#workers = Array.from({ length: options.workers ?? 3 }, async () => await this.#ask());
  }

  /** For as long as podwhois itself stands still. */
  pauseWhile(promise: Promise<void>): void {
    this.#paused = promise.finally(() => (this.#paused = undefined));
  }

  /** Judges all answers since the last call; throws those that are wrong. */
  async judge(ended?: Ended): Promise<Report> {
    const given = this.#given;
    const failed = this.#failed;
    this.#given = [];
    this.#failed = [];
    assert.deepEqual(failed, [], 'podwhois always answers');
    await this.#observer.catchUp();
    const wrong: object[] = [];
    const judged = new Map<number, number>();
    for (const one of given) {
      const { status } = one.answer;
      judged.set(status, (judged.get(status) ?? 0) + 1);
      if (status === 503) continue;
      const now = await this.#fault(one, this.#observer.timeline);
      if (now === undefined) continue;
      const then = ended && (await this.#faultBefore(one, ended));
      if (!ended || then !== undefined) wrong.push({ ...one, why: now, before: then });
    }
    assert.deepEqual(wrong.slice(0, 5), [], `${wrong.length} of ${given.length} answers are wrong; the first of them`);
    return { judged, unavailable: judged.get(503) ?? 0 };
  }

  async stop(): Promise<void> {
    this.#stop.abort();
    await Promise.all(this.#workers);
  }

  async #fault(given: Given, timeline: Timeline): Promise<string | undefined> {
    const { version, age } = given.answer;
    if (!(version > 0) || !(age >= 0)) return 'the answer does not say its version and age';
    const written = timeline.writtenBy(given.askedAt - age * 1000 - ROUNDING_MS);
    if (version < written) return `it says it is ${age} s old, but version ${written} was written before`;
    if (version > timeline.known) return `etcd has not reached that version, only ${timeline.known}`;
    return differs(given, await this.#observer.verdictAt(timeline, version, given.ip));
  }

  /** As an answer out of the etcd that is gone: no younger than its end. */
  async #faultBefore(given: Given, { timeline, from, at }: Ended): Promise<string | undefined> {
    const { version } = given.answer;
    if (version < from || version > timeline.known) return 'it is not of the last versions of the etcd that is gone';
    if (given.askedAt - given.answer.age * 1000 - ROUNDING_MS > at)
      return 'it claims to be younger than the etcd that is gone';
    return differs(given, await this.#observer.verdictAt(timeline, version, given.ip));
  }

  async #ask(): Promise<void> {
    while (!this.#stop.signal.aborted) {
      const ip = this.#anyAddress();
      try {
        await this.#paused;
        const askedAt = performance.now();
        this.#given.push({ ip, askedAt, answer: await this.#podwhois.whoHas(ip) });
      } catch (error) {
        if (this.#failed.length < 5) this.#failed.push(error);
      }
      await sleep(5);
    }
  }

  /** One that some pod has or had, and now and then one that nobody ever had. */
  #anyAddress(): string {
    const known = this.#observer.timeline.addresses();
    const pick = Math.floor(Math.random() * (known.length + 2));
    return known[pick] ?? `10.42.200.${1 + Math.floor(Math.random() * 250)}`;
  }
}

function differs({ answer }: Given, truth: Verdict): string | undefined {
  const { status, body } = answer;
  const said: Verdict | string =
    status === 200
      ? { status, uid: String(body['uid']), version: Number(body['resource_version']) }
      : status === 409
        ? { status, uids: (body['candidates'] as { readonly uid: string }[]).map(({ uid }) => uid) }
        : status === 404
          ? { status, reason: String(body['reason']) as 'no-pod' }
          : `status ${status}`;
  const text = (verdict: Verdict | string): string =>
    JSON.stringify(
      typeof verdict === 'object' && verdict.status === 409 ? { ...verdict, uids: verdict.uids.toSorted() } : verdict,
    );
  return text(said) === text(truth) ? undefined : `the truth is ${text(truth)}`;
}
