import type { ServerResponse } from 'node:http';
import type { Logger } from 'pino';
import { oneLine } from '../../terminal.ts';
import type { Freshness } from '../freshness.ts';
import type { FrontRequest } from '../lean-request.ts';
import type { Waiters } from '../waiters.ts';
import type { DecisionLog } from './decision-log.ts';
import type { DenialAnswers } from './denial-answers.ts';
import type { Evaluation, Evaluator } from './evaluation.ts';
import type { Identities } from './identity-headers.ts';
import type { PreflightCounts } from './preflight-counts.ts';
import { preflightQuery } from './preflight-target.ts';
import type { Tokens } from './token.ts';
import type { DenyReason, Verdict } from './verdict.ts';

export interface PreflightOptions {
  readonly evaluator: Evaluator;
  readonly freshness: Freshness;
  readonly waiters: Waiters;
  readonly identities: Identities;
  readonly tokens: { readonly header: string; readonly issuer: Tokens } | undefined;
  readonly answers: DenialAnswers;
  readonly counts: PreflightCounts;
  readonly decisions: DecisionLog;
  readonly log: Logger;
  /** The proxy writes the caller's method, path and query into the preflight. */
  readonly callersOwnRequest: boolean;
  readonly waitMs: number;
  readonly audit: boolean;
  readonly debug: boolean;
}

/** What a pod that is about to be reported changes. A node's address stays one, and those who come by it would only wait. */
const MAY_CHANGE: ReadonlySet<DenyReason> = new Set([
  'no-pod',
  'terminal',
  'not-in-view',
  'ambiguous',
  'terminating',
] as const);

/** More than a new pod asks for at once, and a fiftieth of all that may wait. */
const WAITERS_PER_CALLER = 20;

/**
 * Answers preflights in front of the router (decision 0005). 2xx only for a verdict that allows, or for an audit: every way out of
 * here but `#pass` is a denial, an exception too (rules E2, E3).
 */
export class Preflight {
  readonly #options: PreflightOptions;

  constructor(options: PreflightOptions) {
    this.#options = options;
  }

  /** Whether it was a preflight; it is answered then, perhaps later. */
  readonly front = (request: FrontRequest, response: ServerResponse): boolean => {
    const { callersOwnRequest, waitMs } = this.#options;
    const query = preflightQuery(request.url ?? '', callersOwnRequest);
    if (query === undefined) return false;
    const { method } = request;
    // The router refuses the others.
    if (method !== 'GET' && method !== 'HEAD' && !callersOwnRequest) return false;
    try {
      const evaluation = this.#options.evaluator.of(request, query);
      const after = waitMs > 0 && isToWait(evaluation) ? this.#wait(request, response, query, evaluation) : evaluation;
      const done =
        after instanceof Promise
          ? after.then((one) => this.#finish(request, response, one))
          : this.#finish(request, response, after);
      if (done instanceof Promise) done.catch((error: unknown) => this.#fail(response, error));
    } catch (error) {
      this.#fail(response, error);
    }
    return true;
  };

  /** Rule C5: a new pod calls before the kubelet has reported its address. */
  async #wait(request: FrontRequest, response: ServerResponse, query: string, first: Evaluation): Promise<Evaluation> {
    const { waiters, waitMs, evaluator } = this.#options;
    const { client } = first;
    if (client === undefined) return first;
    // Those who call from one address wait for it; so one caller alone cannot take the place of all others.
    if (waiters.full || waiters.waitingFor(client) >= WAITERS_PER_CALLER)
      return { ...first, verdict: { allow: false, reason: 'overloaded' } };
    const gone = new AbortController();
    response.once('close', () => gone.abort());
    return await waiters.wait({
      ip: client,
      ms: waitMs,
      ask: () => evaluator.of(request, query),
      done: (evaluation) => !isToWait(evaluation),
      signal: gone.signal,
    });
  }

  #finish(request: FrontRequest, response: ServerResponse, evaluation: Evaluation): void | Promise<void> {
    const { counts, decisions, audit } = this.#options;
    const { verdict, facts, client, at } = evaluation;
    const peer = request.socket.remoteAddress ?? '';
    decisions.decided({ verdict, at, peer, client, method: facts?.method, host: facts?.host, uri: facts?.uri });
    if (!verdict.allow) {
      counts.add(verdict.reason, verdict.rule);
      if (!audit) return this.#deny(response, verdict, evaluation.ageMs);
    }
    return this.#pass(response, evaluation);
  }

  /** The one place that answers 2xx. */
  #pass(response: ServerResponse, { verdict, caller, identity, ageMs }: Evaluation): void | Promise<void> {
    const { tokens, freshness, identities, counts, debug } = this.#options;
    const { headers } = identity ?? identities.nobody;
    const send = (token: string): void => {
      const all = headers.concat(freshness.told(ageMs), NO_BODY);
      if (tokens) all.push(tokens.header, token);
      if (debug) all.push(REASON_HEADER, reasonOf(verdict));
      if (verdict.allow) counts.add('allowed', verdict.rule);
      response.writeHead(200, all);
      response.end();
    };
    if (!tokens || !identity || caller?.kind !== 'pod') return send(NO_TOKEN);
    const token = tokens.issuer.of(caller.pod, identity);
    return typeof token === 'string' ? send(token) : token.then(send);
  }

  #deny(response: ServerResponse, verdict: Verdict & { allow: false }, ageMs: number): void {
    const { answers, freshness, debug } = this.#options;
    const { status, headers, body } = answers[verdict.reason];
    const all = headers.concat(freshness.told(ageMs));
    if (debug) all.push(REASON_HEADER, reasonOf(verdict));
    response.writeHead(status, all);
    response.end(body);
  }

  #fail(response: ServerResponse, err: unknown): void {
    const { log, counts, answers } = this.#options;
    log.error({ err }, 'a preflight failed');
    counts.add('internal_error');
    if (response.headersSent) return void response.destroy();
    const { status, headers, body } = answers.internal_error;
    // Without the age: to know it may be what has failed.
    response.writeHead(status, [...headers, 'cache-control', 'no-store']);
    response.end(body);
  }
}

const NO_BODY = ['content-length', '0'];
const NO_TOKEN = '-';
const REASON_HEADER = 'x-podwhois-reason';

const isToWait = ({ verdict }: Evaluation): boolean => !verdict.allow && MAY_CHANGE.has(verdict.reason);

/** For people who set FORWARD_AUTH_DEBUG: visible ASCII, bounded. */
function reasonOf(verdict: Verdict): string {
  const { rule } = verdict;
  const parts = verdict.allow ? ['allowed'] : [verdict.reason];
  if (rule !== undefined) parts.push(`rule ${JSON.stringify(rule)}`);
  if (!verdict.allow && verdict.detail !== undefined) parts.push(verdict.detail);
  return oneLine(parts.join('; '), 1000).replace(/[^ -~]+/g, encodeURIComponent);
}
