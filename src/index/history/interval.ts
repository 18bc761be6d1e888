import type { Pod, ResourceVersion } from '../../pod.ts';

/**
 * Moments are milliseconds of one timeline that never goes back, whole numbers. What they are by the wall clock is not known here
 * (rule A7): whoever feeds and asks hands them in.
 */
export type Moment = number;

/** What identified a pod then: as much as is needed to say who it was, and to decide by rules A who answered. */
export type Holder = Pick<
  Pod,
  | 'uid'
  | 'namespace'
  | 'name'
  | 'labels'
  | 'serviceAccount'
  | 'nodeName'
  | 'workload'
  | 'hostNetwork'
  | 'phase'
  | 'deletionTimestamp'
>;

/** Without the rest of the record, and field by field: a record's times are computed when they are read. */
export function holderOf(pod: Holder): Holder {
  const { uid, namespace, name, labels, serviceAccount, nodeName, workload, hostNetwork, phase, deletionTimestamp } =
    pod;
  return { uid, namespace, name, labels, serviceAccount, nodeName, workload, hostNetwork, phase, deletionTimestamp };
}

/**
 * That somebody held an address, in [from, until), and was one and the same in all that decides or identifies. A pod whose labels
 * change, that finishes or begins to terminate, goes on in another interval.
 */
export interface Interval {
  readonly ip: string;
  readonly from: Moment;
  /** undefined: to this day. */
  readonly until: Moment | undefined;
  /** Since when the pod has held it, through all its intervals. */
  readonly heldFrom: Moment;
  /** The same pod holds it on, in an interval that begins at `until`. */
  readonly goesOn: boolean;
  /** undefined: an object that could not be read (rule B6) may have held it. */
  readonly holder: Holder | undefined;
}

/** With the resource versions by which it is known: of one pod they only grow. See `piece.ts`. */
export interface HeardInterval extends Interval {
  readonly sinceVersion: ResourceVersion;
  /** undefined: to this day. */
  readonly untilVersion: ResourceVersion | undefined;
}

export type Held = Interval & { readonly holder: Holder };

export const isHeld = (interval: Interval): interval is Held => interval.holder !== undefined;

/** When something began or ended. */
export interface Bound {
  readonly at: Moment;
  /** False: nobody was watching then. A beginning was not later, an end not earlier, than `at`. */
  readonly observed: boolean;
}

/** How long a pod held an address, with what identified it at the time in question. */
export interface Tenure {
  readonly ip: string;
  readonly holder: Holder;
  readonly from: Bound;
  /** undefined: to this day. */
  readonly until: Bound | undefined;
}
