import { setting } from '../../settings/schema.ts';
import type { Check, Values } from '../../settings/schema.ts';
import { filePath, matching, wholeNumber } from '../../settings/parsers.ts';
import { databaseUrl } from './database-url.ts';
import type { DatabaseUrl } from './database-url.ts';
import { isRefused, SSL_MODES, sslMode } from './ssl-mode.ts';
import type { SslMode } from './ssl-mode.ts';

/** What needs no quotes in SQL, so that it is the same however a person writes it. */
export const identifier = matching(
  /^[a-z_][a-z0-9_]{0,62}$/,
  63,
  'a name of lower-case letters, digits and "_", up to 63 characters',
);

const name = matching(/^\P{Cc}+$/u, 253, 'a name');

/**
 * How all that writes to Postgres reaches it: the variables of libpq, and DATABASE_URL, whose parts win over them. Always loaded, so
 * nothing here may import `pg`.
 */
export const CONNECTION = {
  databaseUrl: setting<DatabaseUrl | undefined>({
    variable: 'DATABASE_URL',
    flag: '--database-url <url>',
    help: 'where Postgres is, in one text; what it says wins over PGHOST and the others. Flags can be read by everybody on the machine: with a password in it, the variable is better',
    fallback: undefined,
    fallbackText: 'none',
    example: 'postgres://podwhois@db.example.com:5432/podwhois?sslmode=verify-full',
    parse: databaseUrl,
    secret: true,
  }),
  pgHost: setting({
    variable: 'PGHOST',
    flag: '--pg-host <host>',
    help: "Postgres' host or address, or the folder of its socket",
    fallback: 'localhost',
    fallbackText: 'localhost',
    example: 'db.example.com',
    parse: name,
  }),
  pgPort: setting({
    variable: 'PGPORT',
    flag: '--pg-port <number>',
    help: "Postgres' TCP port",
    fallback: 5432,
    fallbackText: '5432',
    example: '6432',
    parse: wholeNumber(1, 65_535),
  }),
  pgUser: setting({
    variable: 'PGUSER',
    flag: '--pg-user <name>',
    help: 'the role to log in as',
    fallback: 'podwhois',
    fallbackText: 'podwhois',
    example: 'podwhois',
    parse: name,
  }),
  pgPassword: setting<string | undefined>({
    variable: 'PGPASSWORD',
    flag: '--pg-password <password>',
    help: "the role's password; flags can be read by everybody on the machine, so a variable or a file is better",
    fallback: undefined,
    fallbackText: 'none',
    example: 'secret',
    parse: (text) => text,
    secret: true,
  }),
  pgPasswordFile: setting<string | undefined>({
    variable: 'PGPASSWORD_FILE',
    flag: '--pg-password-file <path>',
    help: "a file that holds the role's password; read again with every connection",
    fallback: undefined,
    fallbackText: 'none',
    example: '/etc/podwhois/postgres/password',
    parse: filePath,
  }),
  pgDatabase: setting<string | undefined>({
    variable: 'PGDATABASE',
    flag: '--pg-database <name>',
    help: 'the database',
    fallback: undefined,
    fallbackText: "the role's name",
    example: 'podwhois',
    parse: name,
  }),
  pgSslMode: setting<SslMode>({
    variable: 'PGSSLMODE',
    flag: '--pg-ssl-mode <mode>',
    help: `TLS: ${SSL_MODES.join(', ')}; require believes any certificate unless PGSSLROOTCERT is set`,
    fallback: 'require',
    fallbackText: 'require',
    example: 'verify-full',
    parse: sslMode,
  }),
  pgSslRootCert: setting<string | undefined>({
    variable: 'PGSSLROOTCERT',
    flag: '--pg-ssl-root-cert <path>',
    help: "the certificate authority (PEM) that Postgres' certificate must come from, read again with every connection; system: those that Node knows, with verify-full only",
    fallback: undefined,
    fallbackText: 'none',
    example: '/etc/podwhois/postgres/ca.crt',
    parse: filePath,
  }),
  podwhoisSchema: setting({
    variable: 'PODWHOIS_SCHEMA',
    flag: '--podwhois-schema <name>',
    help: "the schema of podwhois' own tables",
    fallback: 'podwhois',
    fallbackText: 'podwhois',
    example: 'podwhois',
    parse: identifier,
  }),
} as const;

/** What a writer needs besides. */
export const POSTGRES = {
  ...CONNECTION,
  clusterName: setting({
    variable: 'CLUSTER_NAME',
    flag: '--cluster-name, --cluster <name>',
    help: 'the name of the cluster in every row; no two clusters may share one in the same schema',
    fallback: 'default',
    fallbackText: 'default',
    example: 'production-eu',
    parse: name,
  }),
  postgresPoolSize: setting({
    variable: 'POSTGRES_POOL_SIZE',
    flag: '--postgres-pool-size <number>',
    help: 'how many connections to Postgres there may be, 2 to 4: one writes, one proves meanwhile who writes',
    fallback: 2,
    fallbackText: '2',
    example: '4',
    parse: wholeNumber(2, 4),
  }),
} as const;

export type ConnectionSettings = Values<typeof CONNECTION>;
export type PostgresSettings = Values<typeof POSTGRES>;

const certificates: Check<typeof CONNECTION> = ({ databaseUrl: url, pgSslMode, pgSslRootCert }) => {
  if (url?.unusable !== undefined) return [{ key: 'databaseUrl', expected: url.unusable }];
  const mode = url?.sslMode ?? pgSslMode;
  const root = url?.sslRootCert ?? pgSslRootCert;
  if (mode === undefined) return [];
  if (isRefused(mode)) {
    const modes = `one of ${SSL_MODES.join(', ')}: allow and prefer send the password in plain text to whoever refuses TLS`;
    return url?.sslMode === undefined
      ? [{ key: 'pgSslMode', expected: modes }]
      : [{ key: 'databaseUrl', expected: `a URL whose sslmode is ${modes}` }];
  }
  if (root === undefined && mode.startsWith('verify')) {
    return [{ key: 'pgSslRootCert', expected: `set with PGSSLMODE=${mode}: a file, or system with verify-full` }];
  }
  // As libpq does it: whoever gets a certificate of some public authority could be the server.
  return root === 'system' && mode !== 'verify-full'
    ? [{ key: 'pgSslRootCert', expected: 'a file, or PGSSLMODE=verify-full with system' }]
    : [];
};

const onePassword: Check<typeof CONNECTION> = ({ databaseUrl: url, pgPassword, pgPasswordFile: file }) =>
  file !== undefined && (pgPassword !== undefined || url?.password !== undefined)
    ? [{ key: 'pgPasswordFile', expected: 'unset where the password itself is given' }]
    : [];

/** For whoever uses the database; where nobody does, the variables may be anything. */
export const POSTGRES_CHECKS: readonly Check<typeof CONNECTION>[] = [certificates, onePassword];
