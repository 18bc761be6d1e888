import { parseCidr } from '../../../../src/index/ip-address.ts';
import type { Cidr } from '../../../../src/index/ip-address.ts';
import type { PresetName } from '../../../../src/http/forward-auth/presets.ts';
import type { Sent, Settings } from './asking.ts';
import { AT, WHOLE } from './cluster.ts';

/** One preflight: how podwhois is set, what a proxy, or a caller who plays one, sends it, and what the caller has had a hand in. */
export interface SpoofCase {
  readonly name: string;
  readonly settings: Settings;
  readonly sent: Sent;
  /** The same without what the caller forged; undefined where no proxy that tells address and request stands between. */
  readonly honest: Sent | undefined;
}

type Headers = readonly (readonly [string, string])[];

const {
  caddy,
  caddy6,
  web,
  web6,
  vault,
  office,
  free,
  twins,
  hostNetwork,
  node,
  done,
  gone,
  leaving,
  unreadable,
  claimed,
} = AT;

/** Everything HTTP lets stand in a header: no line ends, no NUL. */
const FORGED: readonly string[] = [
  vault,
  `::ffff:${vault}`,
  '::FFFF:7f2a:102',
  `${vault},`,
  `,${vault}`,
  ',,,,',
  '',
  ' \t ',
  `${vault}, ${vault}`,
  `${vault}, ${caddy}`,
  `${caddy}, ${vault}, ${caddy}, ${caddy6}`,
  caddy,
  `${vault}:443`,
  `[${web6}]`,
  `[::ffff:${vault}]:443`,
  `"${vault}"`,
  `for=${vault};proto=https`,
  `${vault};${vault}`,
  `${vault} ${vault}`,
  `${vault}%eth0`,
  `${vault}/32`,
  '0177.42.1.2',
  '127.42.258',
  '0x7f2a0102',
  '2133459202',
  'unknown',
  '_hidden',
  'localhost',
  `\u00a0${vault}\u00a0`,
  `\u00e9\u00ff ${vault}`,
  `${vault}\u0085`,
  'FD00:42:0:0::1:1',
  '0000:0000:0000:0000:0000:ffff:127.42.1.2',
  `0${vault}`,
  `-${vault}`,
  `${vault}#`,
  `${vault}\\, `,
  Array<string>(300).fill(vault).join(','),
  Array<string>(300).fill(caddy).join(', '),
  ','.repeat(2_000),
  '1'.repeat(2_000),
  free,
  office,
  `${node}, ${hostNetwork}`,
];

const REAL: readonly string[] = [
  web,
  web6,
  vault,
  leaving,
  office,
  node,
  free,
  twins,
  hostNetwork,
  done,
  gone,
  unreadable,
  claimed,
  `::ffff:${web}`,
];

const SETTINGS: readonly Omit<Settings, 'preset' | 'clientIpHeader'>[] = [
  {},
  { trusted: caddy },
  { trusted: `::ffff:${caddy}` },
  { trusted: `${caddy},${caddy6}` },
  { trusted: 'pod:ingress/caddy' },
  { trusted: 'pod:shop/web' },
  { trusted: '127.42.0.0/16' },
  { trusted: `127.42.0.0/16,${caddy}` },
  { trusted: '127.0.0.0/8,pod:ingress/caddy,fd00:42::/32' },
  { trusted: '0.0.0.0/1,128.0.0.0/1,::/1,8000::/1' },
  { trusted: `127.168.0.0/24,${caddy}` },
  { trusted: `${node},${hostNetwork},${office}` },
  { trusted: 'pod:ingress/caddy', view: { partial: true, clusterCidrs: [] } },
  { trusted: `127.113.0.0/24,${caddy}`, view: { partial: false, clusterCidrs: [parseCidr('127.42.0.0/16') as Cidr] } },
];

const PRESETS: readonly (PresetName | undefined)[] = [undefined, 'caddy', 'nginx', 'ingress-nginx', 'traefik', 'envoy'];

/** Names of headers in which a caller writes what he forges, beside the one that is read. */
const NAMES: readonly ((client: string) => string)[] = [
  (client) => client,
  (client) => client.toLowerCase(),
  (client) => client.toUpperCase(),
  (client) => client.replaceAll('-', '_'),
  (client) => client.replaceAll('-', '.'),
  (client) => client.replace('-', '_'),
  (client) => client.replaceAll('-', ''),
  () => 'Forwarded',
  () => 'X-Real-IP',
  () => 'x-forwarded-for',
  () => 'X-Client-IP',
  () => 'X-Forwarded-Host',
  () => 'X_Forwarded_Uri',
  () => 'X-Original-URI',
  () => 'X.Original.Method',
  () => 'X-Original-URL',
  () => 'X-Pod-Namespace',
  () => 'X_Pod_Namespace',
  () => 'X!Pod~Service|Account',
  (client) => client.replaceAll('-', '~'),
];

/** What becomes of a header that the caller forged, and of the caller's own address, on the way through a proxy. */
interface Way {
  readonly name: string;
  readonly from: 'proxy' | 'caller';
  /** The proxy puts the caller's address behind all that the caller wrote, or in place of it. */
  readonly keepsPromise: boolean;
  readonly client: (forged: string, real: string) => readonly string[];
}

const WAYS: readonly Way[] = [
  { name: 'no proxy', from: 'caller', keepsPromise: false, client: (forged) => [forged] },
  { name: 'sets', from: 'proxy', keepsPromise: true, client: (_forged, real) => [real] },
  { name: 'appends', from: 'proxy', keepsPromise: true, client: (forged, real) => [`${forged}, ${real}`] },
  { name: 'appends tightly', from: 'proxy', keepsPromise: true, client: (forged, real) => [`${forged},${real}`] },
  { name: 'adds a line', from: 'proxy', keepsPromise: true, client: (forged, real) => [forged, real] },
  {
    name: 'adds a line to many',
    from: 'proxy',
    keepsPromise: true,
    client: (forged, real) => [forged, vault, forged, real],
  },
  {
    name: 'second of two',
    from: 'proxy',
    keepsPromise: true,
    client: (forged, real) => [`${forged}, ${real}, ${caddy}`],
  },
  { name: 'adds itself', from: 'proxy', keepsPromise: true, client: (forged, real) => [`${forged},${real},${caddy6}`] },
  { name: 'passes through', from: 'proxy', keepsPromise: false, client: (forged) => [forged] },
  { name: 'passes two through', from: 'proxy', keepsPromise: false, client: (forged) => [vault, forged] },
  { name: 'says nothing', from: 'proxy', keepsPromise: false, client: () => [] },
];

/** What the proxy says of the request, by every preset at once; each believes its own. */
const TOLD: Headers = [
  ['X-Forwarded-Host', 'shop.example'],
  ['X-Forwarded-Method', 'GET'],
  ['X-Forwarded-Uri', '/real?a=b'],
  ['X-Original-Method', 'GET'],
  ['X-Original-URI', '/real?a=b'],
  ['X-Original-URL', 'http://shop.example/real?a=b'],
];

const HEADER_OF: Readonly<Record<string, string>> = { nginx: 'X-Real-IP', 'ingress-nginx': 'X-Real-IP' };

/**
 * The preflight as bytes, and the loopback address to send it from, on a connection of its own; undefined where its peer has
 * another. Blanks around a value are HTTP's and not sent.
 */
export function overSocket({ sent }: SpoofCase): { readonly from: string; readonly bytes: Buffer } | undefined {
  const from = sent.from?.replace('::ffff:', '');
  if (from === undefined || !from.startsWith('127.')) return undefined;
  const lines = (sent.headers ?? []).map(([name, value]) => `${name}: ${value}`);
  const head = [`${sent.method ?? 'GET'} ${sent.url ?? '/authorize'} HTTP/1.1`, ...lines, 'Connection: close'];
  return { from, bytes: Buffer.from(`${head.join('\r\n')}\r\n\r\n`, 'latin1') };
}

/** Every preset × way × forged value × trust; what else there is to vary goes round. All of it is the same each time. */
export function* spoofCases(): Generator<SpoofCase> {
  let turn = 0;
  for (const preset of PRESETS) {
    for (const way of WAYS) {
      for (const forged of FORGED) {
        for (const trust of SETTINGS) yield spoofCase({ preset, way, forged, trust, turn: turn++ });
      }
    }
  }
}

function spoofCase({
  preset,
  way,
  forged,
  trust,
  turn,
}: {
  readonly preset: PresetName | undefined;
  readonly way: Way;
  readonly forged: string;
  readonly trust: (typeof SETTINGS)[number];
  readonly turn: number;
}): SpoofCase {
  const pick = <T>(from: readonly T[], salt: number): T =>
    from[(Math.imul(turn + salt, 0x9e3779b1) >>> 8) % from.length] as T;
  const real = pick(REAL, 1);
  const clientIpHeader = pick([undefined, undefined, undefined, 'X-Forwarded-For', 'x-real-ip', 'CF-Connecting-IP'], 2);
  const client = clientIpHeader ?? HEADER_OF[preset ?? ''] ?? 'X-Forwarded-For';
  const spelled = pick([client, client.toLowerCase(), client.toUpperCase()], 3);
  const aside = pick(NAMES, 4)(client);
  const isAside = pick([true, false, false], 5) && aside.toLowerCase() !== client.toLowerCase();
  const from =
    way.from === 'caller' ? real : pick([caddy, `::ffff:${caddy}`, caddy6, caddy, `${caddy6}%eth0`, '127.42.0.3'], 6);
  const host: Headers = [
    ['Host', 'shop.example'],
    ['User-Agent', 'spoof'],
    ['Accept', '*/*'],
  ];
  const url = preset === 'envoy' ? '/authorize/real?a=b' : '/authorize';
  const sending = (headers: Headers): Sent => ({ from, headers: [...host, ...headers], url });
  const lines = (values: readonly string[]): Headers => values.map((value) => [spelled, value]);

  const told = pick([TOLD, TOLD, [] as Headers, TOLD.toReversed()], 7);
  const beside: Headers = isAside ? [[aside, forged]] : [];
  return {
    name: `${turn}: ${preset ?? 'no preset'}, ${trust.trusted ?? 'nobody'} trusted, ${way.name}, ${JSON.stringify(forged.slice(0, 60))}`,
    settings: { view: WHOLE, ...trust, preset, clientIpHeader },
    sent: sending([...beside, ...lines(way.client(forged, real)), ...told]),
    honest: way.keepsPromise && told.length > 0 ? sending([...lines(way.client(vault, real)), ...told]) : undefined,
  };
}
