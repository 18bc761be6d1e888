import { hash } from 'node:crypto';
import { Readable } from 'node:stream';
import { TURNS } from '../../turns.ts';
import { ByteText } from './byte-text.ts';
import type { Session } from './database.ts';
import { classify, INSUFFICIENT_PRIVILEGE, NoTemporaryTables, sqlState } from './error-class.ts';
import { groupValues } from './mirrored-table.ts';
import type { MirroredTable, Row, Value } from './mirrored-table.ts';
import type { Statements } from './statements.ts';
import { copyLine } from './values.ts';

/** Rows made in one turn of the event loop, at least: a tenth of a millisecond. */
const LEAST_PER_TURN = 8;
/** And at most: a third of a millisecond. */
const MOST_PER_TURN = 50;
/** A turn that takes longer anyway has more: for an eighth of its time. */
const ROWS_PER_MS = 16;
/** Groups that are prepared at once: what is made of them lives until it is sent, and the collector of garbage would carry it from place to place. */
const PREPARED = 500;
/** Sent at once, more or less, and made in one turn: rows may be large. */
const COPY_BYTES = 32 * 1024;
/** From so many groups on, COPY to a temporary table is faster than arrays. */
const MANY = 1_000;
/** Of what makes a temporary table; by the message it cannot be told, for that is in the language of the server. */
const REFUSALS: readonly string[] = [INSUFFICIENT_PRIVILEGE, '0A000', '42601'];
/** Groups, or rows of them, in one statement with arrays; also one piece of what is deleted. The text of all of them is made in one turn: a millisecond. */
const ARRAYS = 250;

export interface FlushOptions {
  readonly table: MirroredTable;
  readonly statements: Statements;
  /** Called before `rows` is asked for these. */
  readonly prepare?: (session: Session, groups: readonly string[]) => Promise<void>;
  readonly rows: (group: string) => readonly Row[];
  readonly mayDelete: (group: string) => boolean;
  /** How many groups one statement writes at most. */
  readonly batch: number;
  /** False where there are no temporary tables. */
  readonly copy: boolean;
  /** A value was refused the last time: find it, set it aside and write the others. */
  readonly careful: boolean;
  /** Proves that this process is the one that writes, and holds that until the commit. */
  readonly enter: (session: Session) => Promise<void>;
  readonly leave: (session: Session, poison: ReadonlyMap<string, string>) => Promise<void>;
}

export interface Flushed {
  readonly written: number;
  readonly deleted: number;
  /** What Postgres would not take, and why. */
  readonly poison: ReadonlyMap<string, string>;
  /** Called when the transaction is committed. */
  readonly committed?: () => void;
}

/** The row as it is written, with its digest where the table has one. */
export function withDigest(table: MirroredTable, row: Row): Row {
  const digest = digestIn(table, row);
  return digest === undefined ? row : [...row, digest];
}

/** undefined: the table has none. */
const digestIn = ({ digest }: MirroredTable, row: Row): string | undefined =>
  digest === undefined ? undefined : digestOf(row);

/** 128 bits. No value that Postgres takes holds a NUL, so that no two rows give the same text. */
export function digestOf(row: Row): string {
  for (const value of row) {
    if (value !== null) {
      DIGESTED.byte(1);
      DIGESTED.text(value);
    }
    DIGESTED.byte(0);
  }
  const digest = hash('sha256', DIGESTED.view(), 'hex').slice(0, 32);
  DIGESTED.clear();
  return digest;
}

/** Written and read in one step. */
const DIGESTED = new ByteText(16 * 1024);

/** Makes the table's groups what they should be; to be called in a transaction, which is all or nothing. */
export async function flush(session: Session, groups: readonly string[], options: FlushOptions): Promise<Flushed> {
  const { batch, copy, careful, enter, leave } = options;
  const poison = new Map<string, string>();
  let written = 0;
  let deleted = 0;
  if (copy && !careful && groups.length >= MANY && batch > ARRAYS) {
    // All of the sending first: while a COPY waits for a frozen client no time limit of the server ends it, and no lock may be held.
    const stages: { readonly name: string; readonly gone: readonly string[] }[] = [];
    for (const some of piecesOf(groups, batch)) {
      stages.push(await stage(session, some, `podwhois_${stages.length}`, options));
    }
    await enter(session);
    // What is to go first: a row that takes its place may be like it in what is unique in the table besides.
    for (const { name, gone } of stages) {
      deleted += await remove(session, gone, options);
      const others = options.statements.deleteOthersThanStage(name);
      if (others !== undefined) deleted += await session.write(others, scopeOf(options));
    }
    for (const { name } of stages) {
      written += await session.write(options.statements.upsertFromStage(name), scopeOf(options));
    }
  } else {
    await enter(session);
    for (const some of piecesOf(groups, Math.min(batch, ARRAYS))) {
      await options.prepare?.(session, some);
      const made = await rowsOf(some, options);
      const gone = [...made].filter(([, rows]) => rows.length === 0).map(([group]) => group);
      deleted += await remove(session, gone, options);
      const replace = careful ? bisect : replaceRows;
      const done = await replace(session, made, options, poison);
      written += done.written;
      deleted += done.deleted;
    }
  }
  await leave(session, poison);
  return { written, deleted, poison };
}

/** How many rows are made in a turn of the event loop, when the one before took so many milliseconds without them. */
export const rowsPerTurn = (ms: number): number =>
  Math.min(MOST_PER_TURN, Math.max(LEAST_PER_TURN, Math.floor(ms * ROWS_PER_MS)));

/** Of rows that are made: when others go first. */
class Pace {
  #left = LEAST_PER_TURN;

  /** After so many more, and a group without any. */
  isOver(rows: number): boolean {
    this.#left -= Math.max(rows, 1);
    return this.#left <= 0;
  }

  async next(): Promise<void> {
    this.#left = rowsPerTurn(await TURNS.next());
  }
}

type Made = ReadonlyMap<string, readonly Row[]>;

/** In the order of their names, so that two transactions lock them in the same one. */
async function rowsOf(groups: readonly string[], { table, rows }: FlushOptions): Promise<Made> {
  const made = new Map<string, readonly Row[]>();
  const pace = new Pace();
  for (const group of groups.toSorted()) {
    const own = rows(group).map((row) => withDigest(table, row));
    made.set(group, own);
    if (pace.isOver(own.length)) await pace.next();
  }
  return made;
}

async function stage(
  session: Session,
  groups: readonly string[],
  name: string,
  { table, statements, rows, prepare }: FlushOptions,
): Promise<{ readonly name: string; readonly gone: readonly string[] }> {
  const gone: string[] = [];
  const text = new ByteText(2 * COPY_BYTES);
  async function* lines(some: readonly string[]): AsyncGenerator<Buffer> {
    const pace = new Pace();
    for (const group of some) {
      const own = rows(group);
      if (own.length === 0) gone.push(group);
      for (const row of own.length === 0 ? [undefined] : own) {
        if (row) copyLine(text, row, digestIn(table, row));
        const isFull = text.length >= COPY_BYTES;
        if (isFull) yield text.take();
        if (pace.isOver(1) || isFull) await pace.next();
      }
    }
    if (text.length > 0) yield text.take();
  }
  await session.write(statements.createStage(name)).catch((error: unknown) => {
    throw REFUSALS.includes(sqlState(error) ?? '') ? new NoTemporaryTables(error as Error) : error;
  });
  for (const some of prepare ? piecesOf(groups, PREPARED) : [groups]) {
    await prepare?.(session, some);
    await session.copyIn(statements.copyInto(name), Readable.from(lines(some)));
  }
  return { name, gone };
}

async function writeArrays(session: Session, made: Made, { statements, ...options }: FlushOptions): Promise<number> {
  let written = 0;
  for (const rows of piecesOf([...made.values()].flat(), ARRAYS)) {
    const columns = statements.written.map((_, i) => rows.map((row) => row[i] ?? null));
    written += await session.write(statements.upsertFromArrays, [...scopeOf(options), ...columns]);
  }
  return written;
}

type Replaced = Pick<Flushed, 'written' | 'deleted'>;

async function replaceRows(session: Session, made: Made, options: FlushOptions): Promise<Replaced> {
  const deleted = await removeOthers(session, made, options);
  return { written: await writeArrays(session, made, options), deleted };
}

/** Halves what is refused until the one group is found, and leaves it out, as it is. */
async function bisect(
  session: Session,
  made: Made,
  options: FlushOptions,
  poison: Map<string, string>,
): Promise<Replaced> {
  await session.write('SAVEPOINT podwhois');
  try {
    return await replaceRows(session, made, options);
  } catch (error) {
    if (classify(error) !== 'poison') throw error;
    await session.write('ROLLBACK TO SAVEPOINT podwhois');
    const groups = [...made];
    if (groups.length === 1) {
      for (const [group] of groups) poison.set(group, (error as Error).message);
      return { written: 0, deleted: 0 };
    }
    const middle = Math.ceil(groups.length / 2);
    const a = await bisect(session, new Map(groups.slice(0, middle)), options, poison);
    const b = await bisect(session, new Map(groups.slice(middle)), options, poison);
    return { written: a.written + b.written, deleted: a.deleted + b.deleted };
  }
}

async function remove(session: Session, groups: readonly string[], options: FlushOptions): Promise<number> {
  let deleted = 0;
  for (const some of piecesOf(groups.filter(options.mayDelete), ARRAYS)) {
    const columns = options.statements.groups.map((_, i) => some.map((group) => groupValues(group)[i] ?? ''));
    deleted += await session.write(options.statements.deleteGroups, [...scopeOf(options), ...columns]);
  }
  return deleted;
}

/** Of a group that has rows, those that it should not have. */
async function removeOthers(
  session: Session,
  made: Made,
  { statements, table, ...options }: FlushOptions,
): Promise<number> {
  const kept = [...made].filter(([, rows]) => rows.length > 0);
  if (statements.deleteOthers === undefined || kept.length === 0) return 0;
  const groups = statements.groups.map((_, i) => kept.map(([group]) => groupValues(group)[i] ?? ''));
  const rows = kept.flatMap(([, own]) => own);
  const keys = table.keys.map((_, i) => rows.map((row) => row[i] ?? null));
  return await session.write(statements.deleteOthers, [...scopeOf({ table, ...options }), ...groups, ...keys]);
}

const scopeOf = ({ table }: Pick<FlushOptions, 'table'>): readonly Value[] => table.scope.map(({ value }) => value);

function* piecesOf<T>(all: readonly T[], size: number): Generator<readonly T[]> {
  for (let from = 0; from < all.length; from += size) yield all.slice(from, from + size);
}
