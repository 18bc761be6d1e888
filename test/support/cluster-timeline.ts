import type { Pod } from '../../src/pod.ts';
import type { ModelCluster } from './model-cluster.ts';
import type { VirtualClock } from './virtual-clock.ts';

const contentOf = (pods: Iterable<Pod>): string =>
  [...pods]
    .map(({ uid, resourceVersion }) => `${uid}@${resourceVersion}`)
    .sort()
    .join(' ');

/** What the cluster held at which time: the truth that an age is measured against. */
export class ClusterTimeline {
  readonly #clock: VirtualClock;
  readonly #states: { readonly since: number; readonly content: string }[] = [];

  constructor(cluster: ModelCluster, clock: VirtualClock) {
    this.#clock = clock;
    const note = (): void => void this.#states.push({ since: clock.now(), content: contentOf(cluster.pods.values()) });
    note();
    cluster.onChange = note;
  }

  /** What is wrong with saying that what is served is `ageMs` old; undefined: it is what the cluster was at some time since then. */
  contradiction(served: Iterable<Pod>, ageMs: number): string | undefined {
    const from = this.#clock.now() - ageMs;
    // What was read in the very millisecond of a change may be from before it.
    const first = this.#states.findLastIndex(({ since }) => since < from);
    const content = contentOf(served);
    if (this.#states.slice(Math.max(first, 0)).some((state) => state.content === content)) return undefined;
    const then = this.#states[first]?.content;
    return `${ageMs} ms old is said to be: ${content}\n  then there was: ${then}\n  now there is: ${this.now}`;
  }

  get now(): string {
    return this.#states.at(-1)?.content ?? '';
  }
}
