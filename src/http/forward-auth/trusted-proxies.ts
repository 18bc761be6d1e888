import { canonicalIp, parseCidr } from '../../index/ip-address.ts';
import type { Cidr } from '../../index/ip-address.ts';

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
