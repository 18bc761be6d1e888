import type { Pod } from '../pod.ts';
import type { Cidr } from './ip-address.ts';
import { compareNames } from './ordered-pods.ts';

/** What of a pod decides. */
export type Claimant = Pick<Pod, 'namespace' | 'name' | 'hostNetwork' | 'phase' | 'deletionTimestamp'>;

/** Of an address: who claims it, and what else is known of it. */
export interface Claimed<P> {
  holders(ip: string): readonly P[];
  isHostIp(ip: string): boolean;
  isUnreadable(ip: string): boolean;
}

export type Answer<P = Pod> =
  | { readonly kind: 'one'; readonly pod: P }
  | { readonly kind: 'ambiguous'; readonly candidates: readonly P[] }
  | { readonly kind: 'none'; readonly reason: NoneReason }
  | { readonly kind: 'unreadable' };

export type NoneReason = 'no-pod' | 'host-network' | 'node' | 'terminal' | 'outside-cluster-cidr' | 'not-in-view';

/** What of the cluster is looked at. */
export interface View {
  /** Some pods are not seen (rule A10). */
  readonly partial: boolean;
  /** Which addresses are answered for; empty: all. */
  readonly clusterCidrs: readonly Cidr[];
}

/**
 * Who answers for a canonical address (rules A1, A4, A6). What the index holds decides, never the clock (rule A7) and never which
 * pod is older (rule A4).
 *
 * An unreadable object comes before every pod: it may be the one that holds the address now, or make a second claimant of it.
 * A finished pod on the host's network counts like a running one: the address is its node's all the same.
 */
export function answer<P extends Claimant>(index: Claimed<P>, ip: string, view: View): Answer<P> {
  if (view.clusterCidrs.length > 0 && !view.clusterCidrs.some((cidr) => cidr.contains(ip))) return OUTSIDE;
  if (index.isUnreadable(ip)) return UNREADABLE;
  const claimants = index.holders(ip);
  const first = claimants[0];
  // Nearly every address has one, which needs no list.
  if (claimants.length === 1 && first !== undefined) {
    if (first.hostNetwork) return HOST_NETWORK;
    return isFinished(first) ? noneOf(index, ip, 1, view) : { kind: 'one', pod: first };
  }
  const eligible: P[] = [];
  let staying: P | undefined;
  let terminating = 0;
  for (const pod of claimants) {
    if (pod.hostNetwork) return HOST_NETWORK;
    if (isFinished(pod)) continue;
    eligible.push(pod);
    if (pod.deletionTimestamp === undefined) staying = pod;
    else terminating++;
  }
  const [only] = eligible;
  if (only === undefined) return noneOf(index, ip, claimants.length, view);
  if (eligible.length === 1) return { kind: 'one', pod: only };
  if (staying && terminating === eligible.length - 1) return { kind: 'one', pod: staying };
  return { kind: 'ambiguous', candidates: eligible.sort(compareNames) };
}

/** It has Succeeded or Failed: it answers for no address. */
export const isFinished = ({ phase }: Pick<Claimant, 'phase'>): boolean => phase === 'Succeeded' || phase === 'Failed';

function noneOf(
  index: Pick<Claimed<unknown>, 'isHostIp'>,
  ip: string,
  holders: number,
  view: View,
): Extract<Answer, { kind: 'none' }> {
  if (index.isHostIp(ip)) return NODE;
  if (holders > 0) return TERMINAL;
  return view.partial ? NOT_IN_VIEW : NO_POD;
}

const UNREADABLE: Extract<Answer, { kind: 'unreadable' }> = Object.freeze({ kind: 'unreadable' });
const OUTSIDE = none('outside-cluster-cidr');
const HOST_NETWORK = none('host-network');
const NODE = none('node');
const TERMINAL = none('terminal');
const NO_POD = none('no-pod');
const NOT_IN_VIEW = none('not-in-view');

function none(reason: NoneReason): Extract<Answer, { kind: 'none' }> {
  return Object.freeze({ kind: 'none', reason });
}

/**
 * Whether a terminating pod may still be believed to be the caller (rule A5): until its deletionTimestamp, which holds the grace
 * period already, and the slack have passed by the wall clock. A finalizer can keep it Running, with its address, long after.
 */
export function acceptedWhileTerminating(pod: Pod, wallClockMs: number, slackMs: number): boolean {
  return pod.deletionTimestamp === undefined || wallClockMs <= pod.deletionTimestamp + slackMs;
}
