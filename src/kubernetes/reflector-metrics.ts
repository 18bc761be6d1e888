type Counts<K extends string> = Record<K, number>;

/** What a reflector counts: plain numbers, which `src/metrics.ts` publishes under these names. */
export interface ReflectorMetrics {
  readonly lists_total: Counts<'ok' | 'error' | 'older' | 'shrunken'>;
  readonly watches_total: Counts<WatchEnd>;
  readonly watch_events_total: Counts<'added' | 'modified' | 'deleted' | 'bookmark' | 'error'>;
  readonly relists_total: Counts<ListCause>;
  readonly drift_total: Counts<'added' | 'modified' | 'deleted'>;
  readonly consistent_reads_total: Counts<'ok' | 'error' | 'backwards'>;
  readonly unreadable_total: Counts<'all'>;
  readonly backwards_total: Counts<'all'>;
}

export type ListCause = 'start' | 'periodic' | 'gone' | 'corrupt' | 'backwards' | 'outage' | 'error';
export type WatchEnd = 'clean' | 'error' | 'gone' | 'corrupt' | 'idle';
