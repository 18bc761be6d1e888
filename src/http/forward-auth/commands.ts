import type { CommandUnknownOpts } from '@commander-js/extra-typings';
import type { CheckEdge } from './rules-check.ts';

const HELP = `
Prints for each file how many rules it has and whether they need the labels of namespaces, or on standard error all
that is wrong with it, one line each: file:line:column: message.

Exit codes:
  0  all files are right
  1  something is wrong in a file
  2  a file cannot be read, or wrong usage

Examples:
  podwhois rules check rules.yaml
  kubectl get configmap rules -o 'jsonpath={.data.rules\\.yaml}' | podwhois rules check -`;

/** The commands of forward auth. What they do is loaded when they run. */
export function addCommands(program: CommandUnknownOpts, edge: CheckEdge, exit: (code: number) => void): void {
  program
    .command('rules')
    .description('the rules files of forward auth (FORWARD_AUTH_RULES)')
    .command('check')
    .description('say whether rules files are right, as the service would read them')
    .argument('<file...>', 'rules files; - reads standard input')
    .addHelpText('after', HELP)
    .action(async (files) => exit(await (await import('./rules-check.ts')).checkRules(files, edge)));
}
