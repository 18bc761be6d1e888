import { certificate } from './http/certificate.ts';
import type { Certificate } from './http/certificate.ts';
import { LookupTokens } from './http/lookup-tokens.ts';
import type { Settings } from './settings.ts';
import { SettingsError } from './settings/schema.ts';
import { watchFiles } from './watched-files.ts';
import type { Watched, WatchOptions } from './watched-files.ts';

export interface ServiceFiles {
  /** undefined: everybody may read. */
  readonly tokens: Watched<LookupTokens> | undefined;
  /** undefined: plain HTTP. */
  readonly tls: Watched<Certificate> | undefined;
}

/**
 * The files that the core's settings name, read now and again when they change. Throws one `SettingsError` with everything that
 * is wrong with them.
 */
export async function openServiceFiles(
  { lookupTokenFile, tlsCertFile, tlsKeyFile }: Settings,
  watching: Pick<WatchOptions<unknown>, 'clock' | 'log' | 'signal'>,
): Promise<ServiceFiles> {
  const problems: string[] = [];
  const open = async <T>(
    names: string,
    paths: readonly (string | undefined)[],
    parse: WatchOptions<T>['parse'],
  ): Promise<Watched<T> | undefined> => {
    const given = paths.filter((path) => path !== undefined);
    if (given.length < paths.length) return undefined;
    try {
      return await watchFiles({ paths: given, parse, ...watching });
    } catch (error) {
      problems.push(`${names} (${given.join(', ')}) cannot be used: ${(error as Error).message}`);
      return undefined;
    }
  };
  const tokens = await open('LOOKUP_TOKEN_FILE', [lookupTokenFile], ([text = '']) => new LookupTokens(text));
  const tls = await open('TLS_CERT_FILE and TLS_KEY_FILE', [tlsCertFile, tlsKeyFile], ([cert = '', key = '']) =>
    certificate(cert, key),
  );
  if (problems.length > 0) throw new SettingsError(problems);
  return { tokens, tls };
}
