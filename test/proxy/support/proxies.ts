import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { startChild } from '../../support/child-process.ts';
import { proxyBinary, whyProxyMissing } from '../../support/server-binaries.ts';
import type { ProxyName } from '../../support/server-binaries.ts';
import { environment, replaced, snippet } from './pages.ts';
import { ingressNginx } from './ingress-nginx.ts';
import { playEnvoy } from './played-envoy.ts';

/** Where things are, as `host:port`; what the documentation calls `podwhois:8080` and `app:8080`. */
export interface Places {
  readonly port: number;
  readonly podwhois: string;
  readonly app: string;
  /** For its files. */
  readonly folder: string;
  /** Changes the page's configuration: for what a page warns of. */
  readonly edit?: ((config: string) => string) | undefined;
}

/** Who decides: the constraint in the query that the page's configuration has, or a rules file. */
export type By = 'constraint' | 'rules';

export interface Started {
  stop(): Promise<unknown>;
}

/** A proxy with the configuration that its page gives. */
export interface Proxy {
  readonly name: string;
  readonly page: string;
  /** Why it cannot be tested here. */
  readonly skip: string | false;
  /** Whether the page has a configuration with a constraint. */
  readonly constraint: boolean;
  /** Played by a program of ours. */
  readonly played: boolean;
  /** Whether it tells podwhois a host that the caller cannot choose beside the one that he reaches. */
  readonly tellsHost: boolean;
  /** Its answer when podwhois is gone. */
  readonly whenGone: number;
  /** podwhois' settings, as the page has them; the path of a rules file is to be put in. */
  settings(by: By, rulesFile?: string): Record<string, string>;
  start(places: Places, by: By): Promise<Started>;
}

type Own = Pick<Proxy, 'name' | 'page' | 'start' | 'whenGone'>;

function proxy(
  own: Own,
  options: { binary?: ProxyName; rulesOnly?: boolean; rules?: string; tellsHost?: false } = {},
): Proxy {
  return {
    ...own,
    skip: options.binary === undefined ? false : whyProxyMissing(options.binary),
    constraint: options.rulesOnly !== true,
    tellsHost: options.tellsHost ?? true,
    played: options.binary === undefined,
    settings: (by, rulesFile = '') => {
      if (by === 'constraint') return environment(own.page, 'podwhois');
      const { FORWARD_AUTH: _, ...rest } = environment(own.page, options.rules ?? 'podwhois');
      return { ...rest, FORWARD_AUTH_RULES: rulesFile };
    },
  };
}

/** What the pages say about rules: then the query goes. */
const withoutConstraint = (text: string, by: By): string =>
  by === 'rules' ? replaced(text, { '?namespace=team-a': '' }) : text;

const asIs = (config: string): string => config;

export function caddyfile(config: string, { port, podwhois, app }: Places): string {
  const ours = '{\n\tadmin off\n\tauto_https off\n\tdefault_bind 127.0.0.1\n}\n';
  return ours + replaced(config, { ':8000': `:${port}`, 'podwhois:8080': podwhois, 'app:8080': app });
}

/** Runs Caddy on a Caddyfile that has been given its places. */
export function startCaddy(binary: ProxyName, config: string, folder: string): Started {
  writeFileSync(join(folder, 'Caddyfile'), config);
  return startChild({
    name: 'caddy',
    file: proxyBinary(binary),
    args: ['run', '--adapter', 'caddyfile', '--config', join(folder, 'Caddyfile')],
    logFile: join(folder, 'caddy.log'),
    env: { HOME: folder, XDG_DATA_HOME: folder, XDG_CONFIG_HOME: folder },
  });
}

const caddy = (name: string, binary: ProxyName): Proxy => {
  const page = 'docs/proxies/caddy.md';
  return proxy(
    {
      name,
      page,
      whenGone: 502,
      start: async (places, by) => {
        const { edit = asIs } = places;
        const config = edit(snippet(page, by === 'rules' ? 'Caddyfile: rules' : 'Caddyfile'));
        return await Promise.resolve(startCaddy(binary, caddyfile(config, places), places.folder));
      },
    },
    { binary, rules: 'podwhois: rules' },
  );
};

/** Runs nginx in the foreground as one process, with everything it writes in a folder. */
export function startNginx(config: string, { folder }: Places): Started {
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'];
  const ours = [
    'access_log off;',
    ...temporary.map((name) => `${name}_temp_path ${join(folder, name)};`),
    `error_log ${join(folder, 'error.log')};`,
  ];
  for (const name of temporary) mkdirSync(join(folder, name), { recursive: true });
  writeFileSync(join(folder, 'nginx.conf'), config.replace(/^http \{$/m, `http {\n${ours.join('\n')}`));
  return startChild({
    name: 'nginx',
    file: proxyBinary('nginx'),
    // prettier-ignore
    args: [
      '-p', folder, '-c', join(folder, 'nginx.conf'), '-e', join(folder, 'error.log'),
      '-g', `daemon off; master_process off; pid ${join(folder, 'nginx.pid')};`,
    ],
    logFile: join(folder, 'nginx.log'),
    env: {},
  });
}

const nginxPage = 'docs/proxies/nginx.md';
const nginx = proxy(
  {
    name: 'nginx',
    page: nginxPage,
    whenGone: 500,
    start: async (places, by) => {
      const { port, podwhois, app, edit = asIs } = places;
      const config = replaced(withoutConstraint(edit(snippet(nginxPage, 'nginx.conf')), by), {
        'listen 8000': `listen 127.0.0.1:${port}`,
        'podwhois:8080': podwhois,
        'app:8080': app,
      });
      return await Promise.resolve(startNginx(config, places));
    },
  },
  { binary: 'nginx' },
);

const ingressPage = 'docs/proxies/ingress-nginx.md';
const ingress = proxy(
  {
    name: "ingress-nginx's configuration on nginx",
    page: ingressPage,
    whenGone: 500,
    start: async (places, by) => {
      const { edit = asIs } = places;
      const manifest = withoutConstraint(edit(snippet(ingressPage, 'ingress.yaml')), by);
      const address = { 'podwhois.podwhois.svc.cluster.local:8080': places.podwhois };
      return await Promise.resolve(startNginx(ingressNginx(replaced(manifest, address), places), places));
    },
  },
  { binary: 'nginx', tellsHost: false },
);

const traefikPage = 'docs/proxies/traefik.md';
const traefik = proxy(
  {
    name: 'Traefik',
    page: traefikPage,
    whenGone: 500,
    start: async ({ folder, port, podwhois, app, edit = asIs }, by) => {
      const dynamic = join(folder, 'dynamic.yml');
      const main = replaced(edit(snippet(traefikPage, 'traefik.yml')), {
        ':8000': `127.0.0.1:${port}`,
        '/etc/traefik/dynamic.yml': dynamic,
      });
      const routes = withoutConstraint(edit(snippet(traefikPage, 'dynamic.yml')), by);
      writeFileSync(dynamic, replaced(routes, { 'podwhois:8080': podwhois, 'app:8080': app }));
      // A test asks nothing of the internet.
      writeFileSync(join(folder, 'traefik.yml'), `${main}global: { checkNewVersion: false }\n`);
      return await Promise.resolve(
        startChild({
          name: 'traefik',
          file: proxyBinary('traefik'),
          args: [`--configFile=${join(folder, 'traefik.yml')}`],
          logFile: join(folder, 'traefik.log'),
          env: { HOME: folder },
        }),
      );
    },
  },
  { binary: 'traefik' },
);

const envoyPage = 'docs/proxies/envoy.md';
const envoy = (name: string, addsItself: boolean): Proxy =>
  proxy(
    {
      name,
      page: envoyPage,
      whenGone: 403,
      start: async (places) =>
        await playEnvoy((places.edit ?? asIs)(snippet(envoyPage, 'envoy.yaml')), places, addsItself),
    },
    { rulesOnly: true },
  );

export const PROXIES: readonly Proxy[] = [
  caddy('Caddy of Debian', 'debian-caddy'),
  caddy('Caddy', 'caddy'),
  nginx,
  ingress,
  traefik,
  envoy('Envoy (played)', false),
  envoy('Envoy before 1.29 (played)', true),
];
