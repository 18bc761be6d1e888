import { answer } from '../../index/answer.ts';
import { canonicalIp } from '../../index/ip-address.ts';
import { oneLine } from '../../terminal.ts';
import { deny } from './caller.ts';
import { presetOf } from './presets.ts';
import type { Preset, PresetName } from './presets.ts';
import { factsOf, UNKNOWN_REQUEST } from './request-facts.ts';
import { headerReader } from './request-headers.ts';
import type { Heard } from './request-headers.ts';
import { ProxyTrust } from './trusted-proxies.ts';
import type { Known, TrustedProxy } from './trusted-proxies.ts';
import type { Denied, RequestFacts } from './verdict.ts';

/** What is looked at of a request: Node's IncomingMessage is one. */
export interface PreflightRequest {
  readonly rawHeaders: readonly string[];
  readonly method?: string | undefined;
  readonly url?: string | undefined;
  readonly socket: { readonly remoteAddress?: string | undefined };
}

/** Who calls, as an address, and what is known of the request. */
export interface Client {
  /** Canonical. */
  readonly ip: string;
  readonly facts: RequestFacts;
}

export interface ClientOptions extends Known {
  readonly proxies: readonly TrustedProxy[];
  readonly preset: PresetName | undefined;
  readonly clientIpHeader: string | undefined;
  /** The headers that tell the back end who calls: what reads like one of them denies, too. */
  readonly identityHeaders: readonly string[];
}

/**
 * From a preflight to its client's address (rules E1, E5, E8). Reads the index, because a pod may be a trusted proxy and a network
 * never makes a pod one; does nothing else. The index must be fresh.
 */
export class ClientAddresses {
  readonly #known: Known;
  readonly #trust: ProxyTrust;
  readonly #preset: Preset;
  readonly #header: string;
  /** The header was asked for by name or by preset, so that it must be there (rule E8). */
  readonly #explicit: boolean;
  readonly #mayHaveAddedItself: boolean;
  readonly #read: (rawHeaders: readonly string[]) => Heard;

  constructor({ proxies, preset, clientIpHeader, identityHeaders, ...known }: ClientOptions) {
    this.#known = known;
    this.#trust = new ProxyTrust(proxies, known);
    this.#preset = presetOf(preset);
    this.#header = clientIpHeader ?? this.#preset.client;
    this.#explicit = preset !== undefined || clientIpHeader !== undefined;
    this.#mayHaveAddedItself = preset === 'envoy' && this.#header.toLowerCase() === 'x-forwarded-for';
    this.#read = headerReader(this.#preset, this.#header, identityHeaders);
  }

  of(request: PreflightRequest, wallClockMs: number): Client | Denied {
    const peer = peerOf(request.socket.remoteAddress);
    if (peer === undefined) return deny('invalid-address', 'the connection has no peer any more');
    const heard = this.#read(request.rawHeaders);
    return this.#trust.has(peer, wallClockMs)
      ? this.#behindProxy(peer, heard, request, wallClockMs)
      : this.#withoutProxy(peer, heard);
  }

  #withoutProxy(peer: string, heard: Heard): Client | Denied {
    if (heard.forwarding !== undefined) {
      return deny('untrusted-proxy', `${this.#describe(peer)} sent ${heard.forwarding} and is not in TRUSTED_PROXIES`);
    }
    if (heard.fault !== undefined) return deny('invalid-header', heard.fault);
    if (this.#explicit) return deny('missing-header', `${this.#header} from ${this.#describe(peer)}`);
    return { ip: peer, facts: UNKNOWN_REQUEST };
  }

  #behindProxy(peer: string, heard: Heard, request: PreflightRequest, wallClockMs: number): Client | Denied {
    if (heard.fault !== undefined) return deny('invalid-header', heard.fault);
    if (heard.client === undefined) return deny('missing-header', `${this.#header} from ${peer}`);
    const facts = factsOf(this.#preset, heard, request);
    if (typeof facts === 'string') return deny('invalid-header', facts);

    const list = heard.client;
    for (let end = list.length; ;) {
      const comma = list.lastIndexOf(',', end - 1);
      const text = trimmed(list, comma + 1, end);
      const ip = canonicalIp(text);
      if (ip === undefined) {
        return deny('invalid-address', `${this.#header} from ${peer}: "${oneLine(text, 60)}" is not a plain address`);
      }
      const isProxy = this.#trust.has(ip, wallClockMs);
      if (isProxy && comma >= 0) end = comma;
      else if (this.#mayHaveAddedItself && (isProxy || this.#areOfOnePod(ip, peer))) {
        return deny('missing-header', `${this.#header} from ${peer} names nobody but the proxy itself, ${ip}`);
      } else return { ip, facts };
    }
  }

  #areOfOnePod(ip: string, peer: string): boolean {
    const found = answer(this.#known.index, ip, this.#known.view);
    return found.kind === 'one' && found.pod.podIps.includes(peer);
  }

  /** The address, and as whom it would have to be listed. */
  #describe(peer: string): string {
    const found = answer(this.#known.index, peer, this.#known.view);
    return found.kind === 'one' ? `${peer} (pod:${found.pod.namespace}/${found.pod.serviceAccount})` : peer;
  }
}

/** The socket's idea of an address: IPv4 may come mapped, and a link-local one with its zone. */
function peerOf(address: string | undefined): string | undefined {
  if (address === undefined) return undefined;
  const zone = address.indexOf('%');
  return canonicalIp(zone < 0 ? address : address.slice(0, zone));
}

/** Without the spaces and tabs that HTTP allows around an element of a list; `trim()` would take more. */
function trimmed(text: string, start: number, end: number): string {
  while (start < end && isBlank(text.charCodeAt(start))) start++;
  while (end > start && isBlank(text.charCodeAt(end - 1))) end--;
  return text.slice(start, end);
}

const isBlank = (code: number): boolean => code === 0x20 || code === 0x09;
