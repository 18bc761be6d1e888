// Not by its name: an old Node has none, and would end on that before it comes to say that it is too old.
import tls from 'node:tls';
import { Agent, request } from 'undici';
import { oneLine } from '../../terminal.ts';

/** What one address is answered with: a row of `POST /pods/lookup`, or made from the answer of `GET /pod`. */
export interface Result {
  readonly ip: string;
  readonly status: number;
  readonly code?: string;
  readonly reason?: string;
  readonly message?: string;
  readonly candidates?: readonly { readonly namespace: string; readonly name: string; readonly uid: string }[];
  readonly pod?: Readonly<Record<string, unknown>>;
  /** Who had it last before the time that was asked about, and first after it, where nobody was watching then. */
  readonly before?: Readonly<Record<string, unknown>>;
  readonly after?: Readonly<Record<string, unknown>>;
}

/** No answer to be had from the server: a sentence that names the setting to change. */
export class LookupError extends Error {
  override readonly name = 'LookupError';
}

/** As many as `POST /pods/lookup` takes. */
const BATCH = 1000;
const TIMEOUT_MS = 10_000;
/** A thousand pods, each with more labels and containers than the API server would store. */
const MAX_BODY = 256 * 2 ** 20;

const CHANGE = 'set --server or PODWHOIS_URL';

export interface Target {
  readonly server: string;
  readonly token?: string | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Told with every answer how old what podwhois knows of the cluster was, in milliseconds, where it says so. */
  readonly onAge?: ((ms: number) => void) | undefined;
}

export interface Addresses {
  readonly ips: readonly string[];
  /** Who had them then; undefined: now. */
  readonly at?: string | undefined;
}

/** Asks for all addresses and returns one result each, in order. Throws `LookupError`. */
export async function askServer(target: Target, { ips, at }: Addresses): Promise<Result[]> {
  const agent = agentFor(target);
  const results: Result[] = [];
  try {
    const [only] = ips;
    if (ips.length === 1 && only !== undefined) return [await askOne(target, { ip: only, at }, agent)];
    for (let start = 0; start < ips.length; start += BATCH) {
      results.push(...(await askBatch(target, { ips: ips.slice(start, start + BATCH), at }, agent)));
    }
    return results;
  } finally {
    await agent.destroy();
  }
}
/** One connection to the server. */
export function agentFor({ server }: Target): Agent {
  // Node trusts its own list and NODE_EXTRA_CA_CERTS; a cluster's CA is more often installed in the system.
  const ca = server.startsWith('https:')
    ? [...tls.getCACertificates('default'), ...tls.getCACertificates('system')]
    : undefined;
  return new Agent({ connections: 1, maxResponseSize: MAX_BODY, ...(ca && { connect: { ca } }) });
}

interface Address {
  readonly ip: string;
  readonly at: string | undefined;
}

async function askOne(target: Target, { ip, at }: Address, agent: Agent): Promise<Result> {
  const then = at === undefined ? '' : `&at=${encodeURIComponent(at)}`;
  const { status, body } = await exchange(target, `pod?ip=${encodeURIComponent(ip)}${then}`, { agent });
  if (status === 200 && isRecord(body) && typeof body['uid'] === 'string') return { ip, status, pod: body };
  // A 404 of some other server must not read as "no pod".
  if (status !== 200 && isErrorBody(body) && (status !== 404 || 'reason' in body)) return { ...pick(body), ip, status };
  throw notPodwhois(target.server, status, body);
}

async function askBatch(target: Target, { ips, at }: Addresses, agent: Agent): Promise<Result[]> {
  const { server } = target;
  const { status, body } = await exchange(target, 'pods/lookup', { agent, json: { ips, at } });
  const results = isRecord(body) ? body['results'] : undefined;
  if (status !== 200 || !Array.isArray(results) || results.length !== ips.length)
    throw notPodwhois(server, status, body);
  return results.map((row: unknown, position) => {
    const ip = ips[position] ?? '';
    if (!isRecord(row) || row['ip'] !== ip || typeof row['status'] !== 'number')
      throw notPodwhois(server, status, body);
    const pod = row['pod'];
    if ((row['status'] === 200) !== isRecord(pod)) throw notPodwhois(server, status, body);
    return { ...pick(row), ip, status: row['status'], ...(isRecord(pod) && { pod }) };
  });
}

interface Exchange {
  readonly agent: Agent;
  readonly json?: unknown;
}

export async function exchange(
  { server, token, signal, onAge }: Target,
  path: string,
  { agent, json }: Exchange,
): Promise<{ status: number; body: unknown }> {
  const authorization = token === undefined ? {} : { authorization: `Bearer ${token}` };
  let answer: { readonly status: number; readonly body: unknown };
  try {
    const timeout = AbortSignal.timeout(TIMEOUT_MS);
    const { statusCode, headers, body } = await request(`${server}/${path}`, {
      dispatcher: agent,
      signal: signal ? AbortSignal.any([signal, timeout]) : timeout,
      ...(json === undefined
        ? { method: 'GET', headers: authorization }
        : {
            method: 'POST',
            body: JSON.stringify(json),
            headers: { 'content-type': 'application/json', ...authorization },
          }),
    });
    const seconds = Number(headers['x-podwhois-age'] ?? NaN);
    if (Number.isFinite(seconds)) onAge?.(seconds * 1000);
    answer = { status: statusCode, body: parsed(await body.text()) };
  } catch (error) {
    throw new LookupError(`cannot ask ${oneLine(server)}: ${because(error)}`);
  }
  if (answer.status !== 401) return answer;
  const refused = token === undefined ? 'wants a token' : 'does not accept the token';
  throw new LookupError(`${oneLine(server)} ${refused}: set --token-file or PODWHOIS_TOKEN_FILE`);
}

/** OpenSSL's names for a certificate that leads to no certificate authority known here. */
const UNTRUSTED = /^(?:DEPTH_ZERO_SELF_SIGNED_CERT|SELF_SIGNED_CERT_IN_CHAIN|UNABLE_TO_\w+)$/;

/** What went wrong, and what to change. */
function because(error: unknown): string {
  const { code } = error as { code?: unknown };
  if (typeof code === 'string' && UNTRUSTED.test(code))
    return `its certificate comes from no authority that is known here (${code}); set NODE_EXTRA_CA_CERTS to a file with that authority's`;
  if (code === 'UND_ERR_SOCKET')
    return `the connection was closed without an answer; ${CHANGE}, with https:// where podwhois has a certificate`;
  return `${fault(error)}; ${CHANGE} to where podwhois listens`;
}

function fault(error: unknown): string {
  const { code, name, message } = error as { code?: unknown; name?: unknown; message?: unknown };
  if (code === 'ECONNREFUSED') return 'nothing listens there (connection refused)';
  if (code === 'ENOTFOUND' || code === 'EAI_AGAIN') return 'its host name is not known';
  if (name === 'TimeoutError') return `no answer within ${TIMEOUT_MS / 1000} s`;
  return oneLine(String(message || code || name));
}

const parsed = (text: string): unknown => {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
};

export const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

const isErrorBody = (body: unknown): body is Record<string, unknown> =>
  isRecord(body) && typeof body['code'] === 'string' && typeof body['message'] === 'string';

/** What is known of an error, and only where it has the type it should have. */
function pick(body: Readonly<Record<string, unknown>>): Omit<Result, 'ip' | 'status' | 'pod'> {
  const { code, reason, message, candidates, before, after } = body;
  return {
    ...(typeof code === 'string' && { code }),
    ...(typeof reason === 'string' && { reason }),
    ...(typeof message === 'string' && { message }),
    ...(isRecord(before) && { before }),
    ...(isRecord(after) && { after }),
    ...(Array.isArray(candidates) && {
      candidates: candidates.filter(isRecord).map((one) => ({
        namespace: String(one['namespace']),
        name: String(one['name']),
        uid: String(one['uid']),
      })),
    }),
  };
}

export function notPodwhois(server: string, status: number, body: unknown): LookupError {
  const where = oneLine(server);
  return isErrorBody(body)
    ? new LookupError(
        `${where} answers ${status} ${oneLine(String(body['code']))}: ${oneLine(String(body['message']))}`,
      )
    : new LookupError(`${where} answers ${status} with something that is not podwhois' answer; ${CHANGE}`);
}
