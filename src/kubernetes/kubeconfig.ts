import { existsSync, readFileSync } from 'node:fs';
import { delimiter, dirname, resolve } from 'node:path';
import { KubeConfig } from '@kubernetes/client-node';
import { parse } from 'yaml';

/**
 * Loaded late: the library brings the types of the whole API along (0.7 s unbundled), and a plain-HTTP server needs none of it.
 */

/** kubectl's way: of several files those that exist, and for equal names, and the current context, the first that has one. */
export function loadKubeConfig(paths: string): KubeConfig {
  const files = paths.split(delimiter).filter((path) => path !== '' && existsSync(path));
  if (files.length === 0) throw new Error('no such file');
  const all = files.map(loadFile);
  const merged = new KubeConfig();
  merged.loadFromOptions({
    clusters: firstOfEachName(all.flatMap((config) => config.clusters)),
    users: firstOfEachName(all.flatMap((config) => config.users)),
    contexts: firstOfEachName(all.flatMap((config) => config.contexts)),
    currentContext: all.map((config) => config.currentContext).find(Boolean) ?? '',
  });
  return merged;
}

/** The service account of the pod that this runs in. */
export function inClusterConfig(options: { readonly server: string; readonly serviceAccountDir: string }): KubeConfig {
  const config = new KubeConfig();
  const { server, serviceAccountDir: dir } = options;
  config.loadFromOptions({
    clusters: [{ name: 'in-cluster', server, caFile: `${dir}/ca.crt`, skipTLSVerify: false }],
    users: [{ name: 'in-cluster', authProvider: tokenFileProvider(`${dir}/token`) }],
    contexts: [{ name: 'in-cluster', cluster: 'in-cluster', user: 'in-cluster' }],
    currentContext: 'in-cluster',
  });
  return config;
}

interface Users {
  readonly users?: readonly ({ user?: Record<string, unknown> } | null)[];
}

/** The library reads no `tokenFile` of a user; it reads one of an auth provider, again and again. JSON is YAML. */
function loadFile(path: string): KubeConfig {
  const content = parse(readFileSync(path, 'utf8')) as (Users & Record<string, unknown>) | null;
  if (typeof content !== 'object' || content === null) throw new Error('it is not a kubeconfig');
  for (const entry of Array.isArray(content.users) ? content.users : []) {
    const tokenFile = entry?.user?.['tokenFile'];
    if (!entry?.user || typeof tokenFile !== 'string') continue;
    entry.user['auth-provider'] = tokenFileProvider(resolve(dirname(path), tokenFile));
    delete entry.user['token'];
  }
  const config = new KubeConfig();
  config.loadFromString(JSON.stringify(content));
  config.makePathsAbsolute(dirname(resolve(path)));
  for (const { exec } of config.users) announceExecInfo(exec);
  return config;
}

const tokenFileProvider = (tokenFile: string): object => ({ name: 'tokenFile', config: { tokenFile } });

/** Plugins of the v1 API exit without it; kubectl always sets it. */
function announceExecInfo(
  exec: { apiVersion?: string; env?: { name: string; value: string }[] | null } | undefined,
): void {
  if (!exec) return;
  const { apiVersion = 'client.authentication.k8s.io/v1' } = exec;
  const value = JSON.stringify({ apiVersion, kind: 'ExecCredential', spec: { interactive: false } });
  exec.env = [...(exec.env ?? []), { name: 'KUBERNETES_EXEC_INFO', value }];
}

function firstOfEachName<T extends { readonly name: string }>(all: readonly T[]): T[] {
  return all.filter(({ name }, at) => all.findIndex((other) => other.name === name) === at);
}
