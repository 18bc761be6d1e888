import type { Families, Metrics } from '../../metrics.ts';
import type { HistoryArchive } from './history-archive.ts';
import type { Writer } from '../postgres/writer.ts';

export const FAMILIES = {
  snapshot_writing: { type: 'gauge', help: '1 on the replica that writes the snapshot, else 0', labels: {} },
  snapshot_lag_seconds: {
    type: 'gauge',
    help: 'How long the oldest change has waited to be in the snapshot; +Inf until the first comparison. Only on the replica that writes',
    labels: {},
  },
  snapshot_dirty_pods: { type: 'gauge', help: 'Pods whose row is to be written', labels: {} },
  snapshot_quarantined_pods: {
    type: 'gauge',
    help: 'Pods whose row Postgres does not take; the log says why',
    labels: {},
  },
  snapshot_rows_total: {
    type: 'counter',
    help: 'Rows of the snapshot that were changed',
    labels: { change: ['written', 'deleted'] },
  },
  snapshot_comparisons_total: { type: 'counter', help: 'Times all rows were read back and compared', labels: {} },
  snapshot_failures_total: {
    type: 'counter',
    help: 'Attempts to reach or to write Postgres that failed, by what was wrong',
    labels: { class: ['connection', 'read-only', 'full', 'conflict', 'timeout', 'setup', 'poison'] },
  },
  snapshot_history_reads_total: {
    type: 'counter',
    help: 'Times the history in Postgres was read for questions that memory cannot answer; refused: too many were reading',
    labels: { result: ['ok', 'failed', 'refused'] },
  },
  snapshot_history_writing: { type: 'gauge', help: '1 on the replica that writes the history, else 0', labels: {} },
  snapshot_history_lag_seconds: {
    type: 'gauge',
    help: 'How long the oldest change has waited to be in the history; +Inf until the first comparison. Only on the replica that writes',
    labels: {},
  },
  snapshot_history_dirty: {
    type: 'gauge',
    help: 'Pods at addresses of which something is to be written into the history',
    labels: {},
  },
  snapshot_history_quarantined: {
    type: 'gauge',
    help: 'Pods at addresses whose rows Postgres does not take; the log says why',
    labels: {},
  },
  snapshot_history_rows_total: {
    type: 'counter',
    help: 'Rows of the history that were changed; deleted: replaced by better ones; pruned: too old',
    labels: { change: ['written', 'deleted', 'pruned'] },
  },
  snapshot_history_comparisons_total: {
    type: 'counter',
    help: 'Times all that is in memory and all that is open in the history were compared',
    labels: {},
  },
  snapshot_history_failures_total: {
    type: 'counter',
    help: 'Attempts to reach or to write the history that failed, by what was wrong',
    labels: { class: ['connection', 'read-only', 'full', 'conflict', 'timeout', 'setup', 'poison'] },
  },
} as const satisfies Families;

export function publishHistory(metrics: Metrics, writer: Writer): void {
  const { counts } = writer;
  metrics.publish('snapshot_history_writing', FAMILIES.snapshot_history_writing, () => [[[], writer.leading ? 1 : 0]]);
  metrics.publish('snapshot_history_lag_seconds', FAMILIES.snapshot_history_lag_seconds, () =>
    writer.leading ? [[[], writer.lagMs() / 1000]] : [],
  );
  metrics.publish('snapshot_history_dirty', FAMILIES.snapshot_history_dirty, () => [[[], writer.dirty]]);
  metrics.publish('snapshot_history_quarantined', FAMILIES.snapshot_history_quarantined, () => [
    [[], writer.quarantined.size],
  ]);
  metrics.publish('snapshot_history_rows_total', FAMILIES.snapshot_history_rows_total, () =>
    (['written', 'deleted', 'pruned'] as const).map((change) => [[change], counts[change]] as const),
  );
  metrics.publish('snapshot_history_comparisons_total', FAMILIES.snapshot_history_comparisons_total, () => [
    [[], counts.comparisons],
  ]);
  metrics.publish('snapshot_history_failures_total', FAMILIES.snapshot_history_failures_total, () =>
    Object.entries(counts.failures).map(([failure, count]) => [[failure], count] as const),
  );
}

export function publish(metrics: Metrics, writer: Writer): void {
  const { counts } = writer;
  metrics.publish('snapshot_writing', FAMILIES.snapshot_writing, () => [[[], writer.leading ? 1 : 0]]);
  metrics.publish('snapshot_lag_seconds', FAMILIES.snapshot_lag_seconds, () =>
    writer.leading ? [[[], writer.lagMs() / 1000]] : [],
  );
  metrics.publish('snapshot_dirty_pods', FAMILIES.snapshot_dirty_pods, () => [[[], writer.dirty]]);
  metrics.publish('snapshot_quarantined_pods', FAMILIES.snapshot_quarantined_pods, () => [
    [[], writer.quarantined.size],
  ]);
  metrics.publish('snapshot_rows_total', FAMILIES.snapshot_rows_total, () => [
    [['written'], counts.written],
    [['deleted'], counts.deleted],
  ]);
  metrics.publish('snapshot_comparisons_total', FAMILIES.snapshot_comparisons_total, () => [[[], counts.comparisons]]);
  metrics.publish('snapshot_failures_total', FAMILIES.snapshot_failures_total, () =>
    Object.entries(counts.failures).map(([failure, count]) => [[failure], count] as const),
  );
}

export function publishReads(metrics: Metrics, { counts }: HistoryArchive): void {
  metrics.publish('snapshot_history_reads_total', FAMILIES.snapshot_history_reads_total, () =>
    Object.entries(counts).map(([result, count]) => [[result], count] as const),
  );
}
