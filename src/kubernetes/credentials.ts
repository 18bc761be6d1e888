import { existsSync } from 'node:fs';
import { isIPv6 } from 'node:net';
import { homedir } from 'node:os';
import { join } from 'node:path';
import type { Cluster, KubeConfig } from '@kubernetes/client-node';
import type { ConnectionOptions } from 'node:tls';

export interface CredentialSettings {
  readonly apiServer?: string | undefined;
  /** Paths, as in KUBECONFIG. */
  readonly kubeconfig?: string | undefined;
  readonly context?: string | undefined;
}

/** Where an API server could be found besides the settings; for tests. */
export interface Surroundings {
  readonly env?: Readonly<Record<string, string | undefined>>;
  readonly home?: string;
  readonly serviceAccountDir?: string;
}

/** What a connection needs now. */
export interface Credentials {
  /** undefined: plain HTTP. */
  readonly tls: ConnectionOptions | undefined;
  readonly headers: Readonly<Record<string, string>>;
}

/** Where the API server is, and how to get in. */
export interface Access {
  /** For people: where the credentials came from. */
  readonly source: string;
  /** Without a slash at the end. */
  readonly baseUrl: string;
  /** Reads files again; `renew` also forgets what an exec plugin said before (a 401 came). Its errors hold no secret. */
  credentials(renew: boolean): Promise<Credentials>;
}

/** No API server, or no credentials: `setting` is the one to look at. */
export class AccessError extends Error {
  override readonly name = 'AccessError';
  readonly setting: string;

  constructor(setting: string, message: string) {
    super(`${setting}: ${message}`);
    this.setting = setting;
  }
}

/**
 * K8S_API_SERVER, then KUBECONFIG, the pod's service account, ~/.kube/config. A plain-HTTP server gets no credentials, as from
 * kubectl; an https K8S_API_SERVER takes credentials and CA from the next in that order. A named context can only be one of a kubeconfig.
 */
export async function findAccess(settings: CredentialSettings, around: Surroundings = {}): Promise<Access> {
  const { apiServer } = settings;
  if (apiServer !== undefined) checkUrl('K8S_API_SERVER', apiServer);
  if (apiServer?.startsWith('http:')) return plain('K8S_API_SERVER', apiServer);
  const place = findPlace(settings, around);
  if (!place) {
    throw new AccessError(
      apiServer === undefined ? 'K8S_API_SERVER' : 'KUBECONFIG',
      apiServer === undefined
        ? 'no API server: set it, or KUBECONFIG; this is no pod with a service account, and there is no ~/.kube/config'
        : 'K8S_API_SERVER is https and needs credentials: set it; this is no pod with a service account, and there is no ~/.kube/config',
    );
  }
  const kubeconfig = await import('./kubeconfig.ts');
  const load = (): KubeConfig => {
    try {
      const config =
        place.kind === 'files' ? kubeconfig.loadKubeConfig(place.paths) : kubeconfig.inClusterConfig(place);
      if (settings.context !== undefined) config.setCurrentContext(settings.context);
      const cluster = checked(config, place.setting);
      if (apiServer !== undefined) Object.assign(cluster, { server: apiServer });
      return config;
    } catch (error) {
      if (error instanceof AccessError) throw error;
      const where = place.kind === 'files' ? ` (${place.paths})` : '';
      throw new AccessError(place.setting, `cannot be used: ${whyUnusable(error)}${where}`);
    }
  };
  const config = load();
  const server = config.getCurrentCluster()?.server ?? '';
  checkUrl(place.setting, server);
  if (server.startsWith('http:')) return plain(place.setting, server);
  return new KubeConfigAccess({ source: place.setting, baseUrl: withoutSlash(server), load, config });
}

type Place =
  | { readonly kind: 'files'; readonly setting: string; readonly paths: string }
  | { readonly kind: 'pod'; readonly setting: string; readonly server: string; readonly serviceAccountDir: string };

function findPlace(settings: CredentialSettings, around: Surroundings): Place | undefined {
  const { env = process.env, home = homedir() } = around;
  const { serviceAccountDir = '/var/run/secrets/kubernetes.io/serviceaccount' } = around;
  if (settings.kubeconfig) return { kind: 'files', setting: 'KUBECONFIG', paths: settings.kubeconfig };
  const { KUBERNETES_SERVICE_HOST: host, KUBERNETES_SERVICE_PORT: port = '443' } = env;
  if (settings.context === undefined && host && existsSync(join(serviceAccountDir, 'token'))) {
    const server = `https://${isIPv6(host) ? `[${host}]` : host}:${port}`;
    return { kind: 'pod', setting: 'the service account', server, serviceAccountDir };
  }
  const paths = join(home, '.kube', 'config');
  return existsSync(paths) ? { kind: 'files', setting: '~/.kube/config', paths } : undefined;
}

/** The current cluster. */
function checked(config: KubeConfig, setting: string): Cluster {
  const name = config.getCurrentContext();
  if (!config.getContextObject(name)) {
    const known = config.getContexts().map((context) => context.name);
    throw new AccessError(
      name ? 'KUBERNETES_CONTEXT' : setting,
      name
        ? `${setting} has no context "${name}", only: ${known.join(', ') || 'none'}`
        : 'no current context: set KUBERNETES_CONTEXT',
    );
  }
  const cluster = config.getCurrentCluster();
  if (!cluster) throw new AccessError(setting, `context "${name}" names a cluster that is not there`);
  if (cluster.proxyUrl)
    throw new AccessError(setting, `cluster "${cluster.name}" has a proxy-url, which is not supported`);
  return cluster;
}

/** A password in a URL would end up in logs; the message does not repeat it. */
function checkUrl(setting: string, url: string): void {
  const parsed = URL.canParse(url) ? new URL(url) : undefined;
  if (!parsed || !['http:', 'https:'].includes(parsed.protocol)) {
    throw new AccessError(setting, 'the API server must be an http:// or https:// URL');
  }
  if (parsed.username || parsed.password || parsed.search || parsed.hash) {
    throw new AccessError(setting, "the API server's URL must be without user, password, query and fragment");
  }
}

const withoutSlash = (url: string): string => url.replace(/\/+$/, '');

function plain(source: string, url: string): Access {
  const credentials: Credentials = { tls: undefined, headers: {} };
  return { source, baseUrl: withoutSlash(url), credentials: () => Promise.resolve(credentials) };
}

class KubeConfigAccess implements Access {
  readonly source: string;
  readonly baseUrl: string;
  readonly #load: () => KubeConfig;
  #config: KubeConfig;

  constructor(options: { source: string; baseUrl: string; load: () => KubeConfig; config: KubeConfig }) {
    this.source = options.source;
    this.baseUrl = options.baseUrl;
    this.#load = options.load;
    this.#config = options.config;
  }

  async credentials(renew: boolean): Promise<Credentials> {
    // A plugin is asked when what it said expires, and on a 401: it may take seconds, or ask somebody.
    const user = this.#config.getCurrentUser();
    if (renew || !(user?.exec || user?.authProvider?.config?.exec)) this.#config = this.#load();
    const options: Parameters<KubeConfig['applyToHTTPSOptions']>[0] = {};
    try {
      await this.#config.applyToHTTPSOptions(options);
    } catch (error) {
      throw new AccessError(this.source, unrevealing(error));
    }
    const { ca, cert, key, pfx, passphrase, servername, rejectUnauthorized = true } = options as ConnectionOptions;
    const given = { ca, cert, key, pfx, passphrase, servername };
    const tls = Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined && value !== null));
    return { tls: { ...tls, rejectUnauthorized }, headers: headersOf(options) };
  }
}

function headersOf(options: { readonly headers?: unknown; readonly auth?: unknown }): Record<string, string> {
  const headers: Record<string, string> = {};
  if (typeof options.auth === 'string')
    headers['authorization'] = `Basic ${Buffer.from(options.auth).toString('base64')}`;
  for (const [name, value] of Object.entries((options.headers as object | undefined) ?? {})) {
    if (typeof value === 'string') headers[name.toLowerCase()] = value.trim(); // a token file may end in a newline
  }
  return headers;
}

/** Parse errors quote what they could not parse, which may be a token: only what is known to be harmless is repeated. */
function whyUnusable(error: unknown): string {
  const { code, path } = error as { code?: unknown; path?: unknown };
  if (typeof code === 'string' && typeof path === 'string') return `${code} ${path}`;
  const message = error instanceof Error ? error.message : '';
  return /^(no such file|it is not a kubeconfig|[\w[\].]+ is missing)$/.test(message) ? message : 'it is not valid';
}

/** What a plugin printed may hold a token: only the system's own words leave. */
function unrevealing(error: unknown): string {
  const { code, path } = error as { code?: unknown; path?: unknown };
  if (typeof code === 'string') return `cannot be used: ${code}${typeof path === 'string' ? ` ${path}` : ''}`;
  return 'its exec plugin or auth provider failed; kubectl with the same context shows why';
}
