import {
  duration,
  filePath,
  labelSelector,
  list,
  listenHost,
  matching,
  namespaceName,
  nodeName,
  oneOf,
} from './settings/parsers.ts';
import { annotationKey, baseUrl, wholeNumber } from './settings/parsers.ts';
import { readSettings, setting } from './settings/schema.ts';
import type { Check, Given, Values } from './settings/schema.ts';
import { formatDuration } from './duration.ts';
import { parseCidr } from './index/ip-address.ts';
import type { Cidr } from './index/ip-address.ts';

const SECOND = 1000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;

/** The core's settings, in the order of the documentation (`npm run docs` writes it). Durations are milliseconds. */
export const CORE = {
  port: setting({
    variable: 'PORT',
    flag: '--port <number>',
    help: 'TCP port to listen on; 0 takes a free one',
    fallback: 8080,
    fallbackText: '8080',
    example: '8080',
    parse: wholeNumber(0, 65_535),
  }),
  host: setting<string | undefined>({
    variable: 'HOST',
    flag: '--host <address>',
    help: 'address or host name to listen on',
    fallback: undefined,
    fallbackText: ':: with IPv4 too, or 0.0.0.0 where there is no IPv6',
    example: '0.0.0.0',
    parse: listenHost,
  }),
  preflightPort: setting<number | undefined>({
    variable: 'PREFLIGHT_PORT',
    flag: '--preflight-port <number>',
    help: "a second port, on the same host, that carries only what needs no token: proxies' preflights, /whoami and the probes",
    fallback: undefined,
    fallbackText: 'none',
    example: '8081',
    parse: wholeNumber(0, 65_535),
  }),
  lookupTokenFile: setting<string | undefined>({
    variable: 'LOOKUP_TOKEN_FILE',
    flag: '--lookup-token-file <path>',
    help: 'bearer tokens, one per line; whoever reads pods must have one of them; read again when it changes',
    fallback: undefined,
    fallbackText: 'none: everybody may read',
    example: '/etc/podwhois/tokens',
    parse: filePath,
  }),
  tlsCertFile: setting<string | undefined>({
    variable: 'TLS_CERT_FILE',
    flag: '--tls-cert-file <path>',
    help: 'certificate with its chain (PEM): HTTPS on both ports; read again when it changes',
    fallback: undefined,
    fallbackText: 'none: plain HTTP',
    example: '/etc/podwhois/tls/tls.crt',
    parse: filePath,
  }),
  tlsKeyFile: setting<string | undefined>({
    variable: 'TLS_KEY_FILE',
    flag: '--tls-key-file <path>',
    help: "the certificate's private key (PEM, without a passphrase); read again when it changes",
    fallback: undefined,
    fallbackText: 'none',
    example: '/etc/podwhois/tls/tls.key',
    parse: filePath,
  }),
  apiServer: setting<string | undefined>({
    variable: 'K8S_API_SERVER',
    flag: '--api-server <url>',
    help: "the API server's URL; http:// for kubectl proxy, https:// takes credentials and CA from the next of KUBECONFIG, the pod's service account, ~/.kube/config",
    fallback: undefined,
    fallbackText: "KUBECONFIG's, the pod's own cluster, or ~/.kube/config's",
    example: 'http://127.0.0.1:8001',
    parse: baseUrl,
  }),
  kubeconfig: setting<string | undefined>({
    variable: 'KUBECONFIG',
    flag: '--kubeconfig <path>',
    help: "kubeconfig file, or several joined by the system's path separator",
    fallback: undefined,
    fallbackText: "the pod's service account, or ~/.kube/config",
    example: '/etc/podwhois/kubeconfig',
    parse: filePath,
  }),
  context: setting<string | undefined>({
    variable: 'KUBERNETES_CONTEXT',
    flag: '--context <name>',
    help: 'context of the kubeconfig',
    fallback: undefined,
    fallbackText: "the kubeconfig's current one",
    example: 'production',
    parse: matching(/^\P{Cc}+$/u, 253, "the name of one of the kubeconfig's contexts"),
  }),
  namespaces: setting<readonly string[]>({
    variable: 'NAMESPACE',
    flag: '--namespace <name>',
    help: 'watch only these namespaces: comma-separated, or the flag again; one watch each',
    fallback: [],
    fallbackText: 'all namespaces',
    example: 'default,shop',
    parse: list(
      namespaceName,
      'namespaces (lower-case letters, digits and "-", up to 63 characters), comma-separated',
      100,
    ),
    repeatable: true,
  }),
  labelSelector: setting<string | undefined>({
    variable: 'LABEL_SELECTOR',
    flag: '--label-selector <selector>',
    help: 'watch only pods with these labels',
    fallback: undefined,
    fallbackText: 'all pods',
    example: 'app=shop,tier in (web,api)',
    parse: labelSelector,
  }),
  nodeName: setting<string | undefined>({
    variable: 'NODE_NAME',
    flag: '--node-name <name>',
    help: "watch only this node's pods",
    fallback: undefined,
    fallbackText: 'all nodes',
    example: 'worker-1',
    parse: nodeName,
  }),
  annotations: setting<readonly string[]>({
    variable: 'ANNOTATIONS',
    flag: '--annotations <keys>',
    help: 'annotations that answers hold: comma-separated keys, or the flag again; the others are not even kept',
    fallback: [],
    fallbackText: 'none',
    example: 'example.com/team,example.com/contact',
    parse: list(annotationKey, 'annotation keys other than last-applied-configuration, comma-separated', 100),
    repeatable: true,
  }),
  clusterCidrs: setting<readonly Cidr[]>({
    variable: 'CLUSTER_CIDR',
    flag: '--cluster-cidr <cidrs>',
    help: 'answer only for addresses in these networks: comma-separated, or the flag again',
    fallback: [],
    fallbackText: 'all addresses',
    example: '10.42.0.0/16,fd00:42::/48',
    parse: list(parseCidr, 'networks as address/prefix, comma-separated', 100),
    repeatable: true,
  }),
  readyMaxStaleness: setting({
    variable: 'READY_MAX_STALENESS',
    flag: '--ready-max-staleness <duration>',
    help: 'past this age /ready says 503; also sets how often the age is proven (three times in it)',
    fallback: 90 * SECOND,
    fallbackText: '90s',
    example: '90s',
    parse: duration(SECOND, HOUR),
  }),
  serveMaxStaleness: setting({
    variable: 'SERVE_MAX_STALENESS',
    flag: '--serve-max-staleness <duration>',
    help: 'past this age lookups say 503',
    fallback: 5 * MINUTE,
    fallbackText: '5m',
    example: '5m',
    parse: duration(SECOND, 24 * HOUR),
  }),
  resyncInterval: setting({
    variable: 'RESYNC_INTERVAL',
    flag: '--resync-interval <duration>',
    help: 'list everything again this often, give or take a tenth, to repair what a watch lost',
    fallback: 10 * MINUTE,
    fallbackText: '10m',
    example: '10m',
    parse: duration(SECOND, 24 * HOUR),
  }),
  terminatingSlack: setting({
    variable: 'TERMINATING_SLACK',
    flag: '--terminating-slack <duration>',
    help: 'how long past its deletion time a terminating pod still passes for the caller',
    fallback: 30 * SECOND,
    fallbackText: '30s',
    example: '30s',
    parse: duration(0, HOUR),
  }),
  historyRetention: setting({
    variable: 'HISTORY_RETENTION',
    flag: '--history-retention <duration>',
    help: 'how long who had an address is remembered, in memory',
    fallback: HOUR,
    fallbackText: '1h',
    example: '1h',
    parse: duration(MINUTE, 24 * HOUR),
  }),
  historyMaxEntries: setting({
    variable: 'HISTORY_MAX_ENTRIES',
    flag: '--history-max-entries <number>',
    help: 'how many ended intervals of that are remembered at most, some 400 bytes each',
    fallback: 100_000,
    fallbackText: '100000',
    example: '100000',
    parse: wholeNumber(0, 10_000_000),
  }),
  shutdownDelay: setting({
    variable: 'SHUTDOWN_DELAY',
    flag: '--shutdown-delay <duration>',
    help: 'after SIGTERM stay up this long, not ready, so that no proxy still sends requests; Ctrl-C does not wait',
    fallback: 5 * SECOND,
    fallbackText: '5s',
    example: '5s',
    parse: duration(0, 5 * MINUTE),
  }),
  logLevel: setting({
    variable: 'LOG_LEVEL',
    flag: '--log-level <level>',
    help: 'the least severe messages that are logged',
    fallback: 'info' as const,
    fallbackText: 'info',
    example: 'debug',
    parse: oneOf('fatal', 'error', 'warn', 'info', 'debug', 'trace'),
  }),
  logFormat: setting({
    variable: 'LOG_FORMAT',
    flag: '--log-format <format>',
    help: 'json, one object per line, or text for people',
    fallback: 'json' as const,
    fallbackText: 'json',
    example: 'text',
    parse: oneOf('json', 'text'),
  }),
} as const;

export type Settings = Values<typeof CORE>;

const readyBeforeServe: Check<typeof CORE> = ({ readyMaxStaleness: ready, serveMaxStaleness: serve }) =>
  ready !== undefined && serve !== undefined && ready > serve
    ? [{ key: 'readyMaxStaleness', expected: `at most SERVE_MAX_STALENESS (${formatDuration(serve)})` }]
    : [];

const certificateWithKey: Check<typeof CORE> = ({ tlsCertFile: cert, tlsKeyFile: key }) => {
  if ((cert === undefined) === (key === undefined)) return [];
  return cert === undefined
    ? [{ key: 'tlsCertFile', expected: 'set together with TLS_KEY_FILE' }]
    : [{ key: 'tlsKeyFile', expected: 'set together with TLS_CERT_FILE' }];
};

const twoPorts: Check<typeof CORE> = ({ port, preflightPort }) =>
  preflightPort !== undefined && preflightPort !== 0 && preflightPort === port
    ? [{ key: 'preflightPort', expected: 'another port than PORT' }]
    : [];

export const CORE_CHECKS: readonly Check<typeof CORE>[] = [readyBeforeServe, certificateWithKey, twoPorts];

/** The core's alone. Throws `SettingsError` with everything that is wrong. */
export function readCoreSettings(given: Given): Settings {
  return readSettings(CORE, given, CORE_CHECKS);
}

/** What is allowed and may still surprise: sentences for the log at start. */
export function coreWarnings(settings: Settings): readonly string[] {
  // Rule C3. A watch lasts at least 5 s, and its bookmark comes 2 s before its end.
  return settings.readyMaxStaleness < 15 * SECOND
    ? ['READY_MAX_STALENESS is under 15s: on a quiet cluster /ready may go to and fro']
    : [];
}
