import { createHash } from 'node:crypto';
import { Agent } from 'undici';
import { ApiError, UnexpectedAnswer, explain } from './api-error.ts';
import type { Logger } from 'pino';
import type { buildConnector, Dispatcher } from 'undici';
import type { Clock } from './clock.ts';
import type { Access, Credentials } from './credentials.ts';
import type { ApiResponse, GetOptions, Transport } from './list-watch.ts';
import type { WireFormat } from './wire/format.ts';

export interface ClientOptions {
  readonly access: Access;
  /** By media type, in order of preference. */
  readonly formats: Readonly<Record<string, WireFormat>>;
  readonly clock: Clock;
  readonly log: Logger;
  /** `podwhois/1.2.3`. Not a browser's or curl's: for those the API server pretty-prints, which doubles the bytes. */
  readonly userAgent: string;
  readonly connectTimeoutMs?: number;
}

/** Rule B10. */
const CREDENTIALS_FOR_MS = 60_000;
const MAX_ERROR_BYTES = 64 * 1024;

/** GETs over one long-lived agent. Deadlines are the caller's, by signal; here is only that of connecting. */
export class ApiClient implements Transport {
  readonly #options: ClientOptions;
  readonly #origin: string;
  readonly #prefix: string;
  readonly #accept: string;
  #agent: Agent | undefined;
  #agentIsFor = '';
  #credentials: Credentials | undefined;
  #credentialsAt = -Infinity;
  #renewal: Promise<void> | undefined;

  constructor(options: ClientOptions) {
    this.#options = options;
    const { origin, pathname } = new URL(options.access.baseUrl);
    this.#origin = origin;
    this.#prefix = pathname.replace(/\/+$/, '');
    this.#accept = Object.keys(options.formats).join(', ');
  }

  async get(path: string, signal: AbortSignal, { as }: GetOptions = {}): Promise<ApiResponse> {
    const accept = as === undefined ? this.#accept : this.#acceptAs(as);
    const used = await this.#current(signal);
    let response = await this.#request(path, accept, used, signal);
    if (response.statusCode === 401) {
      await drop(response);
      // Unless another request has renewed them meanwhile.
      if (this.#credentials === used) await abortable(this.#renew(true), signal);
      const renewed = await this.#current(signal);
      if (sameCredentials(used, renewed)) {
        throw new ApiError(401, { reason: 'Unauthorized', message: 'the API server does not accept the credentials' });
      }
      response = await this.#request(path, accept, renewed, signal);
    }
    const format = this.#formatOf(response);
    if (response.statusCode !== 200) throw await refusal(response, format);
    if (format && isIdentity(response)) return { format, body: response.body };
    await drop(response);
    const type = String(response.headers['content-type'] ?? 'none');
    throw new UnexpectedAnswer(
      format
        ? `a compressed answer, which was not asked for (content encoding ${String(response.headers['content-encoding'])})`
        : `an answer of content type ${type} is not from a Kubernetes API server: a proxy, or the wrong address?`,
    );
  }

  /** Cuts what is still open. */
  async close(): Promise<void> {
    await this.#agent?.destroy();
    this.#agent = undefined;
  }

  async #current(signal: AbortSignal): Promise<Credentials> {
    const { clock, log } = this.#options;
    if (!this.#credentials || clock.now() - this.#credentialsAt >= CREDENTIALS_FOR_MS) {
      try {
        await abortable(this.#renew(false), signal);
      } catch (error) {
        signal.throwIfAborted();
        if (!this.#credentials) throw error;
        // A file in the middle of its rotation: what was read before may still do.
        this.#credentialsAt = clock.now();
        log.warn({ reason: explain(error) }, 'credentials cannot be read again');
      }
    }
    if (!this.#credentials) throw new Error('no credentials');
    return this.#credentials;
  }

  /** One at a time: several watches may see the same 401. */
  #renew(forget: boolean): Promise<void> {
    if (!this.#renewal) {
      const renewed = this.#options.access.credentials(forget).then((credentials) => {
        this.#credentials = credentials;
        this.#credentialsAt = this.#options.clock.now();
      });
      this.#renewal = renewed.finally(() => (this.#renewal = undefined));
      this.#renewal.catch(() => {}); // who asked for it may have been aborted, and must not have to hear of it
    }
    return this.#renewal;
  }

  async #request(
    path: string,
    accept: string,
    { tls, headers }: Credentials,
    signal: AbortSignal,
  ): Promise<Dispatcher.ResponseData> {
    return await this.#agentFor(tls).request({
      origin: this.#origin,
      path: this.#prefix + path,
      method: 'GET',
      headers: {
        ...headers,
        accept,
        'accept-encoding': 'identity', // inside a cluster gzip costs twice what it saves
        'user-agent': this.#options.userAgent,
      },
      signal,
    });
  }

  /** API concepts, "Metadata-only fetches". What is asked for last is what a server sends that cuts nothing down. */
  #acceptAs(as: string): string {
    const types = Object.keys(this.#options.formats);
    return [...types.map((type) => `${type};as=${as};g=meta.k8s.io;v=v1`), this.#accept].join(', ');
  }

  /** Rule B10: a changed CA or client certificate makes a new agent; what runs over the old one may end there. */
  #agentFor(tls: Credentials['tls']): Agent {
    const key = digest(tls);
    if (this.#agent && this.#agentIsFor === key) return this.#agent;
    void this.#agent?.close();
    this.#agentIsFor = key;
    this.#agent = new Agent({
      allowH2: false, // gains nothing here, and would put all watches on one connection
      headersTimeout: 0,
      bodyTimeout: 0,
      connect: {
        ...tls,
        timeout: this.#options.connectTimeoutMs ?? 5_000,
        keepAlive: true,
        keepAliveInitialDelay: 15_000,
      } as buildConnector.BuildOptions,
    });
    return this.#agent;
  }

  #formatOf(response: Dispatcher.ResponseData): WireFormat | undefined {
    const type = String(response.headers['content-type'] ?? '').split(';', 1)[0] ?? '';
    return Object.hasOwn(this.#options.formats, type.trim().toLowerCase())
      ? this.#options.formats[type.trim().toLowerCase()]
      : undefined;
  }
}

function digest(tls: Credentials['tls']): string {
  return createHash('sha256')
    .update(JSON.stringify(tls ?? null))
    .digest('hex');
}

function sameCredentials(a: Credentials, b: Credentials): boolean {
  return digest(a.tls) === digest(b.tls) && JSON.stringify(a.headers) === JSON.stringify(b.headers);
}

function isIdentity(response: Dispatcher.ResponseData): boolean {
  return ['', 'identity'].includes(String(response.headers['content-encoding'] ?? '').toLowerCase());
}

async function drop(response: Dispatcher.ResponseData): Promise<void> {
  // Short ones are read to their end, so that the connection can be used again.
  await response.body.dump({ limit: MAX_ERROR_BYTES }).catch(() => {});
}

async function refusal(response: Dispatcher.ResponseData, format: WireFormat | undefined): Promise<Error> {
  const { statusCode, headers } = response;
  if (statusCode >= 300 && statusCode < 400) {
    await drop(response);
    return new UnexpectedAnswer(`a redirect (${statusCode}), which an API server does not send`);
  }
  const body = await beginning(response); // of any format: what is not read keeps its connection
  const status = format?.status(body);
  const retryAfterMs = retryAfter(headers['retry-after']) ?? (status?.retryAfterSeconds ?? 0) * 1000;
  return new ApiError(statusCode, {
    reason: status?.reason ?? '',
    message: status?.message ?? '',
    retryAfterMs,
  });
}

async function beginning(response: Dispatcher.ResponseData): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  try {
    for await (const chunk of response.body as AsyncIterable<Uint8Array>) {
      chunks.push(chunk);
      size += chunk.length;
      if (size > MAX_ERROR_BYTES) break;
    }
  } catch {
    // the status line is enough
  }
  return Buffer.concat(chunks);
}

/** Seconds, or a date. */
function retryAfter(header: string | string[] | undefined): number | undefined {
  const text = String(header ?? '').trim();
  if (/^\d{1,9}$/.test(text)) return Number(text) * 1000;
  const date = Date.parse(text);
  return Number.isNaN(date) ? undefined : Math.max(0, date - Date.now());
}

/** A promise that cannot be aborted goes on; only the waiting for it ends. */
async function abortable<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  signal.throwIfAborted();
  let stop: (() => void) | undefined;
  const aborted = new Promise<never>((_resolve, reject) => {
    stop = () => reject(signal.reason as Error);
    signal.addEventListener('abort', stop);
  });
  try {
    return await Promise.race([promise, aborted]);
  } finally {
    if (stop) signal.removeEventListener('abort', stop);
  }
}
