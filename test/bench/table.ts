/** One line of the report: what was measured, against which target of performance.md, and whether it holds. */
export interface Row {
  readonly what: string;
  readonly ours: string;
  readonly floor: string;
  readonly result: string;
  readonly target: string;
  /** undefined: the row only informs. */
  readonly met: boolean | undefined;
}

const COLUMNS = ['what', 'ours', 'floor', 'result', 'target'] as const;

/** Prints the rows as one aligned table; ✓ reached, ✗ missed, · informs. */
export function printTable(rows: readonly Row[]): string {
  const widths = COLUMNS.map((column) => Math.max(column.length, ...rows.map((row) => row[column].length)));
  const line = (cells: readonly string[]): string =>
    cells
      .map((cell, i) => cell.padEnd(widths[i] ?? 0))
      .join('  ')
      .trimEnd();
  const mark = (row: Row): string => (row.met === undefined ? '·' : row.met ? '✓' : '✗');
  return [
    `  ${line(COLUMNS)}`,
    `  ${line(widths.map((width) => '─'.repeat(width)))}`,
    ...rows.map((row) => `${mark(row)} ${line(COLUMNS.map((column) => row[column]))}`),
  ].join('\n');
}
