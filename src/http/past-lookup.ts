import { ERRORS, errorBody, MISS_REASONS, PAST_MISS_REASONS } from '../errors.ts';
import type { Candidate, ErrorCode, MissReason, PastMissReason } from '../errors.ts';
import { canonicalIp } from '../index/ip-address.ts';
import type { Holder, Tenure } from '../index/history/interval.ts';
import type { Counters } from '../metrics.ts';
import { asciiJson } from './ascii-json.ts';
import type { Past } from './context.ts';
import { INSTANT, instantOf } from './instant.ts';
import { candidatesOf } from './lookup.ts';
import { openTenureJson, tenureJson, textOf } from './tenure-json.ts';

type PastOutcome = keyof Counters['history_lookups_total'];

/** What is answered to a question for one pod at a time that has passed. */
export interface PastDecision {
  readonly outcome: PastOutcome;
  readonly status: number;
  readonly code?: ErrorCode;
  readonly reason?: MissReason | PastMissReason;
  readonly candidates?: readonly Candidate[];
  /** JSON, all ASCII. */
  readonly body: string;
}

export interface PastLookupParts {
  /** undefined: nothing is written down. */
  readonly past: Past | undefined;
  /** Rule A10. */
  readonly partial: boolean;
  readonly counters: Counters;
}

/**
 * Who had an address then. What was written down stays true however old the index has become, so nothing here asks how fresh it
 * is: a time in which nobody was watching is known as such.
 */
export class PastLookup {
  readonly #past: Past | undefined;
  readonly #partial: boolean;
  readonly #counters: Counters['history_lookups_total'];

  constructor({ past, partial, counters }: PastLookupParts) {
    this.#past = past;
    this.#partial = partial;
    this.#counters = counters.history_lookups_total;
  }

  /** Both as they were given. */
  byAddress(address: string, at: string): PastDecision {
    const decision = this.#decide(address, at);
    this.#counters[decision.outcome]++;
    return decision;
  }

  #decide(address: string, at: string): PastDecision {
    const ip = canonicalIp(address);
    if (ip === undefined) return refuse('invalid', 'invalid_ip', ERRORS.invalid_ip.meaning);
    const past = this.#past;
    if (past?.isReady !== true) return refuse('not_synced', 'not_synced', ERRORS.not_synced.meaning);
    const now = past.now();
    const instant = instantOf(at, now);
    if (instant === undefined) return refuse('invalid', 'invalid_request', `at: expected ${INSTANT}`);
    if (instant > now) return refuse('invalid', 'invalid_request', 'at: lies in the future');
    const then = past.at(ip, instant);
    if (then.kind === 'one') return this.#found(then.tenure, instant, then.inferred);
    if (then.kind === 'ambiguous') return ambiguous(then.candidates);
    if (then.kind === 'none') return miss(then.reason, MISS_REASONS[then.reason]);
    if (then.kind === 'beyond-retention') return miss(then.kind, PAST_MISS_REASONS[then.kind]);
    return this.#notObserved(then.before, then.after);
  }

  #found(tenure: Tenure, instant: number, inferred: boolean): PastDecision {
    const terminating = tenure.holder.deletionTimestamp !== undefined;
    const more = `,"terminating":${terminating},"at":"${textOf(instant)}","inferred":${inferred}}`;
    const body = openTenureJson(tenure, this.#partial) + more;
    return { outcome: inferred ? 'inferred' : 'found', status: 200, body };
  }

  #notObserved(before: Tenure | undefined, after: Tenure | undefined): PastDecision {
    const reason = 'not-observed';
    const { body, ...decision } = miss(reason, PAST_MISS_REASONS[reason]);
    const json = (tenure: Tenure | undefined): string => (tenure ? tenureJson(tenure, this.#partial) : 'null');
    return { ...decision, body: `${body.slice(0, -1)},"before":${json(before)},"after":${json(after)}}` };
  }
}

function refuse(outcome: PastOutcome, code: ErrorCode, message: string): PastDecision {
  return { outcome, status: ERRORS[code].status, code, body: asciiJson(errorBody(code, message)) };
}

function miss(reason: MissReason | PastMissReason, meaning: string): PastDecision {
  const body = asciiJson(errorBody('pod_not_found', `no pod answered then: ${meaning}`, { reason }));
  return { outcome: reason, status: ERRORS.pod_not_found.status, code: 'pod_not_found', reason, body };
}

function ambiguous(holders: readonly Holder[]): PastDecision {
  const message = `${holders.length} pods claimed this address`;
  const candidates = candidatesOf(holders);
  const body = asciiJson(errorBody('ambiguous', message, { candidates }));
  return { outcome: 'ambiguous', status: ERRORS.ambiguous.status, code: 'ambiguous', candidates, body };
}
