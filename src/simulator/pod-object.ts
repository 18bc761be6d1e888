/**
 * Pods as the API's JSON has them, cut down to the fields the simulator itself reads; everything else rides along untyped.
 * Objects are never changed after they were stored: a change is a new object that shares what stayed the same.
 */
export interface PodObject {
  readonly metadata: PodMetadata;
  readonly spec: PodSpecObject;
  readonly status: PodStatusObject;
}

export interface PodMetadata {
  readonly name: string;
  readonly namespace: string;
  readonly uid: string;
  readonly resourceVersion?: string;
  readonly creationTimestamp: string;
  readonly deletionTimestamp?: string | undefined;
  readonly deletionGracePeriodSeconds?: number | undefined;
  readonly labels?: Readonly<Record<string, string>>;
  readonly annotations?: Readonly<Record<string, string>>;
  readonly ownerReferences?: readonly OwnerReferenceObject[];
  readonly [field: string]: unknown;
}

export interface OwnerReferenceObject {
  readonly apiVersion: string;
  readonly kind: string;
  readonly name: string;
  readonly uid: string;
  readonly controller?: boolean;
  readonly blockOwnerDeletion?: boolean;
}

export interface PodSpecObject {
  readonly nodeName?: string;
  readonly hostNetwork?: boolean;
  readonly serviceAccountName?: string;
  readonly containers: readonly { readonly name: string; readonly image: string; readonly [field: string]: unknown }[];
  readonly [field: string]: unknown;
}

export interface PodStatusObject {
  readonly phase: string;
  readonly podIP?: string;
  readonly podIPs?: readonly { readonly ip: string }[];
  readonly hostIP?: string;
  readonly hostIPs?: readonly { readonly ip: string }[];
  readonly conditions?: readonly {
    readonly type: string;
    readonly status: string;
    readonly [field: string]: unknown;
  }[];
  readonly containerStatuses?: readonly ContainerStatusObject[];
  readonly [field: string]: unknown;
}

export interface ContainerStatusObject {
  readonly name: string;
  readonly ready: boolean;
  readonly restartCount: number;
  readonly [field: string]: unknown;
}
