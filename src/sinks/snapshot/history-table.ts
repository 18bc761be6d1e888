import type { Piece } from '../../index/history/piece.ts';
import type { MirroredTable, Row, Value } from '../postgres/mirrored-table.ts';
import { boolean, mapJson, textOrNull, timestamp } from '../postgres/values.ts';

/** How rows of `ip_history` are written: `history-rows.ts` reads them. `migrations.ts` makes it, docs/postgres.md explains it. */
export const historyTable = (schema: string, cluster: string): MirroredTable => ({
  schema,
  name: 'ip_history',
  scope: [{ name: 'cluster', type: 'text', value: cluster }],
  keys: KEYS.map(([name, type]) => ({ name, type })),
  groupColumns: KEYS.length,
  values: VALUES.map(([name, type]) => ({ name, type })),
});

const KEYS = [
  ['ip', 'inet'],
  ['valid_from', 'timestamptz'],
  ['uid', 'text'],
  ['since_version', 'numeric'],
] as const;

/** In the order of `historyRow`. */
const VALUES = [
  ['namespace', 'text'],
  ['name', 'text'],
  ['labels', 'jsonb'],
  ['service_account', 'text'],
  ['node_name', 'text'],
  ['workload_kind', 'text'],
  ['workload_name', 'text'],
  ['workload_source', 'text'],
  ['host_network', 'boolean'],
  ['held_from', 'timestamptz'],
  ['valid_until', 'timestamptz'],
  ['goes_on', 'boolean'],
  ['terminating_from', 'timestamptz'],
  ['finished_from', 'timestamptz'],
  ['terminating_version', 'numeric'],
  ['finished_version', 'numeric'],
  ['until_version', 'numeric'],
] as const;

const NO_LABELS = {};

export function historyRow(piece: Piece): Row {
  const { ip, holder } = piece;
  const from = timestamp(piece.from);
  return [
    ip,
    from,
    holder?.uid ?? '',
    piece.sinceVersion,
    holder?.namespace ?? '',
    holder?.name ?? '',
    mapJson(holder?.labels ?? NO_LABELS),
    textOrNull(holder?.serviceAccount),
    textOrNull(holder?.nodeName),
    textOrNull(holder?.workload?.kind),
    textOrNull(holder?.workload?.name),
    textOrNull(holder?.workload?.source),
    boolean(holder?.hostNetwork ?? false),
    piece.heldFrom === piece.from ? from : timestamp(piece.heldFrom),
    piece.until === undefined ? 'infinity' : timestamp(piece.until),
    boolean(piece.goesOn),
    timestamp(piece.terminatingFrom),
    timestamp(piece.finishedFrom),
    piece.terminatingVersion ?? null,
    piece.finishedVersion ?? null,
    piece.untilVersion ?? null,
  ];
}

export const sameRow = (a: Row, b: Row): boolean => a.every((value: Value, i) => value === b[i]);
