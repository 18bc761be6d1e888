import type { Piece, Stretch } from '../../src/index/history/piece.ts';
import { textOrNull } from '../../src/sinks/postgres/values.ts';

export interface Place {
  readonly query: (sql: string, values: readonly unknown[]) => Promise<unknown>;
  readonly schema: string;
  readonly cluster: string;
}

const timeOf = (ms: number | undefined): string | null =>
  ms === undefined
    ? null
    : ms === -Infinity
      ? '-infinity'
      : ms > 8.64e15
        ? '290000-01-01T00:00:00Z'
        : new Date(ms).toISOString();

/** Writes pieces into `ip_history` as they are. */
export async function insertPieces({ query, schema, cluster }: Place, pieces: readonly Piece[]): Promise<void> {
  const rows = pieces.map(({ ip, holder, ...piece }) => ({
    cluster,
    ip,
    uid: holder?.uid ?? '',
    namespace: holder?.namespace ?? '',
    name: holder?.name ?? '',
    labels: holder?.labels ?? {},
    service_account: textOrNull(holder?.serviceAccount),
    node_name: textOrNull(holder?.nodeName),
    workload_kind: holder?.workload?.kind ?? null,
    workload_name: holder?.workload?.name ?? null,
    workload_source: holder?.workload?.source ?? null,
    host_network: holder?.hostNetwork ?? false,
    held_from: timeOf(piece.heldFrom),
    valid_from: timeOf(piece.from),
    valid_until: timeOf(piece.until) ?? 'infinity',
    goes_on: piece.goesOn,
    terminating_from: timeOf(piece.terminatingFrom),
    finished_from: timeOf(piece.finishedFrom),
    since_version: piece.sinceVersion,
    terminating_version: piece.terminatingVersion ?? null,
    finished_version: piece.finishedVersion ?? null,
    until_version: piece.untilVersion ?? null,
  }));
  await query(
    `INSERT INTO ${schema}.ip_history SELECT * FROM jsonb_populate_recordset(NULL::${schema}.ip_history, $1)`,
    [JSON.stringify(rows)],
  );
}

/** The same of times in which somebody was watching. */
export async function insertStretches({ query, schema, cluster }: Place, stretches: readonly Stretch[]): Promise<void> {
  for (const { from, until, sinceVersion, untilVersion } of stretches) {
    await query(
      `INSERT INTO ${schema}.ip_history_watched (cluster, since_version, until_version, watched_from, watched_until)
       VALUES ($1, $2, $3, $4, $5)`,
      [cluster, sinceVersion, untilVersion, timeOf(from), timeOf(until)],
    );
  }
}
