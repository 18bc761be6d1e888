import { answer } from '../../src/index/answer.ts';
import { PodIndex } from '../../src/index/pod-index.ts';
import type { Pod } from '../../src/pod.ts';
import { makePod } from './make-pod.ts';

/**
 * Rule G's short hand. `A+(X)`: pod A is added, with address X. `~` modified, `t` terminating, `s` terminal with its address,
 * `e` terminal and its address is gone, `-` deleted, `h` on the host's network. Letters are names, so `A1` and `A2` are two uids
 * of one name. Without brackets the addresses are those it had. Each event is one version newer than the one before, unless
 * it says `@7`.
 */
const EVENT = /^([A-Z]\d?)([+~tse-])(h?)(?:@(\d+))?(?:\(([A-Z,]*)\))?$/;

const ADDRESS: Readonly<Record<string, string>> = { X: '10.0.0.1', Y: '10.0.0.2', Z: 'fd00::1', N: '192.168.0.1' };

export interface Event {
  readonly type: 'upsert' | 'remove';
  readonly pod: Pod;
}

/** The events that the text tells. */
export function parseEvents(text: string): Event[] {
  const last = new Map<string, Pod>();
  let version = 100;
  return text.split(' ').map((token) => {
    const [, uid, what, host, at, names] = EVENT.exec(token) ?? [];
    if (uid === undefined) throw new Error(`no event: ${token}`);
    const before = last.get(uid) ?? makePod({ uid, name: uid.slice(0, 1), podIps: ['10.0.0.1'], hostIps: [] });
    const podIps = names === undefined ? before.podIps : names.split(',').flatMap((name) => ADDRESS[name] ?? []);
    const resourceVersion = at ?? String(++version);
    const pod: Pod = {
      ...before,
      podIps: what === 'e' ? [] : podIps,
      resourceVersion,
      hostNetwork: before.hostNetwork || host === 'h',
      hostIps: host === 'h' ? ['192.168.0.1'] : before.hostIps,
      phase: what === 's' || what === 'e' ? 'Succeeded' : before.phase,
      deletionTimestamp: what === 't' ? 1_700_000_000_000 : before.deletionTimestamp,
    };
    last.set(uid, pod);
    return { type: what === '-' ? 'remove' : 'upsert', pod };
  });
}

export function indexAfter(events: readonly Event[]): PodIndex {
  const index = new PodIndex();
  index.slice().beginReplace().commit('1');
  for (const { type, pod } of events) index.slice()[type](pod);
  return index;
}

/** `X: B, Y: -` : what is answered, as a pod's uid, `ambiguous`, or a reason. */
export function tell(index: PodIndex, letters: readonly string[]): string {
  return letters
    .map((letter) => {
      const given = answer(index, ADDRESS[letter] ?? letter, { partial: false, clusterCidrs: [] });
      const text =
        given.kind === 'one'
          ? given.pod.uid
          : given.kind === 'none'
            ? given.reason
            : given.kind === 'ambiguous'
              ? `ambiguous ${given.candidates.map(({ uid }) => uid).join('')}`
              : given.kind;
      return `${letter}: ${text}`;
    })
    .join(', ');
}

export function permutations<T>(of: readonly T[]): T[][] {
  if (of.length === 0) return [[]];
  return of.flatMap((one, i) => permutations([...of.slice(0, i), ...of.slice(i + 1)]).map((rest) => [one, ...rest]));
}
