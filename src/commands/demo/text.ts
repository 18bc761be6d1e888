import type { ChangeOfHands } from './change-of-hands.ts';
import { workloadOf } from './change-of-hands.ts';
import type { Examples } from './examples.ts';

/** How the commands of podwhois are called from where the demo was called from. */
export interface Calls {
  /** `npx podwhois` */
  readonly podwhois: string;
  /** `npx podwhois demo` */
  readonly demo: string;
}

/** By what npm tells the processes that it starts, and by the name of the program. */
export function callsFrom(environment: Readonly<Record<string, string | undefined>>, program: string): Calls {
  if (environment['npm_lifecycle_event'] === 'demo') {
    return { podwhois: 'npm run -s podwhois --', demo: 'npm run -s demo --' };
  }
  const podwhois =
    environment['npm_command'] === 'exec'
      ? 'npx podwhois'
      : /\.(?:[cm]?js|ts)$/.test(program)
        ? `node ${program}`
        : 'podwhois';
  return { podwhois, demo: `${podwhois} demo` };
}

type Try = readonly [command: string, comment: string];

const tries = (...all: readonly Try[]): string =>
  all.map(([command, comment]) => `  # ${comment}\n  ${command}\n`).join('\n');

/** Where the commands ask when they are told nothing. */
const serverOf = (url: string): string => (url === 'http://127.0.0.1:8080' ? '' : `--server ${url} `);

export interface Places {
  /** Where podwhois listens. */
  readonly url: string;
  readonly apiServer: string;
  /** undefined: there is none. */
  readonly postgres: string | undefined;
}

export function welcome(
  { url, apiServer, postgres }: Places,
  examples: Examples,
  { calls, pods }: { readonly calls: Calls; readonly pods: number },
): string {
  const pod = (ip: string): string => `curl '${url}/pod?ip=${ip}'`;
  const preflight = (ip: string): string => `curl -i -H 'X-Forwarded-For: ${ip}' '${url}/authorize?namespace=demo'`;
  return `
This is a SIMULATION: a made-up cluster of some ${pods} pods, which come and go. Nothing here is real.

  podwhois    ${url}
  API server  ${apiServer}
  Postgres    ${postgres ?? 'none: install the optional package @electric-sql/pglite to see what podwhois does with one'}

Which pod has this IP? Try, in another terminal:

${tries(
  [pod(examples.pod), 'a pod of a Deployment'],
  [pod(examples.ambiguous), '409: two pods claim it, and podwhois does not guess'],
  [pod(examples.hostNetwork), "404: a node's address names no pod"],
  [`${calls.podwhois} lookup ${serverOf(url)}${examples.pod} ${examples.hostNetwork}`, 'the same as a table'],
)}
Who calls my service? A reverse proxy asks before each request:

${tries(
  [preflight(examples.pod), '200, and who calls in the headers'],
  [preflight(examples.ambiguous), '403: a caller that is not certain'],
  [
    `${calls.podwhois} explain ${serverOf(url)}--ip ${examples.pod} --query namespace=shop`,
    'why a preflight would be denied',
  ],
)}
What is going on?

${tries(
  [`curl -N '${url}/pods/stream'`, 'what there is, then what happens'],
  [`curl '${url}/ready?verbose'`, 'is podwhois ready, and how fresh'],
  [`kubectl --server ${apiServer} get pods -A`, 'the simulated cluster itself'],
)}
More will be told here${postgres === undefined ? '' : ' when Postgres is ready, and'} when an address has changed hands. Ctrl-C ends it all.
`;
}

/** Where `demo sql` looks for the demo's Postgres. Below what Linux gives to outgoing connections (32768 to 60999), any of which would take it. */
export const POSTGRES_PORT = 15_432;

const sqlCommand = ({ demo }: Calls, port: number, query: string): string =>
  `${demo} sql ${port === POSTGRES_PORT ? '' : `--postgres-port ${port} `}"${query}"`;

export function postgresIsReady(
  { url, port }: { readonly url: string; readonly port: number },
  pod: string,
  calls: Calls,
): string {
  const sql = (query: string): string => sqlCommand(calls, port, query);
  return `
Postgres is ready. It lives in this process, is empty at every start, and holds what podwhois knows:

${tries(
  [
    sql(`SELECT namespace, name, workload_kind, workload_name FROM podwhois.pods_by_ip WHERE ip = '${pod}'`),
    'the pods now (serve --snapshot): which pod has this IP?',
  ],
  [
    sql('SELECT namespace, service, count(*) AS ready_pods FROM server GROUP BY 1, 2 ORDER BY 3 DESC LIMIT 5'),
    'the ready pods behind each Service (mirror-endpoints)',
  ],
  [`psql ${url} -c 'SELECT phase, count(*) FROM podwhois.pods GROUP BY 1'`, 'with psql, or whatever you like'],
)}`;
}

export function hasChangedHands(
  { ip, before, at, now }: ChangeOfHands,
  { url, postgresPort }: { readonly url: string; readonly postgresPort: number | undefined },
  calls: Calls,
): string {
  const rows = `SELECT namespace, name, valid_from, valid_until FROM podwhois.ip_history WHERE ip = '${ip}' ORDER BY 3`;
  const time = `${new Date(at).toISOString().slice(0, 19)}Z`;
  const names = [before, now].map(({ namespace, name }) => `${namespace}/${name}`);
  const width = Math.max(...names.map((name) => name.length));
  const [had = '', has = ''] = names.map((name) => name.padEnd(width));
  return `
${ip} has changed hands. A log line of ${time.slice(11)} means another pod than the one that answers now:

  ${time.slice(11)}  ${had}  ${workloadOf(before)}
  now        ${has}  ${workloadOf(now)}

${tries(
  [`curl '${url}/pod?ip=${ip}&at=${time}'`, 'who had it then'],
  [`${calls.podwhois} history ${serverOf(url)}${ip}`, 'everybody who had it'],
  ...(postgresPort === undefined
    ? []
    : [
        [
          sqlCommand(calls, postgresPort, rows),
          'the same in Postgres: your own keeps it for 30 days, this one until the demo ends',
        ] as const,
      ]),
)}`;
}
