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
  readonly at?: string;
  readonly max_staleness?: string;
}

/** Exactly one kind of question, and nothing that belongs to another. */
export function checkQuestion(question: PodQuestion): void {
  const { ip, uid, namespace, name, container_id: containerId, wait, at, max_staleness: staleness } = question;
  const named = namespace !== undefined || name !== undefined;
  const kinds = [ip !== undefined, uid !== undefined, named, containerId !== undefined].filter(Boolean).length;
  if (kinds !== 1) {
    throw new Problem('invalid_request', 'expected exactly one question: ip, uid, namespace and name, or container_id');
  }
  if (named && (namespace === undefined || name === undefined)) {
    throw new Problem('invalid_request', 'namespace and name belong together');
  }
  if (wait !== undefined && ip === undefined) throw new Problem('invalid_request', 'wait: only with ip');
  if (at !== undefined && (ip === undefined || wait !== undefined || staleness !== undefined)) {
    throw new Problem('invalid_request', 'at: only with ip, and with neither wait nor max_staleness');
  }
}

/** Rules C2 and C3, for questions about more than one pod. */
export function requireFresh(freshness: Freshness): void {
  const refusal = freshness.refusal();
  if (refusal) throw new Problem(refusal, ERRORS[refusal].meaning);
}

/** How many a page may hold. */
export function pageSize(text: string | undefined, fallback: number, max: number): number {
  const size = text === undefined ? fallback : Number(text);
  if (size < 1 || size > max) throw new Problem('invalid_request', `limit: expected a number from 1 to ${max}`);
  return size;
}
