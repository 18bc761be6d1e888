import type { ServerResponse } from 'node:http';
import type { FrontRequest } from './lean-request.ts';
import type { App, Parts } from './parts.ts';

/** How a capability is plugged into the server: made once, before it listens. */
export type HttpPlug = (parts: Parts) => HttpAddition;

/** What a capability adds to the server. */
export interface HttpAddition {
  /** Its routes, with their schemas: the OpenAPI document is made of them. */
  routes?(app: App): void;
  /**
   * Asked in front of the router, with every request that is well-formed and may be answered: whether it has taken it. Must not
   * throw for what a client sends; should it, the answer is a 500.
   */
  front?(request: FrontRequest, response: ServerResponse): boolean;
  /** Whether a path is answered without the token of LOOKUP_TOKEN_FILE, and on PREFLIGHT_PORT too. */
  isOpen?(path: string): boolean;
}
