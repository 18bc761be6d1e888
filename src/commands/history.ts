import { firstToken } from './token-file.ts';
import { askHistory } from './lookup/ask-history.ts';
import { renderHistory } from './lookup/render.ts';
import type { Asked } from './lookup/ask-history.ts';
import type { Format } from './lookup/formats.ts';

export interface HistoryOptions extends Asked {
  readonly server: string;
  /** Its first token is sent. */
  readonly tokenFile?: string | undefined;
  readonly format: Format;
  readonly write: (text: string) => void;
  readonly complain: (text: string) => void;
  readonly signal?: AbortSignal;
}

/**
 * `podwhois history`. Writes one row for each time that a pod held the address, the oldest first. Returns the exit code: 1 when there is none.
 * Throws `LookupError` when the server gives no answer.
 */
export async function history({
  server,
  tokenFile,
  format,
  write,
  complain,
  signal,
  ...asked
}: HistoryOptions): Promise<number> {
  const token = tokenFile === undefined ? undefined : await firstToken(tokenFile);
  const answer = await askHistory({ server, token, signal }, asked);
  write(renderHistory(answer, format));
  if (answer.continue !== undefined) complain('podwhois: there are more: ask with another --since or --limit\n');
  if (answer.history.length > 0) return 0;
  complain('podwhois: nobody is known to have had it in that time\n');
  return 1;
}
