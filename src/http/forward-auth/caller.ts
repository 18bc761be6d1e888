import { acceptedWhileTerminating, answer } from '../../index/answer.ts';
import type { Pod } from '../../pod.ts';
import { nobodysPod } from './trusted-proxies.ts';
import type { Known } from './trusted-proxies.ts';
import type { Caller, Denied } from './verdict.ts';

/** Of an ambiguous answer, in the log: whoever may patch many pods' status must not make lines of any length. */
const MAX_CANDIDATES = 10;

/**
 * Whom a canonical address belongs to, or why that is not certain (rules A4 to A6, A10). The index must be fresh. What is told in
 * `detail` is for the log.
 */
export function callerOf(ip: string, known: Known, wallClockMs: number): Caller | Denied {
  const { index, view, terminatingSlackMs } = known;
  const found = answer(index, ip, view);
  if (found.kind === 'unreadable') return deny('unreadable', ip);
  if (found.kind === 'ambiguous') return deny('ambiguous', `${ip}: ${listed(found.candidates)}`);
  if (found.kind === 'one') {
    const { pod } = found;
    if (acceptedWhileTerminating(pod, wallClockMs, terminatingSlackMs)) return { kind: 'pod', ip, pod };
    return deny('terminating', `${ip}: ${nameOf(pod)}`);
  }
  // Outside of CLUSTER_CIDR too: a rule may let a network there in, and never a pod that says it has such an address.
  const reason = nobodysPod(index, ip, view);
  return reason === undefined ? deny(found.reason, ip) : { kind: 'outside', ip, reason };
}

export function deny(reason: Denied['reason'], detail: string): Denied {
  return { allow: false, reason, detail };
}

const nameOf = ({ namespace, name }: Pod): string => `${namespace}/${name}`;

function listed(pods: readonly Pod[]): string {
  const names = pods.slice(0, MAX_CANDIDATES).map(nameOf).join(', ');
  return pods.length > MAX_CANDIDATES ? `${names} and ${pods.length - MAX_CANDIDATES} more` : names;
}
