import { qualified } from '../postgres/sql.ts';
import { PIECE_COLUMNS, STRETCH_COLUMNS } from './history-rows.ts';

/** Of one address, or of one pod. Their values follow the cluster in the statements of a search, in this order. */
export type Whose =
  { readonly ip: string } | { readonly uid: string } | { readonly namespace: string; readonly name: string };

/** Small ones, of which a question sends what it needs: to plan one that does everything takes ten times as long as to run it. */
export interface HistoryStatements {
  /** When somebody was watching: cluster. */
  readonly watched: string;
  /** What touches windows: cluster, addresses, beginnings, ends. */
  readonly touching: string;
  /** The last before windows and the first after them; the same values. */
  readonly neighbours: string;
  /** What pods did at addresses, of hundreds of rows the first and the last ones: cluster, addresses, uids, versions. */
  readonly courses: string;
  /** The last rows of holds: cluster, addresses, uids, beginnings. */
  readonly ends: string;
  search(whose: Whose): { readonly recent: string; readonly old: string };
}

/** More than ever hold an address that names a pod: of a node's, one on the host's network decides, and comes first. */
const MOST_HOLDERS = 200;
/** Stretches; where there were more, what is before them is a hole. */
const MOST_WATCHED = 10_000;

const time = (value: string): string => `to_timestamp(${value} / 1000)`;

export function historyStatements(schema: string): HistoryStatements {
  const [history, watched] = [qualified(schema, 'ip_history'), qualified(schema, 'ip_history_watched')];
  const windows = `(SELECT ip, ${time('back')} AS back, ${time('ahead')} AS ahead
    FROM unnest($2::inet[], $3::float8[], $4::float8[]) AS w (ip, back, ahead)) AS q`;
  const of = (questions: string, rows: string, each = ''): string =>
    `SELECT ${each} ${PIECE_COLUMNS} FROM ${questions} CROSS JOIN LATERAL (${rows}) AS h`;
  return {
    watched: `SELECT ${STRETCH_COLUMNS} FROM ${watched} AS w WHERE cluster = $1 ORDER BY watched_until DESC LIMIT ${MOST_WATCHED}`,
    touching: of(
      windows,
      `SELECT * FROM ${history} AS h
       WHERE h.cluster = $1 AND h.ip = q.ip AND h.valid_until >= q.back AND h.valid_from <= q.ahead
       ORDER BY h.uid = '' DESC, h.host_network DESC, h.finished_from NULLS FIRST LIMIT ${MOST_HOLDERS}`,
      // A log file asks for many times of one address: a row touches most of them.
      'DISTINCT ON (h.ip, h.valid_from, h.uid, h.since_version)',
    ),
    neighbours: of(
      windows,
      `(SELECT * FROM ${history} AS h WHERE h.cluster = $1 AND h.ip = q.ip AND h.valid_until < q.back AND h.uid <> ''
        ORDER BY h.valid_until DESC, h.uid LIMIT 1)
       UNION ALL
       (SELECT * FROM ${history} AS h WHERE h.cluster = $1 AND h.ip = q.ip AND h.valid_from > q.ahead AND h.uid <> ''
        ORDER BY h.valid_from, h.uid LIMIT 1)`,
    ),
    courses: of(
      'unnest($2::inet[], $3::text[], $4::numeric[]) AS q (ip, uid, since)',
      `(SELECT * FROM ${history} AS h WHERE h.cluster = $1 AND h.uid = q.uid AND h.ip = q.ip AND h.until_version >= q.since
        ORDER BY h.until_version LIMIT 1)
       UNION
       (SELECT * FROM ${history} AS h WHERE h.cluster = $1 AND h.uid = q.uid AND h.ip = q.ip AND h.until_version >= q.since
        ORDER BY h.until_version DESC LIMIT ${MOST_HOLDERS})
       UNION ALL
       (SELECT * FROM ${history} AS h WHERE h.cluster = $1 AND h.uid = q.uid AND h.ip = q.ip AND h.until_version IS NULL)`,
    ),
    ends: of(
      `(SELECT ip, uid, ${time('since')} AS since FROM unnest($2::inet[], $3::text[], $4::float8[]) AS e (ip, uid, since)) AS q`,
      `SELECT * FROM ${history} AS h WHERE h.cluster = $1 AND h.uid = q.uid AND h.ip = q.ip AND h.held_from = q.since
       ORDER BY h.valid_until DESC LIMIT 1`,
    ),
    search(whose) {
      const own = Object.keys(whose).map((name, i) => `h.${name} = $${i + 2}`);
      const [end, since, until, size, from, ip, uid] = Array.from({ length: 7 }, (_, i) => `$${own.length + 2 + i}`);
      const mine = `h.cluster = $1 AND ${own.join(' AND ')}`;
      return {
        // The last row of each hold, which says when that began.
        recent: `
          SELECT ${PIECE_COLUMNS} FROM (
            SELECT DISTINCT ON (h.held_from, h.ip, h.uid) h.* FROM ${history} AS h
            WHERE ${mine} AND h.valid_until >= ${time(`${end}::float8`)}
            ORDER BY h.held_from, h.ip, h.uid, h.valid_until DESC
          ) AS h`,
        // In the order of the texts, as the pages are.
        old: `
          SELECT ${PIECE_COLUMNS} FROM (
            SELECT DISTINCT ON (h.held_from, h.ip, h.uid) h.* FROM ${history} AS h
            WHERE ${mine} AND h.uid <> '' AND h.valid_until >= ${time(`${since}::float8`)} AND h.held_from < ${time(`${until}::float8`)}
            ORDER BY h.held_from, h.ip, h.uid, h.valid_until DESC
          ) AS h
          WHERE h.valid_until < ${time(`${end}::float8`)}
            AND (h.held_from, host(h.ip) COLLATE "C", h.uid COLLATE "C") > (${time(`${from}::float8`)}, ${ip}::text COLLATE "C", ${uid}::text COLLATE "C")
          ORDER BY h.held_from, host(h.ip) COLLATE "C", h.uid COLLATE "C" LIMIT ${size}::int`,
      };
    },
  };
}
