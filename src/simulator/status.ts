import { encodeJson } from './encoding/json.ts';
import { envelope } from './encoding/framing.ts';
import { encodeMessage } from './encoding/protobuf.ts';
import type { Format } from './object-version.ts';

export interface StatusCauseObject {
  readonly reason: string;
  readonly message: string;
  readonly field?: string;
}

/** metav1.Status of a failure, as the API server sends it. */
export interface StatusObject {
  readonly kind: 'Status';
  readonly apiVersion: 'v1';
  readonly metadata: Readonly<Record<string, never>>;
  readonly status: 'Failure';
  readonly message: string;
  readonly reason?: string;
  readonly details?: {
    readonly name?: string;
    readonly group?: string;
    readonly kind?: string;
    readonly causes?: readonly StatusCauseObject[];
    readonly retryAfterSeconds?: number;
  };
  readonly code: number;
}

/** A request that is answered with a Status. */
export class ApiError extends Error {
  override readonly name = 'ApiError';
  readonly status: StatusObject;

  constructor(code: number, reason: string | undefined, message: string, details?: StatusObject['details']) {
    super(message);
    this.status = {
      kind: 'Status',
      apiVersion: 'v1',
      metadata: {},
      status: 'Failure',
      message,
      ...(reason === undefined ? {} : { reason }),
      ...(details ? { details } : {}),
      code,
    };
  }
}

/** The bytes of a Status as a whole body. */
export function encodeStatus(status: StatusObject, format: Format): Buffer {
  if (format === 'json') return Buffer.from(`${encodeJson(status)}\n`);
  const message = encodeMessage('Status', status);
  const { head, tail } = envelope('Status', message.length);
  return Buffer.concat([head, message, tail]);
}

// What follows are kube-apiserver 1.36.3's own words, taken from its answers.

export const badRequest = (message: string): ApiError => new ApiError(400, 'BadRequest', message);

export const notFound = (): ApiError =>
  new ApiError(404, 'NotFound', 'the server could not find the requested resource', {});

export function objectNotFound(kind: string, name: string, group = ''): ApiError {
  const what = group === '' ? kind : `${kind}.${group}`;
  const details = group === '' ? { name, kind } : { name, group, kind };
  return new ApiError(404, 'NotFound', `${what} ${JSON.stringify(name)} not found`, details);
}

export const methodNotAllowed = (): ApiError =>
  new ApiError(405, 'MethodNotAllowed', 'the server does not allow this method on the requested resource', {});

export const notImplemented = (what: string): ApiError =>
  new ApiError(501, 'NotImplemented', `the simulator does not do this: ${what}`, {});

export const unauthorized = (): ApiError => new ApiError(401, 'Unauthorized', 'Unauthorized');

export function forbidden(
  user: string,
  verb: string,
  { name: resource, group }: { readonly name: string; readonly group: string },
  namespace: string | undefined,
): ApiError {
  const where = namespace === undefined ? 'at the cluster scope' : `in the namespace ${JSON.stringify(namespace)}`;
  const what = `User ${JSON.stringify(user)} cannot ${verb} resource ${JSON.stringify(resource)} in API group ${JSON.stringify(group)}`;
  const [full, details] =
    group === '' ? [resource, { kind: resource }] : [`${resource}.${group}`, { group, kind: resource }];
  return new ApiError(403, 'Forbidden', `${full} is forbidden: ${what} ${where}`, details);
}

/** 410: the version is no longer known. `from` is the oldest that is. */
export const expired = (version: number, from: number): ApiError =>
  new ApiError(410, 'Expired', `too old resource version: ${version} (${from})`);

export const continueExpired = (): ApiError =>
  new ApiError(
    410,
    'Expired',
    'The provided continue parameter is too old to display a consistent list result. You can start a new list without the continue parameter.',
  );

export const tooLarge = (version: number, current: number): ApiError =>
  new ApiError(504, 'Timeout', `Timeout: Too large resource version: ${version}, current: ${current}`, {
    causes: [{ reason: 'ResourceVersionTooLarge', message: 'Too large resource version' }],
    retryAfterSeconds: 1,
  });

export const notAcceptable = (available: readonly string[]): ApiError =>
  new ApiError(406, 'NotAcceptable', `406: Not Acceptable\n\nAvailable representations: ${available.join(', ')}`, {});

export const partialOfList = ({ kind, group }: { readonly kind: string; readonly group: string }): ApiError =>
  new ApiError(
    406,
    'NotAcceptable',
    `you requested PartialObjectMetadata, but the requested object is a list (*${group.split('.')[0] || 'core'}.${kind}List)`,
  );

/** 422 for list options that contradict each other. */
export function invalidOptions(causes: readonly StatusCauseObject[]): ApiError {
  const lines = causes.map((cause) => `${cause.field}: ${cause.message}`);
  const text = lines.length === 1 ? lines[0] : `[${lines.join(', ')}]`;
  return new ApiError(422, 'Invalid', `ListOptions.meta.k8s.io "" is invalid: ${text}`, {
    group: 'meta.k8s.io',
    kind: 'ListOptions',
    causes,
  });
}
