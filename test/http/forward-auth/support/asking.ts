import { ClientAddresses } from '../../../../src/http/forward-auth/client-address.ts';
import type { Client, PreflightRequest } from '../../../../src/http/forward-auth/client-address.ts';
import type { PresetName } from '../../../../src/http/forward-auth/presets.ts';
import { DEFAULT_IDENTITY_HEADERS, trustedProxies } from '../../../../src/http/forward-auth/setting-parsers.ts';
import type { TrustedProxy } from '../../../../src/http/forward-auth/trusted-proxies.ts';
import type { Denied } from '../../../../src/http/forward-auth/verdict.ts';
import type { View } from '../../../../src/index/answer.ts';
import type { PodIndex } from '../../../../src/index/pod-index.ts';
import { NOW, SLACK, smallCluster, WHOLE } from './cluster.ts';

export interface Settings {
  readonly trusted?: string;
  readonly preset?: PresetName | undefined;
  readonly clientIpHeader?: string | undefined;
  readonly identityHeaders?: readonly string[];
  readonly view?: View;
}

export interface Sent {
  /** As the socket tells it; undefined: it is closed. */
  readonly from: string | undefined;
  readonly headers?: readonly (readonly [string, string])[];
  readonly method?: string;
  readonly url?: string;
}

const cluster = smallCluster();

export function addressesFor(settings: Settings, index: PodIndex = cluster): ClientAddresses {
  return new ClientAddresses({
    proxies: settings.trusted === undefined ? [] : (trustedProxies(settings.trusted) as readonly TrustedProxy[]),
    preset: settings.preset,
    clientIpHeader: settings.clientIpHeader,
    identityHeaders: settings.identityHeaders ?? Object.values(DEFAULT_IDENTITY_HEADERS),
    index,
    view: settings.view ?? WHOLE,
    terminatingSlackMs: SLACK,
  });
}

export const preflightOf = ({ from, headers = [], method = 'GET', url = '/authorize' }: Sent): PreflightRequest => ({
  rawHeaders: headers.flat(),
  method,
  url,
  socket: { remoteAddress: from },
});

export const clientOf = (settings: Settings, sent: Sent): Client | Denied =>
  addressesFor(settings).of(preflightOf(sent), NOW);

/** The client's address, or the reason of the denial. */
export function told(settings: Settings, sent: Sent): string {
  const client = clientOf(settings, sent);
  return 'ip' in client ? client.ip : client.reason;
}
