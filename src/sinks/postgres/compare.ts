import { TURNS } from '../../turns.ts';
import type { Session } from './database.ts';
import { digestOf } from './flush.ts';
import { groupKey } from './mirrored-table.ts';
import type { MirroredTable, Truth } from './mirrored-table.ts';
import type { Statements } from './statements.ts';

/** Rows in one statement, and how many of them are compared in one turn of the event loop. */
const PAGE = 10_000;
const PER_TURN = 250;
const CURSOR = 'podwhois_rows';

export interface Compared {
  /** Groups whose rows are not what they should be, or may not be. */
  readonly differing: ReadonlySet<string>;
  /** Groups in the table that should have no rows. */
  readonly gone: ReadonlySet<string>;
  /** Groups in the table. */
  readonly groups: number;
}

/** Reads back all rows that are ours and compares them with the truth. Writes nothing. */
export async function compare(
  session: Session,
  { table, statements, truth }: { table: MirroredTable; statements: Statements; truth: Truth },
): Promise<Compared> {
  const differing = new Set<string>();
  const gone = new Set<string>();
  const seen = new Set<string>();
  const scope = table.scope.map(({ value }) => value);
  const names = table.keys.map((_, k) => `k${k}`);
  // A cursor of this transaction: one pass over the table, in pieces that keep the time limits.
  await session.write(statements.declareCursor(CURSOR), scope);
  const fetch = async (): Promise<readonly Readonly<Record<string, string>>[]> =>
    await session.query(`FETCH ${PAGE} FROM ${CURSOR}`);
  for (let next = fetch(), isLast = false; !isLast;) {
    const page = await next;
    isLast = page.length < PAGE;
    if (!isLast) {
      // On its way while this page is compared. Its failure is told where it is awaited.
      next = fetch();
      next.catch(() => {});
    }
    for (let i = 0; i < page.length; i++) {
      if (i % PER_TURN === PER_TURN - 1) await TURNS.next();
      const row = page[i] ?? {};
      const keys = names.map((name) => row[name] ?? '');
      const group = groupKey(keys.slice(0, table.groupColumns));
      seen.add(group);
      const own = truth.rows(group);
      if (own.length === 0) gone.add(group);
      else if (table.digest === undefined) differing.add(group);
      else if (!own.some((one) => isRow(one, keys) && digestOf(one) === row['digest'])) differing.add(group);
    }
  }
  for await (const some of truth.groups()) {
    for (const group of some) if (!seen.has(group)) differing.add(group);
  }
  return { differing, gone, groups: seen.size };
}

const isRow = (row: readonly (string | null)[], keys: readonly string[]): boolean =>
  keys.every((key, i) => row[i] === key);
