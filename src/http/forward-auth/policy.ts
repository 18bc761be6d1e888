import { isUndecided, peerMismatch } from './peers.ts';
import type { Peer, PeerMismatch, Undecided } from './peers.ts';
import { constraintMismatch } from './query-constraints.ts';
import type { ConstraintMismatch, ConstraintSet } from './query-constraints.ts';
import { hostFits, matchedRequest, methodFits, mismatch } from './request-match.ts';
import type { Asked, MatchedRequest, Mismatch, RequestMatch } from './request-match.ts';
import type { Caller, NamespaceLabels, RequestFacts, Verdict } from './verdict.ts';

/** May this caller pass? Pure: what is known in, the verdict with its reason out. */

export interface Rule {
  readonly name: string;
  /** Of the rules file. */
  readonly line: number;
  readonly match: RequestMatch;
  /** Any of them; never empty. */
  readonly allow: readonly Peer[];
}

/** What stands in the rules file, or that there is none. */
export interface Policy {
  /** undefined: there is no file. Constraints then decide alone. */
  readonly rules: readonly Rule[] | undefined;
  /** For what no rule fits, or without a file no constraint asks. `identify`: every pod that is known for certain passes. */
  readonly fallback: 'deny' | 'identify';
  /** A rule asks for the labels of namespaces. */
  readonly needsNamespaces: boolean;
  /** Which facts any rule asks for. */
  readonly asks: Asked;
  /** What `candidates` found lately: of each slot whatever was asked for last. */
  readonly found: (Found | undefined)[];
}

/** The rules that are left when the method, the host and the first segment of a path are known. */
interface Found {
  readonly method: string | undefined;
  readonly host: string | undefined;
  readonly first: string;
  readonly rules: readonly Rule[];
}

/** Made ready for deciding. */
export function createPolicy(rules: readonly Rule[] | undefined, fallback: Policy['fallback']): Policy {
  const all = rules ?? [];
  return {
    rules,
    fallback,
    needsNamespaces: all.some(({ allow }) => allow.some(({ pods }) => pods?.namespaceSelector !== undefined)),
    asks: {
      method: all.some(({ match }) => match.methods !== undefined),
      host: all.some(({ match }) => match.host !== undefined),
      path: all.some(({ match }) => match.path !== undefined),
    },
    found: Array.from({ length: FOUND }),
  };
}

/** There is no rules file: FORWARD_AUTH_DEFAULT. */
export const withoutRules = (fallback: Policy['fallback']): Policy => createPolicy(undefined, fallback);

export interface Question {
  readonly facts: RequestFacts;
  readonly caller: Caller;
  /** Of the preflight's own query. */
  readonly constraints: ConstraintSet;
  readonly policy: Policy;
  /** Asked for nothing unless a peer or a constraint selects by them. */
  readonly namespaces: NamespaceLabels;
}

/** What was looked at on the way to the verdict, for `explain`. */
export interface Trace {
  /** undefined: they hold, or there are none. */
  constraints?: ConstraintMismatch | undefined;
  readonly rules: RuleTrace[];
}

export interface RuleTrace {
  readonly rule: string;
  readonly line: number;
  /** Why the rule is not about the request; undefined: it is the one that decides. */
  readonly mismatch: Mismatch | undefined;
  /** Why each peer up to the one that matches (undefined) is not the caller. */
  readonly peers: readonly (PeerMismatch | undefined)[];
}

/**
 * Both must allow: the constraints of the query, if there are any, and the rules, if there is a file. Nothing passes by being left
 * out: a fact that a rule needs and nobody said, a path with two readings, labels that are not known, all deny with their reason.
 */
export function decide(question: Question, trace?: Trace): Verdict {
  const { facts, caller, constraints, policy } = question;
  if (constraints.query !== '') {
    const denial = constrain(question, trace);
    if (denial) return denial;
  }
  if (policy.rules === undefined) {
    return constraints.query === '' ? fallback(policy, caller) : { allow: true, caller, rule: undefined };
  }
  const request = matchedRequest(facts, policy.asks);
  for (const rule of trace ? policy.rules : candidates(policy, request)) {
    const why = mismatch(rule.match, request);
    if (why === 'path' || why === 'methods' || why === 'host') {
      trace?.rules.push({ rule: rule.name, line: rule.line, mismatch: why, peers: [] });
    } else if (why === undefined) {
      return admit(rule, question, request.path, trace);
    } else {
      trace?.rules.push({ rule: rule.name, line: rule.line, mismatch: why, peers: [] });
      return {
        allow: false,
        reason: why === 'unsafe path' ? 'unsafe-path' : 'unknown-request',
        rule: rule.name,
        detail: why,
      };
    }
  }
  return fallback(policy, caller);
}

/** Slots, a power of two. Whoever calls chooses what is looked for, so that there is no end of it; the few that services have stay. */
const FOUND = 512;

/** Characters, of the method too: longer ones are looked for each time. */
const LONGEST_FIRST = 128;

/**
 * All rules, but for those that the method, the host or the first segment of the path rules out: a hundred rules are mostly about
 * others, and most of the time of a decision would go into seeing that. Where a fact is missing the first rule that needs it denies.
 */
function candidates({ rules = [], asks, found }: Policy, request: MatchedRequest): readonly Rule[] {
  const { method, host, path } = request;
  const isWhole = (!asks.method || method !== undefined) && (!asks.host || host !== undefined);
  if (!isWhole || path === undefined || path === null) return rules;
  const slash = path.indexOf('/', 1);
  const end = slash < 0 ? path.length : slash;
  const slot = slotOf(method, host, path, end);
  const known = found[slot];
  if (known && known.method === method && known.host === host && isFirst(known.first, path, end)) return known.rules;
  const first = path.slice(1, end);
  const mayFit = ({ match: { methods, host, path } }: Rule): boolean =>
    methodFits(methods, request) && hostFits(host, request) && [undefined, first].includes(path?.segments[0]);
  const fitting = rules.filter(mayFit);
  if (first.length <= LONGEST_FIRST && (method?.length ?? 0) <= LONGEST_FIRST) {
    // The slice would hold all of the URI for as long as it is kept; what comes out of a Buffer is a text of its own.
    found[slot] = { method, host, first: Buffer.from(first).toString(), rules: fitting };
  }
  return fitting;
}

const isFirst = (first: string, path: string, end: number): boolean =>
  first.length === Math.max(0, end - 1) && path.startsWith(first, 1);

/** A text made of all three, to find it in a Map, would take three times as long as to compare them. */
function slotOf(method = '', host = '', path: string, end: number): number {
  let hash = Math.imul(method.length, 31) ^ host.length;
  hash = Math.imul(hash, 31) ^ host.charCodeAt(0);
  hash = Math.imul(hash, 31) ^ host.charCodeAt(host.length >> 1);
  const last = Math.min(end, LONGEST_FIRST);
  for (let i = 1; i < last; i++) hash = Math.imul(hash, 31) ^ path.charCodeAt(i);
  return (hash ^ (hash >>> 9)) & (FOUND - 1);
}

function constrain(
  { facts, caller, constraints, namespaces }: Question,
  trace: Trace | undefined,
): Verdict | undefined {
  // A proxy that passes on the query of the request it holds back (Caddy, where `uri` has no "?") lets the caller write the constraints.
  if (facts.uri !== undefined && queryOf(facts.uri) === constraints.query) return deny('caller-query');
  if (constraints.error !== undefined) return deny('invalid-query', constraints.error);
  if (caller.kind !== 'pod') return deny(caller.reason);
  const why = constraintMismatch(constraints, caller.pod, namespaces);
  if (trace) trace.constraints = why;
  if (why === undefined) return undefined;
  return isUndecided(why) ? deny(why) : deny('not-allowed', `constraint: ${why}`);
}

function admit(
  rule: Rule,
  { caller, namespaces }: Question,
  path: string | undefined | null,
  trace: Trace | undefined,
): Verdict {
  const peers: (PeerMismatch | undefined)[] | undefined = trace && [];
  if (peers) trace?.rules.push({ rule: rule.name, line: rule.line, mismatch: undefined, peers });
  let undecided: Undecided | undefined;
  for (const peer of rule.allow) {
    const why = peerMismatch(peer, caller, path, namespaces);
    peers?.push(why);
    if (why === undefined) return { allow: true, caller, rule: rule.name };
    if (isUndecided(why)) undecided ??= why;
  }
  // Which of the peers it might have been matters more to who asks than that the others are not.
  const reason = caller.kind === 'pod' ? (undecided ?? 'not-allowed') : caller.reason;
  return { allow: false, reason, rule: rule.name };
}

function fallback(policy: Policy, caller: Caller): Verdict {
  if (policy.fallback === 'deny') return deny('no-rule');
  return caller.kind === 'pod' ? { allow: true, caller, rule: undefined } : deny(caller.reason);
}

const deny = (reason: (Verdict & { allow: false })['reason'], detail?: string): Verdict & { allow: false } => ({
  allow: false,
  reason,
  detail,
});

const queryOf = (uri: string): string => {
  const mark = uri.indexOf('?');
  return mark < 0 ? '' : uri.slice(mark + 1);
};
