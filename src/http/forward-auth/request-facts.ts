import type { Preset } from './presets.ts';
import type { Heard } from './request-headers.ts';
import type { RequestFacts } from './verdict.ts';

/** Where Envoy is told to put the caller's path behind (its `path_prefix`). */
const PREFIX = '/authorize';

/** Nobody who is trusted has said anything. */
export const UNKNOWN_REQUEST: RequestFacts = Object.freeze({ host: undefined, method: undefined, uri: undefined });

/**
 * What a trusted proxy says of the request it holds back. An empty header says nothing. A text says what is wrong with what it
 * says: no proxy sends that, so another wrote it.
 */
export function factsOf(
  preset: Preset,
  heard: Heard,
  request: { readonly method?: string | undefined; readonly url?: string | undefined },
): RequestFacts | string {
  const method = preset.method === undefined ? request.method : told(heard.method);
  if (preset.absolute) return fromUrl(method, told(heard.uri)) ?? `${preset.uri} is no URL that a proxy writes`;
  const uri = preset.uri === undefined ? behindPrefix(request.url ?? '') : told(heard.uri);
  return { host: told(heard.host), method, uri };
}

const told = (value: string | undefined): string | undefined => (value === '' ? undefined : value);

const behindPrefix = (url: string): string | undefined =>
  url.startsWith(PREFIX) ? told(url.slice(PREFIX.length)) : undefined;

/**
 * `scheme://host/path?query` as ingress-nginx puts it together: of the caller's Host header, in which nginx lets everything pass but a
 * slash and controls, and of the caller's path as it came, which may begin with "?" where the request line holds a whole URL. So what
 * is no host's would be read as a path by one and not by the other. Nor is the host believed: nginx chooses the server by the
 * request line's where there is one.
 */
function fromUrl(method: string | undefined, url: string | undefined): RequestFacts | undefined {
  if (url === undefined) return { host: undefined, method, uri: undefined };
  const [, uri] = /^https?:\/\/[\w.:[\]-]*(\/.*)$/.exec(url) ?? [];
  return uri === undefined ? undefined : { host: undefined, method, uri };
}
