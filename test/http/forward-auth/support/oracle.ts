import { BlockList } from 'node:net';
import type { Pod } from '../../../../src/pod.ts';
import { parseAddress, writeAddress } from '../../../index/inet.ts';
import type { Sent, Settings } from './asking.ts';
import { AT, NOW, PODS, SLACK } from './cluster.ts';

/**
 * The rules E1, E5, E8 and A4 to A6 once more, as plainly as they can be written: a second opinion that shares no code with the
 * first. It answers `client → whom [host method uri]`, or the reason of a denial.
 */
export function oracle(settings: Settings, sent: Sent): string {
  const preset = PRESETS[settings.preset ?? 'none'];
  const clientHeader = (settings.clientIpHeader ?? preset.client).toLowerCase();
  const isExplicit = settings.preset !== undefined || settings.clientIpHeader !== undefined;
  const headers = (sent.headers ?? []).map(([name, value]) => ({ name: name.toLowerCase(), value }));
  const linesOf = (name: string): string[] => headers.filter((one) => one.name === name).map(({ value }) => value);

  const peer = canonical((sent.from ?? '').split('%')[0] ?? '');
  if (peer === undefined) return 'invalid-address';
  const tells: readonly string[] = Object.values(preset.tells);
  const guarded = [clientHeader, ...tells, ...(settings.identityHeaders ?? IDENTITY).map((name) => name.toLowerCase())];
  const isSpoiled =
    headers.some(({ name }) => guarded.some((one) => one !== name && squeezed(one) === squeezed(name))) ||
    tells.some((name) => linesOf(name).length > 1);

  if (!isTrusted(peer, settings)) {
    const forwarding = ['x-forwarded-for', 'forwarded', 'x-real-ip', clientHeader];
    if (headers.some(({ name }) => forwarding.includes(name))) return 'untrusted-proxy';
    if (isSpoiled) return 'invalid-header';
    return isExplicit ? 'missing-header' : `${peer} → ${whoHas(peer, settings)} [- - -]`;
  }

  if (isSpoiled) return 'invalid-header';
  const lines = linesOf(clientHeader);
  if (lines.length === 0) return 'missing-header';
  const facts = factsOf(settings, sent, linesOf);
  if (facts === undefined) return 'invalid-header';
  const elements = lines.flatMap((line) => line.split(',')).map((element) => element.replace(/^[ \t]+|[ \t]+$/g, ''));
  let client: string | undefined;
  for (const element of elements.toReversed()) {
    client = canonical(element);
    if (client === undefined) return 'invalid-address';
    if (!isTrusted(client, settings)) break;
  }
  if (client === undefined) return 'invalid-address';
  if (settings.preset === 'envoy' && clientHeader === 'x-forwarded-for') {
    const own = holdersOf(client);
    const isEnvoyItself = certain(client, settings) !== undefined && own.some((pod) => pod.podIps.includes(peer));
    if (isTrusted(client, settings) || isEnvoyItself) return 'missing-header';
  }
  return `${client} → ${whoHas(client, settings)} [${facts}]`;
}

const IDENTITY = ['name', 'namespace', 'uid', 'ip', 'node', 'service-account', 'workload'].map(
  (field) => `x-pod-${field}`,
);

const FORWARDED = {
  client: 'x-forwarded-for',
  tells: { host: 'x-forwarded-host', method: 'x-forwarded-method', uri: 'x-forwarded-uri' },
};
const PRESETS = {
  none: FORWARDED,
  caddy: FORWARDED,
  traefik: FORWARDED,
  nginx: { client: 'x-real-ip', tells: { host: 'host', method: 'x-original-method', uri: 'x-original-uri' } },
  'ingress-nginx': { client: 'x-real-ip', tells: { method: 'x-original-method', url: 'x-original-url' } },
  envoy: { client: 'x-forwarded-for', tells: { host: 'host' } },
} as const;

/** `host method uri`; undefined: malformed. */
function factsOf({ preset }: Settings, sent: Sent, linesOf: (name: string) => string[]): string | undefined {
  const first = (name: string): string => linesOf(name)[0] || '-';
  if (preset === 'envoy') {
    const { method = 'GET', url = '/authorize' } = sent;
    return `${first('host')} ${method} ${/^\/authorize([^]*)$/.exec(url)?.[1] || '-'}`;
  }
  if (preset === 'nginx') return `${first('host')} ${first('x-original-method')} ${first('x-original-uri')}`;
  if (preset === 'ingress-nginx') {
    const url = first('x-original-url');
    const parts = url === '-' ? [] : /^https?:\/\/([^/]*)(\/[^]*)$/.exec(url);
    if (parts === null || /[^A-Za-z0-9_.:[\]-]/.test(parts[1] ?? '')) return undefined;
    return `- ${first('x-original-method')} ${parts[2] ?? '-'}`;
  }
  return `${first('x-forwarded-host')} ${first('x-forwarded-method')} ${first('x-forwarded-uri')}`;
}

const squeezed = (name: string): string => name.split(/[^a-z0-9]/).join('');

function canonical(text: string): string | undefined {
  const bytes = parseAddress(text);
  return bytes && writeAddress(bytes);
}

const holdersOf = (ip: string): Pod[] => Object.values<Pod>(PODS).filter((pod) => pod.podIps.includes(ip));

const isFinished = ({ phase }: Pod): boolean => phase === 'Succeeded' || phase === 'Failed';

/** The one pod that has the address for certain, though it may be long overdue. */
function certain(ip: string, settings: Settings): Pod | undefined {
  const cidrs = settings.view?.clusterCidrs ?? [];
  if (cidrs.length > 0 && !cidrs.some((cidr) => isIn(ip, cidr.text))) return undefined;
  return certainAnywhere(ip);
}

function certainAnywhere(ip: string): Pod | undefined {
  const holders = holdersOf(ip);
  if (ip === AT.unreadable || holders.some((pod) => pod.hostNetwork)) return undefined;
  const alive = holders.filter((pod) => !isFinished(pod));
  const staying = alive.filter((pod) => pod.deletionTimestamp === undefined);
  return alive.length === 1 ? alive[0] : staying.length === 1 ? staying[0] : undefined;
}

const isOverdue = ({ deletionTimestamp }: Pod): boolean =>
  deletionTimestamp !== undefined && deletionTimestamp + SLACK < NOW;

/** Whether it is certain that no pod has the address, and why. */
function nobodys(ip: string, settings: Settings): string | undefined {
  const holders = holdersOf(ip);
  if (ip === AT.unreadable) return undefined;
  if (holders.some((pod) => pod.hostNetwork)) return 'host-network';
  if (holders.some((pod) => !isFinished(pod))) return undefined;
  if (Object.values<Pod>(PODS).some((pod) => pod.hostIps.includes(ip))) return 'node';
  return holders.length > 0 || settings.view?.partial ? undefined : 'no-pod';
}

function whoHas(ip: string, settings: Settings): string {
  const reason = nobodys(ip, settings);
  if (reason !== undefined) return reason;
  const cidrs = settings.view?.clusterCidrs ?? [];
  if (cidrs.length > 0 && !cidrs.some((cidr) => isIn(ip, cidr.text))) return 'denied outside-cluster-cidr';
  const pod = certain(ip, settings);
  if (pod) return isOverdue(pod) ? 'denied terminating' : `${pod.namespace}/${pod.name}`;
  if (ip === AT.unreadable) return 'denied unreadable';
  const holders = holdersOf(ip);
  if (holders.length === 0) return 'denied not-in-view';
  return holders.every(isFinished) ? 'denied terminal' : 'denied ambiguous';
}

function isTrusted(ip: string, settings: Settings): boolean {
  return (settings.trusted ?? '').split(',').some((entry) => {
    if (entry === '') return false;
    if (entry.startsWith('pod:')) {
      const pod = certain(ip, settings);
      return pod !== undefined && !isOverdue(pod) && entry === `pod:${pod.namespace}/${pod.serviceAccount}`;
    }
    const [address = '', length] = entry.split('/');
    const isSingle = length === undefined || length === (address.includes(':') ? '128' : '32');
    return isSingle ? canonical(address) === ip : isIn(ip, entry) && nobodys(ip, settings) !== undefined;
  });
}

const subnets = new Map<string, BlockList>();

function isIn(ip: string, cidr: string): boolean {
  const [address = '', length] = cidr.split('/');
  const family = (text: string): 'ipv4' | 'ipv6' => (text.includes(':') ? 'ipv6' : 'ipv4');
  const list = subnets.get(cidr) ?? new BlockList();
  if (!subnets.has(cidr)) list.addSubnet(address, Number(length), family(address));
  subnets.set(cidr, list);
  return family(ip) === family(address) && list.check(ip, family(ip));
}
