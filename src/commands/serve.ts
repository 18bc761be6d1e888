import { createLog } from '../log.ts';
import { startService } from '../service.ts';
import { changedSettings, warningsOf } from '../settings.ts';
import type { Settings } from '../settings.ts';
import { podwhoisVersion } from '../version.ts';
import { onShutdown } from './shutdown.ts';

/** `podwhois serve`: runs until a signal ends it. Resolves when it listens. */
export async function serve(settings: Settings): Promise<void> {
  const log = createLog({ level: settings.logLevel, format: settings.logFormat });
  log.info({ version: podwhoisVersion(), node: process.version, settings: changedSettings(settings) }, 'starting');
  for (const warning of warningsOf(settings)) log.warn(warning);
  const starting = startService(settings, { log });
  const uninstall = onShutdown({
    log,
    delayMs: settings.shutdownDelay,
    close: async (delayMs) => await (await starting).close({ delayMs }),
  });
  try {
    const { url } = await starting;
    log.info({ url }, 'listening');
  } catch (error) {
    uninstall();
    throw error;
  }
}
