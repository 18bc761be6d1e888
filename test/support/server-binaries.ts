import { accessSync, constants, existsSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import process from 'node:process';

/**
 * Where the real servers stand. KUBEBUILDER_ASSETS is envtest's convention: a folder with kube-apiserver and etcd, and for
 * a whole control plane the rest of what `../shared/test-servers/build cluster` makes.
 */

export type ServerName =
  | 'kube-apiserver'
  | 'etcd'
  | 'kube-controller-manager'
  | 'kube-scheduler'
  | 'kwok'
  | 'kwok-stages'
  | 'kubectl'
  | 'helm'
  | 'helm3'
  | 'helm-unittest'
  | 'helm-docs'
  | 'monitoring-crds'
  | 'actionlint';

export const API_ONLY: readonly ServerName[] = ['kube-apiserver', 'etcd'];
export const CLUSTER: readonly ServerName[] = [
  ...API_ONLY,
  'kube-controller-manager',
  'kube-scheduler',
  'kwok',
  'kwok-stages',
  'kubectl',
];

export const HELM: readonly ServerName[] = ['helm', 'helm-unittest', 'helm-docs', 'monitoring-crds'];

const HOW =
  'run KUBEBUILDER_ASSETS=$(../shared/test-servers/build cluster helm helm-unittest helm-docs monitoring-crds)';

const HOW_ELSE = 'build it as .ci/run does, by go install';
/** What the script of the servers does not make. */
const TOOLS: ReadonlySet<ServerName> = new Set(['helm3', 'actionlint']);

/**
 * For a test's options: `test('…', realServer('kube-apiserver', 'etcd'), …)`. A missing server is a visible skip with
 * the way to get it; with CI=true it throws, which fails the file and with it the run.
 */
export function realServer(...names: readonly ServerName[]): { readonly skip: string | false } {
  const missing = names.map(whyMissing).find((reason) => reason !== undefined);
  if (missing === undefined) return { skip: false };
  if (process.env['CI'] === 'true') throw new Error(`In CI the real servers must be there: ${missing}`);
  return { skip: missing };
}

/** The path of a server that `realServer` has not refused. */
export function serverBinary(name: ServerName): string {
  const path = find(name);
  if (path === undefined) throw new Error(whyMissing(name));
  return path;
}

/** To be read, not run. */
const FILES: ReadonlySet<ServerName> = new Set(['kwok-stages', 'monitoring-crds']);

/** Reverse proxies: Caddy and Traefik as `../shared/test-servers/build caddy traefik` makes them, and Debian's packages. */
export type ProxyName = 'caddy' | 'debian-caddy' | 'nginx' | 'traefik';

const PACKAGES: Readonly<Partial<Record<ProxyName, readonly string[]>>> = {
  'debian-caddy': ['/usr/bin/caddy'],
  nginx: ['/usr/sbin/nginx', '/usr/bin/nginx'],
};

/** As `realServer`: false, or the reason for a skip that is seen; with CI=true a missing one throws. */
export function whyProxyMissing(name: ProxyName): string | false {
  if (findProxy(name) !== undefined) return false;
  const built = PACKAGES[name] === undefined;
  const reason = built
    ? `there is no ${name} in KUBEBUILDER_ASSETS=${process.env['KUBEBUILDER_ASSETS'] ?? ''}: run ../shared/test-servers/build ${name}`
    : `${PACKAGES[name]?.join(' or ')} is not there: apt-get install ${name.replace('debian-', '')}`;
  if (process.env['CI'] === 'true') throw new Error(`In CI the real proxies must be there: ${reason}`);
  return reason;
}

/** The path of a proxy that `whyProxyMissing` has not refused. */
export function proxyBinary(name: ProxyName): string {
  const path = findProxy(name);
  if (path === undefined) throw new Error(`there is no ${name}`);
  return path;
}

function findProxy(name: ProxyName): string | undefined {
  const assets = process.env['KUBEBUILDER_ASSETS'] ?? '';
  return (PACKAGES[name] ?? (assets === '' ? [] : [join(assets, name)])).find(isExecutable);
}

function whyMissing(name: ServerName): string | undefined {
  if (find(name) !== undefined) return undefined;
  if (name === 'kubectl') return 'kubectl is neither in KUBEBUILDER_ASSETS nor on the PATH';
  const assets = process.env['KUBEBUILDER_ASSETS'];
  if (!assets) return `KUBEBUILDER_ASSETS is not set: ${HOW}`;
  return `there is no ${name} in KUBEBUILDER_ASSETS=${assets}: ${TOOLS.has(name) ? HOW_ELSE : HOW}`;
}

function find(name: ServerName): string | undefined {
  const folders = [process.env['KUBEBUILDER_ASSETS'] ?? ''];
  if (name === 'kubectl') folders.push(...(process.env['PATH'] ?? '').split(delimiter));
  return folders
    .filter((folder) => folder !== '')
    .map((folder) => join(folder, name))
    .find((path) => (FILES.has(name) ? existsSync(path) : isExecutable(path)));
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
