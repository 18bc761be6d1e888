import { Type } from 'typebox';
import type { TSchema } from 'typebox';
import { ERROR_CODES, ERRORS, MISS_REASONS, PAST_MISS_REASONS } from '../errors.ts';
import type { ErrorCode } from '../errors.ts';

/** The shapes of what goes in and out, for validation, for TypeScript and for the OpenAPI document. */

const nullable = <T extends TSchema>(schema: T) => Type.Union([schema, Type.Null()]);

const texts = (description: string) => Type.Record(Type.String(), Type.String(), { description });

const literals = <const T extends readonly string[]>(values: T, options = {}) =>
  Type.Unsafe<T[number]>({ type: 'string', enum: values, ...options });

/** Rule A10. */
export const View = Type.Optional(
  literals(['partial'], { description: 'not all pods are in view: a conflict with one outside cannot be seen' }),
);

export const Container = Type.Object({
  kind: literals(['container', 'init', 'ephemeral']),
  name: Type.String(),
  image: Type.String(),
  id: nullable(Type.String({ description: 'with its scheme, such as containerd://' })),
  ready: Type.Boolean(),
  restarts: Type.Integer(),
});

export const PHASES = ['Pending', 'Running', 'Succeeded', 'Failed', 'Unknown'] as const;

export const Pod = Type.Object(
  {
    name: Type.String(),
    namespace: Type.String(),
    uid: Type.String(),
    labels: texts('all labels'),
    annotations: texts('those that the setting ANNOTATIONS allows'),
    pod_ip: nullable(Type.String()),
    pod_ips: Type.Array(Type.String(), { description: 'in canonical form' }),
    host_ip: nullable(Type.String()),
    host_ips: Type.Array(Type.String()),
    node_name: nullable(Type.String()),
    phase: literals(PHASES),
    ready: Type.Boolean(),
    terminating: Type.Boolean(),
    host_network: Type.Boolean(),
    service_account: nullable(Type.String()),
    owner: nullable(
      Type.Object(
        { kind: Type.String(), name: Type.String(), uid: Type.String() },
        { description: 'the direct controller' },
      ),
    ),
    workload: nullable(
      Type.Object(
        {
          kind: Type.String(),
          name: Type.String(),
          source: literals(['owner', 'pod-template-hash', 'scheduled-time'], { description: 'the evidence' }),
        },
        { description: 'what the pod belongs to in the eyes of its user' },
      ),
    ),
    containers: Type.Array(Container),
    qos_class: nullable(Type.String()),
    created_at: nullable(Type.String({ format: 'date-time' })),
    started_at: nullable(Type.String({ format: 'date-time' })),
    resource_version: Type.String(),
    view: View,
  },
  { $id: 'Pod' },
);

const { name, namespace, uid, labels, node_name, service_account, workload, view } = Pod.properties;

const Time = Type.String({ format: 'date-time' });

/** How long a pod held an address. */
export const Tenure = Type.Object({
  ip: Type.String({ description: 'in canonical form' }),
  name,
  namespace,
  uid,
  labels,
  node_name,
  service_account,
  workload,
  host_network: Type.Boolean({ description: 'it is on the network of its node: its addresses name no pod' }),
  terminating: Type.Boolean({ description: 'it was being deleted' }),
  finished: Type.Boolean({
    description: 'it had Succeeded or Failed: it names the address still and does not answer for it',
  }),
  held_from: Time,
  held_from_observed: Type.Boolean({ description: 'false: it held it then, and nobody knows since when' }),
  held_until: nullable(Time),
  held_until_observed: nullable(
    Type.Boolean({ description: 'false: it held it until then at least; null, like held_until: it has it still' }),
  ),
  view,
});

/** Who had an address then. */
export const PastPod = Type.Object({
  ...Tenure.properties,
  at: Time,
  inferred: Type.Boolean({ description: 'nobody was watching; the same pod, and no other, had it before and after' }),
});

export const Reason = literals([...Object.keys(MISS_REASONS), ...Object.keys(PAST_MISS_REASONS)], {
  description: 'why no pod answers',
});

export const ErrorAnswer = Type.Object(
  {
    statusCode: Type.Integer(),
    code: literals(ERROR_CODES, { description: 'stable' }),
    error: Type.String({ description: 'the status in words' }),
    message: Type.String({ description: 'for people' }),
    reason: Type.Optional(Reason),
    before: Type.Optional(nullable(Tenure)),
    after: Type.Optional(nullable(Tenure)),
    candidates: Type.Optional(
      Type.Array(Type.Object({ namespace: Type.String(), name: Type.String(), uid: Type.String() }), {
        description: 'of an ambiguous address: who claims it, at most 100',
      }),
    ),
  },
  { $id: 'Error' },
);

export const PodRef = Type.Unsafe<unknown>({ $ref: 'Pod#' });
const ErrorRef = { $ref: 'Error#' };

/** A name, a uid: visible ASCII. What could never be one is refused instead of never found. */
export const Word = (description: string, maxLength = 253) =>
  Type.String({ minLength: 1, maxLength, pattern: '^[!-~]+$', description });

export const Text = (description: string, maxLength: number) => Type.String({ maxLength, description });

export const Duration = (description: string) =>
  Type.String({
    minLength: 1,
    maxLength: 64,
    description: `${description}; a duration as Go writes it, such as 1500ms`,
  });

/** One word of several, such as a phase. */
export const OneOf = literals;

export const query = <T extends Record<string, TSchema>>(properties: T) =>
  Type.Object(properties, { additionalProperties: false });

/** A route's answers: what it says when all is well, and the errors it may give. */
export function answers(ok: Record<number, TSchema>, codes: readonly ErrorCode[]): Record<number, unknown> {
  const errors: Record<number, unknown> = {};
  for (const code of codes) {
    const { status } = ERRORS[code];
    const same = codes.filter((other) => ERRORS[other].status === status);
    errors[status] = { ...ErrorRef, description: same.map((one) => `${one}: ${ERRORS[one].meaning}`).join('; ') };
  }
  return { ...ok, ...errors };
}
