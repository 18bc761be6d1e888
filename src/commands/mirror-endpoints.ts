import { createLog } from '../log.ts';
import { startMirror } from '../mirror-endpoints.ts';
import { MIRROR } from '../mirror-settings.ts';
import type { MirrorSettings } from '../mirror-settings.ts';
import { changedSettings } from '../settings/changed.ts';
import { podwhoisVersion } from '../version.ts';
import { onShutdown } from './shutdown.ts';

/** `podwhois mirror-endpoints`: runs until a signal ends it. Resolves when it listens. */
export async function mirrorEndpoints(settings: MirrorSettings): Promise<void> {
  const log = createLog({ level: settings.logLevel, format: settings.logFormat });
  const changed = changedSettings(MIRROR, settings);
  log.info({ version: podwhoisVersion(), node: process.version, settings: changed }, 'starting');
  const starting = startMirror(settings, { log });
  // Nobody is sent here by a proxy: there is nothing to wait for.
  const uninstall = onShutdown({ log, delayMs: 0, close: async () => await (await starting).close() });
  try {
    log.info({ url: (await starting).url }, 'listening');
  } catch (error) {
    uninstall();
    throw error;
  }
}
