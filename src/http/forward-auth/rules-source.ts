import { SettingsError } from '../../settings/schema.ts';
import { watchFiles } from '../../watched-files.ts';
import type { Watched, WatchOptions } from '../../watched-files.ts';
import type { Policy } from './policy.ts';
import { compileRules } from './rules-file.ts';

/**
 * The rules of FORWARD_AUTH_RULES, read again when the file changes. Wrong at start it is a wrong setting (`SettingsError`); wrong
 * later, the rules of before stay in force.
 */
export async function openRules(
  path: string,
  watching: Pick<WatchOptions<unknown>, 'clock' | 'log' | 'signal'>,
): Promise<Watched<Policy>> {
  const opened = watchFiles({ paths: [path], parse: ([text = '']) => policyOf(path, text), ...watching });
  return await opened.catch((error: unknown) => {
    throw new SettingsError([
      `FORWARD_AUTH_RULES (or --forward-auth-rules) cannot be used: ${(error as Error).message}`,
    ]);
  });
}

function policyOf(path: string, text: string): Policy {
  const { policy, problems } = compileRules(text);
  if (policy) return policy;
  const lines = problems.map(({ line, column, message }) => `${path}:${line}:${column}: ${message}`);
  throw new Error(['the rules are wrong:', ...lines].join('\n    '));
}
