import { SettingsError } from '../../settings/schema.ts';
import { watchFiles } from '../../watched-files.ts';
import type { Watched, WatchOptions } from '../../watched-files.ts';
import { KeyRing, readSigningKeys } from './signing-keys.ts';
import type { SigningKeys } from './signing-keys.ts';
import { Tokens } from './token.ts';

export interface TokenSource {
  readonly tokens: Tokens;
  readonly keys: KeyRing;
  readonly file: Watched<SigningKeys>;
}

interface TokenSourceOptions extends Pick<WatchOptions<unknown>, 'log' | 'signal'> {
  readonly issuer: string;
  readonly audience: string;
  readonly clock: WatchOptions<unknown>['clock'] & { wall(): number };
}

/**
 * Tokens signed with the keys of FORWARD_AUTH_TOKEN_KEY_FILE, read again when the file changes. Wrong at start it is a wrong setting
 * (`SettingsError`); wrong later, the keys of before stay in use.
 */
export async function openTokens(
  path: string,
  { issuer, audience, ...watching }: TokenSourceOptions,
): Promise<TokenSource> {
  const { clock } = watching;
  const opened = watchFiles({ paths: [path], parse: ([pem = '']) => readSigningKeys(pem), ...watching });
  const file = await opened.catch((error: unknown) => {
    const reason = (error as Error).message;
    throw new SettingsError([
      `FORWARD_AUTH_TOKEN_KEY_FILE (or --forward-auth-token-key-file) cannot be used: ${reason}`,
    ]);
  });
  const keys = new KeyRing(file.value);
  file.onChange((changed) => keys.replace(changed, clock.now()));
  return { keys, file, tokens: new Tokens({ keys, issuer, audience, wall: () => clock.wall() }) };
}
