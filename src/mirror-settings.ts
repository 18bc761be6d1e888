import { CORE, CORE_CHECKS } from './settings.ts';
import { readSettings } from './settings/schema.ts';
import type { Check, Given, Values } from './settings/schema.ts';
import { ENDPOINT_MIRROR } from './sinks/endpoint-mirror/settings.ts';
import { POSTGRES, POSTGRES_CHECKS } from './sinks/postgres/settings.ts';

const { port, host, apiServer, kubeconfig, context, namespaces } = CORE;
const { readyMaxStaleness, serveMaxStaleness, resyncInterval, logLevel, logFormat } = CORE;

/** All that `podwhois mirror-endpoints` reads, the observer's variables and flags first. */
export const MIRROR = {
  ...ENDPOINT_MIRROR,
  namespaces,
  ...POSTGRES,
  clusterName: ENDPOINT_MIRROR.clusterName,
  port,
  host,
  apiServer,
  kubeconfig,
  context,
  readyMaxStaleness,
  serveMaxStaleness: { ...serveMaxStaleness, help: 'past this age nothing is written' },
  resyncInterval,
  logLevel,
  logFormat,
} as const;

export type MirrorSettings = Values<typeof MIRROR>;

/** Throws one `SettingsError` with everything that is wrong. */
export function readMirrorSettings(given: Given): MirrorSettings {
  // Each asks for what is its own, and finds it here.
  const checks = [...POSTGRES_CHECKS, ...CORE_CHECKS] as unknown as readonly Check<typeof MIRROR>[];
  return readSettings(MIRROR, given, checks);
}
