import type { EndpointSliceIndex } from '../../index/endpoint-slice-index.ts';
import { TURNS } from '../../turns.ts';
import { groupKey, groupValues } from '../postgres/mirrored-table.ts';
import type { MirroredTable, Row, Truth } from '../postgres/mirrored-table.ts';
import { boolean } from '../postgres/values.ts';
import { planService, standing } from './plan.ts';
import type { MirrorScope, ServicePlan } from './plan.ts';
import { DETAIL_COLUMNS } from './pod-details.ts';
import type { PodDetails } from './pod-details.ts';
import type { TableName } from './table-name.ts';

/**
 * The observer's table, with the columns of `PodDetails` where there are some. What it has besides, `first_seen` first of all, is left
 * as it is: a default fills it once.
 */
export function mirroredTable(
  { schema, name }: TableName,
  cluster: string,
  { enriched }: { readonly enriched: boolean },
): MirroredTable {
  return {
    schema,
    name,
    scope: [{ name: 'cluster', type: 'text', value: cluster }],
    keys: ['namespace', 'service', 'pod_uid'].map((key) => ({ name: key, type: 'text' })),
    groupColumns: 2,
    values: [
      { name: 'pod_name', type: 'text' },
      { name: 'pod_ip', type: 'inet' },
      { name: 'ready', type: 'boolean' },
      ...(enriched ? DETAIL_COLUMNS : []),
      { name: 'last_seen', type: 'timestamptz' },
    ],
  };
}

/** Postgres reads it as the time at which its transaction began, so rows are stamped by its clock; no two are alike. */
const NOW = 'now';

/** Services told of in one turn of the event loop. */
const PER_TURN = 250;

export interface MirrorTruthOptions {
  readonly index: EndpointSliceIndex;
  readonly scope: MirrorScope;
  /** Whether what is known of the cluster may be believed now: read once, and lately. */
  readonly isFresh: () => boolean;
  /** Where rows are to tell more of their pods; the index then finds Services by pod. */
  readonly details?: PodDetails | undefined;
}

/**
 * What the table should hold, as the writer asks for it: a Service is a group. A Service of which some EndpointSlice may not be
 * readable (rule B6) is as it is in the table until it is: nothing of it is written, nothing deleted.
 */
export class MirrorTruth implements Truth {
  readonly #index: EndpointSliceIndex;
  readonly #scope: MirrorScope;
  readonly #isFresh: () => boolean;
  readonly #details: PodDetails | undefined;
  readonly #listeners = new Set<() => void>();
  #dirty = new Set<string>();
  #all = true;
  #unreadable = 0;

  constructor({ index, scope, isFresh, details }: MirrorTruthOptions) {
    this.#index = index;
    this.#scope = scope;
    this.#isFresh = isFresh;
    this.#details = details;
    details?.onChange(() => this.#wake());
    index.onChange((service) => {
      if (service === undefined) this.#all = true;
      else this.#dirty.add(groupKey([service.namespace, service.name]));
      this.#wake();
    });
  }

  get ready(): boolean {
    return this.#isFresh() && (this.#details?.ready ?? true);
  }

  /** There are at most as many Services as EndpointSlices. */
  get size(): number {
    return this.#index.size;
  }

  changed(): Iterable<string> | 'all' {
    // Whatever was held back because of one that could not be read has been told of already.
    const { unreadable } = this.#index;
    if (unreadable < this.#unreadable) this.#all = true;
    this.#unreadable = unreadable;
    this.#followPods();
    const changed = this.#all ? 'all' : this.#dirty;
    this.#all = false;
    this.#dirty = new Set();
    return changed;
  }

  rows(group: string): readonly Row[] {
    const [namespace = '', service = ''] = groupValues(group);
    if (this.#index.isUnsure(namespace)) return NO_ROWS;
    return this.#plan(namespace, service).rows.map(({ uid, name, ip, ready }) => [
      namespace,
      service,
      uid,
      name,
      ip,
      boolean(ready),
      ...(this.#details?.of(uid) ?? []),
      NOW,
    ]);
  }

  async *groups(): AsyncGenerator<readonly string[], void, undefined> {
    // A list of one's own: what changes meanwhile is told of besides.
    const groups = Array.from(this.#index.services(), ({ namespace, name }) => groupKey([namespace, name]));
    for (let i = 0; i < groups.length; i += PER_TURN) {
      if (i > 0) await TURNS.next();
      yield groups.slice(i, i + PER_TURN);
    }
  }

  mayDelete(group: string): boolean {
    const [namespace = '', name = ''] = groupValues(group);
    if (this.#index.isUnsure(namespace)) return false;
    return standing(namespace, this.#index.of({ namespace, name }), this.#scope) !== 'foreign';
  }

  onChange(wake: () => void): () => void {
    this.#listeners.add(wake);
    return () => this.#listeners.delete(wake);
  }

  /**
   * How many rows there should be, of how many Services; how many endpoints are no pods; and of how many rows the pod is not known,
   * where it is asked for: for metrics.
   */
  count(): Readonly<Record<'services' | 'rows' | 'skipped' | 'unknown', number>> {
    const details = this.#details?.ready === true ? this.#details : undefined;
    const counted = { services: 0, rows: 0, skipped: 0, unknown: 0 };
    for (const { namespace, name } of this.#index.services()) {
      const { rows, skipped } = this.#plan(namespace, name);
      if (rows.length > 0) counted.services++;
      counted.rows += rows.length;
      counted.skipped += skipped;
      for (const { uid } of details ? rows : []) if (details?.isKnown(uid) === false) counted.unknown++;
    }
    return counted;
  }

  #followPods(): void {
    const pods = this.#details?.changed() ?? [];
    if (pods === 'all') this.#all = true;
    else
      for (const uid of pods)
        for (const { namespace, name } of this.#index.servicesOf(uid)) this.#dirty.add(groupKey([namespace, name]));
  }

  #plan(namespace: string, name: string): ServicePlan {
    return planService(this.#index.of({ namespace, name }), this.#scope);
  }

  #wake(): void {
    for (const wake of this.#listeners) wake();
  }
}

const NO_ROWS: readonly Row[] = Object.freeze([]);
