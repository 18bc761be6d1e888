import { once } from 'node:events';
import { IpRecorder } from '../../src/ip-recorder.ts';
import type { RecorderOptions } from '../../src/ip-recorder.ts';
import { PodIndex } from '../../src/index/pod-index.ts';
import type { PodIndexOptions } from '../../src/index/pod-index.ts';
import { zeroCounters } from '../../src/metrics.ts';
import type { Pod } from '../../src/pod.ts';

/** An index and what is written down of it, in a time that the test moves. */
export class RecordedIndex {
  readonly index: PodIndex;
  readonly recorder: IpRecorder;
  readonly counters = zeroCounters().history_holes_total;
  readonly errors: unknown[] = [];
  now = 0;
  wall = 1_000_000;
  synced = true;
  age = 0;
  /** What bookmarks have told, where the index has heard of nothing newer. */
  reachedVersion = '1';

  constructor(options: PodIndexOptions & Partial<RecorderOptions> = {}) {
    this.index = new PodIndex(options);
    this.recorder = new IpRecorder({
      index: this.index,
      view: { partial: false, clusterCidrs: [] },
      source: this,
      clock: {
        now: () => this.now,
        wall: () => this.wall,
        sleep: async (_ms, signal) => void (await once(signal, 'abort')),
      },
      counters: this.counters,
      retentionMs: 3_600_000,
      maxEnded: 100_000,
      maxAgeMs: 90_000,
      onError: (error) => void this.errors.push(error),
      ...options,
    });
  }

  ageMs(): number {
    return this.age;
  }

  /** All pods in view, as a list of that version has them. */
  list(pods: Iterable<Pod>, version: string): void {
    const list = this.index.slice().beginReplace();
    for (const pod of pods) list.add(pod);
    list.commit(version);
    this.recorder.look();
  }

  /** Both clocks. */
  pass(ms: number): void {
    this.now += ms;
    this.wall += ms;
  }
}
