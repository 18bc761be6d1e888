import { Wrong } from '../../settings/schema.ts';
import { sslMode } from './ssl-mode.ts';
import type { SslMode } from './ssl-mode.ts';

/** What a DATABASE_URL says; what it does not say is undefined. */
export interface DatabaseUrl {
  /** Why it cannot be used: the variable may be there for somebody else, so that is told when it is. */
  readonly unusable?: string;
  readonly host: string | undefined;
  readonly port: number | undefined;
  readonly user: string | undefined;
  readonly password: string | undefined;
  readonly database: string | undefined;
  readonly sslMode: SslMode | undefined;
  readonly sslRootCert: string | undefined;
}

const EXPECTED =
  'postgres://user:password@host:port/database, percent-encoded, with no parameters but sslmode and sslrootcert';

/** A libpq URI with one host. Parameters that are not understood are refused: one that is ignored might be the one that secures it. */
export function databaseUrl(text: string): DatabaseUrl {
  const url = read(text);
  return url instanceof Wrong ? { ...NOTHING, unusable: url.expected } : url;
}

const NOTHING: DatabaseUrl = {
  host: undefined,
  port: undefined,
  user: undefined,
  password: undefined,
  database: undefined,
  sslMode: undefined,
  sslRootCert: undefined,
};

function read(text: string): DatabaseUrl | Wrong {
  if (!/^postgres(ql)?:\/\//i.test(text) || !URL.canParse(text)) return new Wrong(EXPECTED);
  const url = new URL(text);
  if (url.hash !== '' || /[\s\\]/.test(text)) return new Wrong(EXPECTED);
  // Of a password whose "/" is not encoded a part would be the database's name, which is logged.
  if (/[/@]/.test(url.pathname.slice(1)) || url.hostname.includes(',')) return new Wrong(EXPECTED);
  const parameters = new Map(url.searchParams);
  if (parameters.size !== url.searchParams.size) return new Wrong(EXPECTED);
  if ([...parameters.keys()].some((key) => key !== 'sslmode' && key !== 'sslrootcert')) return new Wrong(EXPECTED);
  const mode = parameters.get('sslmode');
  const parsedMode = mode === undefined ? undefined : sslMode(mode);
  if (parsedMode instanceof Wrong) return new Wrong(`a URL whose sslmode is ${parsedMode.expected}`);
  try {
    const [host, user, database] = [url.hostname, url.username, url.pathname.slice(1)].map(given);
    const password = given(url.password);
    // As for PGUSER and the others: a NUL would end the name, and begin a parameter of the connection.
    if (/\p{Cc}/u.test(`${host} ${user} ${database}`) || password?.includes('\0') || url.port === '0')
      return new Wrong(EXPECTED);
    return {
      host: host?.replace(/^\[(.*)\]$/, '$1'),
      port: url.port === '' ? undefined : Number(url.port),
      user,
      password,
      database,
      sslMode: parsedMode,
      sslRootCert: parameters.get('sslrootcert'),
    };
  } catch {
    return new Wrong(EXPECTED); // a % that is none
  }
}

const given = (part: string): string | undefined => (part === '' ? undefined : decodeURIComponent(part));
