import { answer } from '../index/answer.ts';
import type { View } from '../index/answer.ts';
import { canonicalIp } from '../index/ip-address.ts';
import { ERRORS, errorBody, MISS_REASONS } from '../errors.ts';
import type { Candidate, ErrorCode, MissReason } from '../errors.ts';
import type { Counters, LookupOutcome } from '../metrics.ts';
import type { Pod } from '../pod.ts';
import { AnswerCache } from './answer-cache.ts';
import { asciiJson } from './ascii-json.ts';
import type { Pods } from './context.ts';
import type { Freshness } from './freshness.ts';
import type { PodJson } from './pod-json.ts';

/** What is answered to a question for one pod. */
export interface Decision {
  readonly outcome: LookupOutcome;
  readonly status: number;
  readonly code?: ErrorCode;
  readonly reason?: MissReason;
  readonly candidates?: readonly Candidate[];
  /** JSON, all ASCII. */
  readonly body: string;
  /** Another pod, or one pod less, may change it (rule C5). */
  readonly mayChange: boolean;
}

/** One of: uid; namespace and name; container. */
export interface SelfQuestion {
  readonly uid?: string;
  readonly namespace?: string;
  readonly name?: string;
  readonly container_id?: string;
}

export interface LookupParts {
  readonly index: Pods;
  readonly view: View;
  readonly freshness: Freshness;
  readonly podJson: PodJson;
  readonly counters: Counters;
}

/** The one place that decides what a question for one pod is answered, whichever route it came by. */
export class Lookup {
  readonly #index: Pods;
  readonly #view: View;
  readonly #freshness: Freshness;
  readonly #podJson: PodJson;
  readonly #counters: Counters['lookups_total'];
  readonly #cache = new AnswerCache<Decision>();

  constructor({ index, view, freshness, podJson, counters }: LookupParts) {
    this.#index = index;
    this.#view = view;
    this.#freshness = freshness;
    this.#podJson = podJson;
    this.#counters = counters.lookups_total;
  }

  /** Every question that was answered, once: not while it waits. */
  count(decision: Decision): Decision {
    this.#counters[decision.outcome]++;
    return decision;
  }

  /**
   * An address that is none is refused before anything else: asking again would not help. `ageMs`: of `Freshness`, read in this turn.
   */
  byAddress(text: string, maxStaleness?: number, ageMs?: number): Decision {
    const ip = canonicalIp(text);
    if (ip === undefined) return INVALID_IP;
    return this.#refusal(maxStaleness, ageMs) ?? this.ofAddress(ip);
  }

  /** The address is canonical, and the index fresh enough. */
  ofAddress(ip: string): Decision {
    const found = answer(this.#index, ip, this.#view);
    if (found.kind === 'one') return this.#cached(ip, found.pod);
    if (found.kind === 'none') return MISSES[found.reason];
    return found.kind === 'ambiguous' ? ambiguous(found.candidates) : UNREADABLE;
  }

  /** By uid, name or container: every pod in the live set answers, unless what is known of it may be out of date (rule B6). */
  bySelf(question: SelfQuestion, maxStaleness?: number): Decision {
    const refusal = this.#refusal(maxStaleness);
    if (refusal) return refusal;
    const pod = this.#find(question);
    if (this.#index.isSetAside(pod ?? question)) return UNREADABLE;
    if (pod) return this.#found(pod);
    // An object that could not be read may be the one with this uid or container: neither need be known of it.
    if (question.name === undefined && this.#index.unreadable > 0) return UNREADABLE;
    return MISSES[this.#view.partial ? 'not-in-view' : 'no-pod'];
  }

  #find({ uid, namespace, name, container_id: containerId }: SelfQuestion): Pod | undefined {
    if (uid !== undefined) return this.#index.byUid(uid);
    if (containerId !== undefined) return this.#index.byContainerId(containerId);
    return this.#index.byName(namespace ?? '', name ?? '');
  }

  #cached(ip: string, pod: Pod): Decision {
    const known = this.#cache.get(ip, pod);
    if (known) return known;
    const decision = this.#found(pod);
    this.#cache.set(ip, pod, decision, decision.body.length);
    return decision;
  }

  #found(pod: Pod): Decision {
    return decide('found', 200, this.#podJson.of(pod));
  }

  #refusal(maxStaleness: number | undefined, ageMs?: number): Decision | undefined {
    const refusal = this.#freshness.refusal(maxStaleness, ageMs);
    return refusal === undefined ? undefined : REFUSALS[refusal];
  }
}

function decide(outcome: LookupOutcome, status: number, body: string): Decision {
  return { outcome, status, body, mayChange: false };
}

function refuse(outcome: LookupOutcome, code: ErrorCode, message: string): Decision {
  return { ...decide(outcome, ERRORS[code].status, asciiJson(errorBody(code, message))), code };
}

export const INVALID_IP = refuse(
  'invalid',
  'invalid_ip',
  'not an IP address; write it like 10.42.0.5 or fd00:42::5, without port, zone, brackets, spaces or leading zeros',
);

const REFUSALS = {
  not_synced: refuse('not_synced', 'not_synced', ERRORS.not_synced.meaning),
  stale: refuse('stale', 'stale', ERRORS.stale.meaning),
} as const;

const UNREADABLE = refuse('unreadable', 'unreadable', ERRORS.unreadable.meaning);

function miss(reason: MissReason): Decision {
  const body = asciiJson(errorBody('pod_not_found', `no pod answers: ${MISS_REASONS[reason]}`, { reason }));
  // CLUSTER_CIDR stays as it is.
  const mayChange = reason !== 'outside-cluster-cidr';
  return { ...decide(reason, ERRORS.pod_not_found.status, body), code: 'pod_not_found', reason, mayChange };
}

const MISSES: Readonly<Record<MissReason, Decision>> = {
  'no-pod': miss('no-pod'),
  'host-network': miss('host-network'),
  node: miss('node'),
  terminal: miss('terminal'),
  'outside-cluster-cidr': miss('outside-cluster-cidr'),
  'not-in-view': miss('not-in-view'),
};

/** Rule A4: by reference only. Whoever may patch many pods' status must not make answers of any length. */
const MAX_CANDIDATES = 100;

export const candidatesOf = (pods: readonly Candidate[]): readonly Candidate[] =>
  pods.slice(0, MAX_CANDIDATES).map(({ namespace, name, uid }) => ({ namespace, name, uid }));

function ambiguous(pods: readonly Pod[]): Decision {
  const candidates = candidatesOf(pods);
  const body = asciiJson(errorBody('ambiguous', `${pods.length} pods claim this address`, { candidates }));
  return { ...decide('ambiguous', ERRORS.ambiguous.status, body), code: 'ambiguous', candidates, mayChange: true };
}
