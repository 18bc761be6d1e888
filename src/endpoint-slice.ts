import type { ResourceVersion, StringMap } from './pod.ts';

/** The domain: what is kept of an EndpointSlice (discovery.k8s.io/v1), and nothing else. Read-only for everybody. */
export interface EndpointSlice {
  readonly uid: string;
  readonly namespace: string;
  readonly name: string;
  readonly resourceVersion: ResourceVersion;
  readonly labels: StringMap;
  /** The Service it is of, by its label; empty: of none. */
  readonly service: string;
  /** The endpoints that are pods, in the order of the slice. */
  readonly pods: readonly PodEndpoint[];
  /** How many other endpoints it has: such as name no pod, or an address that is none. */
  readonly skipped: number;
}

/** A pod behind a Service. */
export interface PodEndpoint {
  readonly uid: string;
  readonly name: string;
  /** Canonical (rule D1), and the first of its addresses: the others mean nothing, as the API has it. */
  readonly ip: string;
  /** Whether it is ready; one of which nothing is known is, as the API has it. */
  readonly ready: boolean;
}
