import { CORE } from '../settings.ts';
import type { Settings } from '../settings.ts';
import { baseUrl, filePath, listenHost } from '../settings/parsers.ts';
import { setting } from '../settings/schema.ts';
import type { Values } from '../settings/schema.ts';
import { CONNECTION } from '../sinks/postgres/settings.ts';

/** The settings of the commands other than `serve`. */

const { port, host, tlsCertFile, logLevel, logFormat } = CORE;

/** `podwhois healthcheck` finds the service by these. */
export const HEALTHCHECK = {
  port: setting<number>({ ...port, help: 'where podwhois listens' }),
  host: setting<string | undefined>({ ...host, help: 'the address of this machine that podwhois listens on' }),
  tlsCertFile: setting<string | undefined>({ ...tlsCertFile, help: 'set: the service speaks HTTPS' }),
} as const;

/** `podwhois demo` brings its own cluster and listens on this machine only. */
export const DEMO = {
  port: setting<number | undefined>({
    ...port,
    fallback: undefined,
    fallbackText: '8080, or a free one where that is taken',
  }),
  host: setting<string>({ ...host, fallback: '127.0.0.1', fallbackText: '127.0.0.1', parse: listenHost }),
  logLevel: setting<Settings['logLevel']>({ ...logLevel, fallback: 'warn', fallbackText: 'warn' }),
  logFormat: setting<Settings['logFormat']>({ ...logFormat, fallback: 'text', fallbackText: 'text' }),
} as const;

export type DemoSettings = Values<typeof DEMO>;

/** `podwhois lookup` asks there. */
export const LOOKUP = {
  server: setting({
    variable: 'PODWHOIS_URL',
    flag: '--server <url>',
    help: 'where podwhois listens',
    fallback: 'http://localhost:8080',
    fallbackText: 'http://localhost:8080',
    example: 'http://podwhois.kube-system:8080',
    parse: baseUrl,
  }),
  tokenFile: setting<string | undefined>({
    variable: 'PODWHOIS_TOKEN_FILE',
    flag: '--token-file <path>',
    help: 'file with a token of LOOKUP_TOKEN_FILE; the first one in it is sent',
    fallback: undefined,
    fallbackText: 'none',
    example: '/etc/podwhois/tokens',
    parse: filePath,
  }),
} as const;

/** `podwhois migrate` works there. */
export const MIGRATE = CONNECTION;

export type MigrateSettings = Values<typeof MIGRATE>;
