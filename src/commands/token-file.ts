import { readFile } from 'node:fs/promises';
import { tokensIn } from '../http/lookup-tokens.ts';
import { SettingsError } from '../settings/schema.ts';

/** The token that a command sends: the first one of a file like LOOKUP_TOKEN_FILE. Throws `SettingsError`. */
export async function firstToken(path: string): Promise<string> {
  try {
    const [token = ''] = tokensIn(await readFile(path, 'utf8'));
    return token;
  } catch (error) {
    throw new SettingsError([`PODWHOIS_TOKEN_FILE (or --token-file) cannot be used: ${(error as Error).message}`]);
  }
}
