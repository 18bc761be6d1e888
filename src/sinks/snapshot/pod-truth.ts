import { FeedReader } from '../../index/change-feed.ts';
import type { PodIndex } from '../../index/pod-index.ts';
import type { Pod } from '../../pod.ts';
import { TURNS } from '../../turns.ts';
import type { Row, Truth } from '../postgres/mirrored-table.ts';
import { podRow } from './pods-table.ts';

/** Pods that are walked in one turn of the event loop. */
const PER_TURN = 2_000;
/** The uid of no pod: there is nothing to write of it, but what is written beside the rows. */
const NOBODY = '';

/** What the `pods` table should hold: the index, by uid. It pulls from the index's feed, which nobody can hold up. */
export class PodTruth implements Truth {
  readonly #index: PodIndex;
  readonly #source: { readonly synced: boolean };
  readonly #changes: FeedReader;
  #unreadableChanges = 0;

  constructor(index: PodIndex, source: { readonly synced: boolean }) {
    this.#index = index;
    this.#changes = new FeedReader(index.changes);
    this.#source = source;
  }

  /** A list that lost too much is withheld from the index itself until it is confirmed (rule B9). */
  get ready(): boolean {
    return this.#source.synced;
  }

  get size(): number {
    return this.#index.size;
  }

  changed(): Iterable<string> | 'all' {
    if (!this.ready) return [];
    const since = this.#changes.next();
    const { unreadableChanges } = this.#index;
    const isOther = unreadableChanges !== this.#unreadableChanges;
    this.#unreadableChanges = unreadableChanges;
    if (since === undefined) return 'all';
    const uids = since.map(({ pod }) => pod.uid);
    if (isOther) uids.push(NOBODY);
    return uids;
  }

  rows(uid: string): readonly Row[] {
    const pod = this.#index.byUid(uid);
    return pod === undefined ? [] : [podRow(pod)];
  }

  async *groups(): AsyncIterable<readonly string[]> {
    let after: Pod | undefined;
    for (;;) {
      const uids: string[] = [];
      for (const pod of this.#index.walk(after === undefined ? {} : { after })) {
        uids.push(pod.uid);
        after = pod;
        if (uids.length === PER_TURN) break;
      }
      yield uids;
      if (uids.length < PER_TURN) return;
      await TURNS.next();
    }
  }

  onChange(wake: () => void): () => void {
    return this.#index.changes.onChange(wake);
  }
}
