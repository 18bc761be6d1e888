import type { Logger } from 'pino';
import { SettingsError } from '../../settings/schema.ts';
import type { Clock } from '../context.ts';
import { ReloadedFile } from './reloaded-file.ts';
import { KeyRing, readSigningKeys } from './signing-keys.ts';
import type { SigningKeys } from './signing-keys.ts';
import { Tokens } from './token.ts';

/** Sixteen keys take 2 KiB. */
const MAX_BYTES = 64 * 1024;

export interface TokenSource {
  readonly tokens: Tokens;
  readonly keys: KeyRing;
  readonly file: ReloadedFile<SigningKeys>;
}

/**
 * Tokens signed with the keys of FORWARD_AUTH_TOKEN_KEY_FILE, read again when the file changes. Wrong at start it is a wrong setting
 * (`SettingsError`); wrong later, the keys of before stay in use.
 */
export async function openTokens(
  path: string,
  options: {
    readonly issuer: string;
    readonly audience: string;
    readonly clock: Clock & { wall(): number };
    readonly log: Logger;
  },
): Promise<TokenSource> {
  const { issuer, audience, clock, log } = options;
  const open = ReloadedFile.open({
    path,
    maxBytes: MAX_BYTES,
    read: async (bytes) => await readSigningKeys(bytes.toString('latin1')),
    onChange(changed) {
      keys.replace(changed, clock.now());
      log.info(
        { path, kid: keys.first.kid, keys: changed.length },
        'the file of keys has changed, and its first key signs',
      );
    },
    onProblem: (err) => log.error({ path, err }, 'the file of keys is wrong: the keys of before stay in use'),
  });
  const file = await open.catch((error: unknown) => {
    const reason = error instanceof Error ? error.message : String(error);
    throw new SettingsError([
      `FORWARD_AUTH_TOKEN_KEY_FILE (or --forward-auth-token-key-file) names a file that is wrong: ${reason}`,
    ]);
  });
  const keys = new KeyRing(file.value);
  return { keys, file, tokens: new Tokens({ keys, issuer, audience, wall: () => clock.wall() }) };
}
