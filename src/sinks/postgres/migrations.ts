import { podsByIp, podsByIpIndexed, podsByIpUnanswered } from './pods-by-ip.ts';
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
  { id: 4, name: 'pods_by_ip_indexed', statements: podsByIpIndexed },
  {
    id: 5,
    name: 'unanswered',
    statements: (schema) => [
      `CREATE TABLE ${table(schema, 'unanswered')} (
        cluster text PRIMARY KEY,
        cluster_cidrs inet[] NOT NULL,
        unreadable_ips inet[] NOT NULL
      )`,
    ],
  },
  // A change of its own, so that either table can be made anew.
  { id: 6, name: 'pods_by_ip_unanswered', statements: podsByIpUnanswered },
];
