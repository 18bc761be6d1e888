import { certificate } from './http/certificate.ts';
import type { Certificate } from './http/certificate.ts';
import type { Remark } from './http/context.ts';
import { LookupTokens } from './http/lookup-tokens.ts';
import type { Families, Metrics } from './metrics.ts';
import type { Settings } from './settings.ts';
import { SettingsError } from './settings/schema.ts';
import { remarkOn, watchFiles } from './watched-files.ts';
import type { Watched, WatchOptions } from './watched-files.ts';

export const FAMILIES = {
  file_valid: {
    type: 'gauge',
    help: '1 while a file of the settings is as it should be; 0 while what it said before is in use',
    labels: { file: ['tokens', 'tls'] },
  },
} as const satisfies Families;

export interface ServiceFiles {
  /** undefined: everybody may read. */
  readonly tokens: Watched<LookupTokens> | undefined;
  /** undefined: plain HTTP. */
  readonly tls: Watched<Certificate> | undefined;
  /** For `/ready?verbose`. */
  remarks(): readonly Remark[];
}

/**
 * The files that the core's settings name, read now and again when they change. Throws one `SettingsError` with everything that
 * is wrong with them.
 */
export async function openServiceFiles(
  { lookupTokenFile, tlsCertFile, tlsKeyFile }: Settings,
  { metrics, ...watching }: Pick<WatchOptions<unknown>, 'clock' | 'log' | 'signal'> & { readonly metrics: Metrics },
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
  const tokens = await open(TOKENS, [lookupTokenFile], ([text = '']) => new LookupTokens(text));
  const tls = await open(TLS, [tlsCertFile, tlsKeyFile], ([cert = '', key = '']) => certificate(cert, key));
  if (problems.length > 0) throw new SettingsError(problems);
  const files = [
    { name: TOKENS, label: 'tokens', file: tokens },
    { name: TLS, label: 'tls', file: tls },
  ].flatMap(({ file, ...named }) => (file === undefined ? [] : [{ file, ...named }]));
  metrics.publish('file_valid', FAMILIES.file_valid, () =>
    files.map(({ label, file }) => [[label], file.isValid ? 1 : 0]),
  );
  return { tokens, tls, remarks: () => files.map(({ name, file }) => remarkOn(name, file)) };
}

const TOKENS = 'LOOKUP_TOKEN_FILE';
const TLS = 'TLS_CERT_FILE and TLS_KEY_FILE';
