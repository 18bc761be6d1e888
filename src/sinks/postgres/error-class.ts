/**
 * What a failure of Postgres means to whoever writes. A closed list: `plan.ts` says what follows from each.
 *
 * - `connection`: there is no answer, or none in time, or the server goes; whether a commit was done is unknown.
 * - `read-only`: a standby, or a primary that became one.
 * - `full`: no room on the disk, no memory, too many connections.
 * - `conflict`: a deadlock or a serialization failure: the same transaction again.
 * - `timeout`: a statement took too long: less at once.
 * - `setup`: what a person must put right: password, TLS, permission, missing table, schema or file.
 * - `poison`: it is the data.
 */
export type ErrorClass = 'connection' | 'read-only' | 'full' | 'conflict' | 'timeout' | 'setup' | 'poison';

/** What a role may not do. */
export const INSUFFICIENT_PRIVILEGE = '42501';

const BY_CODE: Readonly<Record<string, ErrorClass>> = {
  '25006': 'read-only',
  '40P01': 'conflict',
  '40001': 'conflict',
  '57014': 'timeout',
  '55P03': 'timeout', // lock_timeout
  '53100': 'full',
  '53200': 'full',
  '53300': 'full',
  '53400': 'full',
  '54000': 'poison', // program_limit_exceeded: a row too long for an index
  '0A000': 'setup',
  '3D000': 'setup', // no such database
  '25P03': 'connection', // idle_in_transaction_session_timeout
  '25P04': 'connection', // transaction_timeout
};

/** By the first two characters of the code. */
const BY_CLASS: Readonly<Record<string, ErrorClass>> = {
  '08': 'connection',
  '57': 'connection', // the server is going, or coming
  '58': 'full', // an I/O error of its disk
  XX: 'connection',
  '53': 'full',
  '40': 'conflict',
  '28': 'setup',
  '42': 'setup',
  '3F': 'setup',
  '22': 'poison',
  '23': 'poison',
  '44': 'poison', // WITH CHECK OPTION of a view
  P0: 'poison', // what a trigger raises
};

/** What Postgres would take and we do not go on with, until a person has put it right. */
export class SetupError extends Error {
  override readonly name: string = 'SetupError';
  readonly advice: string | undefined;

  constructor(message: string, advice?: string, options?: ErrorOptions) {
    super(message, options);
    this.advice = advice;
  }
}

/** The schema is one of a later podwhois: it may mean things that this one does not know. */
export class NewerSchema extends SetupError {
  override readonly name = 'NewerSchema';
}

/** The schema is one of an earlier podwhois, and this role may not bring it up. */
export class OlderSchema extends SetupError {
  override readonly name = 'OlderSchema';
  /** The names of the changes that it lacks. */
  readonly missing: readonly string[];

  constructor(message: string, missing: readonly string[], options?: ErrorOptions) {
    super(
      message,
      'run "podwhois migrate" of this version as a role that may, then grant what docs/postgres.md says',
      options,
    );
    this.missing = missing;
  }
}

/** There are none here, or this role has no right to them. */
export class NoTemporaryTables extends Error {
  override readonly name = 'NoTemporaryTables';
  readonly code: unknown;

  constructor(cause: Error) {
    super(cause.message, { cause });
    this.code = sqlState(cause);
  }
}

/** There was an answer, and `pg` does not go on with it. */
const REFUSED_BY_PG = /does not support SSL connections|client password must be/;

/** Of anything that was thrown on the way to Postgres or by it. What has no code of SQL is a connection that broke or timed out. */
export function classify(error: unknown): ErrorClass {
  if (error instanceof SetupError) return 'setup';
  const code = sqlState(error);
  if (code === undefined) return REFUSED_BY_PG.test(String((error as Error | null)?.message)) ? 'setup' : 'connection';
  return BY_CODE[code] ?? BY_CLASS[code.slice(0, 2)] ?? 'connection';
}

/** The five characters of SQLSTATE; undefined: it is no answer of a server. */
export function sqlState(error: unknown): string | undefined {
  const { code } = (error ?? {}) as { code?: unknown };
  return typeof code === 'string' && /^[0-9A-Z]{5}$/.test(code) && !/^E[A-Z]{4}$/.test(code) ? code : undefined;
}
