import { agentFor, exchange, isRecord, notPodwhois } from './ask.ts';
import type { Target } from './ask.ts';

/** What `GET /pods/history` answers, all of its pages. */
export interface History {
  readonly history: readonly Readonly<Record<string, unknown>>[];
  readonly known_from: string;
  readonly holes: readonly { readonly from: unknown; readonly until: unknown }[];
}

/** More than anybody reads; what is more is to be asked for in parts. */
const MOST_PAGES = 100;

/** Asks for who held an address. `since`: a duration, which is so long ago, or a time. Throws `LookupError`. */
export async function askHistory(target: Target, ip: string, since: string | undefined): Promise<History> {
  const query = new URLSearchParams({ ip, limit: '1000' });
  // A duration begins with a digit as a time does, and holds no colon.
  if (since !== undefined) query.set('since', since.includes(':') || since.startsWith('-') ? since : `-${since}`);
  const agent = agentFor(target);
  const history: Readonly<Record<string, unknown>>[] = [];
  try {
    for (let page = 1; ; page++) {
      const { status, body } = await exchange(target, `pods/history?${query.toString()}`, { agent });
      if (status !== 200 || !isAnswer(body)) throw notPodwhois(target.server, status, body);
      history.push(...body.history);
      const { continue: token, known_from, holes } = body;
      if (typeof token !== 'string' || page === MOST_PAGES) return { history, known_from, holes };
      query.set('continue', token);
    }
  } finally {
    await agent.destroy();
  }
}

function isAnswer(body: unknown): body is History & { readonly continue?: unknown } {
  return (
    isRecord(body) &&
    Array.isArray(body['history']) &&
    body['history'].every(isRecord) &&
    typeof body['known_from'] === 'string' &&
    Array.isArray(body['holes']) &&
    body['holes'].every(isRecord)
  );
}
