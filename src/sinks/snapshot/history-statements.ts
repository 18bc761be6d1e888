import { qualified } from '../postgres/sql.ts';
import { PIECE_COLUMNS, STRETCH_COLUMNS } from './history-rows.ts';

/** Of one address, or of one pod. Their values follow the cluster in the statements of a search, in this order. */
export type Whose =
  { readonly ip: string } | { readonly uid: string } | { readonly namespace: string; readonly name: string };

export interface HistoryStatements {
  readonly watched: string;
  readonly recall: string;
  search(whose: Whose): { readonly recent: string; readonly old: string };
}

/** More than ever hold an address that names a pod: of a node's, one on the host's network decides, and comes first. */
const MOST_HOLDERS = 200;
/** Stretches; where there were more, what is before them is a hole. */
const MOST_WATCHED = 10_000;

const time = (value: string): string => `to_timestamp(${value} / 1000)`;

export function historyStatements(schema: string): HistoryStatements {
  const [history, watched] = [qualified(schema, 'ip_history'), qualified(schema, 'ip_history_watched')];
  const touching = 'h.cluster = $1 AND h.ip = q.ip AND h.valid_until >= q.back AND h.valid_from <= q.ahead';
  return {
    watched: `SELECT ${STRETCH_COLUMNS} FROM ${watched} AS w WHERE cluster = $1 ORDER BY watched_until DESC LIMIT ${MOST_WATCHED}`,
    recall: `
      WITH asked AS (
        SELECT ip, ${time('back')} AS back, ${time('ahead')} AS ahead, neighbours
        FROM unnest($2::inet[], $3::float8[], $4::float8[], $5::boolean[]) AS asked (ip, back, ahead, neighbours)
      ), windows AS (
        SELECT ip, back, ahead, neighbours OR EXISTS (SELECT FROM ${history} AS h WHERE ${touching} AND h.uid = '') AS neighbours
        FROM asked AS q
      ), courses AS (
        SELECT * FROM unnest($6::inet[], $7::text[], $8::numeric[]) AS courses (ip, uid, since)
      ), found AS MATERIALIZED (
        SELECT h.* FROM windows AS q CROSS JOIN LATERAL (
          (SELECT * FROM ${history} AS h WHERE ${touching}
           ORDER BY h.uid = '' DESC, h.host_network DESC, h.finished_from NULLS FIRST LIMIT ${MOST_HOLDERS})
          UNION ALL
          (SELECT * FROM ${history} AS h
           WHERE q.neighbours AND h.cluster = $1 AND h.ip = q.ip AND h.valid_until < q.back AND h.uid <> ''
           ORDER BY h.valid_until DESC, h.uid LIMIT 1)
          UNION ALL
          (SELECT * FROM ${history} AS h
           WHERE q.neighbours AND h.cluster = $1 AND h.ip = q.ip AND h.valid_from > q.ahead AND h.uid <> ''
           ORDER BY h.valid_from, h.uid LIMIT 1)
        ) AS h
        UNION ALL
        SELECT h.* FROM courses AS c CROSS JOIN LATERAL (
          (SELECT * FROM ${history} AS h
           WHERE h.cluster = $1 AND h.uid = c.uid AND h.ip = c.ip AND h.until_version >= c.since
           ORDER BY h.until_version DESC LIMIT ${MOST_HOLDERS})
          UNION ALL
          (SELECT * FROM ${history} AS h WHERE h.cluster = $1 AND h.uid = c.uid AND h.ip = c.ip AND h.until_version IS NULL)
        ) AS h
      ), ends AS (
        SELECT h.* FROM (SELECT DISTINCT ip, uid, held_from FROM found WHERE goes_on) AS e CROSS JOIN LATERAL (
          SELECT * FROM ${history} AS h
          WHERE h.cluster = $1 AND h.uid = e.uid AND h.ip = e.ip AND h.held_from = e.held_from
          ORDER BY h.valid_until DESC LIMIT 1
        ) AS h
      )
      SELECT ${PIECE_COLUMNS} FROM (SELECT * FROM found UNION ALL SELECT * FROM ends) AS h`,
    search(whose) {
      const own = Object.keys(whose).map((name, i) => `h.${name} = $${i + 2}`);
      const [end, since, until, size, from, ip, uid] = Array.from({ length: 7 }, (_, i) => `$${own.length + 2 + i}`);
      const mine = `h.cluster = $1 AND ${own.join(' AND ')}`;
      return {
        recent: `SELECT ${PIECE_COLUMNS} FROM ${history} AS h WHERE ${mine} AND h.valid_until >= ${time(`${end}::float8`)}`,
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
