import type { Freshness } from '../freshness.ts';
import { callerOf } from './caller.ts';
import type { ClientAddresses, Preflight } from './client-address.ts';
import type { Identities } from './identity-headers.ts';
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

  of(request: Preflight, query: string): Evaluation {
    const { freshness, clients, known, constraints, policy, namespaces, wall } = this.#options;
    const refusal = freshness.refusal();
    if (refusal !== undefined) return { ...UNKNOWN, verdict: { allow: false, reason: refusal } };
    const now = wall();
    const client = clients.of(request, now);
    if ('allow' in client) return { ...UNKNOWN, verdict: client };
    const { ip, facts } = client;
    const caller = callerOf(ip, known, now);
    if ('allow' in caller) return { verdict: caller, facts, client: ip, caller: undefined };
    const verdict = decide({ facts, caller, constraints: constraints.of(query), policy: policy(), namespaces });
    return { verdict: this.#sendable(verdict), facts, client: ip, caller };
  }

  /** The same for what somebody supposes, and how the rules came to it. */
  explain(ip: string, facts: RequestFacts, query: string): { readonly evaluation: Evaluation; readonly trace: Trace } {
    const { known, policy, namespaces, wall } = this.#options;
    const trace: Trace = { rules: [] };
    const caller = callerOf(ip, known, wall());
    if ('allow' in caller) return { evaluation: { verdict: caller, facts, client: ip, caller: undefined }, trace };
    const constraints = parseConstraints(query);
    const verdict = this.#sendable(decide({ facts, caller, constraints, policy: policy(), namespaces }, trace));
    return { evaluation: { verdict, facts, client: ip, caller }, trace };
  }

  /** Rule E4: who passes is told to the back end, whole. */
  #sendable(verdict: Verdict): Verdict {
    if (!verdict.allow || this.#options.identities.of(verdict.caller) !== undefined) return verdict;
    return { allow: false, reason: 'unsendable', rule: verdict.rule };
  }
}

const UNKNOWN = { facts: undefined, client: undefined, caller: undefined } as const;
