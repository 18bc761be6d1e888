import { ERRORS, errorBody, MISS_REASONS, PAST_MISS_REASONS } from '../errors.ts';
import type { Candidate, ErrorCode, MissReason, PastMissReason } from '../errors.ts';
import { canonicalIp } from '../index/ip-address.ts';
import type { Holder, Tenure } from '../index/history/interval.ts';
import type { Counters } from '../metrics.ts';
import { asciiJson } from './ascii-json.ts';
import type { Past, PastQuestion, Recalled } from './context.ts';
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
  /** Where the code leaves open what is to be changed. */
  readonly message?: string;
  /** JSON, all ASCII. */
  readonly body: string;
}

/** An address and a time, as somebody wrote them. */
export interface AsGiven {
  readonly ip: string;
  readonly at: string;
}

type Decisions = readonly (() => PastDecision)[];

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
  byAddress(ip: string, at: string): PastDecision | Promise<PastDecision> {
    const decisions = this.byAddresses([{ ip, at }]);
    return decisions instanceof Promise ? decisions.then(first) : first(decisions);
  }

  /** As they were given; one decision each, in order. Each is called once: its text, which may be long, is only made then. */
  byAddresses(asked: readonly AsGiven[]): Decisions | Promise<Decisions> {
    if (asked.length === 0) return [];
    const past = this.#past?.isReady === true ? this.#past : undefined;
    const now = past?.now();
    const read = asked.map((one) => questionOf(one, now));
    const questions = read.filter((one) => 'ip' in one);
    const answered = (recalled: readonly Recalled[]): Decisions => {
      let next = 0;
      return read.map((one) => {
        const then = 'ip' in one ? recalled[next++] : undefined;
        return () => this.#count('ip' in one ? this.#decide(one, then as Recalled) : one);
      });
    };
    const recalled = past?.at(questions) ?? [];
    return recalled instanceof Promise ? recalled.then(answered) : answered(recalled);
  }

  #count(decision: PastDecision): PastDecision {
    this.#counters[decision.outcome]++;
    return decision;
  }

  #decide({ time }: PastQuestion, then: Recalled): PastDecision {
    if (then.kind === 'one') return this.#found(then.tenure, time, then.inferred);
    if (then.kind === 'ambiguous') return ambiguous(then.candidates);
    if (then.kind === 'none') return miss(then.reason, MISS_REASONS[then.reason]);
    if (then.kind === 'beyond-retention') return miss(then.kind, PAST_MISS_REASONS[then.kind]);
    if (then.kind === 'not-observed') return this.#notObserved(then.before, then.after);
    return refuse('history_unavailable', 'history_unavailable', ERRORS.history_unavailable.meaning);
  }

  #found(tenure: Tenure, instant: number, inferred: boolean): PastDecision {
    const more = `,"at":"${textOf(instant)}","inferred":${inferred}}`;
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

const first = ([decide]: Decisions): PastDecision => (decide as () => PastDecision)();

/** What is asked, or why it cannot be. `now` is undefined as long as nothing is known. */
function questionOf({ ip: address, at }: AsGiven, now: number | undefined): PastQuestion | PastDecision {
  const ip = canonicalIp(address);
  if (ip === undefined) return refuse('invalid', 'invalid_ip', ERRORS.invalid_ip.meaning);
  if (now === undefined) return refuse('not_synced', 'not_synced', ERRORS.not_synced.meaning);
  const time = instantOf(at, now);
  if (time === undefined) return refuseTime(`at: expected ${INSTANT}`);
  if (time > now) return refuseTime('at: lies in the future');
  return { ip, time };
}

function refuse(outcome: PastOutcome, code: ErrorCode, message: string): PastDecision {
  return { outcome, status: ERRORS[code].status, code, body: asciiJson(errorBody(code, message)) };
}

const refuseTime = (message: string): PastDecision => ({ ...refuse('invalid', 'invalid_request', message), message });

function miss(reason: MissReason | PastMissReason, meaning: string): PastDecision {
  // "no pod has it" is about now.
  const then = meaning.replace(/ has (it|finished)/, ' had $1');
  const body = asciiJson(errorBody('pod_not_found', `no pod answered then: ${then}`, { reason }));
  return { outcome: reason, status: ERRORS.pod_not_found.status, code: 'pod_not_found', reason, body };
}

function ambiguous(holders: readonly Holder[]): PastDecision {
  const message = `${holders.length} pods claimed this address`;
  const candidates = candidatesOf(holders);
  const body = asciiJson(errorBody('ambiguous', message, { candidates }));
  return { outcome: 'ambiguous', status: ERRORS.ambiguous.status, code: 'ambiguous', candidates, body };
}
