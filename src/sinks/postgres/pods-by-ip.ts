import { qualified } from './sql.ts';

/** The rules of src/index/answer.ts (A1, A4, A6) in SQL: one row for every address that a pod or a node has. */
export const podsByIp = (schema: string): string =>
  view(schema, {
    create: 'CREATE VIEW',
    claims: (pods) => `
      SELECT p.cluster, claim.ip, ${POD} FROM ${pods} AS p CROSS JOIN LATERAL unnest(p.pod_ips) AS claim (ip)
      UNION ALL
      SELECT DISTINCT p.cluster, claim.ip, ${NODE} FROM ${pods} AS p CROSS JOIN LATERAL unnest(p.host_ips) AS claim (ip)`,
    order: REFERENCE,
  });

/**
 * The same rows, found by indexes. A condition on an address reaches a column and an expression that have an index, but never what
 * is inside of an `unnest`; so there are claims by the first address, by the second, and, since the API is not bound to two for ever,
 * by what comes after it, of which there is nothing in an index of its own. Candidates are in the order of the lookup, whatever the
 * language of the database.
 */
export const podsByIpIndexed = (schema: string): readonly string[] => {
  const pods = qualified(schema, 'pods');
  return [
    `CREATE INDEX pods_by_pod_ip ON ${pods} (pod_ip)`,
    `CREATE INDEX pods_by_second_pod_ip ON ${pods} ((pod_ips[2])) WHERE pod_ips[2] IS NOT NULL`,
    `CREATE INDEX pods_by_host_ip ON ${pods} (host_ip)`,
    `CREATE INDEX pods_by_second_host_ip ON ${pods} ((host_ips[2])) WHERE host_ips[2] IS NOT NULL`,
    `CREATE INDEX pods_of_more_ips ON ${pods} (cluster) WHERE ${HAS_MORE}`,
    view(schema, { create: 'CREATE OR REPLACE VIEW', claims: indexedClaims, order: BY_NAME }),
  ];
};

/**
 * The same, but for the addresses that `unanswered` has something to say of: those outside of the cluster's networks, then those in
 * doubt, for which it is a claim of nobody, also where no pod makes one. Of a cluster that has no row there nothing is different.
 */
export const podsByIpUnanswered = (schema: string): readonly string[] => {
  const unanswered = qualified(schema, 'unanswered');
  return [
    view(schema, {
      create: 'CREATE OR REPLACE VIEW',
      claims: (pods) => `${indexedClaims(pods)}
        UNION ALL
        SELECT u.cluster, doubt.ip, ${DOUBT} FROM ${unanswered} AS u CROSS JOIN LATERAL unnest(u.unreadable_ips) AS doubt (ip)`,
      order: BY_NAME,
      unanswered,
    }),
  ];
};

const indexedClaims = (pods: string): string => `
        SELECT p.cluster, p.pod_ip AS ip, ${POD} FROM ${pods} AS p WHERE p.pod_ip IS NOT NULL
        UNION ALL
        SELECT p.cluster, p.pod_ips[2], ${POD} FROM ${pods} AS p WHERE p.pod_ips[2] IS NOT NULL
        UNION ALL
        SELECT p.cluster, more.ip, ${POD} FROM ${pods} AS p CROSS JOIN LATERAL unnest(p.pod_ips[3:]) AS more (ip) WHERE ${HAS_MORE}
        UNION ALL
        SELECT DISTINCT p.cluster, p.host_ip, ${NODE} FROM ${pods} AS p WHERE p.host_ip IS NOT NULL
        UNION ALL
        SELECT DISTINCT p.cluster, p.host_ips[2], ${NODE} FROM ${pods} AS p WHERE p.host_ips[2] IS NOT NULL
        UNION ALL
        SELECT DISTINCT p.cluster, more.ip, ${NODE} FROM ${pods} AS p CROSS JOIN LATERAL unnest(p.host_ips[3:]) AS more (ip)
        WHERE ${HAS_MORE}`;

/** Three addresses of one kind or more. Postgres takes it for granted that "greater than" is true of every third row, and "equal" of few. */
const HAS_MORE = 'least(greatest(cardinality(pod_ips), cardinality(host_ips)), 3) = 3';
const REFERENCE = `namespace || '/' || name`;
const POD = `p.uid, p.namespace, p.name, p.host_network, p.terminating,
        p.phase NOT IN ('Succeeded', 'Failed') AS eligible, false AS node`;
const NODE = 'NULL, NULL, NULL, false, false, false, true';
/** A claim of nobody. */
const DOUBT = 'NULL, NULL, NULL, false, false, false, false';
const BY_NAME = 'namespace COLLATE "C", name COLLATE "C"';

const DOUBTED = `
      bool_or(uid IS NULL AND NOT node) AS doubted,`;
const FIRST_REASONS = `
        WHEN cardinality(cluster_cidrs) > 0 AND NOT ip <<= ANY (cluster_cidrs) THEN 'outside-cluster-cidr'
        WHEN doubted THEN 'unreadable'
       `;

interface View {
  readonly create: string;
  readonly claims: (pods: string) => string;
  readonly order: string;
  /** The table; undefined: there was none yet. */
  readonly unanswered?: string;
}

const view = (schema: string, { create, claims, order, unanswered }: View): string => {
  const [doubted, reasons, from] =
    unanswered === undefined
      ? (['', '', 'counted'] as const)
      : ([DOUBTED, FIRST_REASONS, `counted LEFT JOIN ${unanswered} USING (cluster)`] as const);
  return `
  ${create} ${qualified(schema, 'pods_by_ip')} AS
  WITH claims AS (${claims(qualified(schema, 'pods'))}
  ), counted AS (
    SELECT cluster, ip,
      bool_or(host_network) AS host_network,
      bool_or(node) AS node,${doubted}
      count(*) FILTER (WHERE eligible) AS eligible,
      count(*) FILTER (WHERE eligible AND NOT terminating) AS staying,
      min(uid) FILTER (WHERE eligible) AS eligible_uid,
      min(uid) FILTER (WHERE eligible AND NOT terminating) AS staying_uid,
      array_agg(${REFERENCE} ORDER BY ${order}) FILTER (WHERE eligible) AS candidates
    FROM claims GROUP BY cluster, ip
  ), answers AS (
    SELECT cluster, ip, candidates,
      CASE${reasons} WHEN host_network THEN 'host-network'
        WHEN eligible = 0 AND node THEN 'node'
        WHEN eligible = 0 THEN 'terminal'
        WHEN eligible > 1 AND staying <> 1 THEN 'ambiguous'
      END AS reason,
      CASE WHEN staying = 1 THEN staying_uid ELSE eligible_uid END AS uid
    FROM ${from}
  )
  SELECT a.cluster, a.ip, a.reason, CASE WHEN a.reason = 'ambiguous' THEN a.candidates END AS candidates,
    p.uid, p.namespace, p.name, p.labels, p.annotations, p.node_name, p.phase, p.ready, p.terminating, p.service_account,
    p.owner_kind, p.owner_name, p.workload_kind, p.workload_name, p.created_at, p.started_at, p.resource_version
  FROM answers AS a
  LEFT JOIN ${qualified(schema, 'pods')} AS p ON p.cluster = a.cluster AND p.uid = a.uid AND a.reason IS NULL`;
};
