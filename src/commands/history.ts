import { firstToken } from './token-file.ts';
import { askHistory } from './lookup/ask-history.ts';
import { renderHistory } from './lookup/render.ts';
import type { Format } from './lookup/formats.ts';

export interface HistoryOptions {
  readonly address: string;
  /** A duration, or a time; undefined: as far back as is known. */
  readonly since: string | undefined;
  readonly server: string;
  /** Its first token is sent. */
  readonly tokenFile?: string | undefined;
  readonly format: Format;
  readonly write: (text: string) => void;
  readonly signal?: AbortSignal;
}

/**
 * `podwhois history`. Writes one row for each time that a pod held the address, the oldest first. Returns the exit code: 1 when there is none.
 * Throws `LookupError` when the server gives no answer.
 */
export async function history({
  address,
  since,
  server,
  tokenFile,
  format,
  write,
  signal,
}: HistoryOptions): Promise<number> {
  const token = tokenFile === undefined ? undefined : await firstToken(tokenFile);
  const answer = await askHistory({ server, token, signal }, address, since);
  write(renderHistory(answer, format));
  return answer.history.length === 0 ? 1 : 0;
}
