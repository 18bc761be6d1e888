/** A pod to be made: only what every API server lets one choose. */
export interface PodToCreate {
  readonly namespace: string;
  readonly name: string;
  readonly labels?: Readonly<Record<string, string>>;
  readonly node?: string;
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
  /** Something changes that is neither a pod nor a namespace. */
  bump(): Promise<void>;
  /** Forgets the history, and the API server starts anew: versions from before are expired. */
  forgetHistory(): Promise<void>;
  close(): Promise<void>;
}
