import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox';
import type { FastifyBaseLogger, FastifyInstance, RawServerDefault } from 'fastify';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { ServerOptions } from './context.ts';
import type { Freshness } from './freshness.ts';
import type { Limits } from './limits.ts';
import type { Lookup } from './lookup.ts';
import type { Room } from './outgoing.ts';
import type { PastLookup } from './past-lookup.ts';
import type { PodJson } from './pod-json.ts';
import type { Turns } from '../turns.ts';
import type { Waiters } from './waiters.ts';

export type App = FastifyInstance<
  RawServerDefault,
  IncomingMessage,
  ServerResponse,
  FastifyBaseLogger,
  TypeBoxTypeProvider
>;

/** What the routes are made of. */
export interface Parts extends ServerOptions {
  readonly limits: Limits;
  readonly freshness: Freshness;
  readonly podJson: PodJson;
  readonly lookup: Lookup;
  readonly pastLookup: PastLookup;
  readonly waiters: Waiters;
  readonly turns: Turns;
  readonly room: Room;
  /** Aborted when the server stops: streams end. */
  readonly closing: AbortSignal;
  /** The server stops, and still serves. */
  readonly draining: () => boolean;
}
