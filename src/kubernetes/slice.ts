import type { Logger } from 'pino';
import { ApiError, explain, isForbidden } from './api-error.ts';
import type { ApiObject } from './api-object.ts';
import type { Clock } from './clock.ts';
import type { Complaints } from './complaints.ts';
import type { ListWatch } from './list-watch.ts';
import type { Progress } from './progress.ts';
import type { ReflectorMetrics } from './reflector-metrics.ts';
import type { SetAside } from './set-aside.ts';
import type { SliceStore } from './store.ts';

/** What the three loops of one reflector share. */
export interface Slice<T extends ApiObject> {
  /** For log lines and sentences: `pods at cluster scope`, `pods in namespace shop`. */
  readonly what: string;
  readonly listWatch: ListWatch<T>;
  readonly store: SliceStore<T>;
  readonly addressesOf: (object: T) => readonly string[];
  readonly clock: Clock;
  readonly log: Logger;
  readonly metrics: ReflectorMetrics;
  readonly progress: Progress;
  readonly complaints: Complaints;
  readonly setAside: SetAside;
}

type Verb = 'list' | 'watch';

/** Constant messages, so that what goes on is logged once a minute (rule B5: a missing verb is named). */
const MESSAGES = {
  list: { forbidden: 'not allowed to list', failed: 'listing failed' },
  watch: { forbidden: 'not allowed to watch', failed: 'watching failed' },
  read: { forbidden: 'not allowed to list for a consistent read', failed: 'a consistent read failed' },
} as const;

export function complain<T extends ApiObject>(
  slice: Slice<T>,
  doing: keyof typeof MESSAGES,
  error: unknown,
  retryInMs: number,
): void {
  const verb: Verb = doing === 'watch' ? 'watch' : 'list';
  const { forbidden, failed } = MESSAGES[doing];
  const reason = explain(error);
  const message = isForbidden(error) ? forbidden : failed;
  const sentence = isForbidden(error)
    ? `not allowed to ${verb} ${slice.what}: the verb "${verb}" must be granted`
    : `${message}, ${slice.what}: ${inPublic(error)}`;
  slice.complaints.warn(message, sentence, { verb, reason, retryInMs: Math.round(retryInMs) });
}

/** /ready?verbose is for everybody, and what the API server writes is not: of its errors the code, the rest is in the log. */
function inPublic(error: unknown): string {
  return error instanceof ApiError ? `HTTP ${error.status}, see the log` : explain(error);
}

export function works<T extends ApiObject>(slice: Slice<T>, doing: keyof typeof MESSAGES): void {
  slice.complaints.settled(MESSAGES[doing].forbidden);
  slice.complaints.settled(MESSAGES[doing].failed);
}
