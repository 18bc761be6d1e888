import { bareName } from './header-names.ts';

export const PRESET_NAMES = ['caddy', 'nginx', 'ingress-nginx', 'traefik', 'envoy'] as const;

export type PresetName = (typeof PRESET_NAMES)[number];

/** Which headers of a proxy's preflight say what (rule E7). docs/proxies/ has a page for each. */
export interface Preset {
  /** Names the client, unless CLIENT_IP_HEADER does. */
  readonly client: string;
  readonly host: string | undefined;
  /** undefined: the preflight has the caller's own method. */
  readonly method: string | undefined;
  /** undefined: the preflight has the caller's own path and query, behind `/authorize`. */
  readonly uri: string | undefined;
  /** The header of the URI holds a whole URL, whose host is what the caller wrote and so not known. */
  readonly absolute: boolean;
  /**
   * Every denial is 403 (rule E2): to nginx any status but 2xx, 401 and 403 is a fault of its own, and Envoy may be told to let
   * requests pass when its authorizer answers 5xx.
   */
  readonly only403: boolean;
}

const FORWARDED: Preset = {
  client: 'X-Forwarded-For',
  host: 'X-Forwarded-Host',
  method: 'X-Forwarded-Method',
  uri: 'X-Forwarded-Uri',
  absolute: false,
  only403: false,
};

const PRESETS: Readonly<Record<PresetName, Preset>> = {
  caddy: FORWARDED,
  traefik: FORWARDED,
  nginx: {
    client: 'X-Real-IP',
    host: 'Host',
    method: 'X-Original-Method',
    uri: 'X-Original-URI',
    absolute: false,
    only403: true,
  },
  'ingress-nginx': {
    client: 'X-Real-IP',
    host: undefined,
    method: 'X-Original-Method',
    uri: 'X-Original-URL',
    absolute: true,
    only403: true,
  },
  envoy: {
    client: 'X-Forwarded-For',
    host: 'Host',
    method: undefined,
    uri: undefined,
    absolute: false,
    only403: true,
  },
};

/** Without a name: what most proxies mean by these headers. */
export const presetOf = (name: PresetName | undefined): Preset => (name === undefined ? FORWARDED : PRESETS[name]);

/** A proxy that sends one of these speaks for somebody else (rule E8), whichever of them is the configured one. */
export const FORWARDING_HEADERS: readonly string[] = ['X-Forwarded-For', 'Forwarded', 'X-Real-IP'];

const TOLD_OF_REQUESTS = new Set(
  [
    ...Object.values(PRESETS).flatMap(({ host, method, uri }) => [host, method, uri]),
    'X-Forwarded-Proto',
    'X-Forwarded-Port',
  ].map((name) => bareName(name ?? '')),
);

/** Whether any proxy tells something else than the client's address by this name. */
export const tellsOfRequests = (name: string): boolean => TOLD_OF_REQUESTS.has(bareName(name));
