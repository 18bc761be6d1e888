import { CAPABILITIES } from './capabilities.ts';
import { CORE, CORE_CHECKS, coreWarnings } from './settings.ts';
import type { Settings } from './settings.ts';
import { readSettings } from './settings/schema.ts';
import type { Check, Given, Schema } from './settings/schema.ts';

/** What `podwhois serve` reads: the settings of the core and of all capabilities, also of those that are off, together. */

export const serveSchema = (capabilities = CAPABILITIES): typeof CORE & Schema =>
  Object.assign({ ...CORE }, ...capabilities.map(({ settings }) => settings)) as typeof CORE & Schema;

/** Throws one `SettingsError` with everything that is wrong. What it returns holds the capabilities' values too. */
export function readServeSettings(given: Given, capabilities = CAPABILITIES): Settings {
  const checks = [CORE_CHECKS, ...capabilities.map((one) => one.checks ?? [])].flat() as Check<typeof CORE>[];
  return readSettings(serveSchema(capabilities), given, checks);
}

/** What is allowed and may still surprise: sentences for the log at start. */
export const serveWarnings = (settings: Settings, capabilities = CAPABILITIES): readonly string[] => [
  ...coreWarnings(settings),
  ...capabilities.flatMap((one) => one.warnings?.({ ...settings }) ?? []),
];
