import { agentFor, exchange, isRecord, notPodwhois } from './ask.ts';
import type { Target } from './ask.ts';
import { pastTime } from './past-time.ts';

/** What `GET /pods/history` answers, all of its pages. */
export interface History {
  readonly history: readonly Readonly<Record<string, unknown>>[];
  readonly known_from: string;
  readonly holes: readonly { readonly from: unknown; readonly until: unknown }[];
  /** There are more rows than were asked for. */
  readonly continue?: string;
}

/** More than anybody reads; what is more is to be asked for in parts. */
const MOST_PAGES = 100;

/** As many as `GET /pods/history` gives at once. */
const PAGE = 1000;

/** Of one address, what is asked for. */
export interface Asked {
  readonly ip: string;
  /** A duration, which is so long ago, or a time; undefined: as far back, or as late, as is known. */
  readonly since: string | undefined;
  readonly until: string | undefined;
  /** At most so many rows, the oldest; a whole number above 0. undefined: all. */
  readonly limit: number | undefined;
}

/** Asks for who held an address. Throws `LookupError`, for a time that is none too. */
export async function askHistory(target: Target, { ip, since, until, limit = Infinity }: Asked): Promise<History> {
  const query = new URLSearchParams({ ip });
  if (since !== undefined) query.set('since', pastTime('--since', since));
  if (until !== undefined) query.set('until', pastTime('--until', until));
  const agent = agentFor(target);
  const history: Readonly<Record<string, unknown>>[] = [];
  try {
    for (let page = 1; ; page++) {
      query.set('limit', String(Math.min(PAGE, limit - history.length)));
      const { status, body } = await exchange(target, `pods/history?${query.toString()}`, { agent });
      if (status !== 200 || !isAnswer(body)) throw notPodwhois(target.server, status, body);
      history.push(...body.history);
      const { continue: token, known_from, holes } = body;
      const isEnough = history.length >= limit || page === MOST_PAGES;
      if (token === undefined) return { history, known_from, holes };
      if (isEnough) return { history, known_from, holes, continue: token };
      query.set('continue', token);
    }
  } finally {
    await agent.destroy();
  }
}

function isAnswer(body: unknown): body is History {
  return (
    isRecord(body) &&
    Array.isArray(body['history']) &&
    body['history'].every(isRecord) &&
    typeof body['known_from'] === 'string' &&
    Array.isArray(body['holes']) &&
    body['holes'].every(isRecord) &&
    ['string', 'undefined'].includes(typeof body['continue'])
  );
}
