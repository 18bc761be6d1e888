import type { Readable } from 'node:stream';
import { formatDuration } from '../duration.ts';
import { firstToken } from './token-file.ts';
import { askServer, LookupError } from './lookup/ask.ts';
import type { Result } from './lookup/ask.ts';
import { pastTime } from './lookup/past-time.ts';
import { render } from './lookup/render.ts';
import type { Format } from './lookup/formats.ts';

/** More addresses than any cluster has; what is longer is not a list of addresses. */
const MAX_INPUT = 64 * 2 ** 20;

/** READY_MAX_STALENESS where it is not set: what is older comes from a podwhois that is not ready. A third of it is normal. */
const OLD_MS = 90_000;

export interface LookupOptions {
  readonly addresses: readonly string[];
  /** Who had them then; undefined: now. */
  readonly at?: string | undefined;
  readonly server: string;
  /** Its first token is sent. */
  readonly tokenFile?: string | undefined;
  readonly format: Format;
  readonly stdin: Readable;
  readonly write: (text: string) => void;
  /** Standard error: what is not the answer, and does not change the exit code. */
  readonly complain: (text: string) => void;
  readonly signal?: AbortSignal;
}

/**
 * `podwhois lookup`. Writes one row per address, in order. Returns the exit code: 2 on any error, else 1 on any miss or
 * ambiguous address, else 0. Throws `LookupError` when the server gives no answer.
 */
export async function lookup({
  addresses,
  at,
  server,
  tokenFile,
  format,
  stdin,
  write,
  complain,
  signal,
}: LookupOptions): Promise<number> {
  const then = at === undefined ? undefined : pastTime('--at', at);
  const ips: string[] = [];
  let read: readonly string[] | undefined;
  for (const address of addresses) {
    if (address === '-') ips.push(...(read ??= words(await textOf(stdin))));
    else ips.push(address);
  }
  if (ips.length === 0) throw new LookupError('standard input holds no address');
  const token = tokenFile === undefined ? undefined : await firstToken(tokenFile);
  let ageMs = 0;
  const onAge = (ms: number): void => void (ageMs = Math.max(ageMs, ms));
  const results = await askServer({ server, token, signal, onAge }, { ips, at: then });
  write(rendered(results, format));
  // Of the past it says nothing, for that does not depend on it.
  if (at === undefined && ageMs > OLD_MS) {
    complain(
      `podwhois: this was so ${formatDuration(Math.round(ageMs))} ago: podwhois has not read the cluster since\n`,
    );
  }
  return exitCode(results);
}

/** What nests thousands deep can be read and not be written; no pod does. */
function rendered(results: readonly Result[], format: Format): string {
  try {
    return render(results, format);
  } catch (error) {
    if (error instanceof RangeError)
      throw new LookupError('the answer nests too deeply: it is not podwhois that answers');
    throw error;
  }
}

export function exitCode(results: readonly Result[]): number {
  const isMiss = ({ status }: Result): boolean => status === 404 || status === 409;
  if (results.some((result) => result.status !== 200 && !isMiss(result))) return 2;
  return results.some(isMiss) ? 1 : 0;
}

/** Separated by white space or commas. */
const words = (text: string): string[] => text.split(/[\s,]+/).filter((word) => word !== '');

async function textOf(stream: Readable): Promise<string> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of stream as AsyncIterable<Buffer>) {
    chunks.push(chunk);
    if ((size += chunk.length) > MAX_INPUT)
      throw new LookupError('standard input is not a list of addresses: it is over 64 MiB');
  }
  return Buffer.concat(chunks).toString('utf8');
}
