import { setImmediate as nextTurn } from 'node:timers/promises';
import { erasBehind, laterBy } from '../../index/history/eras.ts';
import type { Knowledge } from '../../index/history/merge.ts';
import { merge, mergeWatched } from '../../index/history/merge.ts';
import type { Piece, Stretch } from '../../index/history/piece.ts';
import type { ResourceVersion } from '../../pod.ts';
import { compareResourceVersions } from '../../resource-version.ts';
import type { Compared } from '../postgres/compare.ts';
import type { Session } from '../postgres/database.ts';
import { flush } from '../postgres/flush.ts';
import type { Flushed } from '../postgres/flush.ts';
import { groupKey, groupValues } from '../postgres/mirrored-table.ts';
import type { MirroredTable, Row } from '../postgres/mirrored-table.ts';
import { statementsOf } from '../postgres/statements.ts';
import type { Statements } from '../postgres/statements.ts';
import type { Manner, Target } from '../postgres/target.ts';
import { HistoryStore } from './history-store.ts';
import type { Course } from './history-store.ts';
import { historyRow, historyTable, rowKey, sameRow } from './history-table.ts';

/** What is written down in memory of who held which address: by the wall clock. `IpRecorder` is one. */
export interface Recorded {
  /** Everything has been compared once. */
  readonly isReady: boolean;
  /** How many pieces there are, more or less. */
  readonly intervals: number;
  now(): number;
  /** Every pod at every address of which there are pieces; '' is an object that could not be read. */
  keys(): Iterable<readonly [ip: string, uid: string]>;
  pieces(ip: string, uid: string): readonly Piece[];
  /** When it was watching, as far as that is proven: there the pieces are all there is. */
  stretches(): readonly Stretch[];
  onChange(listener: (ip: string, uid: string) => void): () => void;
}

export interface HistoryTargetOptions {
  readonly schema: string;
  readonly cluster: string;
  readonly recorded: Recorded;
  /** Whether the pods may be believed. */
  readonly source: { readonly synced: boolean };
  readonly retentionMs: number;
}

/**
 * So much longer than the retention everything is there: what a question was asked within it must not go between its statements, of which the
 * first says that somebody was watching. A question takes two seconds, and the rest is for clocks that differ.
 */
const SLACK_MS = 60_000;
/** Pods at addresses that are read in one statement. */
const PER_READ = 500;
/** Those that are merged in one turn of the event loop: about a millisecond. */
const PER_TURN = 20;
/** Those that are only looked at. */
const LOOKED_AT_PER_TURN = 250;

/** What memory knows of a group. */
interface Heard extends Course, Knowledge {
  readonly group: string;
}

/**
 * The history of addresses in Postgres. A group is one pod at one address. What is there is read, merged with what memory knows, and
 * what differs is written: so it does not matter who wrote it, and whether a commit that nobody acknowledged was done.
 */
export class HistoryTarget implements Target {
  readonly name = 'ip_history';
  readonly #options: HistoryTargetOptions;
  readonly #table: MirroredTable;
  readonly #statements: Statements;
  readonly #store: HistoryStore;
  #changed = new Set<string>();
  /** How many eras later than memory says it is: see `#align`. */
  #eras = 0;
  /** Since when memory is known to be behind what is archived. */
  #behindSince: number | undefined;

  constructor(options: HistoryTargetOptions) {
    this.#options = options;
    this.#table = historyTable(options.schema, options.cluster);
    this.#statements = statementsOf(this.#table);
    this.#store = new HistoryStore(options.schema, options.cluster);
  }

  get ready(): boolean {
    return this.#options.source.synced && this.#options.recorded.isReady;
  }

  get size(): number {
    return this.#options.recorded.intervals;
  }

  changed(): Iterable<string> {
    const changed = this.#changed;
    this.#changed = new Set();
    return changed;
  }

  onChange(wake: () => void): () => void {
    return this.#options.recorded.onChange((ip, uid) => {
      this.#changed.add(groupKey([ip, uid]));
      wake();
    });
  }

  /** Everything that memory knows, and everything that is open there, is to be merged. */
  async compare(session: Session): Promise<Compared | 'later'> {
    const archived = await this.#store.watched(session);
    const open = await this.#store.open(session);
    const newest = open.map(({ sinceVersion }) => sinceVersion);
    if (!this.#align(archived, newest)) return 'later';
    const { recorded } = this.#options;
    const differing = new Set<string>();
    let looked = 0;
    for (const key of recorded.keys()) {
      differing.add(groupKey(key));
      if (++looked % LOOKED_AT_PER_TURN === 0) await nextTurn();
    }
    const gone = new Set<string>();
    for (const { ip, uid } of open) {
      const group = groupKey([ip, uid]);
      if (!differing.has(group) || recorded.pieces(ip, uid).at(-1)?.until !== undefined) gone.add(group);
      if (++looked % LOOKED_AT_PER_TURN === 0) await nextTurn();
    }
    return { differing, gone, groups: open.length };
  }

  claim(): (session: Session) => Promise<void> {
    const own = this.#recent(this.#watched());
    return async (session) => {
      const archived = await this.#store.watched(session);
      // What was dropped meanwhile may not have been written.
      const left = reachable(own, this.#watched()[0]);
      await this.#store.replaceWatched(session, archived, mergeWatched(archived, left));
    };
  }

  async flush(session: Session, groups: readonly string[], manner: Manner): Promise<Flushed> {
    const archived = await this.#store.watched(session);
    const rows = new Map<string, readonly Row[]>();
    const obsolete = new Map<string, readonly Row[]>();
    let deleted = 0;
    const done = await flush(session, groups, {
      ...manner,
      table: this.#table,
      statements: this.#statements,
      prepare: async (own, some) => {
        rows.clear();
        await this.#merge(own, some, { archived, rows, obsolete });
      },
      rows: (group) => rows.get(group) ?? [],
      // Of most groups nothing is to be written: that is no reason to delete what is there.
      mayDelete: () => false,
      leave: async (own, poison) => {
        const gone = [...obsolete].flatMap(([group, some]) => (poison.has(group) ? [] : some));
        deleted = await this.#store.remove(own, this.#statements, gone);
        await manner.leave(own);
      },
    });
    return { ...done, deleted };
  }

  async prune(session: Session): Promise<{ readonly deleted: number; readonly more: boolean }> {
    return await this.#store.prune(session, this.#options.recorded.now(), this.#keptMs);
  }

  /** What is to be written of some groups, and which rows are not to be there any more. */
  async #merge(
    session: Session,
    groups: readonly string[],
    made: { archived: readonly Stretch[]; rows: Map<string, readonly Row[]>; obsolete: Map<string, readonly Row[]> },
  ): Promise<void> {
    for (let from = 0; from < groups.length; from += PER_READ) {
      const heard: Heard[] = [];
      for (const some of turns(groups.slice(from, from + PER_READ))) {
        heard.push(...this.#hear(some));
        await nextTurn();
      }
      const found = Map.groupBy(await this.#store.read(session, heard), ({ ip, holder }) =>
        groupKey([ip, holder?.uid ?? '']),
      );
      for (const some of turns(heard)) {
        for (const one of some) {
          const { news, gone } = this.#differences(one, found.get(one.group) ?? [], made.archived);
          made.rows.set(one.group, news);
          if (gone.length > 0) made.obsolete.set(one.group, gone);
        }
        await nextTurn();
      }
    }
  }

  /** What memory knows of some groups. When it watched must be of the same moment: whoever began anew in between has other pieces. */
  #hear(groups: readonly string[]): readonly Heard[] {
    const watched = this.#watched();
    return groups.map((group) => {
      const [ip = '', uid = ''] = groupValues(group);
      const { pieces } = this.#later({ pieces: this.#options.recorded.pieces(ip, uid), watched: [] });
      return { group, ip, uid, pieces, watched, sinceVersion: pieces[0]?.sinceVersion };
    });
  }

  #differences(
    heard: Heard,
    there: readonly Piece[],
    archived: readonly Stretch[],
  ): { readonly news: readonly Row[]; readonly gone: readonly Row[] } {
    const known = { pieces: there, watched: since(archived, heard.sinceVersion ?? there[0]?.sinceVersion, there) };
    const before = new Map(there.map(historyRow).map((row) => [rowKey(row), row]));
    const news: Row[] = [];
    for (const piece of merge(heard, known)) {
      const row = historyRow(piece);
      const key = rowKey(row);
      const old = before.get(key);
      before.delete(key);
      // What is too old is left to pruning.
      const isRecent = (piece.until ?? Infinity) >= this.#horizon;
      if (isRecent && (old === undefined || !sameRow(row, old))) news.push(row);
    }
    return { news, gone: [...before.values()] };
  }

  #watched(): readonly Stretch[] {
    return this.#later({ pieces: [], watched: this.#options.recorded.stretches() }).watched;
  }

  /** What would be pruned at once is not written. */
  #recent(watched: readonly Stretch[]): readonly Stretch[] {
    const horizon = this.#horizon;
    return watched
      .filter(({ until }) => until >= horizon)
      .map((stretch) => ({ ...stretch, from: Math.max(stretch.from, horizon) }));
  }

  get #horizon(): number {
    return this.#options.recorded.now() - this.#keptMs;
  }

  get #keptMs(): number {
    return this.#options.retentionMs + SLACK_MS;
  }

  #later(known: Knowledge): Knowledge {
    return laterBy(known, this.#eras);
  }

  /**
   * Finds out in which era memory is. Whoever has the lease, and has heard everything that was so when it got it, cannot be behind what
   * was archived before: if its versions are older, etcd was restored (rule B8) while it was not there, and a new era has begun.
   */
  #align(archived: readonly Stretch[], open: readonly ResourceVersion[]): boolean {
    const own = this.#options.recorded.stretches();
    this.#eras = Math.max(this.#eras, erasBehind(own, archived));
    const latest = [...archived.map(({ untilVersion }) => untilVersion), ...open].reduce(newer, '');
    const version = this.#watched().at(-1)?.untilVersion ?? '';
    if (compareResourceVersions(version, latest) >= 0) {
      this.#behindSince = undefined;
      return true;
    }
    this.#behindSince ??= this.#options.recorded.now();
    if ((own.at(-1)?.until ?? 0) <= this.#behindSince) return false;
    this.#eras++;
    this.#behindSince = undefined;
    return true;
  }
}

function* turns<T>(all: readonly T[]): Generator<readonly T[]> {
  for (let from = 0; from < all.length; from += PER_TURN) yield all.slice(from, from + PER_TURN);
}

/** What is left of stretches from `first` on. */
const reachable = (watched: readonly Stretch[], first: Stretch | undefined): readonly Stretch[] =>
  watched.flatMap((stretch) =>
    first === undefined || stretch.until < first.from || isOlder(stretch.untilVersion, first.sinceVersion)
      ? []
      : {
          ...stretch,
          from: Math.max(stretch.from, first.from),
          sinceVersion: newer(stretch.sinceVersion, first.sinceVersion),
        },
  );

const isOlder = (a: ResourceVersion, b: ResourceVersion): boolean => compareResourceVersions(a, b) < 0;

const newer = (a: ResourceVersion, b: ResourceVersion): ResourceVersion => (isOlder(a, b) ? b : a);

/**
 * Of what was read all is there from a version on. Of whom there is nothing, nothing is said: the row may have been refused, or pruned.
 */
function since(
  watched: readonly Stretch[],
  version: ResourceVersion | undefined,
  there: readonly Piece[],
): readonly Stretch[] {
  if (there.length === 0 || version === undefined) return [];
  return watched.filter(({ sinceVersion }) => compareResourceVersions(sinceVersion, version) >= 0);
}
