import { qualified } from './sql.ts';

export interface Migration {
  /** Ascending from 1. What was ever released is never changed. */
  readonly id: number;
  readonly name: string;
  /** Statements for a schema; all in one transaction. */
  readonly statements: (schema: string) => readonly string[];
}

const table = (schema: string, name: string): string => qualified(schema, name);

/** THE list of changes of podwhois' own schema; docs/postgres.md tells the meaning of every column. */
export const MIGRATIONS: readonly Migration[] = [
  {
    id: 1,
    name: 'leases',
    statements: (schema) => [
      `CREATE TABLE ${table(schema, 'leases')} (
        cluster text NOT NULL,
        sink text NOT NULL,
        holder text NOT NULL,
        epoch bigint NOT NULL,
        expires_at timestamptz NOT NULL,
        flushed_at timestamptz,
        PRIMARY KEY (cluster, sink)
      )`,
    ],
  },
  {
    id: 2,
    name: 'pods',
    statements: (schema) => [
      `CREATE TABLE ${table(schema, 'pods')} (
        cluster text NOT NULL,
        uid text NOT NULL,
        namespace text NOT NULL,
        name text NOT NULL,
        labels jsonb NOT NULL,
        annotations jsonb NOT NULL,
        pod_ip inet,
        pod_ips inet[] NOT NULL,
        host_ip inet,
        host_ips inet[] NOT NULL,
        node_name text,
        phase text NOT NULL,
        ready boolean NOT NULL,
        terminating boolean NOT NULL,
        deletion_at timestamptz,
        host_network boolean NOT NULL,
        service_account text,
        owner_kind text,
        owner_name text,
        owner_uid text,
        workload_kind text,
        workload_name text,
        workload_source text,
        containers jsonb NOT NULL,
        qos_class text,
        created_at timestamptz NOT NULL,
        started_at timestamptz,
        resource_version text NOT NULL,
        digest text NOT NULL,
        PRIMARY KEY (cluster, uid)
      )`,
      `CREATE INDEX pods_by_name ON ${table(schema, 'pods')} (cluster, namespace, name)`,
      podsByIp(schema),
    ],
  },
  {
    id: 3,
    name: 'ip_history',
    statements: (schema) => [
      `CREATE TABLE ${table(schema, 'ip_history')} (
        cluster text NOT NULL,
        ip inet NOT NULL,
        uid text NOT NULL,
        namespace text NOT NULL,
        name text NOT NULL,
        labels jsonb NOT NULL,
        service_account text,
        node_name text,
        workload_kind text,
        workload_name text,
        workload_source text,
        host_network boolean NOT NULL,
        held_from timestamptz NOT NULL,
        valid_from timestamptz NOT NULL,
        valid_until timestamptz NOT NULL,
        goes_on boolean NOT NULL,
        terminating_from timestamptz,
        finished_from timestamptz,
        since_version numeric NOT NULL,
        terminating_version numeric,
        finished_version numeric,
        until_version numeric,
        PRIMARY KEY (cluster, ip, valid_from, uid, since_version)
      )`,
      // What touches a time, and the last one before it, without visiting the rows.
      `CREATE INDEX ip_history_by_end ON ${table(schema, 'ip_history')} (cluster, ip, valid_until, valid_from)`,
      // The writer's: what one pod did at one address, from a version on.
      `CREATE INDEX ip_history_by_uid ON ${table(schema, 'ip_history')} (cluster, uid, ip, until_version)`,
      `CREATE INDEX ip_history_by_name ON ${table(schema, 'ip_history')} (cluster, namespace, name)`,
      // What is to be pruned, and what is open.
      `CREATE INDEX ip_history_ended ON ${table(schema, 'ip_history')} (cluster, valid_until)`,
      `CREATE TABLE ${table(schema, 'ip_history_watched')} (
        cluster text NOT NULL,
        since_version numeric NOT NULL,
        until_version numeric NOT NULL,
        watched_from timestamptz NOT NULL,
        watched_until timestamptz NOT NULL,
        PRIMARY KEY (cluster, since_version)
      )`,
    ],
  },
];

/** The rules of src/index/answer.ts (A1, A4, A6) in SQL: one row for every address that a pod or a node has. */
const podsByIp = (schema: string): string => `
  CREATE VIEW ${table(schema, 'pods_by_ip')} AS
  WITH claims AS (
    SELECT p.cluster, claim.ip, p.uid, p.namespace || '/' || p.name AS reference, p.host_network, p.terminating,
      p.phase NOT IN ('Succeeded', 'Failed') AS eligible, false AS node
    FROM ${table(schema, 'pods')} AS p CROSS JOIN LATERAL unnest(p.pod_ips) AS claim (ip)
    UNION ALL
    SELECT DISTINCT p.cluster, claim.ip, NULL, NULL, false, false, false, true
    FROM ${table(schema, 'pods')} AS p CROSS JOIN LATERAL unnest(p.host_ips) AS claim (ip)
  ), counted AS (
    SELECT cluster, ip,
      bool_or(host_network) AS host_network,
      bool_or(node) AS node,
      count(*) FILTER (WHERE eligible) AS eligible,
      count(*) FILTER (WHERE eligible AND NOT terminating) AS staying,
      min(uid) FILTER (WHERE eligible) AS eligible_uid,
      min(uid) FILTER (WHERE eligible AND NOT terminating) AS staying_uid,
      array_agg(reference ORDER BY reference) FILTER (WHERE eligible) AS candidates
    FROM claims GROUP BY cluster, ip
  ), answers AS (
    SELECT cluster, ip, candidates,
      CASE WHEN host_network THEN 'host-network'
        WHEN eligible = 0 AND node THEN 'node'
        WHEN eligible = 0 THEN 'terminal'
        WHEN eligible > 1 AND staying <> 1 THEN 'ambiguous'
      END AS reason,
      CASE WHEN staying = 1 THEN staying_uid ELSE eligible_uid END AS uid
    FROM counted
  )
  SELECT a.cluster, a.ip, a.reason, CASE WHEN a.reason = 'ambiguous' THEN a.candidates END AS candidates,
    p.uid, p.namespace, p.name, p.labels, p.annotations, p.node_name, p.phase, p.ready, p.terminating, p.service_account,
    p.owner_kind, p.owner_name, p.workload_kind, p.workload_name, p.created_at, p.started_at, p.resource_version
  FROM answers AS a
  LEFT JOIN ${table(schema, 'pods')} AS p ON p.cluster = a.cluster AND p.uid = a.uid AND a.reason IS NULL`;
