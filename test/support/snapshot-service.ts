import type { TestContext } from 'node:test';
import { CAPABILITIES, loadCapabilities } from '../../src/capabilities.ts';
import { createLog } from '../../src/log.ts';
import { readServeSettings } from '../../src/serve-settings.ts';
import { startService } from '../../src/service.ts';
import type { Service } from '../../src/service.ts';

/** `podwhois serve --snapshot` in this process, by the variables that lead to a cluster and to Postgres; closed at the end of the test. */
export async function serveSnapshot(t: TestContext, variables: Readonly<Record<string, string>>): Promise<Service> {
  const own = { HOST: '127.0.0.1', PORT: '0', SNAPSHOT: 'true', SNAPSHOT_FLUSH_INTERVAL: '100ms' };
  const settings = readServeSettings({ flags: {}, environment: { ...own, ...variables } });
  const log = createLog({ level: 'fatal', format: 'json' });
  const service = await startService(settings, { log, capabilities: await loadCapabilities(CAPABILITIES, settings) });
  t.after(async () => await service.close());
  return service;
}
