import { Argument, Command, InvalidArgumentError, Option } from '@commander-js/extra-typings';
import type { CommandUnknownOpts } from '@commander-js/extra-typings';
import { CAPABILITIES } from '../capabilities.ts';
import type { Edge } from '../capabilities.ts';
import { MIRROR, readMirrorSettings } from '../mirror-settings.ts';
import { readServeSettings, serveSchema } from '../serve-settings.ts';
import { CORE } from '../settings.ts';
import { wholeNumber } from '../settings/parsers.ts';
import { readSettings } from '../settings/schema.ts';
import { POSTGRES_CHECKS } from '../sinks/postgres/settings.ts';
import { podwhoisVersion } from '../version.ts';
import { FORMATS } from './lookup/formats.ts';
import { addSettings, givenFor } from './options.ts';
import { runningPodwhois } from './running-podwhois.ts';
import { DEMO, HEALTHCHECK, LOOKUP, MIGRATE } from './settings.ts';

/** The section of a command's help that says what its exit codes mean. */
const exitCodes = (done: string, not: string, wrong: string): string => `
Exit codes:
  0  ${done}
  1  ${not}
  2  ${wrong}`;

const USAGE = 'wrong settings, arguments or usage';

const EXIT_CODES = {
  program: exitCodes(
    'done',
    'it failed, or the answer is no: the help of each command says more',
    `${USAGE}, or no answer`,
  ),
  serve: exitCodes('it was told to end, and did', 'the service failed', 'wrong settings or usage'),
  lookup: exitCodes(
    'every address has its pod',
    'an address has no pod, or more than one',
    `an error for any address, no answer, or ${USAGE}`,
  ),
  history: exitCodes('somebody had it', 'nobody is known to have had it', `no answer, or ${USAGE}`),
  healthcheck: exitCodes('well', 'not well', USAGE),
  migrate: exitCodes('the tables are as this version wants them', 'Postgres cannot be asked, or refuses', USAGE),
  'mirror-endpoints': exitCodes('it was told to end, and did', 'the mirror failed', 'wrong settings or usage'),
};

const EXAMPLES = `
Examples:
  podwhois demo                                        a simulated cluster and the service on it, to try out
  K8S_API_SERVER=http://127.0.0.1:8001 podwhois serve  through kubectl proxy; inside a cluster nothing is to be set
  podwhois serve --namespace shop,default --log-format text
  podwhois lookup 10.42.0.5 -o json
  podwhois lookup 10.42.0.5 --at 15m                   who had it a quarter of an hour ago
  podwhois history 10.42.0.5                           who had it when
  kubectl logs proxy | grep -o '10[.0-9]*' | podwhois lookup -

"podwhois serve --help" shows the settings of the service, docs/configuration.md explains them.`;

/** All commands. Each sets `exit` when it is done; what is not needed for the command asked is not loaded. */
export function createProgram(
  edge: Edge,
  exit: (code: number) => void,
  capabilities = CAPABILITIES,
): CommandUnknownOpts {
  const program = new Command('podwhois')
    .description('Which pod has this IP? Watches the pods of a Kubernetes cluster and answers from memory, over HTTP.')
    .version(podwhoisVersion(), '-V, --version')
    .usage('[serve] [options]\n       podwhois <command> [options]')
    .exitOverride()
    .configureOutput({ writeOut: edge.write, writeErr: edge.complain })
    .showHelpAfterError('(--help shows what there is)')
    .addHelpText('after', EXIT_CODES.program + '\n' + EXAMPLES);

  const serve = program.command('serve').description('watch the cluster and answer over HTTP (the default command)');
  addSettings(serve, CORE);
  for (const { name, settings } of capabilities) addSettings(serve, settings, heading(name));
  serve
    .addHelpText('after', `\nA flag wins over its variable; an empty variable counts as unset.\n${EXIT_CODES.serve}`)
    .action(async (_options, command) => {
      const settings = readServeSettings(givenFor(command, serveSchema(capabilities), edge.environment), capabilities);
      await (await import('./serve.ts')).serve(settings, capabilities);
    });

  const demo = program
    .command('demo')
    .description('run a simulated cluster, the service on it and a Postgres, and print what to try');
  addSettings(demo, DEMO);
  demo.action(async (_options, command) => {
    const settings = readSettings(DEMO, givenFor(command, DEMO, edge.environment));
    const { demo } = await import('./demo.ts');
    await demo(settings, edge);
  });
  demo
    .command('sql')
    .description("ask a running demo's Postgres")
    .addArgument(new Argument('<query>', 'in SQL'))
    .addOption(
      new Option('--postgres-port <number>', 'where that Postgres listens').argParser(portNumber).default(15_432),
    )
    .action(async (query, { postgresPort }) => {
      await (await import('./demo/sql.ts')).sql(query, postgresPort, edge.write);
      exit(0);
    });

  const lookup = program.command('lookup').description('ask a running podwhois which pods have these addresses');
  addSettings(lookup, LOOKUP);
  lookup
    .addArgument(
      new Argument('<ip...>', 'addresses; - reads them from standard input, separated by white space or commas'),
    )
    .addOption(
      new Option('-o, --output <format>', 'how to write the answers').choices(FORMATS).default('table' as const),
    )
    .addOption(new Option('--at <time>', 'who had them then: 2026-11-20T14:03:00Z, or 15m: so long ago'))
    .addHelpText('after', EXIT_CODES.lookup)
    .action(async (addresses, { output, at }, command) => {
      const settings = readSettings(LOOKUP, givenFor(command, LOOKUP, edge.environment));
      const { lookup } = await import('./lookup.ts');
      const { stdin, write, complain } = edge;
      exit(await lookup({ ...settings, addresses, at, format: output, stdin, write, complain }));
    });

  const history = program.command('history').description('ask a running podwhois who held an address when');
  addSettings(history, LOOKUP);
  history
    .addArgument(new Argument('<ip>', 'the address'))
    .addOption(
      new Option(
        '--since <time>',
        'only what did not end before: 24h (720h: thirty days), so long ago, or a time',
      ).default(undefined, 'as far back as is known'),
    )
    .addOption(
      new Option('--until <time>', 'only what began before: 1h, so long ago, or a time').default(
        undefined,
        'to this day',
      ),
    )
    .addOption(
      new Option('--limit <number>', 'at most so many rows, the oldest').argParser(rowCount).default(undefined, 'all'),
    )
    .addOption(new Option('-o, --output <format>', 'how to write the rows').choices(FORMATS).default('table' as const))
    .addHelpText('after', EXIT_CODES.history)
    .action(async (ip, { output, since, until, limit }, command) => {
      const settings = readSettings(LOOKUP, givenFor(command, LOOKUP, edge.environment));
      const { history } = await import('./history.ts');
      const { write, complain } = edge;
      exit(await history({ ...settings, ip, since, until, limit, format: output, write, complain }));
    });

  const healthcheck = program
    .command('healthcheck')
    .description("ask the podwhois on this machine how it is, for a container's HEALTHCHECK");
  addSettings(healthcheck, HEALTHCHECK);
  healthcheck
    .option('--ready', 'ask /ready (has it read the cluster?) instead of /health (is it alive?)')
    .addHelpText('after', EXIT_CODES.healthcheck)
    .action(async ({ ready = false }, command) => {
      const settings = readSettings(HEALTHCHECK, givenFor(command, HEALTHCHECK, edge.environment));
      const { healthcheck } = await import('./healthcheck.ts');
      exit(await healthcheck({ ...settings, ready, complain: (text) => edge.complain(`podwhois: ${text}\n`) }));
    });

  const migrate = program
    .command('migrate')
    .description("make podwhois' tables in Postgres, or bring them up to this version, and say what was done")
    .addHelpText('after', EXIT_CODES.migrate);
  addSettings(migrate, MIGRATE);
  migrate.action(async (_options, command) => {
    const given = givenFor(command, MIGRATE, edge.environment);
    const settings = readSettings(MIGRATE, given, POSTGRES_CHECKS);
    await (await import('./migrate.ts')).migrate(settings, edge.write);
    exit(0);
  });

  const mirror = program
    .command('mirror-endpoints')
    .description('mirror the ready pods behind each Service into a table of Postgres');
  addSettings(mirror, MIRROR);
  mirror
    .addHelpText(
      'after',
      `\nA flag wins over its variable; an empty variable counts as unset.\n${EXIT_CODES['mirror-endpoints']}`,
    )
    .action(async (_options, command) => {
      const settings = readMirrorSettings(givenFor(command, MIRROR, edge.environment));
      await (await import('./mirror-endpoints.ts')).mirrorEndpoints(settings);
    });

  program
    .command('openapi')
    .description('print the OpenAPI document of the HTTP API')
    .action(async () => {
      edge.write(await (await import('./openapi.ts')).openapi());
      exit(0);
    });
  const running = runningPodwhois(edge.environment);
  for (const capability of capabilities) capability.addCommands?.(program, { ...edge, running }, exit);
  return program;
}

function rowCount(text: string): number {
  if (/^[1-9]\d{0,8}$/.test(text)) return Number(text);
  throw new InvalidArgumentError('Expected a whole number above 0.');
}

function portNumber(text: string): number {
  const port = wholeNumber(1, 65_535)(text);
  if (typeof port === 'number') return port;
  throw new InvalidArgumentError(`Expected ${port.expected}.`);
}

/** `forward-auth` → `Forward auth:`. */
const heading = (name: string): string => `${name.charAt(0).toUpperCase()}${name.slice(1).replaceAll('-', ' ')}:`;

/**
 * `serve` is the default: `podwhois --port 80` is `podwhois serve --port 80`. An unknown word is an unknown command all the same. Two dashes and white
 * space are no option, but SQL for `demo sql` that begins with a comment.
 */
export function withDefaultCommand(args: readonly string[]): readonly string[] {
  const all = args.map((one) => (/^--\s/.test(one) ? ` ${one}` : one));
  const [first] = all;
  const isOwnOption = first !== undefined && ['-h', '--help', '-V', '--version'].includes(first);
  return first === undefined || (first.startsWith('-') && !isOwnOption) ? ['serve', ...all] : all;
}
