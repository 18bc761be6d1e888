import { acceptedWhileTerminating, answer } from '../../index/answer.ts';
import type { View } from '../../index/answer.ts';
import { canonicalIp, parseCidr } from '../../index/ip-address.ts';
import type { Cidr } from '../../index/ip-address.ts';
import type { PodIndex } from '../../index/pod-index.ts';

/** An entry of TRUSTED_PROXIES (rule E1). */
export type TrustedProxy =
  /** Exactly this address, whoever has it. */
  | { readonly kind: 'address'; readonly text: string; readonly ip: string }
  /** Wider than one address: never makes a pod's address trusted. */
  | { readonly kind: 'network'; readonly text: string; readonly cidr: Cidr }
  /** Every pod that runs as this service account. */
  | { readonly kind: 'pod'; readonly text: string; readonly namespace: string; readonly serviceAccount: string };

const POD = /^pod:([a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?)\/([a-z0-9](?:[-a-z0-9.]{0,251}[a-z0-9])?)$/;

/** Reads one entry; a text says what is wrong with it. */
export function parseTrustedProxy(text: string): TrustedProxy | string {
  const [, namespace, serviceAccount] = POD.exec(text) ?? [];
  if (namespace !== undefined && serviceAccount !== undefined) return { kind: 'pod', text, namespace, serviceAccount };
  const ip = canonicalIp(text);
  if (ip !== undefined) return { kind: 'address', text: ip, ip };
  const cidr = parseCidr(text);
  if (cidr === undefined)
    return 'is neither an address nor a network (address/prefix) nor pod:namespace/service-account';
  const [start = '', length] = cidr.text.split('/');
  if (length === '0') return 'would trust every address there is, so that anybody could name any caller';
  const isOne = length === (start.includes(':') ? '128' : '32');
  return isOne ? { kind: 'address', text: start, ip: start } : { kind: 'network', text: cidr.text, cidr };
}

/** Whether the networks have an address in common. */
export function overlap(one: Cidr, other: Cidr): boolean {
  return one.contains(startOf(other)) || other.contains(startOf(one));
}

const startOf = (cidr: Cidr): string => cidr.text.slice(0, cidr.text.indexOf('/'));

/** What is asked of the index about an address. */
export type Holders = Pick<PodIndex, 'holders' | 'isHostIp' | 'isUnreadable'>;

export interface Known {
  readonly index: Holders;
  readonly view: View;
  /** How long past its deletion time a terminating pod still passes for itself (rule A5). */
  readonly terminatingSlackMs: number;
}

/** Whether an address is one that may name somebody else as the client (rule E1). */
export class ProxyTrust {
  readonly #addresses = new Set<string>();
  readonly #networks: Cidr[] = [];
  /** Service accounts by namespace. */
  readonly #pods = new Map<string, Set<string>>();
  readonly #known: Known;

  constructor(proxies: readonly TrustedProxy[], known: Known) {
    this.#known = known;
    for (const proxy of proxies) {
      if (proxy.kind === 'address') this.#addresses.add(proxy.ip);
      else if (proxy.kind === 'network') this.#networks.push(proxy.cidr);
      else this.#pods.set(proxy.namespace, (this.#pods.get(proxy.namespace) ?? new Set()).add(proxy.serviceAccount));
    }
  }

  /** The address is canonical. */
  has(ip: string, wallClockMs: number): boolean {
    if (this.#addresses.has(ip)) return true;
    if (this.#pods.size > 0 && this.#isListedPod(ip, wallClockMs)) return true;
    if (!this.#networks.some((cidr) => cidr.contains(ip))) return false;
    const { index, view } = this.#known;
    return nobodysPod(index, ip, view) !== undefined;
  }

  #isListedPod(ip: string, wallClockMs: number): boolean {
    const { index, view, terminatingSlackMs } = this.#known;
    const found = answer(index, ip, view);
    return (
      found.kind === 'one' &&
      this.#pods.get(found.pod.namespace)?.has(found.pod.serviceAccount) === true &&
      acceptedWhileTerminating(found.pod, wallClockMs, terminatingSlackMs)
    );
  }
}

/** Why an address is certainly no pod's, wherever it lies; undefined: a pod has it, or may have it. */
export function nobodysPod(index: Holders, ip: string, view: View): 'no-pod' | 'node' | 'host-network' | undefined {
  const found = answer(index, ip, view.clusterCidrs.length === 0 ? view : { ...view, clusterCidrs: [] });
  if (found.kind !== 'none') return undefined;
  const { reason } = found;
  return reason === 'no-pod' || reason === 'node' || reason === 'host-network' ? reason : undefined;
}
