import type { Logger } from 'pino';
import { SettingsError } from '../../settings/schema.ts';
import type { Policy } from './policy.ts';
import { ReloadedFile } from './reloaded-file.ts';
import { compileRules } from './rules-file.ts';

/** As long as a ConfigMap can be. */
const MAX_BYTES = 2 ** 20;
/** Of what is wrong, in one line of the log; all of it is told at start and by `podwhois rules check`. */
const MAX_LOGGED = 20;

/** A rules file that is wrong, with everything that is. */
class WrongRules extends Error {
  readonly problems: readonly string[];
  constructor(problems: readonly string[]) {
    super(problems.join('\n'));
    this.problems = problems;
  }
}

/**
 * The rules of FORWARD_AUTH_RULES, read again when the file changes. Wrong at start it is a wrong setting (`SettingsError`); wrong
 * later, the rules of before stay in force.
 */
export async function openRules(
  path: string,
  { log, onChange }: { readonly log: Logger; readonly onChange: (policy: Policy) => void },
): Promise<ReloadedFile<Policy>> {
  const open = ReloadedFile.open({
    path,
    maxBytes: MAX_BYTES,
    read: (bytes) => policyOf(path, bytes),
    onChange(policy) {
      log.info({ path, rules: policy.rules?.length }, 'the rules file has changed, and its rules are in force');
      onChange(policy);
    },
    onProblem(error) {
      const problems = error instanceof WrongRules ? error.problems : [String(error)];
      log.error(
        { path, problems: problems.slice(0, MAX_LOGGED), more: Math.max(0, problems.length - MAX_LOGGED) },
        'the rules file is wrong: the rules of before stay in force',
      );
    },
  });
  return await open.catch((error: unknown) => {
    const problems = error instanceof WrongRules ? error.problems : [String(error)];
    throw new SettingsError([
      ['FORWARD_AUTH_RULES (or --forward-auth-rules) names a file that is wrong:', ...problems].join('\n    '),
    ]);
  });
}

function policyOf(path: string, bytes: Buffer): Policy {
  const { policy, problems } = compileRules(bytes);
  if (policy) return policy;
  throw new WrongRules(problems.map(({ line, column, message }) => `${path}:${line}:${column}: ${message}`));
}
