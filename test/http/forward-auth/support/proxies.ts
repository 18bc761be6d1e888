import type { PresetName } from '../../../../src/http/forward-auth/presets.ts';

/** What a proxy is told by the caller, and tells the preflight. */
export interface Held {
  readonly client?: string | undefined;
  readonly host?: string | undefined;
  readonly method?: string | undefined;
  readonly uri?: string | undefined;
  /** The preflight's own query; Envoy has none. */
  readonly query?: string | undefined;
  readonly headers?: readonly string[] | undefined;
}

/** The preflight that a proxy sends, by its documentation (rule E7). */
export interface Sent {
  readonly method: string;
  readonly path: string;
  readonly headers: string[];
}

const line = (name: string, value: string | undefined): string[] => (value === undefined ? [] : [`${name}: ${value}`]);

export function preflightOf(preset: PresetName | undefined, held: Held): Sent {
  const { client, host, method, uri, query, headers = [] } = held;
  const path = `/authorize${query === undefined ? '' : `?${query}`}`;
  if (preset === 'envoy') {
    return {
      method: method ?? 'GET',
      path: `/authorize${uri ?? ''}`,
      headers: [...headers, ...line('X-Forwarded-For', client)],
    };
  }
  const told =
    preset === 'nginx'
      ? [...line('X-Real-IP', client), ...line('X-Original-Method', method), ...line('X-Original-URI', uri)]
      : preset === 'ingress-nginx'
        ? [
            ...line('X-Real-IP', client),
            ...line('X-Original-Method', method),
            ...line('X-Original-URL', uri === undefined ? undefined : `https://${host ?? 'shop.example'}${uri}`),
          ]
        : [
            ...line('X-Forwarded-For', client),
            ...line('X-Forwarded-Host', host),
            ...line('X-Forwarded-Method', method),
            ...line('X-Forwarded-Uri', uri),
          ];
  return { method: 'GET', path, headers: [...headers, ...told] };
}
