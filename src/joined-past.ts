import type { View } from './index/answer.ts';
import { answerThen, tenureOf } from './index/history/answer-then.ts';
import type { Then } from './index/history/answer-then.ts';
import { erasBehind, laterBy } from './index/history/eras.ts';
import { isHeld } from './index/history/interval.ts';
import type { Interval, Tenure } from './index/history/interval.ts';
import type { Knowledge } from './index/history/merge.ts';
import { toIntervals } from './index/history/piece.ts';
import type { Piece, Stretch } from './index/history/piece.ts';
import { coursesIn, distinctWindows, join, windowAround } from './index/history/recall.ts';
import type { Course, Window } from './index/history/recall.ts';
import { commonHoles, holesBetween, holesSince, joinedWhereTheyMeet, Unwatched } from './index/history/unwatched.ts';
import type { Hole } from './index/history/unwatched.ts';
import type { IpRecorder } from './ip-recorder.ts';
import { inTurns, TURNS } from './turns.ts';

/** All times in this file are milliseconds since 1970, by the wall clock as it is now. */

/** Where history is kept for longer than in memory. */
export interface Archive {
  /** What ended longer ago is dropped. */
  readonly retentionMs: number;
  /** Rejects where it cannot be read, in no more than two seconds or so. */
  recall(choose: (watched: readonly Stretch[]) => Wanted, guess?: Window): Promise<readonly Piece[]>;
  search(search: ArchiveSearch): Promise<ArchiveFound>;
}

/** What is to be read, all at once. */
export interface Wanted {
  readonly windows: readonly Window[];
  readonly courses: readonly Course[];
}

type Pods = { readonly uid: string } | { readonly namespace: string; readonly name: string };
export type Whose = { readonly ip: string } | Pods;

export interface Search {
  readonly whose: Whose;
  /** Holds that touch [since, until). */
  readonly since: number;
  readonly until: number;
  /** Those after it, in the order of beginning, address and uid. */
  readonly after: readonly [from: number, ip: string, uid: string] | undefined;
  readonly size: number;
}

export interface ArchiveSearch extends Search {
  /** Of holds that ended from here on all is wanted, of those that ended before the first `size`. */
  readonly recent: number;
  /** Wanted besides, whenever it ended. */
  readonly courses: (watched: readonly Stretch[]) => readonly Course[];
  /** Asked after `courses`: which of those that ended before are among the first `size`. It can have ended earlier than it was heard of. */
  readonly isWanted: (piece: Piece) => boolean;
}

export interface ArchiveFound {
  readonly watched: readonly Stretch[];
  readonly recent: readonly Piece[];
  /** The last piece of each. */
  readonly old: readonly Piece[];
}

/** What this process has heard itself. */
export type Memory = Pick<
  IpRecorder,
  'isReady' | 'reach' | 'now' | 'at' | 'holes' | 'tenures' | 'pieces' | 'piecesOf' | 'stretches'
>;

export interface JoinedPastOptions {
  readonly memory: Memory;
  readonly archive: Archive | undefined;
  readonly view: View;
  readonly isHostIp: (ip: string) => boolean;
  /** Clocks of two replicas differ by less. */
  readonly skewMs?: number;
}

type Recalled = Then | { readonly kind: 'unavailable' };

interface Question {
  readonly ip: string;
  readonly time: number;
}

interface Found {
  readonly tenures: Iterable<Tenure | undefined>;
  readonly holes: readonly Hole[];
}

const EVER = { from: -Infinity, until: Infinity };
const WATCHED = new Unwatched([]);
const NOTHING: Knowledge = { pieces: [], watched: [] };

/** A turn of the event loop ends with the answer after which it has taken so long. */
const TURN_MS = 1;
/** Intervals looked at in one, and as how many an answer counts besides. */
const LOOKS_PER_TURN = 2_048;
const LOOKS_PER_ANSWER = 128;

const SKEW_MS = 300_000;

/**
 * Who had an address when, of memory and archive together: what one of them does not know the other one may. Where memory alone decides
 * the archive is not asked, and where the archive cannot be asked memory answers for the times in which it was watching.
 */
export class JoinedPast {
  readonly #options: JoinedPastOptions;

  constructor(options: JoinedPastOptions) {
    this.#options = options;
  }

  get isReady(): boolean {
    return this.#options.memory.isReady;
  }

  get reach(): number {
    const { memory, archive } = this.#options;
    return archive ? Math.min(memory.reach, memory.now() - archive.retentionMs) : memory.reach;
  }

  now(): number {
    return this.#options.memory.now();
  }

  at(questions: readonly Question[]): readonly Recalled[] | Promise<readonly Recalled[]> {
    const { memory } = this.#options;
    if (questions.length > 1) return this.#atInTurns(questions);
    return this.#better(
      questions,
      questions.map(({ ip, time }) => memory.at(ip, time)),
    );
  }

  async #atInTurns(questions: readonly Question[]): Promise<readonly Recalled[]> {
    const own: Then[] = [];
    let began = performance.now();
    for (const { ip, time } of questions) {
      own.push(this.#options.memory.at(ip, time));
      if (performance.now() - began < TURN_MS) continue;
      await TURNS.next();
      began = performance.now();
    }
    return await this.#better(questions, own);
  }

  #better(questions: readonly Question[], own: readonly Then[]): readonly Recalled[] | Promise<readonly Recalled[]> {
    const { archive } = this.#options;
    if (!archive) return own;
    const undecided = own.flatMap((then, i) => (isDecided(then) ? [] : [i]));
    if (undecided.length === 0) return own;
    const { reach } = this;
    const open = undecided.filter((i) => (questions[i] as Question).time >= reach);
    return open.length === 0 ? own : this.#recall(archive, questions, own, open);
  }

  search(search: Search): Found | Promise<Found | undefined> {
    const { memory, archive } = this.#options;
    const { whose, since, until } = search;
    const found: Found = {
      tenures: memory.tenures('ip' in whose ? whose.ip : undefined),
      holes: memory.holes(since, until),
    };
    return archive ? this.#searchBoth(archive, search, found) : found;
  }

  /** With better answers to the questions of those indices. */
  async #recall(
    archive: Archive,
    questions: readonly Question[],
    own: readonly Then[],
    open: readonly number[],
  ): Promise<readonly Recalled[]> {
    const asked = open.map((i) => questions[i] as Question);
    const better = await this.#ask(archive, asked);
    const unwatched = new Unwatched(this.#ownHoles());
    const answers: Recalled[] = [...own];
    for (const [n, i] of open.entries()) {
      const then = better?.[n];
      if (then) answers[i] = then;
      else if (unwatched.around(asked[n]?.time ?? 0)) answers[i] = { kind: 'unavailable' };
    }
    return answers;
  }

  async #ask(archive: Archive, questions: readonly Question[]): Promise<readonly Then[] | undefined> {
    const { memory, view, isHostIp } = this.#options;
    // As it is before the archive is read: what is learned meanwhile may contradict the choice.
    const watched = memory.stretches({ soFar: true });
    const own = new Map<string, Knowledge>();
    const begun = [...new Set(questions.map(({ ip }) => ip))].map((ip) => [ip, memory.piecesOf(ip)] as const);
    // Not before: to ask for the others can drop what was known.
    const ownHoles = this.#ownHoles();
    for (const [ip, steps] of begun) own.set(ip, { pieces: await inTurns(steps), watched });
    let archivedWatched: readonly Stretch[] = [];
    let unwatched = new Unwatched();
    let courses: readonly Course[] = [];
    const [first] = questions;
    // It was watched, mostly.
    const guess = first && questions.length === 1 ? windowAround(first.ip, first.time, WATCHED) : undefined;
    const read = await archive
      .recall((stretches) => {
        archivedWatched = stretches;
        unwatched = new Unwatched(commonHoles(ownHoles, holesBetween(stretches)));
        const eras = erasBehind(watched, stretches);
        for (const [ip, known] of eras === 0 ? [] : own) own.set(ip, laterBy(known, eras));
        // A log file asks for the same again and again.
        const windows = distinctWindows(questions.map(({ ip, time }) => windowAround(ip, time, unwatched)));
        // Of all windows at once: each looks at all of an address.
        courses = Array.from(Map.groupBy(windows, ({ ip }) => ip)).flatMap(([ip, some]) =>
          coursesIn(hullOf(some), own.get(ip)?.pieces ?? []),
        );
        return { windows, courses };
      }, guess)
      .catch(() => undefined); // whoever reads has logged it
    if (!read) return undefined;
    const readOf = Map.groupBy(read, ({ ip }) => ip);
    const coursesOf = Map.groupBy(courses, ({ ip }) => ip);
    const intervals = new Map<string, readonly Interval[]>();
    const answers: Then[] = [];
    let looked = 0;
    for (const { ip, time } of questions) {
      let known = intervals.get(ip);
      if (!known) {
        const archived = { pieces: readOf.get(ip) ?? [], watched: archivedWatched };
        const joined = { memory: own.get(ip) ?? NOTHING, archived, courses: coursesOf.get(ip) ?? [] };
        known = toIntervals(await inTurns(join(joined)));
        intervals.set(ip, known);
      }
      answers.push(answerThen(ip, time, { intervals: known, unwatched, reach: -Infinity, view, isHostIp }));
      looked += known.length + LOOKS_PER_ANSWER;
      if (looked < LOOKS_PER_TURN) continue;
      looked = 0;
      await TURNS.next();
    }
    return answers;
  }

  async #searchBoth(archive: Archive, search: Search, inMemory: Found): Promise<Found | undefined> {
    const { memory, skewMs = SKEW_MS } = this.#options;
    const { since, until, whose } = search;
    const recent = oldestEnd(memory.reach, memory.holes(-Infinity, Infinity)) - skewMs;
    let own = await this.#knownOf(whose);
    // What memory has forgotten by now it may not have known then.
    const ownHoles = this.#ownHoles();
    let courses: readonly Course[] = [];
    let holes: readonly Hole[] = [];
    let unwatched = new Unwatched();
    const choose = (watched: readonly Stretch[]): readonly Course[] => {
      holes = commonHoles(ownHoles, holesBetween(watched));
      unwatched = new Unwatched(holes);
      own = laterBy(own, erasBehind(own.watched, watched));
      const byAddress = Map.groupBy(own.pieces, ({ ip }) => ip);
      return (courses = Array.from(byAddress.values()).flatMap((pieces) => coursesIn(EVER, pieces)));
    };
    const isWanted = ({ heldFrom, until: end = Infinity, goesOn }: Piece): boolean =>
      !goesOn && unwatched.ending(heldFrom, end).at >= since;
    const found = await archive.search({ ...search, recent, courses: choose, isWanted }).catch(() => undefined);
    if (!found) return isWatched(ownHoles, since, until) ? inMemory : undefined;
    const archived = { pieces: found.recent, watched: found.watched };
    const joined = await inTurns(join({ memory: own, archived, courses }));
    // What memory knows otherwise was read as a course, too.
    const rows = new Set(found.recent.map(rowOf));
    return {
      tenures: tenuresOf([...joined, ...found.old.filter((piece) => !rows.has(rowOf(piece)))], unwatched),
      holes: joinedWhereTheyMeet(holes).filter((hole) => hole.from < until && (hole.until ?? Infinity) > since),
    };
  }

  /** What memory knows of somebody. */
  async #knownOf(whose: Whose): Promise<Knowledge> {
    const { memory } = this.#options;
    const keys = 'ip' in whose ? [] : await this.#keysOf(whose);
    // Of one moment: what memory forgets in between would count as never held.
    const watched = memory.stretches({ soFar: true });
    const begun = 'ip' in whose ? [memory.piecesOf(whose.ip)] : keys.map(({ ip, uid }) => memory.pieces(ip, uid));
    const pieces: (readonly Piece[])[] = [];
    for (const steps of begun) pieces.push(await inTurns(steps));
    return { pieces: pieces.flat(), watched };
  }

  /** At which addresses memory knows a pod, looked for in pieces. */
  async #keysOf(whose: Pods): Promise<readonly { readonly ip: string; readonly uid: string }[]> {
    const keys = new Map<string, { readonly ip: string; readonly uid: string }>();
    let looked = 0;
    for (const tenure of this.#options.memory.tenures(undefined)) {
      if (tenure && isOf(tenure, whose)) {
        const { ip, holder } = tenure;
        keys.set(`${ip} ${holder.uid}`, { ip, uid: holder.uid });
      }
      if (++looked % LOOKS_PER_TURN === 0) await TURNS.next();
    }
    return [...keys.values()];
  }

  /** What memory has dropped it does not know. */
  #ownHoles(): readonly Hole[] {
    const { memory } = this.#options;
    return holesSince(memory.reach, memory.holes(-Infinity, Infinity));
  }
}

/** Whether memory alone says all there is to say. */
function isDecided(then: Then): boolean {
  if (then.kind === 'ambiguous' || then.kind === 'none') return true;
  return then.kind === 'one' && !then.inferred && then.tenure.from.observed && then.tenure.until?.observed !== false;
}

const hullOf = (windows: readonly Window[]): Pick<Window, 'from' | 'until'> => ({
  from: windows.reduce((first, { from }) => Math.min(first, from), Infinity),
  until: windows.reduce((last, { until }) => Math.max(last, until), -Infinity),
});

/** Nothing that memory knows ended before: what it heard of at the end of a hole may have ended at any time in it. */
function oldestEnd(reach: number, holes: readonly Hole[]): number {
  const hole = holes.find(({ from, until }) => from < reach && reach <= (until ?? Infinity));
  if (!hole) return reach;
  return hole.from === -Infinity ? (hole.until ?? reach) : hole.from;
}

const isWatched = (holes: readonly Hole[], since: number, until: number): boolean =>
  !holes.some((hole) => hole.from < until && (hole.until ?? Infinity) > since);

const rowOf = ({ ip, holder, sinceVersion }: Piece): string => `${ip} ${holder?.uid ?? ''} ${sinceVersion}`;

/** Every tenure; undefined for what is looked at and is none. */
function* tenuresOf(pieces: readonly Piece[], unwatched: Unwatched): Generator<Tenure | undefined> {
  for (const interval of pieces.values().flatMap((piece) => toIntervals([piece]))) {
    yield isHeld(interval) && !interval.goesOn ? tenureOf(interval, interval, unwatched) : undefined;
  }
}

const isOf = ({ holder }: Tenure, whose: Pods): boolean =>
  'uid' in whose ? holder.uid === whose.uid : holder.name === whose.name && holder.namespace === whose.namespace;
