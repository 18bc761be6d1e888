import { namespaceName, nodeName } from '../../settings/parsers.ts';
import type { WorkloadName } from './peers.ts';

/** Names of objects as rules and constraints write them. undefined: it is none, and what would be right is beside it. */

export const NAMESPACE = 'the name of a namespace (lower-case letters, digits and "-")';
export const isNamespace = (text: string): boolean => namespaceName(text) !== undefined;

export const NODE = 'the name of a node (lower-case letters, digits, "-" and ".")';
/** A DNS subdomain, as the names of nodes, service accounts and workloads are. */
export const isName = (text: string): boolean => typeof nodeName(text) === 'string';

export const SERVICE_ACCOUNT = 'namespace/name of a service account, like shop/web';
export function parseServiceAccount(text: string): { readonly namespace: string; readonly name: string } | undefined {
  const [namespace = '', name = '', ...more] = text.split('/');
  return more.length === 0 && isNamespace(namespace) && isName(name) ? { namespace, name } : undefined;
}

export const WORKLOAD = 'namespace/Kind/name of a workload, like shop/Deployment/web';
export function parseWorkload(text: string): WorkloadName | undefined {
  const [namespace = '', kind = '', name = '', ...more] = text.split('/');
  const isKind = /^[A-Z][A-Za-z0-9]{0,62}$/.test(kind);
  return more.length === 0 && isNamespace(namespace) && isKind && isName(name) ? { namespace, kind, name } : undefined;
}
