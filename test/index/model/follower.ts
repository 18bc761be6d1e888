import assert from 'node:assert/strict';
import type { PodIndex } from '../../../src/index/pod-index.ts';
import type { Pod } from '../../../src/pod.ts';

/** Keeps a copy of the index by its change feed alone, as a stream's client or a database does. */
export class Follower {
  readonly #index: PodIndex;
  readonly pods = new Map<string, Pod>();
  #sequence = -1;

  constructor(index: PodIndex) {
    this.#index = index;
  }

  pull(): void {
    const changes = this.#index.changes.since(this.#sequence);
    this.#sequence = this.#index.changes.sequence;
    if (changes === undefined) {
      this.pods.clear();
      for (const pod of this.#index.walk()) this.pods.set(pod.uid, pod);
      return;
    }
    for (const { type, pod, previous } of changes) {
      const known = this.pods.get(pod.uid);
      assert.equal(previous, known, `${type} ${pod.uid} comes after what was told of it last`);
      assert.equal(known === undefined, type === 'added', `${type} ${pod.uid}`);
      if (type === 'deleted') this.pods.delete(pod.uid);
      else this.pods.set(pod.uid, pod);
      const named = [...this.pods.values()].filter((one) => one.namespace === pod.namespace && one.name === pod.name);
      assert.ok(named.length <= 1, `two pods are called ${pod.namespace}/${pod.name}`);
    }
  }
}
