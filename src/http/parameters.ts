import { ERRORS } from '../errors.ts';
import { formatDuration, parseDuration } from '../duration.ts';
import type { Freshness } from './freshness.ts';
import { Problem } from './problem.ts';

/** Milliseconds of a duration parameter; undefined when it is not given. */
export function boundedDuration(name: string, text: string | undefined, maxMs: number): number | undefined {
  if (text === undefined) return undefined;
  const ms = parseDuration(text);
  const right = `a duration such as 1500ms or 90s, at most ${formatDuration(maxMs)}`;
  if (ms === undefined || ms > maxMs) throw new Problem('invalid_request', `${name}: expected ${right}`);
  return ms;
}

export interface PodQuestion {
  readonly ip?: string;
  readonly uid?: string;
  readonly namespace?: string;
  readonly name?: string;
  readonly container_id?: string;
  readonly wait?: string;
}

/** Exactly one kind of question, and nothing that belongs to another. */
export function checkQuestion({ ip, uid, namespace, name, container_id: containerId, wait }: PodQuestion): void {
  const named = namespace !== undefined || name !== undefined;
  const kinds = [ip !== undefined, uid !== undefined, named, containerId !== undefined].filter(Boolean).length;
  if (kinds !== 1) {
    throw new Problem('invalid_request', 'expected exactly one question: ip, uid, namespace and name, or container_id');
  }
  if (named && (namespace === undefined || name === undefined)) {
    throw new Problem('invalid_request', 'namespace and name belong together');
  }
  if (wait !== undefined && ip === undefined) throw new Problem('invalid_request', 'wait: only with ip');
}

/** Rules C2 and C3, for questions about more than one pod. */
export function requireFresh(freshness: Freshness): void {
  const refusal = freshness.refusal();
  if (refusal) throw new Problem(refusal, ERRORS[refusal].meaning);
}
