import { isIP, SocketAddress } from 'node:net';

/**
 * What the cluster's pods were at every version, and what rules A of lookup-rules.md say of an address then. Written a
 * second time from the rules, on purpose: it shares no line with src/, reads kubectl's JSON, and knows no order of arrival.
 */

/** What kubectl prints of a pod, as far as the rules ask for it. */
export interface ApiPod {
  readonly metadata: {
    readonly uid: string;
    readonly namespace: string;
    readonly name: string;
    readonly resourceVersion: string;
    readonly deletionTimestamp?: string;
  };
  readonly spec: { readonly hostNetwork?: boolean };
  readonly status?: {
    readonly phase?: string;
    readonly podIP?: string;
    readonly podIPs?: readonly { readonly ip?: string }[];
    readonly hostIP?: string;
    readonly hostIPs?: readonly { readonly ip?: string }[];
  };
}

export interface Facts {
  readonly uid: string;
  readonly name: string;
  /** etcd's revision: far below 2^53 in a test. */
  readonly version: number;
  readonly ips: ReadonlySet<string>;
  readonly hostIps: ReadonlySet<string>;
  readonly hostNetwork: boolean;
  readonly terminal: boolean;
  readonly terminating: boolean;
}

export type Verdict =
  | { readonly status: 200; readonly uid: string; readonly version: number }
  | { readonly status: 409; readonly uids: readonly string[] }
  | { readonly status: 404; readonly reason: 'no-pod' | 'host-network' | 'node' | 'terminal' };

export function factsOf(pod: ApiPod): Facts {
  const { metadata, spec, status = {} } = pod;
  const texts = (one: string | undefined, many: readonly { readonly ip?: string }[] = []): Set<string> =>
    new Set(
      [one, ...many.map(({ ip }) => ip)].filter((ip) => ip !== undefined && ip !== '').map((ip) => plain(ip ?? '')),
    );
  return {
    uid: metadata.uid,
    name: `${metadata.namespace}/${metadata.name}`,
    version: Number(metadata.resourceVersion),
    ips: texts(status.podIP, status.podIPs),
    hostIps: texts(status.hostIP, status.hostIPs),
    hostNetwork: spec.hostNetwork === true,
    terminal: status.phase === 'Succeeded' || status.phase === 'Failed',
    terminating: metadata.deletionTimestamp !== undefined,
  };
}

/** One text per address, as the C library writes it; the IPv4-mapped ones are IPv4 (D1). */
export function plain(ip: string): string {
  const family = isIP(ip) === 6 ? 'ipv6' : 'ipv4';
  const { address } = new SocketAddress({ address: ip, family });
  return address.replace(/^::ffff:(\d+\.\d+\.\d+\.\d+)$/, '$1');
}

/** Rules A1, A4, A5, A6 for one address, given all pods that exist. */
export function verdict(pods: Iterable<Facts>, ip: string): Verdict {
  const all = [...pods];
  const holders = all.filter((pod) => pod.ips.has(ip));
  if (holders.some((pod) => pod.hostNetwork)) return { status: 404, reason: 'host-network' };
  const claimants = holders.filter((pod) => !pod.terminal);
  const staying = claimants.filter((pod) => !pod.terminating);
  const [one] = claimants.length === 1 ? claimants : staying.length === 1 ? staying : [];
  if (one) return { status: 200, uid: one.uid, version: one.version };
  if (claimants.length > 1) return { status: 409, uids: claimants.map(({ uid }) => uid) };
  if (holders.length > 0) return { status: 404, reason: 'terminal' };
  return { status: 404, reason: all.some((pod) => pod.hostIps.has(ip)) ? 'node' : 'no-pod' };
}

/** The versions of one etcd. A restored etcd begins another timeline. */
export class Timeline {
  /** By uid, oldest first; undefined facts: deleted at that version. */
  readonly #lives = new Map<string, { version: number; facts: Facts | undefined }[]>();
  readonly #byIp = new Map<string, Set<string>>();
  readonly #gaps: { after: number; before: number }[] = [];
  readonly #arrivals: { at: number; version: number }[] = [];
  /** Everything up to this version has been told. */
  known = 0;

  /** A watch event: they come in the order of their versions. `at` is when kubectl printed it. */
  event(type: 'ADDED' | 'MODIFIED' | 'DELETED', facts: Facts, at: number): void {
    this.#write(facts.uid, facts.version, type === 'DELETED' ? undefined : facts);
    for (const ip of [...facts.ips, ...facts.hostIps]) {
      const uids = this.#byIp.get(ip);
      if (uids) uids.add(facts.uid);
      else this.#byIp.set(ip, new Set([facts.uid]));
    }
    this.reached(facts.version, at);
  }

  /** A whole list at `version`. What happened between the last event and it has not been seen. */
  listed(pods: readonly Facts[], version: number, at: number): void {
    if (version > this.known) this.#gaps.push({ after: this.known, before: version });
    const listed = new Set(pods.map(({ uid }) => uid));
    for (const uid of this.#lives.keys())
      if (!listed.has(uid) && this.#lifeAt(uid, version)) this.#write(uid, version, undefined);
    for (const pod of pods)
      if (this.#lifeAt(pod.uid, version)?.version !== pod.version) this.event('MODIFIED', pod, at);
    this.reached(version, at);
  }

  /** A bookmark: everything up to this version has been told. */
  reached(version: number, at: number): void {
    this.known = Math.max(this.known, version);
    this.#arrivals.push({ at, version: this.known });
  }

  /** Whether the events tell the state at a version; if not, it has to be asked for. */
  tells(version: number): boolean {
    return version <= this.known && !this.#gaps.some(({ after, before }) => version > after && version < before);
  }

  /** What the rules say of an address at a version that `tells`. */
  verdictAt(version: number, ip: string): Verdict {
    const uids = [...(this.#byIp.get(ip) ?? [])];
    return verdict(
      uids.map((uid) => this.#lifeAt(uid, version)).filter((facts) => facts !== undefined),
      ip,
    );
  }

  /** The newest version that was surely written by the time `at`: kubectl had printed it. */
  writtenBy(at: number): number {
    let low = 0;
    let high = this.#arrivals.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.#arrivals[middle]?.at ?? 0) <= at) low = middle + 1;
      else high = middle;
    }
    return this.#arrivals[low - 1]?.version ?? 0;
  }

  /** Every address any pod ever had, those of nodes included. */
  addresses(): string[] {
    return [...this.#byIp.keys()];
  }

  /** How many pods ever had the address. */
  heldBy(ip: string): number {
    return this.#byIp.get(ip)?.size ?? 0;
  }

  #lifeAt(uid: string, version: number): Facts | undefined {
    return this.#lives.get(uid)?.findLast((life) => life.version <= version)?.facts;
  }

  #write(uid: string, version: number, facts: Facts | undefined): void {
    const life = this.#lives.get(uid);
    if (!life) this.#lives.set(uid, [{ version, facts }]);
    else if (version > (life.at(-1)?.version ?? 0)) life.push({ version, facts });
  }
}
