import { erasBehind, laterBy } from '../../index/history/eras.ts';
import { fillsHole } from '../../index/history/fills-hole.ts';
import type { Knowledge } from '../../index/history/merge.ts';
import { mergeWatched } from '../../index/history/merge.ts';
import type { Piece, Stretch } from '../../index/history/piece.ts';
import type { Steps } from '../../index/history/steps.ts';
import type { ResourceVersion } from '../../pod.ts';
import { compareResourceVersions, erasLater, isOlder, newer } from '../../resource-version.ts';
import { inTurns, TURNS } from '../../turns.ts';
import type { Compared } from '../postgres/compare.ts';
import type { Session } from '../postgres/database.ts';
import { flush } from '../postgres/flush.ts';
import type { Flushed } from '../postgres/flush.ts';
import { groupKey, groupValues } from '../postgres/mirrored-table.ts';
import type { MirroredTable, Row } from '../postgres/mirrored-table.ts';
import { statementsOf } from '../postgres/statements.ts';
import type { Statements } from '../postgres/statements.ts';
import type { Manner, Target } from '../postgres/target.ts';
import { differences, newsOf } from './history-differences.ts';
import type { Heard } from './history-differences.ts';
import { HistoryStore } from './history-store.ts';
import { historyRow, historyTable } from './history-table.ts';

/** What is written down in memory of who held which address: by the wall clock. `IpRecorder` is one. */
export interface Recorded {
  /** Everything has been compared once. */
  readonly isReady: boolean;
  /** How many pieces there are, more or less. */
  readonly intervals: number;
  now(): number;
  /** Every pod at every address of which there are pieces; '' is an object that could not be read. */
  keys(): Iterable<readonly [ip: string, uid: string]>;
  /** `since`: without what had ended by that version. undefined where that may be much, or is not one plain hold: `pieces` tells. */
  whole(ip: string, uid: string, since?: ResourceVersion): readonly Piece[] | undefined;
  /** The same, also of much. As they are now, whenever the steps are made. */
  pieces(ip: string, uid: string, since?: ResourceVersion): Steps<readonly Piece[]>;
  isHeld(ip: string, uid: string): boolean;
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
/** Of a group with so many pieces it is remembered up to where they are written. */
const MANY = 16;

/** What is to be written of some groups, and what comes of it. */
interface Made {
  /** When somebody was watching, by what is archived. */
  readonly watched: readonly Stretch[];
  /**
   * Rows are made of them when they are sent. A new map each time: `clear` leaves the old table behind with all its pieces, and with a pointer
   * to the next one. Once one of them has become old, all that follow are carried out of the young generation, for the long collections
   * to find.
   */
  news: Map<string, readonly Piece[]>;
  /** Of groups that may have any number: they were made in turns. */
  rows: Map<string, readonly Row[]>;
  /** Which rows are not to be there any more. */
  readonly obsolete: Map<string, readonly Row[]>;
  /** Once that is committed. */
  readonly upTo: Map<string, ResourceVersion | undefined>;
}

/**
 * The history of addresses in Postgres. A group is one pod at one address. What is there is read, merged with what memory knows, and
 * what differs is written: so it does not matter who wrote it, and whether a commit that nobody acknowledged was done. Of a group with many
 * pieces that is done once. From then on nobody else writes, what memory adds comes later, and only the last piece and what follows it
 * is read and merged: a pod that is labelled anew without end costs what is new.
 */
export class HistoryTarget implements Target {
  readonly name = 'ip_history';
  readonly #options: HistoryTargetOptions;
  readonly #table: MirroredTable;
  readonly #statements: Statements;
  readonly #store: HistoryStore;
  /** Since it was last asked for, which is after each wake. */
  #changed: string[] = [];
  /** By group: where the last one begins of the pieces that are written; memory's version. Of pods that hold an address to this day. */
  readonly #upTo = new Map<string, ResourceVersion>();
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
    this.#changed = [];
    return changed;
  }

  onChange(wake: () => void): () => void {
    return this.#options.recorded.onChange((ip, uid) => {
      const group = groupKey([ip, uid]);
      // An array that is begun empty has room for sixteen, and nearly always there is one.
      if (this.#changed.length === 0) this.#changed = [group];
      else this.#changed.push(group);
      wake();
    });
  }

  /**
   * Everything that memory knows is to be merged, and of what it does not know everything that is open there, or ended after memory began
   * to watch: it was gone by then.
   */
  async compare(session: Session): Promise<Compared | 'later'> {
    // Another one may have written meanwhile.
    this.#upTo.clear();
    const archived = await this.#store.watched(session);
    const { recorded } = this.#options;
    const late = await this.#store.lately(session, this.#watched()[0]);
    const open = late.filter(({ isOpen }) => isOpen);
    const newest = open.map(({ sinceVersion }) => sinceVersion);
    if (!this.#align(archived, newest)) return 'later';
    const differing = new Set<string>();
    let looked = 0;
    for (const key of recorded.keys()) {
      differing.add(groupKey(key));
      if (++looked % LOOKED_AT_PER_TURN === 0) await TURNS.next();
    }
    const gone = new Set<string>();
    for (const { ip, uid, isOpen } of late) {
      if (!isOpen) differing.add(groupKey([ip, uid]));
      else if (!recorded.isHeld(ip, uid)) gone.add(groupKey([ip, uid]));
      if (++looked % LOOKED_AT_PER_TURN === 0) await TURNS.next();
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

  /** What is soon pruned is not worth it. */
  async misses(session: Session): Promise<boolean> {
    const { recorded, retentionMs } = this.#options;
    const since = recorded.now() - retentionMs;
    const own = this.#watched().filter(({ until }) => until >= since);
    return fillsHole(await this.#store.watched(session), own);
  }

  async flush(session: Session, groups: readonly string[], manner: Manner): Promise<Flushed> {
    const watched = await this.#store.watched(session);
    const made: Made = { watched, news: new Map(), rows: new Map(), obsolete: new Map(), upTo: new Map() };
    let deleted = 0;
    const done = await flush(session, groups, {
      ...manner,
      table: this.#table,
      statements: this.#statements,
      prepare: async (own, some) => {
        made.news = new Map();
        made.rows = new Map();
        const more = await this.#merge(own, some, made);
        await this.#merge(own, more, made);
      },
      rows: (group) => made.rows.get(group) ?? made.news.get(group)?.map(historyRow) ?? [],
      // Of most groups nothing is to be written: that is no reason to delete what is there.
      mayDelete: () => false,
      leave: async (own, poison) => {
        const gone = [...made.obsolete].flatMap(([group, some]) => (poison.has(group) ? [] : some));
        deleted = await this.#store.remove(own, this.#statements, gone);
        await manner.leave(own, poison);
      },
    });
    const committed = (): void => {
      for (const [group, version] of made.upTo) {
        if (version === undefined || done.poison.has(group)) this.#upTo.delete(group);
        else this.#upTo.set(group, version);
      }
    };
    return { ...done, deleted, committed };
  }

  async prune(session: Session): Promise<{ readonly deleted: number; readonly more: boolean }> {
    return await this.#store.prune(session, this.#options.recorded.now(), this.#keptMs);
  }

  /** Which groups are to be merged again, and all of them. */
  async #merge(session: Session, groups: readonly string[], made: Made): Promise<readonly string[]> {
    const again: string[] = [];
    const archived = { watched: made.watched, horizon: this.#horizon };
    for (let from = 0; from < groups.length; from += PER_READ) {
      const heard: Heard[] = [];
      for (const some of turns(groups.slice(from, from + PER_READ))) {
        heard.push(...(await this.#hear(some, made)));
        await TURNS.next();
      }
      const found = await this.#store.read(session, heard);
      let next = 0;
      for (const some of turns(heard)) {
        for (const one of some) {
          const known = found[next++] ?? [];
          const news = newsOf(one, known, archived);
          if (news) {
            made.news.set(one.group, news);
            continue;
          }
          const done = await inTurns(differences(one, known, archived));
          if (done === undefined) {
            again.push(one.group);
            continue;
          }
          made.rows.set(one.group, done.news);
          if (done.gone.length > 0) made.obsolete.set(one.group, done.gone);
        }
        await TURNS.next();
      }
    }
    for (const group of again) this.#upTo.delete(group);
    return again;
  }

  /** What memory knows of some groups. When it watched must be of the same moment: whoever began anew in between has other pieces. */
  async #hear(groups: readonly string[], made: Made): Promise<readonly Heard[]> {
    const { recorded } = this.#options;
    const heard: Heard[] = [];
    let watched = this.#watched();
    for (const group of groups) {
      const [ip = '', uid = ''] = groupValues(group);
      const upTo = this.#upTo.get(group);
      const then = watched;
      let own = recorded.whole(ip, uid, upTo);
      if (own === undefined) {
        const steps = recorded.pieces(ip, uid, upTo);
        // Nearly always that is one step.
        const step = steps.next();
        own = step.done === true ? step.value : await inTurns(steps);
        // To ask for it may be a millisecond of work.
        if (step.done !== true) watched = this.#watched();
      }
      const last = own.at(-1);
      const isLong = last?.until === undefined && (upTo !== undefined || own.length >= MANY);
      if (isLong || upTo !== undefined) made.upTo.set(group, isLong ? last?.sinceVersion : undefined);
      const { pieces } = this.#later({ pieces: own, watched: [] });
      const sinceVersion = upTo === undefined ? earlier(pieces[0], then[0]) : erasLater(upTo, this.#eras);
      heard.push({ group, ip, uid, pieces, watched: then, sinceVersion, isRest: upTo !== undefined });
    }
    return heard;
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

/** By which version the first of two is known. */
const earlier = (a: Piece | undefined, b: Stretch | undefined): ResourceVersion | undefined =>
  a && b && isOlder(b.sinceVersion, a.sinceVersion) ? b.sinceVersion : (a ?? b)?.sinceVersion;
