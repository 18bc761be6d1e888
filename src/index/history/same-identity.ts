import { sameFields, sameStrings } from '../same-pod.ts';
import type { Holder } from './interval.ts';
import type { Identity } from './piece.ts';

/** Equal in all that identifies. Pods of one template share their labels, so nearly all of this is comparing pointers. */
export function sameIdentity(a: Identity, b: Identity): boolean {
  return (
    sameStrings(a.labels, b.labels) &&
    a.hostNetwork === b.hostNetwork &&
    a.nodeName === b.nodeName &&
    a.serviceAccount === b.serviceAccount &&
    sameFields(a.workload, b.workload)
  );
}

/** undefined: an object that could not be read. */
export const sameWho = (a: Identity | undefined, b: Identity | undefined): boolean =>
  a === undefined || b === undefined ? a === b : sameIdentity(a, b);

/** Equal in all that decides or identifies. */
export function sameHolder(a: Holder, b: Holder): boolean {
  return sameIdentity(a, b) && isTerminating(a) === isTerminating(b) && isFinished(a) === isFinished(b);
}

export const isTerminating = ({ deletionTimestamp }: Pick<Holder, 'deletionTimestamp'>): boolean =>
  deletionTimestamp !== undefined;

export const isFinished = ({ phase }: Pick<Holder, 'phase'>): boolean => phase === 'Succeeded' || phase === 'Failed';
