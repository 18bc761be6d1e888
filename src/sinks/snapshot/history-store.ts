import { canonicalIp } from '../../index/ip-address.ts';
import type { Piece, Stretch } from '../../index/history/piece.ts';
import type { ResourceVersion } from '../../pod.ts';
import { inTurns } from '../../turns.ts';
import type { Session } from '../postgres/database.ts';
import type { Row } from '../postgres/mirrored-table.ts';
import { qualified } from '../postgres/sql.ts';
import type { Statements } from '../postgres/statements.ts';
import { timestamp } from '../postgres/values.ts';
import { isVersion, NUMBERED_COLUMNS, piecesOfEach, STRETCH_COLUMNS, stretchesOf } from './history-rows.ts';
import type { NumberedRow, StretchRow } from './history-rows.ts';

/** Rows in one statement. */
const PAGE = 10_000;
/** Deleted in one transaction: so short that nobody waits for it. */
const PRUNED_AT_ONCE = 5_000;
const REMOVED_AT_ONCE = 1_000;
const CURSOR = 'podwhois_late';
/** No two writers' clocks differ by more: each is within five minutes of Postgres' (`requireSameTime`). */
const SKEW_MS = 600_000;

/** One pod at one address, from a version on; undefined: only what is open. */
export interface Course {
  readonly ip: string;
  readonly uid: string;
  readonly sinceVersion: ResourceVersion | undefined;
}

interface Late {
  readonly ip: string;
  readonly uid: string;
  readonly sinceVersion: ResourceVersion;
  /** To this day. */
  readonly isOpen: boolean;
}

interface LateRow extends Readonly<Record<string, unknown>> {
  readonly ip: string;
  readonly uid: string;
  readonly since_version: string;
  readonly is_open: boolean;
}

/** The statements of the history's writer, about the rows of one cluster. */
export class HistoryStore {
  readonly #cluster: string;
  readonly #history: string;
  readonly #watched: string;

  constructor(schema: string, cluster: string) {
    this.#cluster = cluster;
    this.#history = qualified(schema, 'ip_history');
    this.#watched = qualified(schema, 'ip_history_watched');
  }

  async watched(session: Session): Promise<readonly Stretch[]> {
    const rows = await session.query<StretchRow>(
      `SELECT ${STRETCH_COLUMNS} FROM ${this.#watched} AS w WHERE w.cluster = $1`,
      [this.#cluster],
    );
    return stretchesOf(rows);
  }

  async replaceWatched(session: Session, from: readonly Stretch[], to: readonly Stretch[]): Promise<void> {
    const kept = new Set(to.map(({ sinceVersion }) => sinceVersion));
    const gone = from.filter(({ sinceVersion }) => !kept.has(sinceVersion));
    if (gone.length > 0) {
      await session.write(`DELETE FROM ${this.#watched} WHERE cluster = $1 AND since_version = ANY ($2::numeric[])`, [
        this.#cluster,
        gone.map(({ sinceVersion }) => sinceVersion),
      ]);
    }
    const known = new Map(from.map((one) => [one.sinceVersion, one]));
    const news = to.filter((one) => !sameStretch(one, known.get(one.sinceVersion)));
    if (news.length === 0) return;
    await session.write(
      `INSERT INTO ${this.#watched} (cluster, since_version, until_version, watched_from, watched_until)
       SELECT $1, u.* FROM unnest($2::numeric[], $3::numeric[], $4::timestamptz[], $5::timestamptz[]) AS u
       ON CONFLICT (cluster, since_version) DO UPDATE SET until_version = EXCLUDED.until_version,
         watched_from = EXCLUDED.watched_from, watched_until = EXCLUDED.watched_until`,
      [
        this.#cluster,
        news.map(({ sinceVersion }) => sinceVersion),
        news.map(({ untilVersion }) => untilVersion),
        news.map((one) => timestamp(one.from)),
        news.map((one) => timestamp(one.until)),
      ],
    );
  }

  /** Who had an address up to a version of that time, or longer, as far as is written; undefined: who has it to this day. */
  async lately(session: Session, since: Pick<Stretch, 'from' | 'sinceVersion'> | undefined): Promise<readonly Late[]> {
    await session.write(
      `DECLARE ${CURSOR} NO SCROLL CURSOR FOR SELECT host(ip) AS ip, uid, since_version::text, until_version IS NULL AS is_open
       FROM ${this.#history} WHERE cluster = $1 AND valid_until >= $2::timestamptz AND (until_version >= $3::numeric OR until_version IS NULL)`,
      [this.#cluster, since === undefined ? 'infinity' : timestamp(since.from - SKEW_MS), since?.sinceVersion ?? null],
    );
    const late: Late[] = [];
    for (;;) {
      const page = await session.query<LateRow>(`FETCH ${PAGE} FROM ${CURSOR}`);
      for (const { ip, uid, since_version: sinceVersion, is_open: isOpen } of page) {
        if (isVersion(sinceVersion)) late.push({ ip: canonicalIp(ip) ?? ip, uid, sinceVersion, isOpen });
      }
      if (page.length < PAGE) return late;
    }
  }

  /** Of each all pieces that had not ended by then. */
  async read(session: Session, courses: readonly Course[]): Promise<readonly (readonly Piece[])[]> {
    const whose = 'h.cluster = $1 AND h.uid = c.uid AND h.ip = c.ip';
    const rows = await session.query<NumberedRow>(
      `SELECT ${NUMBERED_COLUMNS} FROM unnest($2::inet[], $3::text[], $4::numeric[]) WITH ORDINALITY AS c (ip, uid, since, n)
       CROSS JOIN LATERAL (
         SELECT * FROM ${this.#history} AS h WHERE ${whose} AND h.until_version >= c.since
         UNION ALL SELECT * FROM ${this.#history} AS h WHERE ${whose} AND h.until_version IS NULL
       ) AS h`,
      [
        this.#cluster,
        courses.map(({ ip }) => ip),
        courses.map(({ uid }) => uid),
        courses.map(({ sinceVersion }) => sinceVersion ?? null),
      ],
    );
    return await inTurns(piecesOfEach(courses, rows));
  }

  async remove(session: Session, statements: Statements, rows: readonly Row[]): Promise<number> {
    let deleted = 0;
    for (let from = 0; from < rows.length; from += REMOVED_AT_ONCE) {
      const some = rows.slice(from, from + REMOVED_AT_ONCE);
      const columns = statements.groups.map((_, i) => some.map((row) => row[i] ?? null));
      deleted += await session.write(statements.deleteGroups, [this.#cluster, ...columns]);
    }
    return deleted;
  }

  /**
   * What ended so long before now. First it is not called watched any more, then it goes: in between less is claimed than is there. That it
   * is so old the database's clock must say too: nothing brings it back when ours was wrong.
   */
  async prune(
    session: Session,
    now: number,
    retentionMs: number,
  ): Promise<{ readonly deleted: number; readonly more: boolean }> {
    const [there] = await session.query<{ now: number }>(
      'SELECT (extract(epoch FROM clock_timestamp()) * 1000)::float8 AS now',
    );
    const before = [this.#cluster, timestamp(Math.min(now, there?.now ?? now) - retentionMs)];
    await session.write(`DELETE FROM ${this.#watched} WHERE cluster = $1 AND watched_until < $2::timestamptz`, before);
    await session.write(
      `UPDATE ${this.#watched} SET watched_from = $2::timestamptz WHERE cluster = $1 AND watched_from < $2::timestamptz`,
      before,
    );
    const key = 'cluster, ip, valid_from, uid, since_version';
    const deleted = await session.write(
      `DELETE FROM ${this.#history} WHERE (${key}) IN (
         SELECT ${key} FROM ${this.#history} WHERE cluster = $1 AND valid_until < $2::timestamptz
         ORDER BY valid_until LIMIT ${PRUNED_AT_ONCE})`,
      before,
    );
    return { deleted, more: deleted === PRUNED_AT_ONCE };
  }
}

const sameStretch = (a: Stretch, b: Stretch | undefined): boolean =>
  a.sinceVersion === b?.sinceVersion && a.untilVersion === b.untilVersion && a.from === b.from && a.until === b.until;
