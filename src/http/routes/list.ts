import { Readable } from 'node:stream';
import { Type } from 'typebox';
import { answer } from '../../index/answer.ts';
import { ascii, goneSignal, JSON_TYPE, sendJson } from '../answering.ts';
import { pageSize, requireFresh } from '../parameters.ts';
import type { App, Parts } from '../parts.ts';
import { podFilter } from '../pod-filter.ts';
import type { PodFilter } from '../pod-filter.ts';
import { positionOf, tokenOf } from '../position.ts';
import type { Position } from '../position.ts';
import { Problem } from '../problem.ts';
import { Slots } from '../outgoing.ts';
import { scan, workPerTurn } from '../scan.ts';
import { answers, OneOf, PHASES, PodRef, query, Text, View, Word } from '../schemas.ts';

export const FILTERS = {
  namespace: Type.Optional(Word('only of this namespace')),
  node: Type.Optional(Word('only on this node')),
  label_selector: Type.Optional(Text('a Kubernetes label selector: a=b,c in (d,e),!f', 8192)),
  phase: Type.Optional(OneOf(PHASES)),
  owner: Type.Optional(Word('of this controller or workload: Deployment/web, or web of any kind', 512)),
  ip: Type.Optional(Text('all that hold this address, finished and host-network ones too', 8192)),
};

/** `/pods`: in pages, or all of them by address. */
export function listRoutes(app: App, parts: Parts): void {
  const { clock, limits, freshness, room } = parts;
  const scans = new Slots(limits.maxScans);
  const exports = new Slots(limits.maxExports);

  app.get(
    '/pods',
    {
      schema: {
        summary: 'Which pods are there?',
        description:
          'In the order of namespace and name, page by page: a pod that is there throughout comes exactly once. by=ip gives what the first pod-watcher gave: `pods` is one object, unbounded, of every address that /pod?ip= would answer.',
        querystring: query({
          ...FILTERS,
          limit: Type.Optional(
            Type.String({
              pattern: '^[0-9]{1,9}$',
              description: `pods per page: ${limits.defaultPage} unless given, at most ${limits.maxPage}`,
            }),
          ),
          continue: Type.Optional(Text('of the page before', 8192)),
          by: Type.Optional(OneOf(['ip'])),
        }),
        response: answers(
          {
            200: Type.Object({
              count: Type.Integer({ description: 'pods in this page; with by=ip: addresses' }),
              pods: Type.Union([Type.Array(PodRef), Type.Record(Type.String(), PodRef, { description: 'with by=ip' })]),
              continue: Type.Optional(Type.String({ description: 'there are more: ask again with this' })),
              view: View,
            }),
          },
          [
            'invalid_request',
            'invalid_ip',
            'invalid_selector',
            'invalid_continue',
            'not_synced',
            'stale',
            'overloaded',
          ],
        ),
      },
    },
    async (request, reply) => {
      const { by, limit, continue: token, ...rest } = request.query;
      const filter = podFilter(rest);
      const signal = goneSignal(reply);
      if (by !== undefined) {
        if ((rest.ip ?? limit ?? token) !== undefined) {
          throw new Problem('invalid_request', 'by=ip goes with neither ip, limit nor continue');
        }
        requireFresh(freshness);
        exports.take(reply.raw);
        reply.header('content-type', JSON_TYPE);
        return reply.send(Readable.from(byAddress(parts, filter, signal), { highWaterMark: 1 }));
      }
      const size = pageSize(limit, limits.defaultPage, limits.maxPage);
      const after = token === undefined ? undefined : position(token, filter);
      requireFresh(freshness);
      scans.take(reply.raw);
      const take = room.begin(reply.raw);
      // A page says what was known when it was begun: what came while it was read may be in it or not.
      const [begun, ageMs, version] = [clock.now(), freshness.ageMs(), freshness.resourceVersion];
      const json = await page(parts, { filter, after, size, take, signal });
      reply.header('x-podwhois-age', ((ageMs + clock.now() - begun) / 1000).toFixed(3));
      return sendJson(reply.header('x-podwhois-resource-version', version), json);
    },
  );
}

interface PageOptions {
  readonly filter: PodFilter;
  readonly after: Position | undefined;
  readonly size: number;
  /** Of the room for answers; false: there is no more, and the page ends. */
  readonly take: (bytes: number) => boolean;
  readonly signal: AbortSignal;
}

/** Encoded turn by turn, as it is made: at the end half a megabyte at once would keep lookups waiting. */
async function page(parts: Parts, { filter, after, size, take, signal }: PageOptions): Promise<Buffer> {
  const { index, turns, limits, podJson } = parts;
  const pieces: Buffer[] = [];
  let count = 0;
  let bytes = 0;
  let full = false;
  let last: Position | undefined;
  const perTurn = workPerTurn(limits.scanPerTurn, filter);
  for await (const batch of scan({ index, turns, perTurn, filter, after, signal })) {
    let text = '';
    for (const pod of batch) {
      if (last && (full || count === size)) {
        return pageJson(count, [...pieces, ascii(text)], `,"continue":"${tokenOf(last)}"${podJson.view}`);
      }
      const json = podJson.of(pod);
      text += count === 0 ? json : `,${json}`;
      count++;
      bytes += json.length;
      full = !take(json.length) || bytes > limits.maxPageBytes;
      last = pod;
    }
    pieces.push(ascii(text));
  }
  return pageJson(count, pieces, podJson.view);
}

function pageJson(count: number, pods: readonly Buffer[], end: string): Buffer {
  return Buffer.concat([ascii(`{"count":${count},"pods":[`), ...pods, ascii(`]${end}}`)]);
}

/** One object in pieces, made as fast as the reader takes them. An address that moves meanwhile comes once. */
async function* byAddress(parts: Parts, filter: PodFilter, signal: AbortSignal): AsyncGenerator<string> {
  const { index, turns, limits, podJson, view } = parts;
  const given = new Set<string>();
  yield '{"pods":{';
  const perTurn = workPerTurn(limits.scanPerTurn, filter);
  for await (const batch of scan({ index, turns, perTurn, filter, signal })) {
    let piece = '';
    for (const listed of batch) {
      // As it is now: the reader may have taken its time over the piece before.
      for (const ip of index.byUid(listed.uid)?.podIps ?? []) {
        const found = answer(index, ip, view);
        if (found.kind !== 'one' || found.pod.uid !== listed.uid || given.has(ip)) continue;
        if (found.pod !== listed && !filter.matches(found.pod)) continue;
        piece += `${given.size === 0 ? '' : ','}"${ip}":${podJson.of(found.pod)}`;
        given.add(ip);
        if (piece.length < limits.maxPieceBytes) continue;
        yield piece;
        piece = '';
        await turns.next();
      }
    }
    if (piece !== '') yield piece;
  }
  yield `},"count":${given.size}${podJson.view}}`;
}

function position(token: string, filter: PodFilter): Position {
  const after = positionOf(token);
  if (!after) throw new Problem('invalid_continue', 'continue: not a token of this service');
  if (filter.namespace !== undefined && after.namespace !== filter.namespace) {
    throw new Problem('invalid_continue', 'continue: a token of another question');
  }
  return after;
}
