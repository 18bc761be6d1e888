import type { Course, Window } from '../../index/history/recall.ts';
import type { Piece, Stretch } from '../../index/history/piece.ts';
import { inTurns } from '../../turns.ts';
import { failureOf } from '../postgres/advice.ts';
import { withValues } from '../postgres/sql.ts';
import type { Database, Log, Session, TimeLimits } from '../postgres/database.ts';
import type { Clock } from '../postgres/writer.ts';
import { historyStatements } from './history-statements.ts';
import type { HistoryStatements, Whose } from './history-statements.ts';
import { piecesOf, stretchesOf } from './history-rows.ts';
import type { PieceRow, StretchRow } from './history-rows.ts';

/** Whoever asks waits no longer than this for all of it. */
const PATIENCE_MS = 2_000;

/** For the connections that read. What has lost whoever asked ends soon after. */
export const READ_LIMITS: TimeLimits = {
  connect: PATIENCE_MS,
  query: PATIENCE_MS,
  statement: PATIENCE_MS,
  idleInTransaction: 5_000,
};

/** Reads under way, those included whose asker has given up. */
const MOST_READS = 64;
/** Read for one page of a search, of which strangers' rows leave less. */
const MOST_PAGES = 20;
/** What stays wrong is said again this often. */
const REMIND_MS = 60_000;

export interface ArchiveOptions {
  /** Of its own: whoever reads waits for no writer. */
  readonly database: Pick<Database, 'place' | 'transaction'>;
  readonly schema: string;
  readonly cluster: string;
  readonly retentionMs: number;
  readonly clock: Clock;
  readonly log: Log;
}

/** For metrics; the numbers only grow. */
export type ReadCounts = Record<'ok' | 'failed' | 'refused', number>;

interface Search {
  readonly whose: Whose;
  readonly since: number;
  readonly until: number;
  readonly after: readonly [from: number, ip: string, uid: string] | undefined;
  readonly size: number;
  readonly recent: number;
  readonly courses: (watched: readonly Stretch[]) => readonly Course[];
  readonly isWanted: (piece: Piece) => boolean;
}

/**
 * Reads what `ip_history` holds of one cluster. Each reading is one transaction, which first asks when somebody was watching and then for
 * rows: so what is claimed to have been watched is there.
 */
export class HistoryArchive {
  readonly retentionMs: number;
  readonly counts: ReadCounts = { ok: 0, failed: 0, refused: 0 };
  readonly #options: ArchiveOptions;
  readonly #statements: HistoryStatements;
  #reads = 0;
  #saidAt = -Infinity;

  constructor(options: ArchiveOptions) {
    this.#options = options;
    this.retentionMs = options.retentionMs;
    this.#statements = historyStatements(options.schema);
  }

  /**
   * The rows that are chosen once it is known who was watching when; of an address or hold with hundreds of them, those that decide. `guess`: what
   * will most likely be the only window, which is read with the first journey.
   */
  async recall(
    choose: (watched: readonly Stretch[]) => {
      readonly windows: readonly Window[];
      readonly courses: readonly Course[];
    },
    guess?: Window,
  ): Promise<readonly Piece[]> {
    const { touching } = this.#statements;
    const early = guess && withValues(touching, [this.#options.cluster, [guess.ip], [guess.from], [guess.until]]);
    return await this.#read(async (session, { watched, rows }) => {
      const { windows, courses } = choose(watched);
      const isGuessed = guess !== undefined && windows.every((window) => isSame(window, guess));
      const found = isGuessed
        ? [...(await inTurns(piecesOf(rows)))]
        : [...(await this.#pieces(session, touching, windows, ofWindow))];
      const doubtful = new Set(found.filter(({ holder }) => !holder).map(({ ip }) => ip));
      const wide = windows.filter(({ ip, neighbours }) => neighbours || doubtful.has(ip));
      found.push(...(await this.#pieces(session, this.#statements.neighbours, wide, ofWindow)));
      found.push(...(await this.#pieces(session, this.#statements.courses, courses, ofCourse)));
      const goOn = new Map(found.filter(({ goesOn }) => goesOn).map((piece) => [ofHold(piece).join(' '), piece]));
      return [...found, ...(await this.#pieces(session, this.#statements.ends, [...goOn.values()], ofHold))];
    }, early);
  }

  async search(search: Search): Promise<{
    readonly watched: readonly Stretch[];
    readonly recent: readonly Piece[];
    readonly old: readonly Piece[];
  }> {
    const { cluster } = this.#options;
    const { whose, since, until, after, size, recent: end } = search;
    const { recent, old } = this.#statements.search(whose);
    return await this.#read(async (session, { watched }) => {
      const courses = await this.#pieces(session, this.#statements.courses, search.courses(watched), ofCourse);
      const both = [cluster, ...Object.values(whose), end];
      const recently = await inTurns(piecesOf(await session.query<PieceRow>(recent, both)));
      const page: Piece[] = [];
      let from = after ?? [-Infinity, '', ''];
      // A page of what strangers have written, or nobody wants, is none: only where rows end is there no more.
      for (let pages = 0; ; pages++) {
        if (pages === MOST_PAGES) throw new Error('ip_history is full of rows that podwhois has not written');
        const rows = await session.query<PieceRow>(old, [...both, since, until, size, ...from]);
        page.push(...(await inTurns(piecesOf(rows))).filter((piece) => search.isWanted(piece)));
        const last = rows.at(-1);
        if (page.length >= size || rows.length < size || !last) break;
        from = [last.held_from, last.ip, last.uid];
      }
      return { watched, recent: [...courses, ...recently], old: page };
    });
  }

  /** One statement for all of them; none where there is nothing to ask. */
  async #pieces<T>(
    session: Session,
    statement: string,
    asked: readonly T[],
    valuesOf: (one: T) => Values,
  ): Promise<readonly Piece[]> {
    if (asked.length === 0) return [];
    const values = asked.map(valuesOf);
    const columns = [0, 1, 2].map((i) => values.map((one) => one[i]));
    return await inTurns(piecesOf(await session.query<PieceRow>(statement, [this.#options.cluster, ...columns])));
  }

  /** `early`: a statement for rows, sent with the beginning. */
  async #read<T>(work: (session: Session, early: Early) => Promise<T>, early?: string): Promise<T> {
    const { database, clock } = this.#options;
    if (this.#reads >= MOST_READS) {
      this.counts.refused++;
      throw new Error('too many are reading the history already');
    }
    this.#reads++;
    const answered = new AbortController();
    const { promise: read, resolve, reject } = Promise.withResolvers<T>();
    // What was read is right however its transaction ends: nobody waits for the COMMIT. Whoever comes too late fails unheard.
    void database
      .transaction(
        async (session, [stretches = [], rows = []]) => {
          const watched = stretchesOf(stretches as readonly StretchRow[]);
          resolve(await work(session, { watched, rows: rows as readonly PieceRow[] }));
        },
        [withValues(this.#statements.watched, [this.#options.cluster]), ...(early === undefined ? [] : [early])],
      )
      .catch(reject)
      .finally(() => this.#reads--);
    try {
      const late = clock.sleep(PATIENCE_MS, answered.signal).then(() => LATE);
      const result = await Promise.race([read, late]);
      if (result === LATE) throw new Error(`no answer within ${PATIENCE_MS} ms`);
      this.counts.ok++;
      return result as T;
    } catch (error) {
      this.#failed(error);
      throw error;
    } finally {
      answered.abort();
      read.catch(() => undefined);
    }
  }

  #failed(error: unknown): void {
    const { clock, log, database } = this.#options;
    this.counts.failed++;
    if (clock.now() - this.#saidAt < REMIND_MS) return;
    this.#saidAt = clock.now();
    log.warn(
      { database: database.place, ...failureOf(error) },
      'the history in Postgres cannot be read: what memory does not know is not answered',
    );
  }
}

/** What came with the beginning. */
interface Early {
  readonly watched: readonly Stretch[];
  /** Of what was asked for besides. */
  readonly rows: readonly PieceRow[];
}

const LATE = Symbol('late');

type Value = string | number | undefined;
type Values = readonly [Value, Value, Value];

const isSame = (a: Window, b: Window): boolean => a.ip === b.ip && a.from === b.from && a.until === b.until;

const ofWindow = ({ ip, from, until }: Window): Values => [ip, from, until];
const ofCourse = ({ ip, uid, sinceVersion }: Course): Values => [ip, uid, sinceVersion];
const ofHold = ({ ip, holder, heldFrom }: Piece): Values => [ip, holder?.uid ?? '', heldFrom];
