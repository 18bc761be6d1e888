import { answer } from '../../index/answer.ts';
import type { PodIndex } from '../../index/pod-index.ts';
import type { Pod } from '../../pod.ts';

/** An address that was one pod's and is another's now. */
export interface ChangeOfHands {
  readonly ip: string;
  readonly before: Pod;
  /** A moment at which the former one had it: a whole second, in milliseconds since 1970. */
  readonly at: number;
  readonly now: Pod;
}

type Index = Pick<PodIndex, 'changes' | 'walk' | 'holders' | 'isHostIp' | 'isUnreadable'>;

interface Held {
  readonly pod: Pod;
  readonly since: number;
  /** undefined: it has it still. */
  until: number | undefined;
}

/** The history may begin to watch a second later than `changeOfHands`. */
const MARGIN_MS = 1_000;

const VIEW = { partial: false, clusterCidrs: [] };

/**
 * Follows who answers for the IPv4 addresses, and resolves when one of them goes to a pod of another workload; the former one must have
 * had it for some seconds, so that there is a moment to ask for.
 */
export async function changeOfHands(index: Index, now: () => number = Date.now): Promise<ChangeOfHands> {
  const held = new Map<string, Held>();
  let sequence = index.changes.sequence;
  for (const pod of index.walk({})) for (const ip of pod.podIps) look(index, held, ip, now());
  const { promise, resolve } = Promise.withResolvers<ChangeOfHands>();
  const stop = index.changes.onChange(() => {
    const changes = index.changes.since(sequence) ?? [];
    sequence = index.changes.sequence;
    const touched = new Set(changes.flatMap(({ pod, previous }) => [...pod.podIps, ...(previous?.podIps ?? [])]));
    for (const ip of touched) {
      const found = look(index, held, ip, now());
      if (found) resolve(found);
    }
  });
  return await promise.finally(stop);
}

function look(index: Index, held: Map<string, Held>, ip: string, at: number): ChangeOfHands | undefined {
  if (ip.includes(':')) return undefined;
  const is = answer(index, ip, VIEW);
  const was = held.get(ip);
  if (is.kind !== 'one') {
    if (was) was.until ??= at;
    return undefined;
  }
  const { pod } = is;
  if (was?.pod.uid === pod.uid) {
    was.until = undefined;
    return undefined;
  }
  held.set(ip, { pod, since: at, until: undefined });
  // A finished pod keeps its address in its status, which would have to be explained.
  const isGone = !index.holders(ip).some(({ uid }) => uid === was?.pod.uid);
  if (!was || !isGone || workloadOf(was.pod) === workloadOf(pod)) return undefined;
  const moment = Math.floor((was.until ?? at) / 1000) * 1000 - 1000;
  return moment >= was.since + MARGIN_MS ? { ip, before: was.pod, at: moment, now: pod } : undefined;
}

/** `Deployment/cart`, of a pod without one its own name. */
export const workloadOf = ({ name, workload }: Pod): string =>
  workload === undefined ? `Pod/${name}` : `${workload.kind}/${workload.name}`;
