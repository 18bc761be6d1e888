import { Type } from 'typebox';
import { formatDuration } from '../../duration.ts';
import { sendJson } from '../answering.ts';
import { boundedDuration } from '../parameters.ts';
import type { Detail } from '../context.ts';
import type { App, Parts } from '../parts.ts';
import { answers, Duration, OneOf, query, Text } from '../schemas.ts';

const Check = Type.Object({
  name: Type.String(),
  ok: Type.Boolean(),
  message: Type.Optional(Type.String()),
});

const verbose = Type.Optional(Text('list the checks', 8));

const PodCount = Type.Integer({ description: 'pods in the index' });

const Liveness = Type.Object({
  status: OneOf(['healthy']),
  pod_count: PodCount,
  checks: Type.Optional(Type.Array(Check)),
});

const Readiness = Type.Object({
  status: OneOf(['ready', 'not ready']),
  pod_count: PodCount,
  reason: Type.Optional(OneOf(['not_synced', 'stale', 'shutting_down'])),
  age: Type.Union([Type.Number(), Type.Null()], { description: 'seconds; null until synced' }),
  checks: Type.Optional(Type.Array(Check)),
});

/** Probes. Liveness asks nothing of the API server (rule C4): restarting podwhois would not bring that back. */
export function healthRoutes(app: App, parts: Parts): void {
  const { index, source, freshness, settings, draining, besides = () => [], remarks = () => [] } = parts;

  for (const url of ['/health', '/healthz', '/livez']) {
    app.get(
      url,
      {
        schema: {
          summary: 'Is the process alive?',
          querystring: Type.Object({ verbose }),
          response: answers({ 200: Liveness }, []),
        },
      },
      (request, reply) => {
        const checks = request.query.verbose === undefined ? {} : { checks: [{ name: 'answering', ok: true }] };
        return sendJson(reply, JSON.stringify({ status: 'healthy', pod_count: index.size, ...checks }));
      },
    );
  }

  for (const url of ['/ready', '/readyz']) {
    app.get(
      url,
      {
        schema: {
          summary: 'Has the cluster been read, and lately?',
          querystring: query({
            verbose,
            max_staleness: Type.Optional(
              Duration('how old the index may be, instead of READY_MAX_STALENESS; at most SERVE_MAX_STALENESS'),
            ),
          }),
          response: answers({ 200: Readiness, 503: Readiness }, ['invalid_request']),
        },
      },
      (request, reply) => {
        const { max_staleness: text } = request.query;
        const limit = boundedDuration('max_staleness', text, settings.serveMaxStaleness) ?? settings.readyMaxStaleness;
        const reason =
          freshness.refusal(limit) ?? refusal(besides(), limit) ?? (draining() ? 'shutting_down' : undefined);
        const age = freshness.ageMs();
        const body = {
          status: reason === undefined ? 'ready' : 'not ready',
          pod_count: index.size,
          ...(reason !== undefined && { reason }),
          age: Number.isFinite(age) ? Math.round(age) / 1000 : null,
          ...(request.query.verbose !== undefined && { checks: checks(parts, limit) }),
        };
        return sendJson(reply.code(reason === undefined ? 200 : 503), JSON.stringify(body));
      },
    );
  }

  function checks({ draining }: Parts, limit: number): readonly object[] {
    return [
      { name: 'serving', ok: !draining(), ...(draining() && { message: 'shutting down' }) },
      ...[...source.details().map(asNeeded), ...besides()].map(
        ({ slice, synced, ageMs, resourceVersion, problem, needed }) => ({
          name: slice,
          ok: synced && ageMs <= limit,
          message: [
            synced ? `read ${formatDuration(Math.round(ageMs))} ago, at version ${resourceVersion}` : 'not read yet',
            `at most ${formatDuration(limit)} allowed`,
            ...(problem === undefined ? [] : [problem]),
            ...(needed ? [] : ['not needed to be ready']),
          ].join('; '),
        }),
      ),
      ...remarks(),
    ];
  }
}

const asNeeded = (detail: Detail): Needed => ({ ...detail, needed: true });

type Needed = Detail & { readonly needed: boolean };

function refusal(details: readonly Needed[], limit: number): 'not_synced' | 'stale' | undefined {
  const needed = details.filter((detail) => detail.needed);
  if (needed.some(({ synced }) => !synced)) return 'not_synced';
  return needed.every(({ ageMs }) => ageMs <= limit) ? undefined : 'stale';
}
