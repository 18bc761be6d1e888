import type { Cidr } from '../../index/ip-address.ts';
import type { LabelSelector } from '../../label-selector.ts';
import type { Pod } from '../../pod.ts';
import { segmentOf } from './request-path.ts';
import type { RequestPath } from './request-path.ts';
import type { Caller, NamespaceLabels } from './verdict.ts';

/** Callers outside of every pod, by address. `except` lies within `cidr`. */
export interface IpBlock {
  readonly cidr: Cidr;
  readonly except: readonly Cidr[];
}

/** Pods, by all that is said of them; what is undefined is not asked. `rules-file.ts` sees to it that something is. */
export interface PodPeer {
  /** Of the rule, for a podSelector that stands alone (rule E6). */
  readonly namespace: string | undefined;
  /** The number of the path's segment that must be the pod's namespace. */
  readonly namespaceSegment: number | undefined;
  readonly serviceAccount: { readonly namespace: string; readonly name: string } | undefined;
  readonly workload: WorkloadName | undefined;
  readonly podSelector: LabelSelector | undefined;
  readonly namespaceSelector: LabelSelector | undefined;
}

export type Peer =
  { readonly ipBlock: IpBlock; readonly pods?: undefined } | { readonly pods: PodPeer; readonly ipBlock?: undefined };

export interface WorkloadName {
  readonly namespace: string;
  readonly kind: string;
  readonly name: string;
}

/** What of a peer the caller does not have. The last three are no such thing: it cannot be said whether it has. */
export type PeerMismatch =
  | 'ipBlock'
  | 'not a pod'
  | 'namespace'
  | 'pod'
  | 'serviceAccount'
  | 'workload'
  | 'podSelector'
  | 'namespaceSelector'
  | Undecided;

/** The labels of the pod's namespace cannot be told, and so neither whether `notin` or DoesNotExist hold. */
export type Undecided = 'unknown-namespace' | 'not_synced' | 'stale';

export const isUndecided = (why: string): why is Undecided =>
  why === 'unknown-namespace' || why === 'not_synced' || why === 'stale';

/** undefined: the peer is the caller. */
export function peerMismatch(
  peer: Peer,
  caller: Caller,
  path: RequestPath | undefined | null,
  namespaces: NamespaceLabels,
): PeerMismatch | undefined {
  if (peer.ipBlock) {
    // Never a pod, whatever its address: an ipBlock is about what is outside (rule E6).
    return caller.kind === 'outside' && inBlock(peer.ipBlock, caller.ip) ? undefined : 'ipBlock';
  }
  if (caller.kind !== 'pod') return 'not a pod';
  const { pod } = caller;
  const { namespace, namespaceSegment, serviceAccount, workload, podSelector, namespaceSelector } = peer.pods;
  if (namespace !== undefined && pod.namespace !== namespace) return 'namespace';
  if (namespaceSegment !== undefined && (!path || segmentOf(path, namespaceSegment) !== pod.namespace)) return 'pod';
  if (serviceAccount && !runsAs(pod, serviceAccount)) return 'serviceAccount';
  if (workload && !belongsTo(pod, workload)) return 'workload';
  if (podSelector && !podSelector.matches(pod.labels)) return 'podSelector';
  return namespaceSelector && namespaceMismatch(namespaceSelector, pod.namespace, namespaces);
}

const inBlock = ({ cidr, except }: IpBlock, ip: string): boolean =>
  cidr.contains(ip) && !except.some((hole) => hole.contains(ip));

export const runsAs = (pod: Pod, account: { readonly namespace: string; readonly name: string }): boolean =>
  pod.serviceAccount === account.name && pod.namespace === account.namespace;

/** A bare pod is its own workload. So is one whose owner claims to be a Pod: no pod owns pods, and it would name another. */
export function workloadOf({ name, workload }: Pod): Pick<WorkloadName, 'kind' | 'name'> {
  return workload === undefined || workload.kind === 'Pod' ? { kind: 'Pod', name } : workload;
}

export function belongsTo(pod: Pod, { namespace, kind, name }: WorkloadName): boolean {
  const own = workloadOf(pod);
  return pod.namespace === namespace && own.kind === kind && own.name === name;
}

/** Asked last: only then does it matter that the labels are not known. */
export function namespaceMismatch(
  selector: LabelSelector,
  namespace: string,
  namespaces: NamespaceLabels,
): 'namespaceSelector' | Undecided | undefined {
  if (namespaces.refusal !== undefined) return namespaces.refusal;
  const labels = namespaces.labelsOf(namespace);
  if (labels === undefined) return 'unknown-namespace';
  return selector.matches(labels) ? undefined : 'namespaceSelector';
}
