import type { Readable } from 'node:stream';
import type { ConnectionOptions } from 'node:tls';
import { Client as PgClient, Pool } from 'pg';
import type { ClientConfig, PoolClient, QueryResult } from 'pg';
import copy from 'pg-copy-streams';
import { pipeline } from 'node:stream/promises';
import { tlsOf } from './access.ts';
import type { Access } from './access.ts';
import { failureOf } from './advice.ts';
import { classify } from './error-class.ts';
import { array } from './values.ts';

/** What of a log is needed here. */
export interface Log {
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
}

/** Milliseconds. Without them `pg` waits for ever. */
export interface TimeLimits {
  readonly connect: number;
  /** From the client's side, for one statement; past it the connection is destroyed. */
  readonly query: number;
  /** From the server's side. */
  readonly statement: number;
  /** How long the server lets a transaction stand still: a frozen process holds no lock for longer. */
  readonly idleInTransaction: number;
}

export const TIME_LIMITS: TimeLimits = { connect: 5_000, query: 15_000, statement: 10_000, idleInTransaction: 15_000 };

type Scalar = string | number | boolean | null | undefined;
/** What a statement is given; undefined is NULL. */
export type Parameter = Scalar | readonly Scalar[];

/** One transaction under way. */
export interface Session {
  query<R extends Readonly<Record<string, unknown>>>(sql: string, values?: readonly Parameter[]): Promise<readonly R[]>;
  /** How many rows an INSERT, UPDATE or DELETE touched. */
  write(sql: string, values?: readonly Parameter[]): Promise<number>;
  /** `COPY … FROM STDIN`. */
  copyIn(sql: string, lines: Readable): Promise<void>;
}

export interface DatabaseOptions {
  readonly access: Access;
  readonly poolSize: number;
  readonly log: Log;
  readonly limits?: TimeLimits;
  /** All statements of a transaction see the tables at one and the same moment, and none writes. */
  readonly snapshot?: boolean;
}

/**
 * A small pool. Everything is a transaction, for a session is nobody's own behind a pooler: limits are set inside of it, no statement
 * is named, no lock outlives it. After any error the connection is thrown away: it may be in any state, or lead to a server that
 * is no longer the right one.
 */
export class Database {
  readonly place: string;
  readonly #access: Access;
  readonly #pool: Pool;
  readonly #limits: TimeLimits;
  readonly #begin: string;
  /** All that are open or being opened. */
  readonly #clients = new Set<PgClient>();
  #broken = false;
  /** Connections that were made before the last broken one are not used again: a failover breaks all of them. */
  readonly #madeAt = new WeakMap<PoolClient, number>();
  #age = 0;
  #tls: ConnectionOptions | false = false;

  constructor({ access, poolSize, log, limits = TIME_LIMITS, snapshot = false }: DatabaseOptions) {
    this.place = access.place;
    // Said, whatever the role's default is: one that is stricter would refuse whoever writes because its lease was renewed meanwhile.
    const isolation = snapshot ? 'REPEATABLE READ READ ONLY' : 'READ COMMITTED';
    const { statement, idleInTransaction } = limits;
    this.#begin = `BEGIN ISOLATION LEVEL ${isolation}; SET LOCAL statement_timeout = ${statement}; SET LOCAL idle_in_transaction_session_timeout = ${idleInTransaction}`;
    this.#access = access;
    this.#limits = limits;
    const { host, port, user, database } = access;
    const tls = (): ConnectionOptions | false => this.#tls;
    const clients = this.#clients;
    // Everything is said, since `pg` would ask the environment for what is not.
    const config: ClientConfig = {
      host,
      port,
      user,
      database,
      password: async () => await access.password(),
      application_name: 'podwhois',
      connectionTimeoutMillis: limits.connect,
      keepAlive: true,
    };
    class Client extends PgClient {
      constructor() {
        super({ ...config, ssl: tls() });
        clients.add(this);
        this.on('end', () => clients.delete(this));
        // Between the pool's listener and the transaction's there is none, and an error that nobody hears ends the process. The next statement tells.
        this.on('error', () => {});
      }
    }
    this.#pool = new Pool({
      Client,
      max: poolSize,
      connectionTimeoutMillis: limits.connect,
      idleTimeoutMillis: 60_000,
    });
    this.#pool.on('connect', (client) => this.#madeAt.set(client, this.#age));
    this.#pool.on('error', (err) => {
      this.#age++;
      log.warn({ ...failureOf(err) }, 'an idle connection to Postgres has ended');
    });
  }

  /** Grows with every connection that breaks: another server may answer then, which has not all that was committed. */
  get breaks(): number {
    return this.#age;
  }

  /**
   * Commits when `work` resolves. Rejects with whatever went wrong; of a failed commit nobody knows whether it was done. `first`:
   * statements without parameters that go with the beginning, in one journey; `work` is given the rows of each.
   */
  async transaction<T>(
    work: (session: Session, rows: readonly (readonly object[])[]) => Promise<T>,
    first: readonly string[] = [],
  ): Promise<T> {
    const client = await this.#connect();
    let failure: unknown;
    // `pg` tells of a connection that breaks between two statements by an event, and by the next statement.
    const onError = (error: unknown): void => void (failure ??= error);
    client.on('error', onError);
    try {
      // `pg` gives one result for each statement.
      const begun: unknown = await ask(client, this.#limits.query, [this.#begin, ...first].join('; '));
      const results = begun as readonly QueryResult<object>[];
      const rows = results.slice(results.length - first.length).map((one) => one.rows);
      const result = await work(sessionOf(client, this.#limits.query), rows);
      await ask(client, this.#limits.query, 'COMMIT');
      return result;
    } catch (error) {
      // What the event says is the reason; what a statement says after it is only that there is no connection.
      failure ??= error;
      throw failure;
    } finally {
      client.off('error', onError);
      if (failure !== undefined && /connection|read-only/.test(classify(failure))) this.#age++;
      if (failure !== undefined) destroy(client);
      client.release(failure !== undefined);
    }
  }

  /** Ends what is under way, which rejects, and refuses what comes. */
  breakOff(): void {
    this.#broken = true;
    for (const client of this.#clients) destroy(client);
  }

  async close(): Promise<void> {
    this.breakOff();
    await this.#pool.end();
  }

  async #connect(): Promise<PoolClient> {
    for (;;) {
      if (this.#broken) throw new Error('the connections to Postgres are closed');
      this.#tls = await tlsOf(this.#access);
      const client = await this.#pool.connect().catch(endedEarly);
      if (this.#madeAt.get(client) === this.#age) return client;
      client.release(true);
    }
  }
}

/** `pg` says the same of a connection that breaks later, which says nothing of who listens there. */
function endedEarly(error: unknown): never {
  const isSilent = error instanceof Error && /^Connection terminated unexpectedly$/.test(error.message);
  throw isSilent ? new Error('the connection was ended before it began', { cause: error }) : error;
}

/** Not by a farewell, which waits for a server that may be gone. */
const destroy = (client: PgClient, why?: Error): void => {
  (client as unknown as { connection: { stream: { destroy(why?: Error): void } } }).connection.stream.destroy(why);
};

/** The client tells whoever waits for it why. Returns how to take that back. */
function destroyAfter(client: PgClient, timeoutMs: number): () => void {
  const limit = setTimeout(() => destroy(client, new Error(`no answer within ${timeoutMs} ms`)), timeoutMs);
  return () => clearTimeout(limit);
}

/** `pg` makes the text of an array element by element, which costs three times as much. */
const parameterOf = (value: Parameter): Scalar =>
  typeof value === 'object' && value !== null ? array(value.map((one) => one?.toString() ?? null)) : value;

/**
 * Rejects when there is no answer in time; the connection is destroyed then. With a callback, and a time limit of our own: where `pg` 8.23 gives a
 * promise, or has the limit, what is left of one statement keeps the rows of later ones until V8 collects its whole heap (decision 11).
 */
const ask = (
  client: PoolClient,
  timeoutMs: number,
  sql: string,
  values: readonly Parameter[] = [],
): Promise<QueryResult<object>> =>
  new Promise((resolve, reject) => {
    const parameters = values.map(parameterOf);
    const answered = destroyAfter(client, timeoutMs);
    client.query<object>(sql, parameters, (error: Error | undefined, result) => {
      answered();
      if (error) reject(error);
      else resolve(result);
    });
  });

function sessionOf(client: PoolClient, timeoutMs: number): Session {
  return {
    query: async <R>(sql: string, values?: readonly Parameter[]) =>
      (await ask(client, timeoutMs, sql, values)).rows as R[],
    write: async (sql, values) => (await ask(client, timeoutMs, sql, values)).rowCount ?? 0,
    async copyIn(sql, lines) {
      // A COPY that is broken off must not be ended in order: what was sent of it would count.
      const sent = destroyAfter(client, timeoutMs);
      try {
        await pipeline(lines, client.query(copy.from(sql)));
      } finally {
        sent();
      }
    },
  };
}
