import { STATUS_CODES } from 'node:http';

/**
 * THE closed table of error codes, and the only map from codes to HTTP. `docs/http-api.md` and the OpenAPI document list the
 * same ones (a test compares them). Codes are stable; messages are for people and may change.
 */
export const ERRORS = {
  invalid_request: {
    status: 400,
    meaning: 'a parameter is unknown, repeated, missing, malformed or out of bounds; or the body is',
  },
  invalid_ip: { status: 400, meaning: 'not an IP address in one of its plain forms' },
  invalid_selector: { status: 400, meaning: 'not a Kubernetes label selector; the message says where it goes wrong' },
  invalid_continue: { status: 400, meaning: 'not a token that /pods gave for this question' },
  unauthorized: { status: 401, meaning: 'the bearer token of LOOKUP_TOKEN_FILE is missing or wrong' },
  forbidden: { status: 403, meaning: 'the preflight denies; reason says why' },
  pod_not_found: { status: 404, meaning: 'no pod answers; reason says why' },
  route_not_found: { status: 404, meaning: 'there is nothing at this path' },
  method_not_allowed: { status: 405, meaning: 'the path exists, the method does not; Allow lists what does' },
  request_timeout: { status: 408, meaning: 'the request did not arrive in time' },
  ambiguous: { status: 409, meaning: 'several pods claim the address; candidates names them' },
  body_too_large: { status: 413, meaning: 'the body is longer than the limit' },
  url_too_long: { status: 414, meaning: 'the URL is longer than the limit' },
  unsupported_media_type: { status: 415, meaning: 'the body must be application/json' },
  headers_too_large: { status: 431, meaning: 'the headers are longer than the limit' },
  internal_error: { status: 500, meaning: 'a fault of podwhois; its log says more' },
  not_synced: { status: 503, meaning: 'the cluster has not been read completely yet' },
  stale: { status: 503, meaning: 'what is known of the cluster is older than the limit' },
  unreadable: { status: 503, meaning: 'the pod, or one that may have the address, cannot be read' },
  history_unavailable: {
    status: 503,
    meaning: 'memory does not go back so far, and the history in Postgres cannot be read now',
  },
  overloaded: { status: 503, meaning: 'busy; lookups of single addresses are served longest' },
} as const satisfies Record<string, { readonly status: number; readonly meaning: string }>;

export type ErrorCode = keyof typeof ERRORS;

export const ERROR_CODES = Object.keys(ERRORS) as readonly ErrorCode[];

/** Why no pod answers: the closed list of a 404's `reason`. */
export const MISS_REASONS = {
  'no-pod': 'no pod has it',
  'host-network': "a pod on its node's network has it, which names no pod",
  node: "it is a node's own address: the connection was masqueraded, or comes from the node",
  terminal: 'the pod that had it has finished',
  'outside-cluster-cidr': 'it lies outside CLUSTER_CIDR',
  'not-in-view': 'no pod in view has it, and not all pods are in view',
} as const;

export type MissReason = keyof typeof MISS_REASONS;

/** Those of a question about the past, besides: `at=`. */
export const PAST_MISS_REASONS = {
  'not-observed':
    'nobody was watching then, or what was there could not be read; before and after say who held it on either side',
  'beyond-retention': 'it is longer ago than what is remembered',
} as const;

export type PastMissReason = keyof typeof PAST_MISS_REASONS;

/** Seconds after which asking again may help; undefined where it does not. */
export function retryAfter(code: ErrorCode): number | undefined {
  return ERRORS[code].status === 503 ? 1 : undefined;
}

export interface Candidate {
  readonly namespace: string;
  readonly name: string;
  readonly uid: string;
}

/** The body of every error. */
export interface ErrorBody {
  readonly statusCode: number;
  readonly code: ErrorCode;
  /** The status in words. */
  readonly error: string;
  readonly message: string;
  readonly reason?: MissReason | PastMissReason;
  readonly candidates?: readonly Candidate[];
}

export function errorBody(
  code: ErrorCode,
  message: string,
  more: { readonly reason?: MissReason | PastMissReason; readonly candidates?: readonly Candidate[] } = {},
): ErrorBody {
  const { status } = ERRORS[code];
  return { statusCode: status, code, error: STATUS_CODES[status] ?? '', message, ...more };
}

/** The code for a status that a library chose; undefined: none of ours, so it is our fault. */
export function codeOfStatus(status: number): ErrorCode | undefined {
  return status === 404
    ? 'route_not_found'
    : ERROR_CODES.find((code) => ERRORS[code].status === status && status < 500);
}
