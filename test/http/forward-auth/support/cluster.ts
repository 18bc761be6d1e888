import type { View } from '../../../../src/index/answer.ts';
import { PodIndex } from '../../../../src/index/pod-index.ts';
import type { Pod } from '../../../../src/pod.ts';
import { makePod } from '../../../index/make-pod.ts';

/** The wall clock of the small cluster; its pods' deletion times are told from it. */
export const NOW = 1_800_000_000_000;
export const SLACK = 30_000;

/** One pod, or none, of every kind that an answer can be about. IPv4 on loopback, so that a socket can have these addresses too. */
export const AT = {
  caddy: '127.42.0.2',
  caddy6: 'fd00:42::2',
  /** Of the same service account, and should be gone by now. */
  goneCaddy: '127.42.0.3',
  web: '127.42.1.1',
  web6: 'fd00:42::1:1',
  vault: '127.42.1.2',
  leaving: '127.42.1.13',
  gone: '127.42.1.12',
  twins: '127.42.1.9',
  done: '127.42.1.10',
  unreadable: '127.42.1.11',
  /** Of a host-network pod, and so of its node. */
  hostNetwork: '127.168.0.10',
  node: '127.168.0.11',
  /** Nobody's yet, in the pod network. */
  free: '127.42.9.9',
  office: '127.113.0.7',
  office6: '2001:db8::7',
  /** A pod says that it has this one, far from the pod network. */
  claimed: '127.113.0.99',
} as const;

export const WHOLE: View = { partial: false, clusterCidrs: [] };

const POD = (namespace: string, name: string, serviceAccount: string, fields: Partial<Pod>): Pod =>
  makePod({ namespace, name, uid: `${namespace}/${name}`, serviceAccount, hostIps: [AT.node], ...fields });

export const PODS = {
  caddy: POD('ingress', 'caddy-1', 'caddy', { podIps: [AT.caddy, AT.caddy6] }),
  goneCaddy: POD('ingress', 'caddy-0', 'caddy', { podIps: [AT.goneCaddy], deletionTimestamp: NOW - SLACK - 1 }),
  web: POD('shop', 'web-1', 'web', { podIps: [AT.web, AT.web6] }),
  vault: POD('bank', 'vault-1', 'vault', { podIps: [AT.vault] }),
  leaving: POD('shop', 'web-2', 'web', { podIps: [AT.leaving], deletionTimestamp: NOW - SLACK }),
  gone: POD('shop', 'web-3', 'web', { podIps: [AT.gone], deletionTimestamp: NOW - SLACK - 1 }),
  twin: POD('shop', 'twin-1', 'web', { podIps: [AT.twins] }),
  otherTwin: POD('bank', 'twin-2', 'vault', { podIps: [AT.twins] }),
  done: POD('shop', 'job-1', 'web', { podIps: [AT.done], phase: 'Succeeded' }),
  agent: POD('system', 'agent-1', 'caddy', { podIps: [AT.hostNetwork], hostIps: [AT.hostNetwork], hostNetwork: true }),
  claimed: POD('shop', 'liar-1', 'web', { podIps: [AT.claimed] }),
} as const;

export function smallCluster(...more: readonly Pod[]): PodIndex {
  const index = new PodIndex();
  const list = index.slice().beginReplace();
  for (const pod of [...Object.values(PODS), ...more]) list.add(pod);
  list.addUnreadable({ key: 'x', namespace: 'shop', name: 'x', ips: [AT.unreadable], reason: 'made up' });
  list.commit('1000');
  return index;
}
