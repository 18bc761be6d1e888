import { Wrong } from '../../settings/schema.ts';
import { oneLine } from '../../terminal.ts';
import { bareName, isHeaderName, isReserved } from './header-names.ts';
import { FORWARDING_HEADERS, tellsOfRequests } from './presets.ts';
import { parseTrustedProxy } from './trusted-proxies.ts';
import type { TrustedProxy } from './trusted-proxies.ts';

/** What is told of a caller, and the header that tells it. */
export const DEFAULT_IDENTITY_HEADERS = Object.freeze({
  name: 'X-Pod-Name',
  namespace: 'X-Pod-Namespace',
  uid: 'X-Pod-Uid',
  ip: 'X-Pod-Ip',
  node: 'X-Pod-Node',
  'service-account': 'X-Pod-Service-Account',
  workload: 'X-Pod-Workload',
  token: 'X-Pod-Token',
});

export type IdentityField = keyof typeof DEFAULT_IDENTITY_HEADERS;

/** Every field has a header, and no two the same one. */
export type IdentityHeaders = Readonly<Record<IdentityField, string>>;

const MAX_PROXIES = 1000;

export function trustedProxies(text: string): readonly TrustedProxy[] | Wrong {
  const proxies = new Map<string, TrustedProxy>();
  for (const part of partsOf(text)) {
    const proxy = parseTrustedProxy(part);
    if (typeof proxy === 'string') {
      return new Wrong(`addresses, networks and pod:namespace/service-account; ${quote(part)} ${proxy}`);
    }
    proxies.set(proxy.text, proxy);
  }
  return proxies.size > MAX_PROXIES ? new Wrong(`at most ${MAX_PROXIES} entries`) : [...proxies.values()];
}

export function clientHeader(text: string): string | Wrong {
  if (!isHeaderName(text)) return new Wrong('the name of a header (letters, digits and "-")');
  if (isReserved(text) || tellsOfRequests(text)) return new Wrong('a header that holds nothing but addresses');
  return text;
}

export function identityHeaders(text: string): IdentityHeaders | Wrong {
  const names: Record<IdentityField, string> = { ...DEFAULT_IDENTITY_HEADERS };
  const renamed = new Set<string>();
  for (const part of partsOf(text)) {
    const [field = '', name = '', ...rest] = part.split('=').map((side) => side.trim());
    if (!isField(field) || rest.length > 0) {
      return new Wrong(`field=Name with the fields ${Object.keys(names).join(', ')}; ${quote(part)} is not`);
    }
    if (renamed.has(field)) return new Wrong(`one name for each field; ${field} has two`);
    const fault = faultOf(name);
    if (fault !== undefined) return new Wrong(`names of headers of one's own; ${quote(name)} ${fault}`);
    renamed.add(field);
    names[field] = name;
  }
  const bare = Object.values(names).map((name) => bareName(name));
  const twice = Object.values(names).find((name) => bare.indexOf(bareName(name)) !== bare.lastIndexOf(bareName(name)));
  if (twice !== undefined)
    return new Wrong(`names that differ by more than case and "-"; ${quote(twice)} is there twice`);
  return Object.freeze(names);
}

const isField = (text: string): text is IdentityField => Object.hasOwn(DEFAULT_IDENTITY_HEADERS, text);

/** A back end that finds one of these in place of what the proxy says would believe podwhois to be the proxy. */
const FORWARDING = new Set(FORWARDING_HEADERS.map((name) => bareName(name)));

function faultOf(name: string): string | undefined {
  if (!isHeaderName(name)) return 'is not the name of a header (letters, digits and "-")';
  if (isReserved(name)) return "is HTTP's or podwhois's own";
  return FORWARDING.has(bareName(name)) || tellsOfRequests(name) ? 'is what proxies tell of the request' : undefined;
}

const partsOf = (text: string): readonly string[] =>
  text
    .split(',')
    .map((part) => part.trim())
    .filter((part) => part !== '');

const quote = (text: string): string => `"${oneLine(text, 60)}"`;
