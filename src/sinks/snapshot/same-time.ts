import type { Session } from '../postgres/database.ts';
import { SetupError } from '../postgres/error-class.ts';

/** More than any two clocks differ that are set at all. */
const MOST_MS = 300_000;

/**
 * Refuses to write the history by a clock that Postgres' own contradicts. Of the times at which several replicas heard of a change the
 * earliest counts, for ever: one whose clock is a day behind would move by a day whatever ends while it writes. Another replica may write then.
 */
export async function requireSameTime(session: Pick<Session, 'query'>, wall: () => number): Promise<void> {
  const before = wall();
  const [row] = await session.query<{ now: number }>(
    'SELECT (extract(epoch FROM clock_timestamp()) * 1000)::float8 AS now',
  );
  const theirs = row?.now ?? before;
  // It was asked at some time in between.
  const ahead = Math.max(0, before - theirs) + Math.min(0, wall() - theirs);
  if (Math.abs(ahead) <= MOST_MS) return;
  const seconds = Math.round(Math.abs(ahead) / 1_000);
  throw new SetupError(
    `the clock of this machine is ${seconds} s ${ahead > 0 ? 'ahead of' : 'behind'} that of Postgres: the history is not written by it`,
    'the clock of this machine, or that of Postgres, is wrong: set both by NTP',
  );
}
