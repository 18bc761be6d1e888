import type { Logger } from 'pino';
import { canonicalIp } from '../../index/ip-address.ts';
import { oneLine } from '../../terminal.ts';
import type { Verdict } from './verdict.ts';

export interface DecidedPreflight {
  readonly verdict: Verdict;
  /** Milliseconds since 1970. */
  readonly at: number;
  /** The address of the connection, as the socket has it. */
  readonly peer: string;
  /** The caller's, when it is known. */
  readonly client: string | undefined;
  readonly method: string | undefined;
  readonly host: string | undefined;
  readonly uri: string | undefined;
}

interface Sampled {
  readonly since: number;
  suppressed: number;
}

/** Outcomes times rules, of this file of rules and of those before: more is never reached but by reloads without end. */
const MAX_KINDS = 8_192;
const DENIED_EVERY_MS = 1_000;
/** Who passes is looked up by those who wonder, not by those who are paged. */
const ALLOWED_EVERY_MS = 60_000;

/**
 * Samples at info: of each reason and rule at most one denial a second, of each rule at most one that is allowed a minute, with the
 * number that was not logged. At debug every denial is a line. What others wrote is bounded and stays in its line; the query is left
 * out, for it may hold secrets.
 */
export class DecisionLog {
  readonly #log: Logger;
  readonly #message: string;
  readonly #denied = new Map<string, Sampled>();
  readonly #allowed = new Map<string, Sampled>();

  constructor({ log, audit }: { readonly log: Logger; readonly audit: boolean }) {
    this.#log = log;
    this.#message = audit ? 'would be denied: FORWARD_AUTH_AUDIT lets it pass' : 'denied';
  }

  decided(what: DecidedPreflight): void {
    if (!this.#log.isLevelEnabled('info')) return;
    const { verdict, at } = what;
    const sample = this.#sample(verdict, at);
    const message = verdict.allow ? 'allowed' : this.#message;
    if (sample === undefined) {
      if (!verdict.allow && this.#log.isLevelEnabled('debug')) this.#log.debug(fields(what), message);
      return;
    }
    this.#log.info({ ...fields(what), ...(sample > 0 && { suppressed: sample }) }, message);
  }

  /** How many of its kind were not logged since the last that was; undefined: nor is this one. */
  #sample(verdict: Verdict, at: number): number | undefined {
    const { rule = '' } = verdict;
    const key = verdict.allow ? rule : `${verdict.reason} ${rule}`;
    const kinds = verdict.allow ? this.#allowed : this.#denied;
    const known = kinds.get(key);
    // Should the clock be set back, this one is logged and not all for as long as it went back.
    if (known && Math.abs(at - known.since) < (verdict.allow ? ALLOWED_EVERY_MS : DENIED_EVERY_MS)) {
      known.suppressed++;
      return undefined;
    }
    if (kinds.size >= MAX_KINDS) kinds.clear();
    kinds.set(key, { since: at, suppressed: 0 });
    return known?.suppressed ?? 0;
  }
}

function fields({ verdict, peer, client, method, host, uri }: DecidedPreflight): Record<string, string> {
  const { rule } = verdict;
  const { reason, detail } = verdict.allow ? NO_REASON : verdict;
  const pod = verdict.allow && verdict.caller.kind === 'pod' ? verdict.caller.pod : undefined;
  const all = {
    reason,
    rule,
    pod: pod && oneLine(`${pod.namespace}/${pod.name}`, 320),
    // Where both families share a socket IPv4 comes mapped: nobody looks for that.
    peer: canonicalIp(peer) ?? peer,
    client,
    method: method && oneLine(method, 32),
    host: host && oneLine(host, 253),
    path: uri && oneLine(uri.split('?', 1)[0] ?? '', 200),
    detail: detail && oneLine(detail, 1000),
  };
  return Object.fromEntries(Object.entries(all).filter((field): field is [string, string] => field[1] !== undefined));
}

const NO_REASON = { reason: undefined, detail: undefined } as const;
