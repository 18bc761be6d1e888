/**
 * An obviously right evaluator of rules, for the random test: on plain JSON as it stands in the file, one sentence after the other,
 * with nothing of the real one but types. Slow and blunt: lists are walked, paths are split, addresses are numbers.
 */
import type { Caller, NamespaceLabels, RequestFacts } from '../../../src/http/forward-auth/verdict.ts';
import type { Pod } from '../../../src/pod.ts';

export interface Selector {
  readonly matchLabels?: Readonly<Record<string, string>>;
  readonly matchExpressions?: readonly {
    readonly key: string;
    readonly operator: string;
    readonly values?: readonly string[];
  }[];
}

export interface PlainPeer {
  readonly ipBlock?: { readonly cidr: string; readonly except?: readonly string[] };
  readonly podSelector?: Selector;
  readonly namespaceSelector?: Selector;
  readonly serviceAccount?: string;
  readonly workload?: string;
  readonly pod?: { readonly sameNamespaceAs: string };
}

export interface PlainRule {
  readonly name: string;
  readonly match: { readonly path?: string; readonly host?: string; readonly methods?: readonly string[] };
  readonly namespace?: string;
  readonly allow: readonly PlainPeer[];
}

export interface PlainRules {
  readonly rules: readonly PlainRule[];
  readonly default?: 'deny' | 'identify';
}

/** By kind, the values of which any will do; selectors as objects. */
export interface PlainConstraints {
  readonly namespace?: readonly string[];
  readonly service_account?: readonly string[];
  readonly workload?: readonly string[];
  readonly node?: readonly string[];
  readonly label_selector?: readonly Selector[];
  readonly namespace_selector?: readonly Selector[];
}

/** `allow` or the reason, and the rule that said so. */
export function naiveOutcome(
  file: PlainRules | undefined,
  constraints: PlainConstraints,
  facts: RequestFacts,
  caller: Caller,
  namespaces: NamespaceLabels,
): string {
  const kinds = Object.keys(constraints) as (keyof PlainConstraints)[];
  if (kinds.length > 0) {
    if (caller.kind === 'outside') return caller.reason;
    const results = kinds.map((kind) =>
      best((constraints[kind] ?? []).map((value) => meets(kind, value, caller.pod, namespaces))),
    );
    const result = worst(results);
    if (result === 'no') return 'not-allowed';
    if (result !== 'yes') return result;
    if (!file) return 'allow';
  }
  if (!file) return 'no-rule';
  for (const rule of file.rules) {
    const fits = ruleFits(rule, facts);
    if (fits === 'no') continue;
    if (fits !== 'yes') return `${fits} ${rule.name}`;
    const result = best(rule.allow.map((peer) => peerIs(peer, rule, facts, caller, namespaces)));
    if (result === 'yes') return `allow ${rule.name}`;
    if (caller.kind === 'outside') return `${caller.reason} ${rule.name}`;
    return `${result === 'no' ? 'not-allowed' : result} ${rule.name}`;
  }
  if (file.default !== 'identify') return 'no-rule';
  return caller.kind === 'pod' ? 'allow' : caller.reason;
}

/** `yes`, `no`, or why neither can be said. */
type Result = string;

/** One yes is enough; else the first doubt; else no. */
const best = (results: readonly Result[]): Result =>
  results.includes('yes') ? 'yes' : (results.find((result) => result !== 'no') ?? 'no');

/** One no is enough; else the first doubt; else yes. */
const worst = (results: readonly Result[]): Result =>
  results.includes('no') ? 'no' : (results.find((result) => result !== 'yes') ?? 'yes');

const truth = (value: boolean): Result => (value ? 'yes' : 'no');

function ruleFits({ match }: PlainRule, { method, host, uri }: RequestFacts): Result {
  if (match.methods && method === undefined) return 'unknown-request';
  if (match.host !== undefined && host === undefined) return 'unknown-request';
  if (match.path !== undefined && uri === undefined) return 'unknown-request';
  if (match.methods) {
    const wanted = match.methods.includes('GET') ? [...match.methods, 'HEAD'] : match.methods;
    if (!wanted.includes(String(method).toUpperCase())) return 'no';
  }
  if (match.host !== undefined) {
    const name = String(host).toLowerCase().split(':')[0]?.replace(/\.$/, '').split('.') ?? [];
    const wanted = match.host.toLowerCase().split('.');
    const fits =
      wanted[0] === '*'
        ? name.length >= wanted.length && name.slice(-(wanted.length - 1)).join() === wanted.slice(1).join()
        : name.join() === wanted.join();
    if (!fits) return 'no';
  }
  if (match.path === undefined) return 'yes';
  const segments = segmentsOf(String(uri));
  if (segments === undefined) return 'unsafe-path';
  return truth(pathFits(match.path, segments));
}

/** Knows ASCII only; that is what the random test sends. */
export function segmentsOf(uri: string): string[] | undefined {
  const [path = ''] = uri.split('?');
  if (!path.startsWith('/') || path.startsWith('//')) return undefined;
  if (/[\\#]|%5c|%2f|%3b|%25|%00|%3f/i.test(path)) return undefined;
  const segments: string[] = [];
  for (const written of path.split('/')) {
    if (written === '') continue;
    const [name = ''] = written.replaceAll('%41', 'A').replaceAll('%61', 'a').replaceAll(/%2e/gi, '.').split(';');
    if (name === '' || name === '.' || name === '..') return undefined;
    segments.push(name.toLowerCase());
  }
  return segments;
}

function pathFits(pattern: string, segments: readonly string[]): boolean {
  const wanted = pattern.split('/').filter((part) => part !== '');
  const open = wanted.at(-1) === '**';
  if (open) wanted.pop();
  if (open ? segments.length < wanted.length : segments.length !== wanted.length) return false;
  return wanted.every((part, i) => part === '*' || part.startsWith('{') || part.toLowerCase() === segments[i]);
}

function peerIs(
  peer: PlainPeer,
  rule: PlainRule,
  { uri }: RequestFacts,
  caller: Caller,
  namespaces: NamespaceLabels,
): Result {
  if (peer.ipBlock) {
    if (caller.kind === 'pod') return 'no';
    const { cidr, except = [] } = peer.ipBlock;
    return truth(lies(caller.ip, cidr) && !except.some((hole) => lies(caller.ip, hole)));
  }
  if (caller.kind === 'outside') return 'no';
  const { pod } = caller;
  const results: Result[] = [];
  if (peer.serviceAccount !== undefined)
    results.push(truth(peer.serviceAccount === `${pod.namespace}/${pod.serviceAccount}`));
  if (peer.workload !== undefined) results.push(truth(peer.workload === workloadOf(pod)));
  if (peer.pod) {
    const position = String(rule.match.path).split('/').indexOf(peer.pod.sameNamespaceAs) - 1;
    results.push(truth(segmentsOf(String(uri))?.[position] === pod.namespace));
  }
  if (peer.podSelector) {
    results.push(truth(selects(peer.podSelector, pod.labels)));
    const others = [peer.namespaceSelector, peer.serviceAccount, peer.workload, peer.pod];
    if (others.every((other) => other === undefined)) results.push(truth(pod.namespace === rule.namespace));
  }
  if (peer.namespaceSelector) results.push(namespaceIs(peer.namespaceSelector, pod.namespace, namespaces));
  return worst(results);
}

const workloadOf = (pod: Pod): string =>
  pod.workload ? `${pod.namespace}/${pod.workload.kind}/${pod.workload.name}` : `${pod.namespace}/Pod/${pod.name}`;

function namespaceIs(selector: Selector, namespace: string, namespaces: NamespaceLabels): Result {
  if (namespaces.refusal !== undefined) return namespaces.refusal;
  const labels = namespaces.labelsOf(namespace);
  return labels === undefined ? 'unknown-namespace' : truth(selects(selector, labels));
}

function selects(selector: Selector, labels: Readonly<Record<string, string>>): boolean {
  const own = new Map(Object.entries(labels));
  for (const [key, value] of Object.entries(selector.matchLabels ?? {})) if (own.get(key) !== value) return false;
  for (const { key, operator, values = [] } of selector.matchExpressions ?? []) {
    const value = own.get(key);
    if (operator === 'In' && !(value !== undefined && values.includes(value))) return false;
    if (operator === 'NotIn' && value !== undefined && values.includes(value)) return false;
    if (operator === 'Exists' && value === undefined) return false;
    if (operator === 'DoesNotExist' && value !== undefined) return false;
  }
  return true;
}

/** IPv4 by arithmetic; no IPv6 network in the random test holds an IPv4 address, nor the other way round. */
function lies(ip: string, cidr: string): boolean {
  const [network = '', length = ''] = cidr.split('/');
  if (ip.includes(':') !== network.includes(':')) return false;
  if (ip.includes(':')) return network === '::' || ip.startsWith(network.replace(/::$/, ':'));
  const numberOf = (text: string): number => text.split('.').reduce((sum, octet) => sum * 256 + Number(octet), 0);
  const size = 2 ** (32 - Number(length));
  return Math.floor(numberOf(ip) / size) === Math.floor(numberOf(network) / size);
}

function meets(kind: keyof PlainConstraints, value: string | Selector, pod: Pod, namespaces: NamespaceLabels): Result {
  if (kind === 'namespace') return truth(pod.namespace === value);
  if (kind === 'node') return truth(pod.nodeName === value);
  if (kind === 'service_account') return truth(`${pod.namespace}/${pod.serviceAccount}` === value);
  if (kind === 'workload') return truth(workloadOf(pod) === value);
  if (kind === 'label_selector') return truth(selects(value as Selector, pod.labels));
  return namespaceIs(value as Selector, pod.namespace, namespaces);
}
