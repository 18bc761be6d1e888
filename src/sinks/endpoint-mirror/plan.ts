import type { EndpointSlice, PodEndpoint } from '../../endpoint-slice.ts';
import { compareResourceVersions } from '../../resource-version.ts';
import type { StringMap } from '../../pod.ts';

/** What of the cluster is mirrored, by the settings. */
export interface MirrorScope {
  /** Which EndpointSlices, by their labels; undefined: all. */
  readonly selector: { matches(labels: StringMap): boolean } | undefined;
  /** Which namespaces are watched; empty: all. */
  readonly namespaces: readonly string[];
  /** Whether pods that are not ready have a row too. */
  readonly includeNotReady: boolean;
}

/** What the table should hold of one Service. */
export interface ServicePlan {
  /** One for each pod, in the order of their uids. */
  readonly rows: readonly PodEndpoint[];
  /** How many endpoints of its EndpointSlices are no pods, and have no row. */
  readonly skipped: number;
}

/**
 * The EndpointSlices of one Service, in any order, as rows. A pod has one row, however many slices name it: slices of both families, or
 * two for a moment while the controller moves it from one to the other. See `speaksFor`.
 */
export function planService(slices: readonly EndpointSlice[], scope: MirrorScope): ServicePlan {
  const claims = new Map<string, Claim>();
  let skipped = 0;
  for (const slice of slices) {
    if (!isSelected(slice, scope)) continue;
    skipped += slice.skipped;
    for (const pod of slice.pods) {
      const claim = { pod, slice };
      const other = claims.get(pod.uid);
      if (other === undefined || speaksFor(claim, other)) claims.set(pod.uid, claim);
    }
  }
  const rows = [...claims.values()].map(({ pod }) => pod).filter(({ ready }) => ready || scope.includeNotReady);
  return { rows: rows.sort((a, b) => (a.uid < b.uid ? -1 : 1)), skipped };
}

interface Claim {
  readonly pod: PodEndpoint;
  readonly slice: EndpointSlice;
}

/**
 * Which of two endpoints of one pod its row is made of: the IPv4 one, so that the address does not go to and fro; of one family that
 * of the slice which was written last, for it is the one that knows where the pod stands now; in one slice the one that is ready.
 */
function speaksFor(one: Claim, other: Claim): boolean {
  const [isSix, otherIsSix] = [one.pod.ip.includes(':'), other.pod.ip.includes(':')];
  if (isSix !== otherIsSix) return otherIsSix;
  const newer = compareResourceVersions(one.slice.resourceVersion, other.slice.resourceVersion);
  if (newer !== 0) return newer > 0;
  if (one.pod.ready !== other.pod.ready) return one.pod.ready;
  return one.pod.ip < other.pod.ip;
}

/**
 * Who may delete rows of a Service that has none to have:
 * - `ours`: some of its EndpointSlices are selected, so its rows are what they say.
 * - `gone`: it has no EndpointSlices left at all, so that nobody else can be responsible for its rows.
 * - `foreign`: it has some, and none is selected; or its namespace is not watched, which is left to `abandoned-rows.ts`: its rows stay.
 */
export type Standing = 'ours' | 'gone' | 'foreign';

export function standing(namespace: string, slices: readonly EndpointSlice[], scope: MirrorScope): Standing {
  if (!isWatched(namespace, scope)) return 'foreign';
  if (slices.length === 0) return 'gone';
  return slices.some((slice) => isSelected(slice, scope)) ? 'ours' : 'foreign';
}

const isWatched = (namespace: string, { namespaces }: MirrorScope): boolean =>
  namespaces.length === 0 || namespaces.includes(namespace);

const isSelected = ({ labels }: EndpointSlice, { selector }: MirrorScope): boolean =>
  selector === undefined || selector.matches(labels);
