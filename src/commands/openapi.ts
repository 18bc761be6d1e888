import { createServer } from '../http/server.ts';
import { PodIndex } from '../index/pod-index.ts';
import { SystemClock } from '../kubernetes/clock.ts';
import { createLog } from '../log.ts';
import { createMetrics } from '../metrics.ts';
import { readCoreSettings } from '../settings.ts';
import { Slices } from '../slices.ts';
import { podwhoisVersion } from '../version.ts';

/** `podwhois openapi`: the document that `/openapi.json` answers, without a cluster and without listening. */
export async function openapi(): Promise<string> {
  const clock = new SystemClock();
  const server = await createServer({
    index: new PodIndex(),
    source: new Slices(new Map(), { partial: false }),
    view: { partial: false, clusterCidrs: [] },
    settings: readCoreSettings({ flags: {}, environment: {} }),
    log: createLog({ level: 'silent', format: 'json' }),
    metrics: createMetrics(),
    clock,
    version: podwhoisVersion(),
  });
  try {
    return `${JSON.stringify(server.app.swagger(), null, 2)}\n`;
  } finally {
    await server.close();
    clock.close();
  }
}
