import { Type } from 'typebox';
import { canonicalIp } from '../../index/ip-address.ts';
import { sendJson } from '../answering.ts';
import { requireFresh } from '../parameters.ts';
import type { App, Parts } from '../parts.ts';
import { Problem } from '../problem.ts';
import { answers, OneOf, query, Text } from '../schemas.ts';
import type { Evaluation, Evaluator } from './evaluation.ts';
import { IDENTITY, namedValues } from './identity-headers.ts';
import type { Identities } from './identity-headers.ts';
import type { Trace } from './policy.ts';
import { CONSTRAINTS, DenialReason } from './routes.ts';
import { DENIALS } from './verdict.ts';

const Question = query({
  ip: Text("the caller's address", 64),
  path: Type.Optional(Text('of the request that it makes, with its query', 8192)),
  method: Type.Optional(Text('of that request', 32)),
  host: Type.Optional(Text('of that request', 512)),
  ...CONSTRAINTS,
});

const Explanation = Type.Object({
  allow: Type.Boolean(),
  reason: Type.Optional(DenialReason),
  meaning: Type.Optional(Type.String({ description: 'of the reason, in words' })),
  rule: Type.Optional(Type.String({ description: 'the one that decided' })),
  detail: Type.Optional(Type.String()),
  caller: Type.Object(
    {
      kind: OneOf(['pod', 'outside', 'uncertain']),
      ip: Type.String(),
      reason: Type.Optional(DenialReason),
      ...Object.fromEntries(
        IDENTITY.filter((key) => key !== 'ip').map((key) => [key.replace('-', '_'), Type.Optional(Type.String())]),
      ),
    },
    { description: 'whose the address is; a pod as its identity headers say it' },
  ),
  constraints: Type.Optional(Type.String({ description: 'the kind that does not hold, or why that cannot be said' })),
  rules: Type.Array(
    Type.Object({
      name: Type.String(),
      line: Type.Integer({ description: 'in the file' }),
      mismatch: Type.Optional(Type.String({ description: 'what of its match does not fit; not there: it fits' })),
      peers: Type.Array(Type.Union([Type.String(), Type.Null()]), {
        description: 'of each peer that was looked at: what of it the caller does not have; null: it is the caller',
      }),
    }),
    { description: 'those that were looked at, in order' },
  ),
});

/** How forward auth would decide, and why: for people who write rules. It tells who is who, so it is guarded like a lookup. */
export function explainRoute(app: App, { freshness }: Parts, evaluator: Evaluator, identities: Identities): void {
  app.get(
    '/explain',
    {
      schema: {
        summary: 'May this caller pass, and why?',
        description: 'As /authorize would decide it for that address and request, but for the headers of proxies.',
        querystring: Question,
        response: answers({ 200: Explanation }, ['invalid_request', 'invalid_ip', 'not_synced', 'stale']),
      },
    },
    (request, reply) => {
      const { ip: text, path: uri, method, host } = request.query;
      const ip = canonicalIp(text);
      if (ip === undefined) throw new Problem('invalid_ip', 'ip: not an IP address');
      requireFresh(freshness);
      const constraints = constraintsOf(request.raw.url ?? '');
      const { evaluation, trace } = evaluator.explain(ip, { host, method, uri }, constraints);
      return sendJson(reply, JSON.stringify(explanation(evaluation, trace, identities)));
    },
  );
}

/** The query without what is of the question: still encoded, as a preflight would have it. */
function constraintsOf(url: string): string {
  const mark = url.indexOf('?');
  const own = new Set(['ip', 'path', 'method', 'host']);
  return url
    .slice(mark + 1)
    .split('&')
    .filter((part) => !own.has(part.split('=', 1)[0] ?? ''))
    .join('&');
}

function explanation({ verdict, client, caller }: Evaluation, trace: Trace, identities: Identities): object {
  const { rule } = verdict;
  return {
    allow: verdict.allow,
    ...(!verdict.allow && {
      reason: verdict.reason,
      meaning: DENIALS[verdict.reason].meaning,
      ...(verdict.detail !== undefined && { detail: verdict.detail }),
    }),
    ...(rule !== undefined && { rule }),
    caller: {
      ip: client,
      ...(caller?.kind === 'outside' && { kind: 'outside', reason: caller.reason }),
      ...(caller?.kind === 'pod' && { kind: 'pod', ...namedValues(identities.of(caller)?.values ?? []) }),
      ...(caller === undefined && { kind: 'uncertain', ...(!verdict.allow && { reason: verdict.reason }) }),
    },
    ...(trace.constraints !== undefined && { constraints: trace.constraints }),
    rules: trace.rules.map(({ rule: name, line, mismatch, peers }) => ({
      name,
      line,
      ...(mismatch !== undefined && { mismatch }),
      peers: peers.map((why) => why ?? null),
    })),
  };
}
