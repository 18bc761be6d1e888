import type { Owner } from '../pod.ts';
import type { ContainerSpec, ContainerStatus } from './containers.ts';
import { NO_STRINGS } from './labels.ts';

/** The owner as the API names it. The group tells a ReplicaSet of Kubernetes from somebody's own kind of that name. */
export interface Controller extends Owner {
  /** `apps` of the apiVersion `apps/v1`; empty for Kubernetes' core. */
  readonly apiGroup: string;
}

export function apiGroupOf(apiVersion: string): string {
  return apiVersion.slice(0, Math.max(0, apiVersion.indexOf('/')));
}

/**
 * What the API says of a pod, as either wire format fills it in: texts as sent, and the API's own default where nothing is
 * said, which is what protobuf and JSON leave out. `pod-record.ts` judges it and makes the record.
 */
export class PodFacts {
  uid = '';
  namespace = '';
  name = '';
  resourceVersion = '';
  /** Shared by all that have the same, as is the owner. */
  labels = NO_STRINGS;
  /** The allow-listed ones: key, value, key, value. */
  readonly annotations: string[] = [];
  owner: Controller | undefined = undefined;
  readonly podIps: string[] = [];
  podIp = '';
  readonly hostIps: string[] = [];
  hostIp = '';
  hostNetwork = false;
  nodeName = '';
  phase = '';
  ready = false;
  serviceAccount = '';
  qosClass = '';
  /** Times in seconds since 1970: Kubernetes writes no fractions of them in either format. */
  createdAt = 0;
  startedAt: number | undefined = undefined;
  deletionTimestamp: number | undefined = undefined;
  readonly containers: ContainerSpec[] = [];
  readonly containerStatuses: ContainerStatus[] = [];
}
