import { Type } from 'typebox';
import type { App, Parts } from '../parts.ts';

/** `/metrics`, for Prometheus. */
export function metricsRoutes(app: App, { metrics, index, source, freshness, waiters }: Parts): void {
  metrics.observe(() => ({
    pods: index.size,
    addresses: index.addresses,
    unreadable_objects: index.unreadable,
    synced: source.synced ? 1 : 0,
    age_seconds: freshness.ageMs() / 1000,
    waiters: waiters.size,
  }));

  app.get(
    '/metrics',
    {
      schema: {
        summary: 'Metrics in the text format of Prometheus',
        produces: ['text/plain'],
        response: { 200: Type.String() },
      },
    },
    async (_request, reply) => reply.header('content-type', metrics.contentType).send(await metrics.text()),
  );
}
