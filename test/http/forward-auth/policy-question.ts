import assert from 'node:assert/strict';
import { compileRules } from '../../../src/http/forward-auth/rules-file.ts';
import { decide } from '../../../src/http/forward-auth/policy.ts';
import type { Policy, Trace } from '../../../src/http/forward-auth/policy.ts';
import { parseConstraints } from '../../../src/http/forward-auth/query-constraints.ts';
import type { Caller, NamespaceLabels, RequestFacts, Verdict } from '../../../src/http/forward-auth/verdict.ts';
import type { Pod } from '../../../src/pod.ts';
import { makePod } from '../../index/make-pod.ts';

/** Rules from YAML or from what JSON makes of an object, which is YAML too. */
export function policyOf(rules: string | object): Policy {
  const { policy, problems } = compileRules(typeof rules === 'string' ? rules : JSON.stringify(rules));
  if (problems) assert.fail(problems.map(({ line, column, message }) => `${line}:${column}: ${message}`).join('\n'));
  return policy;
}

/** One rule for every request. */
export const allowing = (allow: readonly object[], rule: object = {}): Policy =>
  policyOf({ rules: [{ name: 'only', match: {}, allow, ...rule }] });

export const podCaller = (fields: Partial<Pod> = {}): Caller => ({ kind: 'pod', ip: '10.0.0.1', pod: makePod(fields) });

export const outsider = (ip: string, reason: 'no-pod' | 'node' | 'host-network' = 'no-pod'): Caller => ({ kind: 'outside', ip, reason }); // prettier-ignore

/** Every namespace that is not listed is unknown. */
export function namespacesOf(
  labels: Readonly<Record<string, Readonly<Record<string, string>>>>,
  refusal?: NamespaceLabels['refusal'],
): NamespaceLabels {
  return { refusal, labelsOf: (name) => (Object.hasOwn(labels, name) ? labels[name] : undefined) };
}

/** Whoever asks for labels where a test gives none is told that there are none yet. */
const UNREAD = namespacesOf({}, 'not_synced');

export interface Asked {
  readonly policy: Policy;
  readonly caller: Caller;
  readonly facts?: Partial<RequestFacts>;
  readonly query?: string;
  readonly namespaces?: NamespaceLabels | undefined;
  readonly trace?: Trace;
}

export function ask({ policy, caller, facts = {}, query = '', namespaces = UNREAD, trace }: Asked): Verdict {
  const constraints = parseConstraints(query);
  const request = { host: undefined, method: undefined, uri: undefined, ...facts };
  return decide({ facts: request, caller, constraints, policy, namespaces }, trace);
}

/** `allow`, or the reason. */
export function outcome(asked: Asked): string {
  const verdict = ask(asked);
  return verdict.allow ? 'allow' : verdict.reason;
}
