import { classify, SetupError, sqlState } from './error-class.ts';
import type { ErrorClass } from './error-class.ts';

/** What puts it right, where a person must; names the settings. undefined: it passes, or nothing is known of it. */
export function advice(error: unknown): string | undefined {
  if (error instanceof SetupError) return error.advice;
  const { code, message } = (error ?? {}) as { readonly code?: unknown; readonly message?: unknown };
  const text = String(message);
  const said = BY_MESSAGE.find(([pattern]) => pattern.test(text))?.[1];
  if (said !== undefined) return said;
  const state = sqlState(error);
  if (state !== undefined) return BY_STATE[state] ?? BY_STATE[state.slice(0, 2)];
  return typeof code === 'string' ? BY_CODE.find(([codes]) => codes.test(code))?.[1] : undefined;
}

/** What a line of the log says of it. */
export interface Failure {
  readonly err: unknown;
  readonly class: ErrorClass;
  readonly advice: string | undefined;
}

/** A stack is told of a mistake of ours alone: that of whatever a database, a network or a person does leads into `pg`. */
export function failureOf(error: unknown): Failure {
  const isOurs = error instanceof TypeError || error instanceof RangeError || error instanceof ReferenceError;
  const hasCode = (error as { code?: unknown } | null | undefined)?.code !== undefined;
  const err = error instanceof Error && (hasCode || !isOurs) ? withoutStack(error) : error;
  return { err, class: classify(error), advice: advice(error) };
}

function withoutStack(error: Error): Error {
  const { name, cause, code } = error as Error & { readonly code?: unknown };
  const short = new Error(messageOf(error), { cause });
  return Object.assign(short, { name, stack: undefined, ...(code !== undefined && { code }) });
}

/** A host with several addresses has as many failures, and no message of its own. */
export function messageOf(error: unknown): string {
  if (error instanceof AggregateError && error.message === '') return error.errors.map(messageOf).join('; ');
  return error instanceof Error ? error.message : String(error);
}

const MIGRATE = 'run "podwhois migrate" as a role that may create it';
const UNREACHABLE = 'there is no Postgres to be reached: see PGHOST and PGPORT, or DATABASE_URL';
const WRONG_PASSWORD =
  'the role or its password is wrong: see PGUSER, and PGPASSWORD, PGPASSWORD_FILE (read again with every connection) or DATABASE_URL';
const NO_DATABASE = 'the database is missing: see PGDATABASE or DATABASE_URL';
const TABLES = 'docs/postgres.md has the tables, docs/endpoint-mirror.md that of mirror-endpoints';

/** What `pg` says itself has no code, and one code of Postgres may mean several things. */
const BY_MESSAGE: readonly (readonly [RegExp, string])[] = [
  [
    /does not support SSL connections/,
    'switch TLS on in the server, or set PGSSLMODE=disable (sslmode in DATABASE_URL): then all is plain text',
  ],
  [/client password must be/, 'the server wants a password: set PGPASSWORD, PGPASSWORD_FILE or DATABASE_URL'],
  // A firewall that swallows what is sent, and something else that listens there.
  [/due to connection timeout$|error establishing an SSL connection$|ended before it began$/, UNREACHABLE],
  // PgBouncer's words for what Postgres has codes of its own for; its code says no more than that the connection has failed.
  [/^(SASL|password) authentication failed/, WRONG_PASSWORD],
  [/^no such database/, NO_DATABASE],
  [/^permission denied for database/, `the schema is missing, and this role may not create it: ${MIGRATE}`],
];

/** By SQLSTATE, or its first two characters. */
const BY_STATE: Readonly<Record<string, string>> = {
  '42P01': `a table is missing: ${MIGRATE}; where that has nothing to do somebody has dropped it, and docs/postgres.md says how it is made anew`,
  '42P10': `the table's key is another one: ${TABLES}`,
  '42703': `a column is missing: ${TABLES}`,
  '3F000': `the schema is missing: ${MIGRATE}`,
  '42501':
    'a permission is missing: docs/postgres.md lists the grants, docs/endpoint-mirror.md those of mirror-endpoints',
  '42939': 'names that begin with pg_ are kept for Postgres: see PODWHOIS_SCHEMA',
  '28P01': WRONG_PASSWORD,
  '28': 'the server refuses the role: see its pg_hba.conf, PGUSER and PGSSLMODE, or DATABASE_URL',
  '3D000': NO_DATABASE,
};

/** Of the system and of TLS. */
const BY_CODE: readonly (readonly [RegExp, string])[] = [
  [/^(ECONNREFUSED|ENOTFOUND|EAI_AGAIN|ETIMEDOUT|EHOSTUNREACH|ENETUNREACH|ENOENT)$/, UNREACHABLE],
  [/^ERR_TLS_CERT_ALTNAME_INVALID$/, 'the certificate is about another host: see PGHOST and PGSSLMODE'],
  [/CERT|UNABLE_TO_VERIFY/, 'the certificate comes from somebody else: see PGSSLROOTCERT and PGSSLMODE'],
];
