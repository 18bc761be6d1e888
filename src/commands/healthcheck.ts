import { isIP } from 'node:net';
import { Agent, request } from 'undici';
import { oneLine } from '../terminal.ts';

export interface HealthcheckOptions {
  readonly host: string | undefined;
  readonly port: number;
  /** Set: the service speaks HTTPS. */
  readonly tlsCertFile?: string | undefined;
  /** Ask whether it is ready, not only whether it is alive. */
  readonly ready: boolean;
  readonly complain: (text: string) => void;
  readonly timeoutMs?: number;
}

/** `podwhois healthcheck`, for a container's HEALTHCHECK: 0 when the service on this machine says it is well, else 1. */
export async function healthcheck({
  host,
  port,
  tlsCertFile,
  ready,
  complain,
  timeoutMs = 3000,
}: HealthcheckOptions): Promise<number> {
  const scheme = tlsCertFile === undefined ? 'http' : 'https';
  const url = `${scheme}://${authorityOf(host, port)}/${ready ? 'ready' : 'health'}`;
  // This machine asks itself, and its certificate need not name the address it does that by. Nothing secret is sent.
  const agent = new Agent({ connect: { rejectUnauthorized: false } });
  try {
    const { statusCode, body } = await request(url, { dispatcher: agent, signal: AbortSignal.timeout(timeoutMs) });
    if (statusCode === 200) return 0;
    complain(`${url} answers ${statusCode}: ${oneLine(await body.text(), 500)}`);
  } catch (error) {
    const { code, message } = error as { code?: unknown; message?: unknown };
    complain(`${url} does not answer: ${oneLine(String(message || code))}`);
  } finally {
    await agent.destroy();
  }
  return 1;
}

/** Where this machine reaches what listens on HOST and PORT. Unset HOST is `::` with IPv4 too or 0.0.0.0: both hear 127.0.0.1. */
export function authorityOf(host: string | undefined, port: number): string {
  if (host === undefined || host === '0.0.0.0') return `127.0.0.1:${port}`;
  if (/^[0:]+$/.test(host)) return `[::1]:${port}`;
  return `${isIP(host) === 6 ? `[${host}]` : host}:${port}`;
}
