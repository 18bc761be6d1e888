import type { ErrorCode } from '../../errors.ts';
import type { Pod } from '../../pod.ts';

/**
 * THE closed table of why a preflight denies (rules E). The code gives the status; the nginx, ingress-nginx and envoy presets
 * answer 403 for all of them (rule E2).
 */
export const DENIALS = {
  'untrusted-proxy': {
    code: 'forbidden',
    meaning: 'a forwarding header from a peer that TRUSTED_PROXIES does not list',
  },
  'missing-header': { code: 'forbidden', meaning: 'the header that names the client is missing' },
  'invalid-address': { code: 'invalid_request', meaning: 'the header that names the client holds something else' },
  'invalid-header': {
    code: 'invalid_request',
    meaning:
      'a header that is believed is malformed or stands twice, or there is one that reads like it or like an identity header',
  },
  'invalid-query': { code: 'invalid_request', meaning: 'a constraint in the query is unknown or malformed' },
  'caller-query': { code: 'invalid_request', meaning: "the constraints in the query are the caller's own" },
  'unsafe-path': { code: 'invalid_request', meaning: 'servers read the path of the request differently' },
  'unknown-request': {
    code: 'forbidden',
    meaning: 'a rule asks for a path, host or method that the proxy did not send',
  },
  'no-pod': { code: 'forbidden', meaning: 'no pod has the address' },
  'host-network': { code: 'forbidden', meaning: "a pod on its node's network has the address" },
  node: { code: 'forbidden', meaning: "the address is a node's own" },
  terminal: { code: 'forbidden', meaning: 'the pod that had the address has finished' },
  'outside-cluster-cidr': { code: 'forbidden', meaning: 'the address lies outside CLUSTER_CIDR' },
  'not-in-view': { code: 'forbidden', meaning: 'no pod in view has the address, and not all pods are in view' },
  ambiguous: { code: 'forbidden', meaning: 'several pods claim the address' },
  terminating: {
    code: 'forbidden',
    meaning: 'the pod should be gone by now: its deletion time and TERMINATING_SLACK have passed',
  },
  'no-rule': { code: 'forbidden', meaning: 'there is no constraint, and no rule fits the request' },
  'not-allowed': { code: 'forbidden', meaning: 'the pod is none that the rule or the constraints allow' },
  unsendable: { code: 'forbidden', meaning: 'something that must be told of the caller cannot be sent in a header' },
  'unknown-namespace': { code: 'not_synced', meaning: "the labels of the pod's namespace are not known yet" },
  not_synced: { code: 'not_synced', meaning: 'the cluster has not been read completely yet' },
  stale: { code: 'stale', meaning: 'what is known of the cluster is older than the limit' },
  unreadable: { code: 'unreadable', meaning: 'a pod that may have the address cannot be read' },
  overloaded: { code: 'overloaded', meaning: 'too many unknown addresses are being waited for' },
} as const satisfies Record<string, { readonly code: ErrorCode; readonly meaning: string }>;

export type DenyReason = keyof typeof DENIALS;

/** Whom the caller's address belongs to, as far as that is certain (rules A1 to A6). */
export type Caller =
  | { readonly kind: 'pod'; readonly ip: string; readonly pod: Pod }
  /** Nobody's, and certainly no pod's: the only one that an `ipBlock` can match (rule E6). */
  | { readonly kind: 'outside'; readonly ip: string; readonly reason: 'no-pod' | 'node' | 'host-network' };

export type Verdict =
  | { readonly allow: true; readonly caller: Caller; readonly rule: string | undefined }
  | {
      readonly allow: false;
      readonly reason: DenyReason;
      /** The rule whose `match` fitted; undefined where none decided. */
      readonly rule?: string | undefined;
      /** For the log and `explain`, never for the caller. */
      readonly detail?: string | undefined;
    };

export type Denied = Extract<Verdict, { readonly allow: false }>;

/** What a proxy says of the request it holds back. What is undefined was not said, or not by one that is trusted. */
export interface RequestFacts {
  /** As it was sent; with a port perhaps. */
  readonly host: string | undefined;
  readonly method: string | undefined;
  /** The raw path and query, as in the request line: `/a/b?c=d`. */
  readonly uri: string | undefined;
}

/** The labels of namespaces, as fresh as the pods must be. */
export interface NamespaceLabels {
  /** Why nothing can be said of them; undefined when it can. */
  readonly refusal: 'not_synced' | 'stale' | undefined;
  /** undefined: there is no such namespace, or it is not known yet. */
  labelsOf(namespace: string): Readonly<Record<string, string>> | undefined;
}
