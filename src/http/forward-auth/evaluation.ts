import type { Freshness } from '../freshness.ts';
import { callerOf } from './caller.ts';
import type { ClientAddresses, PreflightRequest } from './client-address.ts';
import type { Identities, Identity } from './identity-headers.ts';
import { decide } from './policy.ts';
import type { Policy, Trace } from './policy.ts';
import { parseConstraints } from './query-constraints.ts';
import type { QueryConstraints } from './query-constraints.ts';
import type { Known } from './trusted-proxies.ts';
import type { Caller, NamespaceLabels, RequestFacts, Verdict } from './verdict.ts';

/** What is found out about a request, up to the verdict. */
export interface Evaluation {
  readonly verdict: Verdict;
  /** undefined: not asked, or not to be believed. */
  readonly facts: RequestFacts | undefined;
  /** The caller's address, canonical, as far as it is known. */
  readonly client: string | undefined;
  /** Whose it certainly is, allowed or not. */
  readonly caller: Caller | undefined;
  /** What the back end is told of him; undefined: he is not known, or something cannot be sent. */
  readonly identity: Identity | undefined;
}

export interface EvaluatorOptions {
  readonly freshness: Freshness;
  readonly clients: ClientAddresses;
  readonly known: Known;
  readonly constraints: QueryConstraints;
  /** The one in force now. */
  readonly policy: () => Policy;
  readonly namespaces: NamespaceLabels;
  readonly identities: Identities;
  /** Milliseconds since 1970. */
  readonly wall: () => number;
}

/** From a preflight to its verdict: is what is known fresh, who calls, may he (rules E1, E2, A5). No I/O. */
export class Evaluator {
  readonly #options: EvaluatorOptions;

  constructor(options: EvaluatorOptions) {
    this.#options = options;
  }

  of(request: PreflightRequest, query: string): Evaluation {
    const { freshness, clients, known, constraints, policy, namespaces, wall } = this.#options;
    const refusal = freshness.refusal();
    if (refusal !== undefined) return { ...UNKNOWN, verdict: { allow: false, reason: refusal } };
    const now = wall();
    const client = clients.of(request, now);
    if ('allow' in client) return { ...UNKNOWN, verdict: client };
    const { ip, facts } = client;
    const caller = callerOf(ip, known, now);
    if ('allow' in caller) return { ...UNKNOWN, verdict: caller, facts, client: ip };
    const verdict = decide({ facts, caller, constraints: constraints.of(query), policy: policy(), namespaces });
    return this.#told(verdict, facts, caller);
  }

  /** The same for what somebody supposes, and how the rules came to it. */
  explain(ip: string, facts: RequestFacts, query: string): { readonly evaluation: Evaluation; readonly trace: Trace } {
    const { known, policy, namespaces, wall } = this.#options;
    const trace: Trace = { rules: [] };
    const caller = callerOf(ip, known, wall());
    if ('allow' in caller) return { evaluation: { ...UNKNOWN, verdict: caller, facts, client: ip }, trace };
    const constraints = parseConstraints(query);
    const verdict = decide({ facts, caller, constraints, policy: policy(), namespaces }, trace);
    return { evaluation: this.#told(verdict, facts, caller), trace };
  }

  /** Rule E4: who passes is told to the back end, whole. */
  #told(verdict: Verdict, facts: RequestFacts, caller: Caller): Evaluation {
    const identity = this.#options.identities.of(caller);
    const isSendable = identity !== undefined || !verdict.allow;
    return {
      verdict: isSendable ? verdict : { allow: false, reason: 'unsendable', rule: verdict.rule },
      facts,
      client: caller.ip,
      caller,
      identity,
    };
  }
}

const UNKNOWN = { facts: undefined, client: undefined, caller: undefined, identity: undefined } as const;
