import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Agent, fetch } from 'undici';
import { startChild } from './child-process.ts';
import { freePorts } from './free-ports.ts';
import { serverBinary } from './server-binaries.ts';
import { until } from './until.ts';
import type { Child } from './child-process.ts';
import type { ServerName } from './server-binaries.ts';
import type { RequestInit, Response } from 'undici';

export { API_ONLY, CLUSTER, HELM, realServer } from './server-binaries.ts';

export interface ControlPlaneOptions {
  /** etcd and kube-apiserver alone: no controllers, no scheduler, no nodes. */
  readonly apiOnly?: boolean;
  readonly nodes?: number;
  readonly apiServerFlags?: Readonly<Record<string, string>>;
}

/**
 * A real control plane on loopback, each in a folder and on ports of its own. The flags are those of
 * ../shared/test-servers/cluster; started from here so that every process can be killed, frozen and started by itself.
 */
export class ControlPlane {
  readonly dir = mkdtempSync(join(tmpdir(), 'podwhois-cluster-'));
  /** The administrator's. */
  readonly kubeconfig = join(this.dir, 'kubeconfig');
  readonly caFile = join(this.dir, 'certs', 'apiserver.crt');
  readonly token = randomBytes(16).toString('hex');
  readonly url: string;
  readonly etcdUrl: string;
  readonly #options: ControlPlaneOptions;
  readonly #ports: readonly number[];
  readonly #children = new Map<ServerName, Child>();
  #agent: Agent | undefined;

  constructor(ports: readonly number[], options: ControlPlaneOptions) {
    this.#ports = ports;
    this.#options = options;
    this.etcdUrl = `http://127.0.0.1:${ports[0]}`;
    this.url = `https://127.0.0.1:${ports[2]}`;
    const key = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey;
    writeFileSync(join(this.dir, 'sa.key'), key.export({ type: 'pkcs1', format: 'pem' }));
    writeFileSync(join(this.dir, 'tokens.csv'), `${this.token},admin,admin,"system:masters"\n`);
    this.writeKubeconfig(this.kubeconfig, { token: this.token });
  }

  /** Its process id is `etcd.pid`; `etcd.signal('SIGSTOP')` cuts the API server off. */
  get etcd(): Child {
    return this.#child('etcd');
  }

  get apiServer(): Child {
    return this.#child('kube-apiserver');
  }

  /** A kubeconfig for somebody: `user` is kubectl's user entry (`{token}`, `{tokenFile}`). */
  writeKubeconfig(path: string, user: Readonly<Record<string, string>>): string {
    const config = {
      apiVersion: 'v1',
      kind: 'Config',
      clusters: [{ name: 'test', cluster: { server: this.url, 'certificate-authority': this.caFile } }],
      users: [{ name: 'somebody', user }],
      contexts: [{ name: 'test', context: { cluster: 'test', user: 'somebody' } }],
      'current-context': 'test',
    };
    writeFileSync(path, JSON.stringify(config)); // JSON is YAML
    return path;
  }

  /** As the administrator. */
  async fetch(path: string, init: RequestInit = {}): Promise<Response> {
    this.#agent ??= new Agent({ connect: { ca: readFileSync(this.caFile) } });
    const headers = { authorization: `Bearer ${this.token}`, ...(init.headers as Record<string, string> | undefined) };
    return await fetch(this.url + path, { ...init, headers, dispatcher: this.#agent });
  }

  async startEtcd(): Promise<void> {
    const [client, peer] = this.#ports;
    const peerUrl = `http://127.0.0.1:${peer}`;
    this.#start('etcd', {
      'data-dir': join(this.dir, 'etcd'),
      'unsafe-no-fsync': 'true',
      'log-level': 'warn',
      'listen-client-urls': this.etcdUrl,
      'advertise-client-urls': this.etcdUrl,
      'listen-peer-urls': peerUrl,
      'initial-advertise-peer-urls': peerUrl,
      'initial-cluster': `default=${peerUrl}`,
    });
    await until(`etcd answers on port ${client}`, async () => (await fetch(`${this.etcdUrl}/health`)).ok);
  }

  /** Also after it was killed: with the same flags, on the same port. */
  async startApiServer(): Promise<void> {
    const serviceAccountKey = join(this.dir, 'sa.key');
    this.#start('kube-apiserver', {
      'etcd-servers': this.etcdUrl,
      'bind-address': '127.0.0.1',
      'secure-port': String(this.#ports[2]),
      'cert-dir': join(this.dir, 'certs'),
      'service-cluster-ip-range': '10.0.0.0/24',
      'authorization-mode': 'RBAC',
      'token-auth-file': join(this.dir, 'tokens.csv'),
      'allow-privileged': 'true',
      'service-account-issuer': 'https://kubernetes.default.svc',
      'service-account-key-file': serviceAccountKey,
      'service-account-signing-key-file': serviceAccountKey,
      'disable-admission-plugins': 'ServiceAccount',
      'endpoint-reconciler-type': 'none',
      ...this.#options.apiServerFlags,
    });
    await this.apiServerReady();
  }

  async apiServerReady(): Promise<void> {
    const ready = async (): Promise<boolean> => {
      if (this.apiServer.ended !== undefined) return true;
      try {
        return (await this.fetch('/readyz', { signal: AbortSignal.timeout(2_000) })).ok;
      } catch (error) {
        // Its file of certificates may have been read in the moment in which it was empty: the next time it is read again.
        await this.#agent?.destroy();
        this.#agent = undefined;
        throw error;
      }
    };
    await until('the API server is ready', ready, { timeoutMs: 60_000, everyMs: 100 });
    if (this.apiServer.ended !== undefined) throw new Error(tail(this.apiServer));
  }

  /** The controllers, the scheduler and kwok with its nodes; also after `stopCluster`. */
  async startCluster(): Promise<void> {
    const { kubeconfig } = this;
    const alone = { kubeconfig, 'leader-elect': 'false', 'secure-port': '0' };
    const key = { 'service-account-private-key-file': join(this.dir, 'sa.key') };
    this.#start('kube-controller-manager', { ...alone, ...key, controllers: '*' });
    this.#start('kube-scheduler', alone);
    const nodes = { 'manage-all-nodes': 'true', cidr: '10.42.0.1/16', 'node-ip': '192.0.2.1' };
    this.#start('kwok', { kubeconfig, config: serverBinary('kwok-stages'), ...nodes });
    const room = { cpu: '64', memory: '256Gi', pods: '1000' };
    for (let i = 0; i < (this.#options.nodes ?? 3); i++) {
      const metadata = { name: `node-${i}`, labels: { 'kubernetes.io/hostname': `node-${i}` } };
      const status = { allocatable: room, capacity: room };
      await this.#post('/api/v1/nodes', { apiVersion: 'v1', kind: 'Node', metadata, status });
    }
  }

  async stopCluster(): Promise<void> {
    const names = ['kwok', 'kube-scheduler', 'kube-controller-manager'] as const;
    await Promise.all(names.map(async (name) => await this.#child(name).stop()));
  }

  /** Raises etcd's revision by writing beside the API server's keys. */
  async bumpVersions(count: number): Promise<void> {
    const put = { key: btoa('bump'), value: btoa('') };
    for (let i = 0; i < count; i++) await this.#etcd('/v3/kv/put', put);
  }

  /** etcd's revision: the newest resourceVersion there is, whatever it was given to. */
  async version(): Promise<number> {
    const status = (await this.#etcd('/v3/maintenance/status', {})) as { header: { revision: string } };
    return Number(status.header.revision);
  }

  /** Throws away every older revision of etcd, as the API server itself does every five minutes. */
  async compact(): Promise<void> {
    await this.#etcd('/v3/kv/compaction', { revision: await this.version(), physical: true });
  }

  /** A copy as a crash would leave it, which etcd is made to start from: taken while its process stands still. */
  snapshotEtcd(): string {
    const copy = mkdtempSync(join(this.dir, 'snapshot-'));
    this.etcd.signal('SIGSTOP');
    try {
      cpSync(join(this.dir, 'etcd'), copy, { recursive: true });
    } finally {
      this.etcd.signal('SIGCONT');
    }
    return copy;
  }

  /** As an administrator restores a backup: API server off, etcd's state replaced, both on again. Versions go backwards. */
  async restoreEtcd(snapshot: string): Promise<void> {
    await this.apiServer.stop();
    await this.etcd.stop();
    rmSync(join(this.dir, 'etcd'), { recursive: true });
    cpSync(snapshot, join(this.dir, 'etcd'), { recursive: true });
    await this.startEtcd();
    await this.startApiServer();
  }

  async down(): Promise<void> {
    await this.#agent?.destroy();
    await Promise.all([...this.#children.values()].map((child) => child.stop()));
    rmSync(this.dir, { recursive: true, force: true });
  }

  #child(name: ServerName): Child {
    const child = this.#children.get(name);
    if (!child) throw new Error(`${name} has not been started`);
    return child;
  }

  #start(name: ServerName, flags: Readonly<Record<string, string>>): void {
    const args = Object.entries(flags).map(([flag, value]) => `--${flag}=${value}`);
    const logFile = join(this.dir, `${name}.log`);
    this.#children.set(name, startChild({ name, file: serverBinary(name), args, logFile }));
  }

  async #post(path: string, object: unknown): Promise<void> {
    const headers = { 'content-type': 'application/json' };
    const response = await this.fetch(path, { method: 'POST', headers, body: JSON.stringify(object) });
    // 409: a node that is there already
    if (!response.ok && response.status !== 409)
      throw new Error(`POST ${path}: ${response.status} ${await response.text()}`);
  }

  async #etcd(path: string, body: unknown): Promise<unknown> {
    const response = await fetch(this.etcdUrl + path, { method: 'POST', body: JSON.stringify(body) });
    if (!response.ok) throw new Error(`etcd ${path}: ${response.status} ${await response.text()}`);
    return await response.json();
  }
}

/** Guard the test with `realServer(...CLUSTER)` (or `...API_ONLY`) first, and call `down` whatever happens. */
export async function startControlPlane(options: ControlPlaneOptions = {}): Promise<ControlPlane> {
  const plane = new ControlPlane(await freePorts(3), options);
  try {
    await plane.startEtcd();
    await plane.startApiServer();
    if (!options.apiOnly) await plane.startCluster();
    return plane;
  } catch (error) {
    await plane.down();
    throw error;
  }
}

function tail(child: Child): string {
  return `${child.name} ended with ${child.ended}:\n${child.output().split('\n').slice(-8).join('\n')}`;
}
