import type { ResourceVersion } from '../../pod.ts';
import type { Holder, Interval, Moment } from './interval.ts';

/** Who it was: what is the same in all of a piece. */
export type Identity = Omit<Holder, 'phase' | 'deletionTimestamp'>;

/**
 * A part of a hold, as it is kept: the time in which a pod held an address and was labelled and placed alike. It says by which
 * resource versions it is known, for they are one order for all who watch, whatever their clocks say: see `merge.ts`. Versions name
 * what was heard, moments say when. It is one row of `ip_history`.
 *
 *     sinceVersion ≤ terminatingVersion, finishedVersion < untilVersion
 */
export interface Piece {
  readonly ip: string;
  /** undefined: an object that could not be read (rule B6) may have held it. */
  readonly holder: Identity | undefined;
  /** Of the whole hold. */
  readonly heldFrom: Moment;
  readonly from: Moment;
  /** undefined: it lasts. */
  readonly until: Moment | undefined;
  /** It ended because another piece of the same hold began. */
  readonly goesOn: boolean;
  /** From when it is known to have been terminating; not before `from`. */
  readonly terminatingFrom: Moment | undefined;
  /** From when it had Succeeded or Failed; not before `from`. */
  readonly finishedFrom: Moment | undefined;
  readonly sinceVersion: ResourceVersion;
  readonly terminatingVersion: ResourceVersion | undefined;
  readonly finishedVersion: ResourceVersion | undefined;
  /** What ended it: an event's version, or that of a list that was without it. */
  readonly untilVersion: ResourceVersion | undefined;
}

/** That somebody watched without a break: all changes of [sinceVersion, untilVersion] were heard, and all that were made in [from, until]. */
export interface Stretch {
  /** When the list came with which it began. */
  readonly from: Moment;
  readonly until: Moment;
  readonly sinceVersion: ResourceVersion;
  readonly untilVersion: ResourceVersion;
}

/** As `answerThen` takes it: what decides is the same in all of an interval. */
export function toIntervals(pieces: readonly Piece[]): readonly Interval[] {
  return pieces.flatMap(intervalsOf);
}

function intervalsOf(piece: Piece): readonly Interval[] {
  const { ip, holder, from, until, heldFrom, goesOn, terminatingFrom, finishedFrom } = piece;
  const cuts = [terminatingFrom, finishedFrom].filter(
    (at): at is Moment => at !== undefined && at > from && (until === undefined || at < until),
  );
  const bounds = cuts.length === 0 ? [from] : [...new Set([from, ...cuts])].toSorted((a, b) => a - b);
  return bounds.map((begin, i): Interval => {
    const end = bounds[i + 1];
    return {
      ip,
      from: begin,
      until: end ?? until,
      heldFrom,
      goesOn: end === undefined ? goesOn : true,
      holder: holder && {
        ...holder,
        phase: finishedFrom !== undefined && finishedFrom <= begin ? 'Failed' : 'Running',
        deletionTimestamp: terminatingFrom !== undefined && terminatingFrom <= begin ? terminatingFrom : undefined,
      },
    };
  });
}
