import { Document, isScalar, visit } from 'yaml';
import { escapeInDocument, isUnsafe, oneLine } from '../../terminal.ts';
import type { Result } from './ask.ts';
import type { History } from './ask-history.ts';
import type { Format } from './formats.ts';

/** The results as text that is safe on a terminal, whatever the cluster's names and labels hold. */
export function render(results: readonly Result[], format: Format): string {
  if (format === 'table' || format === 'wide') return table(results, format === 'wide');
  return documentOf(results, format);
}

/** What is known of an address, safe in the same way. A bound that nobody has seen is written `<=` or `>=`. */
export function renderHistory(answer: History, format: Format): string {
  if (format !== 'table' && format !== 'wide') return documentOf(answer, format);
  const { history, holes } = answer;
  const header = [
    'FROM',
    'UNTIL',
    'STATUS',
    'NAMESPACE',
    'POD',
    'NODE',
    'WORKLOAD',
    ...(format === 'wide' ? ['SERVICE-ACCOUNT', 'UID'] : []),
  ];
  const rows = history.map((row) =>
    [
      ...heldOf(row),
      statusOf(row),
      cell(row['namespace']),
      cell(row['name']),
      cell(row['node_name']),
      kindAndName(row['workload']),
      cell(row['service_account']),
      cell(row['uid']),
    ].slice(0, header.length),
  );
  const blind = holes.map(({ from, until }) => `nobody was watching ${span(from, until)}\n`);
  return columns([header, ...rows]) + blind.join('');
}

function span(from: unknown, until: unknown): string {
  if (from === null) return until === null ? 'at any time' : `before ${cell(until)}`;
  return until === null ? `since ${cell(from)}` : `from ${cell(from)} until ${cell(until)}`;
}

function heldOf(row: Readonly<Record<string, unknown>>): [string, string] {
  const [from, until] = [cell(row['held_from']), cell(row['held_until'])];
  return [
    row['held_from_observed'] === false ? `<=${from}` : from,
    row['held_until_observed'] === false ? `>=${until}` : until,
  ];
}

/** How it was last, in kubectl's words. Only `Running` and `Terminating` may answer for the address now. */
function statusOf(row: Readonly<Record<string, unknown>>): string {
  if (row['host_network'] === true) return 'HostNetwork';
  if (row['finished'] === true) return 'Completed';
  if (row['held_until'] !== null) return 'Ended';
  return row['terminating'] === true ? 'Terminating' : 'Running';
}

function documentOf(value: unknown, format: 'json' | 'yaml'): string {
  return format === 'json' ? `${escapeInDocument(JSON.stringify(value, null, 2))}\n` : yaml(value);
}

function yaml(value: unknown): string {
  const document = new Document(value);
  visit(document, {
    // Only double-quoted scalars can hold an escape.
    Scalar(_key, node) {
      if (typeof node.value === 'string' && isUnsafe(node.value)) node.type = 'QUOTE_DOUBLE';
    },
    Pair(_key, { key }) {
      if (isScalar(key) && typeof key.value === 'string' && isUnsafe(key.value)) key.type = 'QUOTE_DOUBLE';
    },
  });
  return escapeInDocument(document.toString({ lineWidth: 0 }));
}

const COLUMNS = ['IP', 'NAMESPACE', 'POD', 'NODE', 'PHASE', 'WORKLOAD'];
const MORE_COLUMNS = ['OWNER', 'SERVICE-ACCOUNT', 'HOST-IP', 'READY', 'UID'];

function table(results: readonly Result[], wide: boolean): string {
  const header = wide ? [...COLUMNS, ...MORE_COLUMNS] : COLUMNS;
  const rows = results.map((result) =>
    (result.pod ? podRow(result.ip, result.pod) : missRow(result)).slice(0, header.length),
  );
  return columns([header, ...rows]);
}

/** Lines of cells, each under the other. */
export function columns(rows: readonly (readonly string[])[]): string {
  const [header = []] = rows;
  const width = (column: number): number => rows.reduce((most, row) => Math.max(most, row[column]?.length ?? 0), 0);
  const widths = header.map((_, column) => width(column));
  // What stands last in its line must not widen the column for the others: a reason can be a sentence.
  return rows
    .map((row) =>
      row.map((cell, column) => (column === row.length - 1 ? cell : cell.padEnd(widths[column] ?? 0))).join('  '),
    )
    .map((line) => `${line}\n`)
    .join('');
}

function podRow(ip: string, pod: Readonly<Record<string, unknown>>): string[] {
  const flags = ['terminating', 'inferred'].filter((flag) => pod[flag] === true);
  const phase = [cell(pod['phase']), ...flags].join(',');
  const basic = [
    oneLine(ip),
    cell(pod['namespace']),
    cell(pod['name']),
    cell(pod['node_name']),
    phase,
    kindAndName(pod['workload']),
  ];
  return [
    ...basic,
    kindAndName(pod['owner']),
    cell(pod['service_account']),
    cell(pod['host_ip']),
    pod['ready'] === undefined ? '-' : pod['ready'] === true ? 'yes' : 'no',
    cell(pod['uid']),
  ];
}

/** The reason stands where a pod has its workload. */
function missRow(result: Result): string[] {
  return [oneLine(result.ip), '-', '-', '-', '-', reasonOf(result)];
}

function reasonOf({ status, code = 'unknown', reason, message, candidates, before, after }: Result): string {
  if (status === 404) {
    const known = [
      ...(before ? [`; before: ${podOf(before)} until ${heldOf(before)[1]}`] : []),
      ...(after ? [`; after: ${podOf(after)} from ${heldOf(after)[0]}`] : []),
    ];
    return `none (${oneLine(reason ?? code)}${known.join('')})`;
  }
  if (status === 409) {
    const names = (candidates ?? []).map(({ namespace, name }) => `${namespace}/${name}`).join(', ');
    return `ambiguous${names ? `: ${oneLine(names, 1000)}` : ''}`;
  }
  return oneLine(`error ${status} ${code}${message ? `: ${message}` : ''}`, 500);
}

const cell = (value: unknown): string => (typeof value === 'string' && value !== '' ? oneLine(value, 253) : '-');

const podOf = (row: Readonly<Record<string, unknown>>): string => `${cell(row['namespace'])}/${cell(row['name'])}`;

function kindAndName(value: unknown): string {
  const { kind, name } = (value ?? {}) as { kind?: unknown; name?: unknown };
  return typeof kind === 'string' && typeof name === 'string' ? cell(`${kind}/${name}`) : '-';
}
