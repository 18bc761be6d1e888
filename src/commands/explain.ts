import type { Explanation } from './explain/render.ts';
import { renderExplanation } from './explain/render.ts';
import { escapeInDocument } from '../terminal.ts';
import { firstToken } from './token-file.ts';
import { agentFor, exchange, isRecord, notPodwhois } from './lookup/ask.ts';

export interface ExplainOptions {
  readonly server: string;
  /** Its first token is sent. */
  readonly tokenFile?: string | undefined;
  readonly ip: string;
  readonly path?: string | undefined;
  readonly method?: string | undefined;
  readonly host?: string | undefined;
  /** The constraints as they stand in the proxy's configuration: `namespace=a&node=b`. */
  readonly query?: string | undefined;
  readonly format: 'text' | 'json';
  readonly write: (text: string) => void;
  readonly signal?: AbortSignal;
}

/**
 * `podwhois explain`: how a running podwhois would answer a preflight, and why. Returns the exit code: 0 allowed, 1 denied. Throws
 * `LookupError` when the server gives no answer.
 */
export async function explain(options: ExplainOptions): Promise<number> {
  const { server, tokenFile, format, write, signal, ...question } = options;
  const { query, ...facts } = question;
  const token = tokenFile === undefined ? undefined : await firstToken(tokenFile);
  const target = { server, token, signal };
  const parameters = new URLSearchParams();
  for (const [name, value] of Object.entries(facts)) if (value !== undefined) parameters.set(name, value);
  const constraints = query ? `&${query.replace(/^\?/, '')}` : '';
  const agent = agentFor(target);
  try {
    const { status, body } = await exchange(target, `explain?${parameters.toString()}${constraints}`, { agent });
    if (status !== 200 || !isExplanation(body)) throw notPodwhois(server, status, body);
    write(
      format === 'json' ? `${escapeInDocument(JSON.stringify(body, null, 2))}\n` : renderExplanation(body, question),
    );
    return body.allow ? 0 : 1;
  } finally {
    await agent.destroy();
  }
}

/** As much of it as the rendering needs. */
function isExplanation(body: unknown): body is Explanation & Record<string, unknown> {
  return (
    isRecord(body) &&
    typeof body['allow'] === 'boolean' &&
    isRecord(body['caller']) &&
    Array.isArray(body['rules']) &&
    body['rules'].every(isRecord)
  );
}
