import type { FastifyReply } from 'fastify';
import { ERRORS, errorBody, retryAfter } from '../errors.ts';
import type { ErrorCode } from '../errors.ts';
import { SHORT } from './outgoing.ts';
import type { Room } from './outgoing.ts';

export const JSON_TYPE = 'application/json; charset=utf-8';

/** How routes answer. The headers that every answer carries are added by the server's onSend hook. */

export function sendJson(reply: FastifyReply, body: string | Buffer): FastifyReply {
  return reply.header('content-type', JSON_TYPE).send(body);
}

/** The bytes of a text that holds nothing but ASCII, as all JSON of pods does: copied, where UTF-8 would be looked through. */
export const ascii = (text: string): Buffer => Buffer.from(text, 'latin1');

/** What was decided of a question for one pod, now or then. */
interface Answered {
  readonly status: number;
  readonly code?: ErrorCode;
  readonly body: string;
}

/** Of a pod whatever its creator wrote may be a megabyte long: an image's name, an owner's. It takes room like a page then. */
export function sendDecision(reply: FastifyReply, { status, code, body }: Answered, room: Room): FastifyReply {
  if (body.length > SHORT) room.begin(reply.raw)(body.length);
  reply.code(status).header('content-type', JSON_TYPE);
  if (code) announceRetry(reply, code);
  return reply.send(body);
}

export function sendError(reply: FastifyReply, code: ErrorCode, message: string): FastifyReply {
  reply.code(ERRORS[code].status).header('content-type', JSON_TYPE);
  announceRetry(reply, code);
  return reply.send(JSON.stringify(errorBody(code, message)));
}

function announceRetry(reply: FastifyReply, code: ErrorCode): void {
  const seconds = retryAfter(code);
  if (seconds !== undefined) reply.header('retry-after', String(seconds));
}

/** Aborts when the answer is sent or its reader has gone. */
export function goneSignal(reply: FastifyReply): AbortSignal {
  const gone = new AbortController();
  if (reply.raw.destroyed) gone.abort();
  else reply.raw.once('close', () => gone.abort());
  return gone.signal;
}
