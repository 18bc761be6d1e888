import { canonicalIp } from '../index/ip-address.ts';
import { parseLabelSelector } from '../label-selector.ts';
import type { LabelSelector } from '../label-selector.ts';
import type { Pod } from '../pod.ts';
import { Problem } from './problem.ts';

/** Which pods a list or a stream is about. */
export interface FilterQuery {
  readonly namespace?: string;
  readonly node?: string;
  readonly label_selector?: string;
  readonly phase?: string;
  readonly owner?: string;
  readonly ip?: string;
}

export interface PodFilter {
  readonly namespace: string | undefined;
  /** Canonical. Every pod that holds it: host-network and terminal ones too (rule A6). */
  readonly ip: string | undefined;
  /** How many tests a pod may cost. */
  readonly tests: number;
  matches(pod: Pod): boolean;
}

/** Throws a Problem for an address or a selector that is none. */
export function podFilter(query: FilterQuery): PodFilter {
  const { namespace, node, phase } = query;
  const tests: ((pod: Pod) => boolean)[] = [];
  if (namespace !== undefined) tests.push((pod) => pod.namespace === namespace);
  if (node !== undefined) tests.push((pod) => pod.nodeName === node);
  if (phase !== undefined) tests.push((pod) => pod.phase === phase);
  if (query.owner !== undefined) tests.push(ownedBy(query.owner));
  const selector = query.label_selector === undefined ? undefined : selectorOf(query.label_selector);
  if (selector) tests.push((pod) => selector.matches(pod.labels));
  const ip = query.ip === undefined ? undefined : addressOf(query.ip);
  if (ip !== undefined) tests.push((pod) => pod.podIps.includes(ip));
  const count = tests.length + (selector?.requirements ?? 0);
  return { namespace, ip, tests: count, matches: (pod) => tests.every((test) => test(pod)) };
}

/** `Deployment/web` or `web`: the controller itself, or the workload it belongs to. No kind and no name holds a slash. */
function ownedBy(text: string): (pod: Pod) => boolean {
  const slash = text.indexOf('/');
  const kind = slash < 0 ? undefined : text.slice(0, slash);
  const name = text.slice(slash + 1);
  const is = (owner: { readonly kind: string; readonly name: string } | undefined): boolean =>
    owner !== undefined && owner.name === name && (kind === undefined || owner.kind === kind);
  return (pod) => is(pod.owner) || is(pod.workload);
}

function selectorOf(text: string): LabelSelector {
  const { selector, error } = parseLabelSelector(text);
  if (error) throw new Problem('invalid_selector', `label_selector, column ${error.column}: ${error.message}`);
  return selector;
}

function addressOf(text: string): string {
  const ip = canonicalIp(text);
  if (ip === undefined) throw new Problem('invalid_ip', 'ip: not an IP address in one of its plain forms');
  return ip;
}
