import { setTimeout as sleep } from 'node:timers/promises';
import { until } from '../support/until.ts';
import { factsOf, Timeline, verdict } from './truth.ts';
import type { Kubectl } from '../support/kubectl.ts';
import type { ApiPod, Facts, Verdict } from './truth.ts';

const PODS = '/api/v1/pods';

interface ApiList {
  readonly metadata: { readonly resourceVersion: string };
  readonly items: readonly ApiPod[];
}

interface ApiEvent {
  readonly type: string;
  readonly object: ApiPod;
}

/** A namespace that the scenarios leave alone. */
const MARKER = { namespace: 'kube-public', name: 'observer-marker' };

/**
 * Follows all pods with kubectl, from version to version, and keeps the truth. When kubectl's stream breaks it goes on from
 * the last version; when the API server no longer has that one (410 after its restart), it lists again, and the versions in
 * between are a gap that is asked for one by one, by lists of exactly that version, which etcd keeps until it is compacted.
 */
export class Observer {
  readonly #kubectl: Kubectl;
  readonly #stop = new AbortController();
  readonly #exact = new Map<string, Promise<readonly Facts[]>>();
  #pause = new AbortController();
  #following: Promise<void>;
  #marks = 0;
  timeline = new Timeline();

  constructor(kubectl: Kubectl) {
    this.#kubectl = kubectl;
    this.#following = this.#follow(this.timeline);
  }

  static async start(kubectl: Kubectl): Promise<Observer> {
    const spec = { schedulerName: 'nobody', containers: [{ name: 'none', image: 'none' }] };
    await kubectl.apply({ apiVersion: 'v1', kind: 'Pod', metadata: MARKER, spec });
    return new Observer(kubectl);
  }

  /** Returns when everything that was written before the call is known: when a mark written now has come back. */
  async catchUp(): Promise<void> {
    const mark = `observer.test/mark=${++this.#marks}`;
    const args = ['annotate', 'pod', MARKER.name, '-n', MARKER.namespace, mark, '--overwrite', '-o', 'json'];
    const pod = await until('the mark is written', async () => JSON.parse(await this.#kubectl.run(...args)) as ApiPod);
    const version = Number(pod.metadata.resourceVersion);
    await until('the observer has seen its mark', () => this.timeline.known >= version, { everyMs: 20 });
  }

  async verdictAt(timeline: Timeline, version: number, ip: string): Promise<Verdict> {
    if (timeline.tells(version)) return timeline.verdictAt(version, ip);
    if (timeline !== this.timeline) throw new Error(`version ${version} is of an etcd that is gone`);
    const key = String(version);
    let pods = this.#exact.get(key);
    if (!pods)
      this.#exact.set(
        key,
        (pods = this.#list(`?resourceVersion=${key}&resourceVersionMatch=Exact`).then(({ pods }) => pods)),
      );
    return verdict(await pods, ip);
  }

  /** All pods now, by a consistent read. */
  async pods(): Promise<readonly Facts[]> {
    return (await this.#list('')).pods;
  }

  /** Stops watching before an etcd is restored: the returned timeline is over. `resume` begins another one. */
  async suspend(): Promise<Timeline> {
    this.#pause.abort();
    await this.#following;
    this.#exact.clear();
    return this.timeline;
  }

  resume(): void {
    this.#pause = new AbortController();
    this.timeline = new Timeline();
    this.#following = this.#follow(this.timeline);
  }

  async stop(): Promise<void> {
    this.#stop.abort();
    await this.#following;
  }

  async #follow(timeline: Timeline): Promise<void> {
    const signal = AbortSignal.any([this.#stop.signal, this.#pause.signal]);
    let listed = false;
    while (!signal.aborted) {
      try {
        if (!listed) {
          const { pods, version } = await this.#list('');
          timeline.listed(pods, version, performance.now());
          listed = true;
        }
        listed = await this.#watch(timeline, signal);
      } catch {
        // The API server is away, which is what the scenarios are about. Until it is back nothing can happen unseen.
      }
      if (!signal.aborted) await sleep(100);
    }
  }

  /** Returns whether the next watch can go on from where this one ended. */
  async #watch(timeline: Timeline, signal: AbortSignal): Promise<boolean> {
    const path = `${PODS}?watch=true&allowWatchBookmarks=true&timeoutSeconds=600&resourceVersion=${timeline.known}`;
    let spoke = false; // silence may be a refusal: 410 as an HTTP status
    for await (const line of this.#kubectl.lines(path, signal)) {
      const { type, object } = JSON.parse(line) as ApiEvent;
      if (type === 'ERROR') return false;
      spoke = true;
      if (type === 'BOOKMARK') timeline.reached(Number(object.metadata.resourceVersion), performance.now());
      else if (type === 'ADDED' || type === 'MODIFIED' || type === 'DELETED') {
        timeline.event(type, factsOf(object), performance.now());
      } else throw new Error(`kubectl tells of an unknown ${type}`);
    }
    return spoke;
  }

  async #list(query: string): Promise<{ readonly pods: readonly Facts[]; readonly version: number }> {
    const list = (await this.#kubectl.raw(PODS + query)) as ApiList;
    return { pods: list.items.map(factsOf), version: Number(list.metadata.resourceVersion) };
  }
}
