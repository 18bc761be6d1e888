import type { PodObject } from './pod-object.ts';

/** EndpointSlices as the API's JSON has them. */
export interface EndpointSliceObject {
  readonly metadata: {
    readonly name: string;
    readonly generateName?: string;
    readonly namespace: string;
    readonly uid: string;
    readonly resourceVersion?: string;
    readonly generation?: number;
    readonly creationTimestamp: string;
    readonly labels?: Readonly<Record<string, string>>;
  };
  readonly addressType: string;
  readonly endpoints: readonly EndpointObject[] | null;
  readonly ports: readonly object[] | null;
}

export interface EndpointObject {
  readonly addresses: readonly string[];
  readonly conditions: { readonly ready?: boolean; readonly serving?: boolean; readonly terminating?: boolean };
  readonly nodeName?: string;
  readonly targetRef?: {
    readonly kind: string;
    readonly namespace: string;
    readonly name: string;
    readonly uid: string;
  };
}

/** Of what a Service's controller fills its slices with; the field order is the API's. */
export const PORTS: readonly object[] = Object.freeze([{ name: 'http', port: 8080, protocol: 'TCP' }]);

export function endpointSliceObject(
  { namespace, service, name }: { readonly namespace: string; readonly service: string; readonly name: string },
  { uid, time, addressType }: { readonly uid: string; readonly time: string; readonly addressType: string },
): EndpointSliceObject {
  const labels = {
    'endpointslice.kubernetes.io/managed-by': 'endpointslice-controller.k8s.io',
    'kubernetes.io/service-name': service,
  };
  const metadata = { name, generateName: `${service}-`, namespace, uid, creationTimestamp: time, labels };
  return { metadata: { ...metadata, generation: 1 }, addressType, endpoints: null, ports: PORTS };
}

/**
 * What a pod is behind its Service, as the endpointslice controller sees it: finished ones and such as have no address of the family are
 * none, terminating ones are there and not ready.
 */
export function endpointOf({ metadata, spec, status }: PodObject, addressType: string): EndpointObject | undefined {
  if (status.phase === 'Succeeded' || status.phase === 'Failed') return undefined;
  const isSix = addressType === 'IPv6';
  const address = status.podIPs?.find(({ ip }) => ip.includes(':') === isSix)?.ip;
  if (address === undefined) return undefined;
  const serving = status.conditions?.some(({ type, status: is }) => type === 'Ready' && is === 'True') ?? false;
  const terminating = metadata.deletionTimestamp !== undefined;
  const { namespace, name, uid } = metadata;
  return {
    addresses: [address],
    conditions: { ready: serving && !terminating, serving, terminating },
    targetRef: { kind: 'Pod', namespace, name, uid },
    ...(spec.nodeName === undefined ? {} : { nodeName: spec.nodeName }),
  };
}
