/** Namespaces as the API's JSON has them. */
export interface NamespaceObject {
  readonly metadata: {
    readonly name: string;
    readonly uid: string;
    readonly resourceVersion?: string;
    readonly creationTimestamp: string;
    readonly labels: Readonly<Record<string, string>>;
  };
  readonly spec: { readonly finalizers: readonly string[] };
  readonly status: { readonly phase: string };
}

/** As the API server makes one: its name is among its labels, whatever they are (KEP-2161). */
export function namespaceObject(
  name: string,
  { uid, time, labels = {} }: { uid: string; time: string; labels?: Readonly<Record<string, string>> | undefined },
): NamespaceObject {
  return {
    metadata: { name, uid, creationTimestamp: time, labels: { ...labels, 'kubernetes.io/metadata.name': name } },
    spec: { finalizers: ['kubernetes'] },
    status: { phase: 'Active' },
  };
}
