import type { Owner } from '../pod.ts';
import type { ContainerSpec, ContainerStatus } from './containers.ts';
import { NO_STRINGS } from './labels.ts';

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
  owner: Owner | undefined = undefined;
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
