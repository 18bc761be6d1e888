import { readFile } from 'node:fs/promises';
import { checkServerIdentity, rootCertificates } from 'node:tls';
import type { ConnectionOptions } from 'node:tls';
import { SetupError } from './error-class.ts';
import type { ConnectionSettings } from './settings.ts';
import type { SslMode } from './ssl-mode.ts';

/** Where Postgres is and who asks. Holds a password: it is never logged, `place` is. */
export interface Access {
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly database: string;
  readonly sslMode: SslMode;
  readonly sslRootCert: string | undefined;
  /** Asked with every connection: a password that rotates is read again. */
  password(): Promise<string>;
  /** For the log: `podwhois@db.example.com:5432/podwhois`. */
  readonly place: string;
}

export function accessOf(settings: ConnectionSettings): Access {
  const url = settings.databaseUrl;
  const host = url?.host ?? settings.pgHost;
  const port = url?.port ?? settings.pgPort;
  const user = url?.user ?? settings.pgUser;
  const database = url?.database ?? settings.pgDatabase ?? user;
  const password = url?.password ?? settings.pgPassword;
  const file = settings.pgPasswordFile;
  return {
    host,
    port,
    user,
    database,
    sslMode: url?.sslMode ?? settings.pgSslMode,
    sslRootCert: url?.sslRootCert ?? settings.pgSslRootCert,
    password: async () =>
      file === undefined ? (password ?? '') : (await contents('PGPASSWORD_FILE', file)).replace(/\r?\n$/, ''),
    place: `${user}@${host}:${port}/${database}`,
  };
}

/** Throws a `SetupError` that names the setting: the file may come later, or again. */
async function contents(setting: string, path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch (cause) {
    const reason = (cause as Error).message;
    throw new SetupError(`${setting} (${path}) cannot be read: ${reason}`, `see ${setting}`, { cause });
  }
}

/** What TLS a connection needs now; false: none. Read with every connection, since a certificate authority may be replaced. */
export async function tlsOf({ host, sslMode, sslRootCert }: Access): Promise<ConnectionOptions | false> {
  // As libpq does it: a socket of this machine has no TLS, whatever is asked for.
  if (sslMode === 'disable' || host.startsWith('/')) return false;
  // As libpq does it: require with an authority at hand is verify-ca.
  if (sslRootCert === undefined) return { rejectUnauthorized: false };
  return {
    rejectUnauthorized: true,
    ca: sslRootCert === 'system' ? [...rootCertificates] : await contents('PGSSLROOTCERT', sslRootCert),
    // Not left to `pg`: of an address it tells no name, and the certificate would have to be localhost's.
    checkServerIdentity: (_name, certificate) =>
      sslMode === 'verify-full' ? checkServerIdentity(host, certificate) : undefined,
  };
}
