import process from 'node:process';
import { createLog } from '../../../src/log.ts';
import { readServeSettings } from '../../../src/serve-settings.ts';
import { startService } from '../../../src/service.ts';
import { plug } from '../../../src/sinks/snapshot/snapshot.ts';
import type { SnapshotSettings } from '../../../src/sinks/snapshot/settings.ts';

/** A process that keeps the snapshot with a lease of half a second, so that a test can kill many of them. */
const settings = readServeSettings({ flags: {}, environment: process.env });
const log = createLog({ level: 'info', format: 'json' });
await startService(settings, {
  log,
  capabilities: [
    {
      name: 'snapshot',
      plug: (context) =>
        plug({ ...context, settings: settings as typeof settings & SnapshotSettings, leaseTtlMs: 500 }),
    },
  ],
});
