/** A pod to be made: only what every API server lets one choose. */
export interface PodToCreate {
  readonly namespace: string;
  readonly name: string;
  readonly labels?: Readonly<Record<string, string>>;
  readonly node?: string;
}

/** An EndpointSlice to be made or replaced, as the API's JSON has it. */
export interface SliceToWrite {
  readonly namespace: string;
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly addressType: string;
  readonly endpoints: readonly EndpointToWrite[];
}

export interface EndpointToWrite {
  readonly addresses: readonly string[];
  readonly conditions?: { readonly ready?: boolean; readonly serving?: boolean; readonly terminating?: boolean };
  readonly nodeName?: string;
  readonly targetRef?: {
    readonly kind: string;
    readonly namespace: string;
    readonly name: string;
    readonly uid: string;
  };
}

/** An API server under test. */
export interface Subject {
  readonly baseUrl: string;
  readonly headers: Readonly<Record<string, string>>;
  /** The certificate of its CA, where it speaks HTTPS. */
  readonly ca: string | undefined;
  createPod(pod: PodToCreate): Promise<void>;
  /** Sets the phase, and the address where one is given. */
  patchStatus(namespace: string, name: string, status: { readonly phase: string; readonly ip?: string }): Promise<void>;
  setLabels(namespace: string, name: string, labels: Readonly<Record<string, string | null>>): Promise<void>;
  /** At once, without a grace period. */
  deletePod(namespace: string, name: string): Promise<void>;
  createNamespace(name: string, labels: Readonly<Record<string, string>>): Promise<void>;
  setNamespaceLabels(name: string, labels: Readonly<Record<string, string>>): Promise<void>;
  /** It holds no pods. */
  deleteNamespace(name: string): Promise<void>;
  /** Makes it, or replaces it; the namespace too, where there is none. */
  writeEndpointSlice(slice: SliceToWrite): Promise<void>;
  deleteEndpointSlice(namespace: string, name: string): Promise<void>;
  /** Something changes that is neither a pod, a namespace nor an EndpointSlice. */
  bump(): Promise<void>;
  /** Forgets the history, and the API server starts anew: versions from before are expired. */
  forgetHistory(): Promise<void>;
  close(): Promise<void>;
}
