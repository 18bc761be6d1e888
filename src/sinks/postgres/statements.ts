import type { Column, MirroredTable } from './mirrored-table.ts';
import { qualified, quoted } from './sql.ts';

/** The SQL of one mirrored table. Names are quoted, values are parameters; the scope's values come first among them. */
export interface Statements {
  /** Of the columns that are written, without the scope's. */
  readonly written: readonly Column[];
  readonly groups: readonly Column[];
  createStage(stage: string): string;
  copyInto(stage: string): string;
  upsertFromStage(stage: string): string;
  /** Rows of the stage's groups that it does not have. Parameters: the scope's values. undefined: a group is one row. */
  deleteOthersThanStage(stage: string): string | undefined;
  /** Parameters: the scope's values, then one array of texts for each written column. */
  readonly upsertFromArrays: string;
  /** Parameters: the scope's values, then one array for each column of the group. */
  readonly deleteGroups: string;
  /** Rows of these groups that are not among these keys: the scope's values, the groups' arrays, the keys' arrays. undefined: a group is one row. */
  readonly deleteOthers: string | undefined;
  /** Keys as text (`k0`, `k1`, …) and the digest of all rows that are ours. Parameters: the scope's values. */
  declareCursor(cursor: string): string;
}

export function statementsOf(table: MirroredTable): Statements {
  const { scope, keys, values, digest } = table;
  const target = qualified(table.schema, table.name);
  const digests: readonly Column[] = digest === undefined ? [] : [{ name: digest, type: 'text' }];
  const written = [...keys, ...values, ...digests];
  const groups = keys.slice(0, table.groupColumns);
  const hasOneRow = groups.length === keys.length;
  const names = (columns: readonly Column[], prefix = ''): string =>
    columns.map(({ name }) => prefix + quoted(name)).join(', ');
  const scopeValues = scope.map(({ type }, i) => `$${i + 1}::${type}`).join(', ');
  const isOurs = scope.map(({ name, type }, i) => `t.${quoted(name)} = $${i + 1}::${type}`).join(' AND ') || 'true';
  const arrays = (columns: readonly Column[], from: number): string =>
    columns.map((_, i) => `$${from + i}::text[]`).join(', ');
  const equal = (columns: readonly Column[], other: string): string =>
    columns.map(({ name, type }, i) => `t.${quoted(name)} = ${other}.c${i}::${type}`).join(' AND ');
  const aliases = (columns: readonly Column[]): string => columns.map((_, i) => `c${i}`).join(', ');
  const compared = digest === undefined ? values : digests;
  const first = scope.length + 1;

  const upsert = (source: string): string =>
    `INSERT INTO ${target} AS t (${names([...scope, ...written])}) ${source}
     ON CONFLICT (${names([...scope, ...keys])}) ` +
    (values.length === 0
      ? 'DO NOTHING'
      : `DO UPDATE SET ${[...values, ...digests].map(({ name }) => `${quoted(name)} = EXCLUDED.${quoted(name)}`).join(', ')}
     WHERE (${names(compared, 't.')}) IS DISTINCT FROM (${names(compared, 'EXCLUDED.')})`);
  const select = (list: readonly string[]): string => [scopeValues, ...list].filter((part) => part !== '').join(', ');

  return {
    written,
    groups,
    createStage: (stage) =>
      `CREATE TEMPORARY TABLE ${quoted(stage)} ON COMMIT DROP AS SELECT ${names(written)} FROM ${target} WITH NO DATA`,
    copyInto: (stage) => `COPY pg_temp.${quoted(stage)} (${names(written)}) FROM STDIN`,
    upsertFromStage: (stage) => upsert(`SELECT ${select([names(written)])} FROM pg_temp.${quoted(stage)}`),
    upsertFromArrays: upsert(
      `SELECT ${select(written.map(({ type }, i) => `u.c${i}::${type}`))}
       FROM unnest(${arrays(written, first)}) AS u (${aliases(written)})`,
    ),
    deleteOthersThanStage: (stage) => {
      const inStage = (columns: readonly Column[]): string =>
        `EXISTS (SELECT FROM pg_temp.${quoted(stage)} AS s WHERE ${columns.map(({ name }) => `s.${quoted(name)} = t.${quoted(name)}`).join(' AND ')})`;
      return hasOneRow
        ? undefined
        : `DELETE FROM ${target} AS t WHERE ${isOurs} AND ${inStage(groups)} AND NOT ${inStage(keys)}`;
    },
    deleteGroups: `DELETE FROM ${target} AS t USING unnest(${arrays(groups, first)}) AS g (${aliases(groups)})
     WHERE ${isOurs} AND ${equal(groups, 'g')}`,
    deleteOthers: hasOneRow
      ? undefined
      : `DELETE FROM ${target} AS t USING unnest(${arrays(groups, first)}) AS g (${aliases(groups)})
     WHERE ${isOurs} AND ${equal(groups, 'g')} AND NOT EXISTS (
       SELECT FROM unnest(${arrays(keys, first + groups.length)}) AS k (${aliases(keys)}) WHERE ${equal(keys, 'k')})`,
    declareCursor: (cursor) => {
      const texts = keys.map(({ name }, i) => `t.${quoted(name)}::text AS k${i}`);
      const columns = digest === undefined ? texts : [...texts, `t.${quoted(digest)} AS digest`];
      return `DECLARE ${quoted(cursor)} NO SCROLL CURSOR FOR SELECT ${columns.join(', ')} FROM ${target} AS t WHERE ${isOurs}`;
    },
  };
}
