import type { Change } from '../../index/change-feed.ts';
import { FeedReader } from '../../index/change-feed.ts';
import type { PodIndex } from '../../index/pod-index.ts';
import type { Pod } from '../../pod.ts';
import type { Column, Value } from '../postgres/mirrored-table.ts';
import { mapJson, textOrNull } from '../postgres/values.ts';

/** The columns that ENRICH_PODS adds to the observer's table. Both are NULL in a row whose pod is not known. */
export const DETAIL_COLUMNS: readonly Column[] = [
  { name: 'node_name', type: 'text' },
  { name: 'pod_labels', type: 'jsonb' },
];

/** In the order of the columns. A pod that is not known is not waited for: its row says all that the EndpointSlice says. */
export const detailsOf = (pod: Pod | undefined): readonly Value[] =>
  pod === undefined ? DETAIL_COLUMNS.map(() => null) : [textOrNull(pod.nodeName), mapJson(pod.labels)];

/** Of the many changes of a pod (conditions, containers) few are about its details. */
export function changesDetails({ type, pod, previous }: Change): boolean {
  if (type !== 'modified') return true;
  return detailsOf(pod).some((value, i) => value !== detailsOf(previous)[i]);
}

/** What the pods add to the rows. It pulls from the feed of their index, which nobody can hold up. */
export class PodDetails {
  readonly #pods: PodIndex;
  readonly #source: { readonly synced: boolean };
  readonly #changes: FeedReader;

  constructor(pods: PodIndex, source: { readonly synced: boolean }) {
    this.#pods = pods;
    this.#changes = new FeedReader(pods.changes);
    this.#source = source;
  }

  /**
   * Whether the pods were read once: before that, what is in the table would be replaced by NULL. Afterwards they may be as old as
   * they are, for the endpoints are what the table is about.
   */
  get ready(): boolean {
    return this.#source.synced;
  }

  of(uid: string): readonly Value[] {
    return detailsOf(this.#pods.byUid(uid));
  }

  isKnown(uid: string): boolean {
    return this.#pods.byUid(uid) !== undefined;
  }

  /** The uids of pods whose details may be other ones than at the last call; 'all': that is not known. */
  changed(): readonly string[] | 'all' {
    if (!this.ready) return [];
    const since = this.#changes.next();
    return since?.filter(changesDetails).map(({ pod }) => pod.uid) ?? 'all';
  }

  onChange(wake: () => void): void {
    this.#pods.changes.onChange(wake);
  }
}
