import type { Logger } from 'pino';
import { canonicalIp } from '../../index/ip-address.ts';
import { oneLine } from '../../terminal.ts';
import type { Verdict } from './verdict.ts';

export interface DeniedPreflight {
  readonly verdict: Verdict & { readonly allow: false };
  /** The address of the connection, as the socket has it. */
  readonly peer: string;
  /** The caller's, when it is known. */
  readonly client: string | undefined;
  readonly method: string | undefined;
  readonly host: string | undefined;
  readonly uri: string | undefined;
}

/** Outcomes times rules, of this file of rules and of those before: more is never reached but by reloads without end. */
const MAX_KINDS = 8_192;
const EVERY_MS = 1_000;

/**
 * Every denial is one line: at info at most once a second for each reason and rule, with the number that was not; else at debug.
 * What others wrote is bounded and stays in its line; the query is left out, for it may hold secrets.
 */
export class DecisionLog {
  readonly #log: Logger;
  readonly #message: string;
  readonly #now: () => number;
  readonly #kinds = new Map<string, { since: number; suppressed: number }>();

  constructor({ log, audit, now }: { readonly log: Logger; readonly audit: boolean; readonly now: () => number }) {
    this.#log = log;
    this.#message = audit ? 'would be denied: FORWARD_AUTH_AUDIT lets it pass' : 'denied';
    this.#now = now;
  }

  denied(what: DeniedPreflight): void {
    const { reason, rule = '' } = what.verdict;
    const key = `${reason} ${rule}`;
    const now = this.#now();
    const known = this.#kinds.get(key);
    if (known && now - known.since < EVERY_MS) {
      known.suppressed++;
      if (this.#log.isLevelEnabled('debug')) this.#log.debug(fields(what), this.#message);
      return;
    }
    if (this.#kinds.size >= MAX_KINDS) this.#kinds.clear();
    this.#kinds.set(key, { since: now, suppressed: 0 });
    const suppressed = known?.suppressed ?? 0;
    this.#log.info({ ...fields(what), ...(suppressed > 0 && { suppressed }) }, this.#message);
  }
}

function fields({ verdict, peer, client, method, host, uri }: DeniedPreflight): Record<string, string> {
  const { reason, rule, detail } = verdict;
  const all = {
    reason,
    rule,
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
