import type { FastifyReply } from 'fastify';
import { Type } from 'typebox';
import { canonicalIp } from '../../index/ip-address.ts';
import { AsciiTexts } from '../ascii-text.ts';
import { goneSignal, sendDecision, sendJson } from '../answering.ts';
import { asciiJson } from '../ascii-json.ts';
import { ERRORS } from '../../errors.ts';
import type { App, Parts } from '../parts.ts';
import { INSTANT } from '../instant.ts';
import { boundedDuration, checkQuestion, requireFresh } from '../parameters.ts';
import { Problem } from '../problem.ts';
import { INVALID_IP } from '../lookup.ts';
import type { Decision } from '../lookup.ts';
import type { AsGiven, PastDecision } from '../past-lookup.ts';
import { answers, Duration, ErrorAnswer, PastPod, PodRef, query, Reason, Text, View, Word } from '../schemas.ts';

const PodQuery = query({
  ip: Type.Optional(Text('an IPv4 or IPv6 address', 8192)),
  uid: Type.Optional(Word("the pod's uid")),
  namespace: Type.Optional(Word('together with name')),
  name: Type.Optional(Word('together with namespace')),
  container_id: Type.Optional(Word('with or without its scheme, of any container of the pod', 512)),
  at: Type.Optional(Text(`with ip: who had it then; ${INSTANT}`, 64)),
  wait: Type.Optional(Duration('with ip: how long to wait for a pod to have it, at most 2s')),
  max_staleness: Type.Optional(Duration('refuse an answer older than this, at most SERVE_MAX_STALENESS')),
});

const LOOKUP_ERRORS = ['pod_not_found', 'ambiguous', 'not_synced', 'stale', 'unreadable', 'overloaded'] as const;

/** `/pod` and `/whoami`: one pod, or why not. */
export function lookupRoutes(app: App, parts: Parts): void {
  const { lookup, pastLookup, waiters, limits, room } = parts;

  app.get(
    '/pod',
    {
      schema: {
        summary: 'Which pod is it?',
        description:
          'Exactly one question: ip, uid, namespace with name, or container_id. An address is answered by the one live pod it can belong to; the others find every pod there is, finished and host-network ones too.',
        querystring: PodQuery,
        response: answers({ 200: Type.Union([PodRef, PastPod], { description: 'with at: who it was then' }) }, [
          'invalid_request',
          'invalid_ip',
          ...LOOKUP_ERRORS,
          'history_unavailable',
        ]),
      },
    },
    async (request, reply) => {
      checkQuestion(request.query);
      const { ip, at, wait, max_staleness: staleness } = request.query;
      if (ip !== undefined && at !== undefined) {
        const decision = pastLookup.byAddress(ip, at);
        return sendDecision(reply, decision instanceof Promise ? await decision : decision, room);
      }
      const limit = boundedDuration('max_staleness', staleness, parts.settings.serveMaxStaleness);
      if (ip === undefined) return sendDecision(reply, lookup.count(lookup.bySelf(request.query, limit)), room);
      const ms = boundedDuration('wait', wait, limits.maxWait) ?? 0;
      let decision = lookup.byAddress(ip, limit);
      if (decision.mayChange && ms > 0) {
        if (waiters.full) throw new Problem('overloaded', 'too many lookups are waiting');
        decision = await waiters.wait({
          ip: canonicalIp(ip) ?? '',
          ms,
          ask: () => lookup.byAddress(ip, limit),
          done: (answer) => !answer.mayChange,
          signal: goneSignal(reply),
        });
      }
      return sendDecision(reply, lookup.count(decision), room);
    },
  );

  app.get(
    '/whoami',
    {
      schema: {
        summary: 'Which pod is calling?',
        description: 'Decided by the address of the TCP connection; no header counts.',
        querystring: query({}),
        response: answers({ 200: PodRef }, ['invalid_request', ...LOOKUP_ERRORS]),
      },
    },
    (request, reply) => {
      // A link-local peer comes with the zone of our own interface.
      const peer = (request.raw.socket.remoteAddress ?? '').split('%')[0] ?? '';
      return sendDecision(reply, lookup.count(lookup.byAddress(peer)), room);
    },
  );
}

const Result = Type.Object({
  ip: Type.String({ description: 'as it was given' }),
  status: Type.Integer({ description: 'what /pod?ip= would answer' }),
  code: Type.Optional(Type.Index(ErrorAnswer, ['code'])),
  reason: Type.Optional(Reason),
  message: Type.Optional(Type.String({ description: 'what is wrong with at' })),
  candidates: Type.Optional(Type.Index(ErrorAnswer, ['candidates'])),
  at: Type.Optional(Type.String({ description: 'as it was given' })),
  pod: Type.Optional(Type.Union([PodRef, PastPod])),
});

/** `POST /pods/lookup`: many addresses at once. */
export function batchRoutes(app: App, { lookup, pastLookup, freshness, limits, room, podJson }: Parts): void {
  const texts = new AsciiTexts();
  const at = Type.Optional(Text(INSTANT, 64));
  const answerTo = (given: string): Decision => {
    const ip = canonicalIp(given);
    return lookup.count(ip === undefined ? INVALID_IP : lookup.ofAddress(ip));
  };
  app.post(
    '/pods/lookup',
    {
      schema: {
        summary: 'Which pods have these addresses?',
        body: Type.Object(
          {
            ips: Type.Array(
              Type.Union([Type.String(), Type.Object({ ip: Type.String(), at }, { additionalProperties: false })]),
              { maxItems: limits.maxBatch },
            ),
            at,
          },
          { additionalProperties: false },
        ),
        querystring: query({}),
        response: answers(
          {
            200: Type.Object({
              results: Type.Array(Result, { description: 'one per address, in their order' }),
              view: View,
            }),
          },
          [
            'invalid_request',
            'body_too_large',
            'unsupported_media_type',
            'request_timeout',
            'not_synced',
            'stale',
            'overloaded',
          ],
        ),
      },
      // `kubectl create --raw` sends none.
      onRequest: ({ raw }, _reply, done) => {
        raw.headers['content-type'] ??= 'application/json';
        done();
      },
    },
    (request, reply) => {
      const { ips, at: common } = request.body;
      const questions = ips.map((one) => (typeof one === 'string' ? { ip: one, at: common } : { at: common, ...one }));
      const take = room.begin(reply.raw);
      const then = pastLookup.byAddresses(questions.filter(isOfThePast));
      return then instanceof Promise ? then.then(send) : send(then);

      function send(decideThen: Awaited<typeof then>): FastifyReply {
        // What was known then does not age.
        if (questions.length === 0 || questions.some(({ at }) => at === undefined)) requireFresh(freshness);
        const text = texts.take();
        text.add('{"results":[');
        let next = 0;
        // Ends one result and begins the next.
        let separator = '';
        for (const { ip, at } of questions) {
          const head = `${separator}{"ip":${asciiJson(ip)}${at === undefined ? '' : `,"at":${asciiJson(at)}`}`;
          const decide = at === undefined ? () => answerTo(ip) : decideThen[next++];
          // Labels are other people's and may be a megabyte long.
          const isFull = text.length > limits.maxBatchBytes;
          const decision = isFull || decide === undefined ? OVERLOADED : decide();
          if (decision.code === undefined) {
            text.add(`${head},"status":${decision.status},"pod":`);
            // By itself: joined to anything it would be copied twice.
            text.add(decision.body);
            separator = '},';
          } else {
            text.add(head + whyNot(decision));
            separator = ',';
          }
        }
        text.add(`${separator.slice(0, -1)}]${podJson.view}}`);
        take(text.length);
        // By then it is sent, or its reader has gone.
        reply.raw.once('close', () => texts.giveBack(text));
        return sendJson(reply, text.bytes);
      }
    },
  );
}

const isOfThePast = (question: { readonly ip: string; readonly at?: string | undefined }): question is AsGiven =>
  question.at !== undefined;

const OVERLOADED = { status: ERRORS.overloaded.status, code: 'overloaded' } as const;

type WhyNot = Partial<Pick<PastDecision, 'status' | 'code' | 'reason' | 'message' | 'candidates'>>;

function whyNot({ status, code, reason, message, candidates }: WhyNot): string {
  const why = reason === undefined ? '' : `,"reason":"${reason}"`;
  const what = message === undefined ? '' : `,"message":${asciiJson(message)}`;
  return `,"status":${status},"code":"${code}"${why}${what}${candidates ? `,"candidates":${asciiJson(candidates)}` : ''}}`;
}
