import { randomBytes } from 'node:crypto';
import type { ServerResponse } from 'node:http';
import { Type } from 'typebox';
import { requireFresh } from '../parameters.ts';
import type { App, Parts } from '../parts.ts';
import { podFilter } from '../pod-filter.ts';
import type { PodFilter } from '../pod-filter.ts';
import { PodStream } from '../pod-stream.ts';
import { Problem } from '../problem.ts';
import { answers, query } from '../schemas.ts';
import { FILTERS } from './list.ts';

/** `/pods/stream`: the pods that are there, and then every change, as server-sent events. */
export function streamRoutes(app: App, parts: Parts): void {
  const { freshness, limits } = parts;
  const streams = new Streams(parts);

  app.get(
    '/pods/stream',
    {
      schema: {
        summary: 'Which pods are there, and what becomes of them?',
        description:
          'Server-sent events `added`, `modified`, `deleted` (a pod that leaves the filter too), each with the pod as data, and `sync` when all that is there has been sent. Last-Event-ID goes on where it names (`sync` then says `"resumed":true`), or starts anew when that is too long ago or another process.',
        querystring: query(FILTERS),
        produces: ['text/event-stream'],
        response: answers({ 200: Type.String({ description: 'until either side ends it' }) }, [
          'invalid_request',
          'invalid_ip',
          'invalid_selector',
          'not_synced',
          'stale',
          'overloaded',
        ]),
      },
    },
    (request, reply) => {
      const filter = podFilter(request.query);
      requireFresh(freshness);
      if (streams.size >= limits.maxStreams) throw new Problem('overloaded', 'too many streams are open');
      const { 'last-event-id': lastEventId } = request.headers;
      reply.hijack();
      const { raw } = reply;
      raw.writeHead(200, ['content-type', 'text/event-stream', 'x-accel-buffering', 'no', ...freshness.told()]);
      if (request.method === 'HEAD') raw.end();
      else void streams.serve(raw, filter, typeof lastEventId === 'string' ? lastEventId : undefined);
    },
  );
}

/** The open streams, and their common heartbeat. */
class Streams {
  readonly #parts: Parts;
  /** Each with how to drop it. */
  readonly #open = new Map<PodStream, () => void>();
  /** Tells this process's ids from another's. */
  readonly #epoch = randomBytes(6).toString('hex');

  constructor(parts: Parts) {
    this.#parts = parts;
    parts.metrics.observe(() => ({ stream_clients: this.size }));
    void this.#beat();
  }

  get size(): number {
    return this.#open.size;
  }

  async serve(response: ServerResponse, filter: PodFilter, lastEventId: string | undefined): Promise<void> {
    const { index, turns, podJson, limits, closing, log } = this.#parts;
    const gone = new AbortController();
    response.on('close', () => gone.abort());
    // Its reader has gone: `close` follows.
    response.on('error', () => undefined);
    const stream = new PodStream({
      index,
      turns,
      podJson,
      filter,
      response,
      lastEventId,
      epoch: this.#epoch,
      perTurn: limits.scanPerTurn,
      pieceBytes: limits.maxPieceBytes,
      buffer: limits.streamBuffer,
      signal: AbortSignal.any([gone.signal, closing]),
    });
    const drop = (): void => this.#drop(response);
    this.#open.set(stream, drop);
    try {
      if ((await stream.run()) === 'overtaken') drop();
    } catch (err) {
      log.error({ err }, 'a stream failed');
      response.destroy();
    } finally {
      this.#open.delete(stream);
      response.end();
    }
  }

  #drop(response: ServerResponse): void {
    if (response.destroyed) return;
    this.#parts.metrics.counters.stream_dropped_total.all++;
    this.#parts.log.info('a stream was dropped: its reader is too slow');
    response.destroy();
  }

  async #beat(): Promise<void> {
    const { clock, limits, closing, freshness } = this.#parts;
    while (!closing.aborted) {
      await clock.sleep(limits.heartbeat, closing).catch(() => undefined);
      for (const [stream, drop] of this.#open) if (!stream.heartbeat(freshness.age)) drop();
    }
  }
}
