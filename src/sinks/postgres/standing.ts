import { formatDuration } from '../../duration.ts';
import type { ErrorClass } from './error-class.ts';

/** What a writer knows of itself. */
export interface Standing {
  /** It has asked for the lease since it last lost sight of it. */
  readonly asked: boolean;
  /** It is the one that writes. */
  readonly leading: boolean;
  /** Of what kind the last attempt's failure was; undefined: it was none. */
  readonly failing: ErrorClass | undefined;
  /** For how long. */
  readonly failingMs: number;
  /** How long the oldest change has not been written; Infinity until the first comparison. */
  readonly lagMs: number;
  /** Groups that Postgres does not take. */
  readonly quarantined: number;
}

/**
 * What is wrong, for everybody to read: nothing of what the server has said, for that is in the log only. What a writer gets over by
 * itself at once is no problem.
 */
const PROBLEMS: Readonly<Partial<Record<ErrorClass, string>>> = {
  connection: 'Postgres does not answer',
  'read-only': 'Postgres takes no writes: it is a standby',
  full: 'Postgres has no room or no connection left',
  setup:
    'Postgres cannot be used as it is set up: TLS, the password, a permission, a table, a column or a file, see the log',
};

/** The same with its kind, and for how long it has been so. */
export function problemOf({ failing, failingMs }: Pick<Standing, 'failing' | 'failingMs'>): string | undefined {
  const problem = failing && PROBLEMS[failing];
  return problem && `${problem} (${failing}, for ${formatDuration(Math.floor(failingMs / 1_000) * 1_000)})`;
}

/** How it stands in a sentence for everybody, and whether that is well: written within the limit, or by another one. */
export function standingOf(
  { asked, leading, lagMs, quarantined, ...failure }: Standing,
  limitMs: number,
): { readonly ok: boolean; readonly message: string } {
  const problem = problemOf(failure);
  const lag = lagMs === Infinity ? 'not compared yet' : `behind by ${formatDuration(Math.round(lagMs))}`;
  const role = asked ? 'another replica writes' : 'Postgres has not been asked who writes';
  const parts = [
    ...(problem === undefined ? [] : [problem]),
    ...(leading ? ['this replica writes', lag] : []),
    ...(!leading && problem === undefined ? [role] : []),
    ...(quarantined === 0 ? [] : [`${quarantined} left out, see the log`]),
  ];
  return { ok: problem === undefined && (!leading || lagMs <= limitMs), message: parts.join('; ') };
}
