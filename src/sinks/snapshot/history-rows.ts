import { canonicalIp } from '../../index/ip-address.ts';
import type { Moment } from '../../index/history/interval.ts';
import type { Piece, Stretch } from '../../index/history/piece.ts';
import { PER_STEP } from '../../index/history/steps.ts';
import type { Steps } from '../../index/history/steps.ts';
import type { StringMap, Workload } from '../../pod.ts';

/** How rows of `ip_history` and `ip_history_watched` are read. Their times are milliseconds since 1970, "for ever" is Infinity. */

type Time = number;

const TIMES = ['held_from', 'valid_from', 'valid_until', 'terminating_from', 'finished_from'] as const;
const VERSIONS = ['since_version', 'terminating_version', 'finished_version', 'until_version'] as const;
const OTHERS = [
  'namespace',
  'name',
  'labels',
  'service_account',
  'node_name',
  'workload_kind',
  'workload_name',
  'workload_source',
  'host_network',
  'goes_on',
] as const;

const milliseconds = (column: string, of: string): string =>
  `(extract(epoch FROM ${of}.${column}) * 1000)::float8 AS ${column}`;

/** Of rows that the statement calls h. */
const COURSE_COLUMNS = [
  ...OTHERS.map((column) => `h.${column}`),
  ...VERSIONS.map((column) => `h.${column}::text`),
  ...TIMES.map((column) => milliseconds(column, 'h')),
].join(', ');
export const PIECE_COLUMNS = `host(h.ip) AS ip, h.uid, ${COURSE_COLUMNS}`;
/** Where it is asked for by courses that are called c, of which n is the ordinality. */
export const NUMBERED_COLUMNS = `c.n::int4 AS n, ${COURSE_COLUMNS}`;

interface CourseRow extends Readonly<Record<string, unknown>> {
  readonly namespace: string;
  readonly name: string;
  readonly labels: StringMap;
  readonly service_account: string | null;
  readonly node_name: string | null;
  readonly workload_kind: string | null;
  readonly workload_name: string | null;
  readonly workload_source: Workload['source'] | null;
  readonly host_network: boolean;
  readonly goes_on: boolean;
  readonly since_version: string;
  readonly terminating_version: string | null;
  readonly finished_version: string | null;
  readonly until_version: string | null;
  readonly held_from: Time;
  readonly valid_from: Time;
  readonly valid_until: Time;
  readonly terminating_from: Time | null;
  readonly finished_from: Time | null;
}

export interface PieceRow extends CourseRow {
  readonly ip: string;
  readonly uid: string;
}

export interface NumberedRow extends CourseRow {
  /** From 1. */
  readonly n: number;
}

/**
 * Whatever else stands in the tables than what podwhois writes was put there by somebody else, and says nothing: nothing of it may make an
 * answer impossible, nor keep the writer from its work.
 */
export function* piecesOf(rows: readonly PieceRow[]): Steps<readonly Piece[]> {
  const pieces: Piece[] = [];
  for (const [i, row] of rows.entries()) {
    if (isOurs(row)) pieces.push(pieceOf(row, canonicalIp(row.ip) ?? row.ip, row.uid));
    if (i % PER_STEP === PER_STEP - 1) yield;
  }
  return pieces;
}

/** The same of pods at addresses that are asked for: those of each. */
export function* piecesOfEach(
  asked: readonly Pick<PieceRow, 'ip' | 'uid'>[],
  rows: readonly NumberedRow[],
): Steps<readonly (readonly Piece[])[]> {
  const pieces = asked.map((): Piece[] => []);
  for (const [i, row] of rows.entries()) {
    const { ip, uid } = asked[row.n - 1] as (typeof asked)[number];
    if (isOurs(row)) pieces[row.n - 1]?.push(pieceOf(row, ip, uid));
    if (i % PER_STEP === PER_STEP - 1) yield;
  }
  return pieces;
}

export const stretchesOf = (rows: readonly StretchRow[]): readonly Stretch[] =>
  rows
    .filter(
      (row) =>
        [row.since_version, row.until_version].every(isVersion) &&
        isTime(row.watched_from) &&
        isTime(row.watched_until),
    )
    .map(stretchOf);

/** A resource version in an era of its own (`inEra`). */
export const isVersion = (text: string): boolean => /^[0-9]{1,54}$/.test(text);

/** What Date can hold. */
const isTime = (time: Time): boolean => Math.abs(time) <= 8.64e15;

function isOurs(row: CourseRow): boolean {
  const times = [row.held_from, row.valid_from, row.terminating_from ?? 0, row.finished_from ?? 0];
  return (
    times.every(isTime) &&
    (row.valid_until === Infinity || isTime(row.valid_until)) &&
    VERSIONS.every((name) => row[name] === null || isVersion(row[name])) &&
    isMap(row.labels)
  );
}

const isMap = (value: unknown): boolean =>
  typeof value === 'object' &&
  value !== null &&
  !Array.isArray(value) &&
  Object.values(value).every((one) => typeof one === 'string');

function pieceOf(row: CourseRow, ip: string, uid: string): Piece {
  return {
    ip,
    holder:
      uid === ''
        ? undefined
        : {
            uid,
            namespace: row.namespace,
            name: row.name,
            labels: row.labels,
            serviceAccount: row.service_account ?? '',
            nodeName: row.node_name ?? '',
            workload: workloadOf(row),
            hostNetwork: row.host_network,
          },
    heldFrom: Math.round(row.held_from),
    from: Math.round(row.valid_from),
    until: row.valid_until === Infinity ? undefined : Math.round(row.valid_until),
    goesOn: row.goes_on,
    terminatingFrom: momentOf(row.terminating_from),
    finishedFrom: momentOf(row.finished_from),
    sinceVersion: row.since_version,
    terminatingVersion: row.terminating_version ?? undefined,
    finishedVersion: row.finished_version ?? undefined,
    untilVersion: row.until_version ?? undefined,
  };
}

const momentOf = (time: Time | null): Moment | undefined => (time === null ? undefined : Math.round(time));

const workloadOf = ({
  workload_kind: kind,
  workload_name: name,
  workload_source: source,
}: CourseRow): Workload | undefined =>
  kind === null || name === null || source === null ? undefined : { kind, name, source };

/** Of rows that the statement calls w. */
export const STRETCH_COLUMNS = [
  'w.since_version::text',
  'w.until_version::text',
  milliseconds('watched_from', 'w'),
  milliseconds('watched_until', 'w'),
].join(', ');

export interface StretchRow extends Readonly<Record<string, unknown>> {
  readonly since_version: string;
  readonly until_version: string;
  readonly watched_from: Time;
  readonly watched_until: Time;
}

const stretchOf = (row: StretchRow): Stretch => ({
  sinceVersion: row.since_version,
  untilVersion: row.until_version,
  from: Math.round(row.watched_from),
  until: Math.round(row.watched_until),
});
