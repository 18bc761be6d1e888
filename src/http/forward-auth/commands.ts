import { Option } from '@commander-js/extra-typings';
import type { CommandUnknownOpts } from '@commander-js/extra-typings';
import type { CheckEdge } from './rules-check.ts';

/** What the process is to the commands, and how they ask a running podwhois (`src/capabilities.ts`). */
interface CommandEdge extends CheckEdge {
  readonly running: {
    addSettings(command: CommandUnknownOpts): void;
    get<T>(command: CommandUnknownOpts, path: string, isAnswer: (body: unknown) => body is T): Promise<T>;
  };
}

const CHECK_HELP = `
Prints for each file how many rules it has and whether they need the labels of namespaces, or on standard error all
that is wrong with it, one line each: file:line:column: message.

Exit codes:
  0  all files are right
  1  something is wrong in a file
  2  a file cannot be read, or wrong usage

Examples:
  podwhois rules check rules.yaml
  kubectl get configmap rules -o 'jsonpath={.data.rules\\.yaml}' | podwhois rules check -`;

const EXPLAIN_HELP = `
Exit codes:
  0  allowed
  1  denied
  2  no answer, or wrong usage`;

/** The commands of forward auth. What they do is loaded when they run. */
export function addCommands(program: CommandUnknownOpts, edge: CommandEdge, exit: (code: number) => void): void {
  const explain = program
    .command('explain')
    .description('ask a running podwhois how its forward auth would decide, and why');
  edge.running.addSettings(explain);
  explain
    .requiredOption('--ip <address>', "the caller's address")
    .option('--path <path>', 'of the request that it makes, with its query')
    .option('--method <method>', 'of that request')
    .option('--host <host>', 'of that request')
    .option(
      '--query <constraints>',
      "the preflight's own query, as the proxy's configuration has it: namespace=a&node=b",
    )
    .addOption(new Option('-o, --output <format>', 'how to write the answer').choices(['text', 'json']).default('text'))
    .addHelpText('after', EXPLAIN_HELP)
    .action(async ({ ip, path, method, host, query, output }, command) => {
      const { explain } = await import('./explain-command.ts');
      exit(
        await explain({
          question: { ip, path, method, host, query },
          format: output === 'json' ? 'json' : 'text',
          get: async (where, isAnswer) => await edge.running.get(command, where, isAnswer),
          write: edge.write,
        }),
      );
    });

  program
    .command('rules')
    .description('the rules files of forward auth (FORWARD_AUTH_RULES)')
    .command('check')
    .description('say whether rules files are right, as the service would read them')
    .argument('<file...>', 'rules files; - reads standard input')
    .addHelpText('after', CHECK_HELP)
    .action(async (files) => exit(await (await import('./rules-check.ts')).checkRules(files, edge)));
}
