import type { ServerOptions } from './context.ts';
import type { FrontRequest } from './lean-request.ts';
import type { HttpAddition } from './plug.ts';

/** They tell of the caller himself and of podwhois, and of no other pod. */
const OPEN = new Set(['/whoami', '/health', '/healthz', '/livez', '/ready', '/readyz']);

/**
 * Who may read. Without LOOKUP_TOKEN_FILE everybody may; with it, whoever has one of its tokens. Open paths need none, and
 * they are all that PREFLIGHT_PORT carries.
 */
export class Gate {
  readonly #tokens: ServerOptions['tokens'];
  readonly #additions: readonly HttpAddition[];

  constructor(tokens: ServerOptions['tokens'], additions: readonly HttpAddition[]) {
    this.#tokens = tokens;
    this.#additions = additions;
  }

  lets(request: FrontRequest): boolean {
    const tokens = this.#tokens;
    return tokens === undefined || this.isOpen(request) || tokens.value.accepts(request.headers.authorization);
  }

  /** Compared as it is written, not decoded: what only the router reads as one of these paths is not open. */
  isOpen({ url = '' }: FrontRequest): boolean {
    const path = url.replace(/^https?:\/\/[^/?#]*/i, '').split(/[?#]/, 1)[0] ?? '';
    return OPEN.has(path) || this.#additions.some((addition) => addition.isOpen?.(path));
  }
}
