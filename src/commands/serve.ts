import { CAPABILITIES, loadCapabilities } from '../capabilities.ts';
import { collectorGivesWay } from '../garbage-collector.ts';
import { createLog } from '../log.ts';
import { serveSchema, serveWarnings } from '../serve-settings.ts';
import { startService } from '../service.ts';
import { changedSettings } from '../settings/changed.ts';
import type { Settings } from '../settings.ts';
import { podwhoisVersion } from '../version.ts';
import { onShutdown } from './shutdown.ts';

/** `podwhois serve`: runs until a signal ends it. Resolves when it listens. */
export async function serve(settings: Settings, capabilities = CAPABILITIES): Promise<void> {
  const log = createLog({ level: settings.logLevel, format: settings.logFormat });
  const changed = changedSettings(serveSchema(capabilities), settings);
  log.info({ version: podwhoisVersion(), node: process.version, settings: changed }, 'starting');
  for (const warning of serveWarnings(settings, capabilities)) log.warn(warning);
  const starting = loadCapabilities(capabilities, settings).then(
    async (loaded) => await startService(settings, { log, capabilities: loaded }),
  );
  const uninstall = onShutdown({
    log,
    delayMs: settings.shutdownDelay,
    close: async (delayMs) => await (await starting).close({ delayMs }),
  });
  try {
    const service = await starting;
    const { url, preflightUrl } = service;
    log.info({ url, preflightUrl }, 'listening');
    collectorGivesWay(service, log);
  } catch (error) {
    uninstall();
    throw error;
  }
}
