import { Type } from 'typebox';
import { canonicalIp } from '../../index/ip-address.ts';
import type { Tenure } from '../../index/history/interval.ts';
import { ERRORS } from '../../errors.ts';
import { ascii, goneSignal, sendJson } from '../answering.ts';
import type { TenureKey, TenureSearch, Whose } from '../context.ts';
import { INSTANT, instantParameter } from '../instant.ts';
import { Slots } from '../outgoing.ts';
import { pageSize } from '../parameters.ts';
import type { App, Parts } from '../parts.ts';
import { Problem } from '../problem.ts';

import { answers, query, Tenure as TenureSchema, Text, Word } from '../schemas.ts';
import { tenureJson, textOf } from '../tenure-json.ts';

/** Intervals looked at in one turn of the event loop: well under a millisecond of work. */
const PIECE = 2_048;

/** Rows written in one. */
const ROWS = 128;

const Time = Type.Union([Type.String({ format: 'date-time' }), Type.Null()]);

/** `GET /pods/history`: who held an address when, or which addresses a pod held. */
export function historyRoutes(app: App, parts: Parts): void {
  const { limits, past } = parts;
  const scans = new Slots(limits.maxScans);

  app.get(
    '/pods/history',
    {
      schema: {
        summary: 'Who held this address when, or which addresses did this pod hold?',
        description:
          'Exactly one question: ip, uid, or namespace with name. One row for each time that a pod held an address, the oldest first, finished and host-network pods too: `finished`, `host_network` and `terminating` say how it was last.',
        querystring: query({
          ip: Type.Optional(Text('an IPv4 or IPv6 address', 8192)),
          uid: Type.Optional(Word("the pod's uid")),
          namespace: Type.Optional(Word('together with name')),
          name: Type.Optional(Word('together with namespace')),
          since: Type.Optional(Text(`only what did not end before: ${INSTANT}`, 64)),
          until: Type.Optional(Text(`only what began before: ${INSTANT}`, 64)),
          limit: Type.Optional(
            Type.String({
              pattern: '^[0-9]{1,9}$',
              description: `rows per page: ${limits.defaultPage} unless given, at most ${limits.maxPage}`,
            }),
          ),
          continue: Type.Optional(Text('of the page before', 8192)),
        }),
        response: answers(
          {
            200: Type.Object({
              count: Type.Integer({ description: 'rows in this page' }),
              history: Type.Array(TenureSchema),
              known_from: Type.String({ format: 'date-time', description: 'what ended before is forgotten' }),
              holes: Type.Array(Type.Object({ from: Time, until: Time }), {
                description: 'when nobody was watching; null: since ever, to this day',
              }),
              continue: Type.Optional(Type.String({ description: 'there are more: ask again with this' })),
            }),
          },
          ['invalid_request', 'invalid_ip', 'invalid_continue', 'not_synced', 'history_unavailable', 'overloaded'],
        ),
      },
    },
    async (request, reply) => {
      const { limit, continue: token, ...question } = request.query;
      const whose = whoseOf(question);
      const size = pageSize(limit, limits.defaultPage, limits.maxPage);
      const after = token === undefined ? undefined : keyOf(token, whose);
      if (past?.isReady !== true) throw new Problem('not_synced', ERRORS.not_synced.meaning);
      const [now, reach] = [past.now(), past.reach];
      const asked = instantParameter('since', question.since, now) ?? reach;
      if (asked > now) throw new Problem('invalid_request', 'since: lies in the future');
      const until = instantParameter('until', question.until, now) ?? Infinity;
      if (question.since !== undefined && until < asked)
        throw new Problem('invalid_request', 'until: lies before since');
      const since = Math.max(reach, asked);
      scans.take(reply.raw);
      const take = parts.room.begin(reply.raw);
      const signal = goneSignal(reply);
      const search = { whose, since, until, after, size: size + 1 };
      const found = await past.search(search);
      if (found === undefined)
        throw new Problem(
          'history_unavailable',
          `${ERRORS.history_unavailable.meaning}; a later since may be answered`,
        );
      const rows = await firstRows(parts, found.tenures, { search, signal });
      const { json, last } = await rowsJson(parts, rows.slice(0, size), { take, signal });
      const holes = found.holes.map((hole) => ({
        from: hole.from === -Infinity ? null : textOf(hole.from),
        until: hole.until === undefined ? null : textOf(hole.until),
      }));
      const known = `"known_from":"${textOf(reach)}","holes":${JSON.stringify(holes)}`;
      const more = last && last !== rows.at(-1) ? `,"continue":"${tokenFor(keyFor(last))}"` : '';
      return sendJson(reply, Buffer.concat([...json, ascii(`],${known}${more}}`)]));
    },
  );
}

interface PageOptions {
  /** Of the room for answers; false: there is no more, and the page ends. */
  readonly take: (bytes: number) => boolean;
  readonly signal: AbortSignal;
}

/** The page up to its last row, and which that is; in pieces like the search. */
async function rowsJson(
  { turns, limits, view }: Parts,
  rows: readonly Tenure[],
  { take, signal }: PageOptions,
): Promise<{ readonly json: readonly Buffer[]; readonly last: Tenure | undefined }> {
  const pieces: Buffer[] = [];
  let [count, bytes, full] = [0, 0, false];
  while (count < rows.length && !full && !signal.aborted) {
    let text = '';
    for (const row of rows.slice(count, count + ROWS)) {
      const json = tenureJson(row, view.partial);
      text += count === 0 ? json : `,${json}`;
      count++;
      bytes += json.length;
      full = !take(json.length) || bytes > limits.maxPageBytes;
      if (full) break;
    }
    pieces.push(ascii(text));
    if (count < rows.length) await turns.next();
  }
  return { json: [ascii(`{"count":${count},"history":[`), ...pieces], last: rows[count - 1] };
}

interface Question {
  readonly ip?: string;
  readonly uid?: string;
  readonly namespace?: string;
  readonly name?: string;
}

function whoseOf({ ip: text, uid, namespace, name }: Question): Whose {
  const named = namespace !== undefined || name !== undefined;
  if ([text !== undefined, uid !== undefined, named].filter(Boolean).length !== 1) {
    throw new Problem('invalid_request', 'expected exactly one question: ip, uid, or namespace and name');
  }
  if (uid !== undefined) return { uid };
  if (text !== undefined) {
    const ip = canonicalIp(text);
    if (ip === undefined) throw new Problem('invalid_ip', ERRORS.invalid_ip.meaning);
    return { ip };
  }
  if (namespace === undefined || name === undefined) {
    throw new Problem('invalid_request', 'namespace and name belong together');
  }
  return { namespace, name };
}

const isOf = ({ ip, holder }: Tenure, whose: Whose): boolean =>
  'ip' in whose
    ? ip === whose.ip
    : 'uid' in whose
      ? holder.uid === whose.uid
      : holder.name === whose.name && holder.namespace === whose.namespace;

interface FirstOptions {
  readonly search: TenureSearch;
  readonly signal: AbortSignal;
}

/** The first rows in order, in pieces that lookups are answered between. */
async function firstRows(
  { turns }: Parts,
  tenures: Iterable<Tenure | undefined>,
  { search: { whose, since, until, after, size }, signal }: FirstOptions,
): Promise<Tenure[]> {
  let rows: Tenure[] = [];
  let looked = 0;
  const isIn = (tenure: Tenure): boolean =>
    tenure.from.at < until &&
    (tenure.until?.at ?? Infinity) >= since &&
    (after === undefined || compareKeys(keyFor(tenure), after) > 0) &&
    isOf(tenure, whose);
  const cut = (): void => {
    rows.sort((a, b) => compareKeys(keyFor(a), keyFor(b)));
    // What ends while it is searched for is met twice.
    rows = rows.filter((row, i) => i === 0 || compareKeys(keyFor(row), keyFor(rows[i - 1] as Tenure)) !== 0);
    rows.length = Math.min(rows.length, size);
  };
  for (const tenure of tenures) {
    if (tenure && isIn(tenure) && rows.push(tenure) > 4 * size + 64) cut();
    if (++looked % PIECE !== 0) continue;
    await turns.next();
    if (signal.aborted) return [];
  }
  cut();
  return rows;
}

const keyFor = ({ from, ip, holder }: Tenure): TenureKey => [from.at, ip, holder.uid];

function compareKeys(a: TenureKey, b: TenureKey): number {
  if (a[0] !== b[0]) return a[0] - b[0];
  if (a[1] !== b[1]) return a[1] < b[1] ? -1 : 1;
  return a[2] === b[2] ? 0 : a[2] < b[2] ? -1 : 1;
}

const tokenFor = (key: TenureKey): string => Buffer.from(JSON.stringify(key)).toString('base64url');

function keyOf(token: string, whose: Whose): TenureKey {
  const key = parse(Buffer.from(token, 'base64url').toString());
  const [from, ip, uid] = Array.isArray(key) && key.length === 3 ? (key as unknown[]) : [];
  if (!isTime(from) || !isText(ip) || !isText(uid)) {
    throw new Problem('invalid_continue', 'continue: not a token of this service');
  }
  if (('ip' in whose && ip !== whose.ip) || ('uid' in whose && uid !== whose.uid)) {
    throw new Problem('invalid_continue', 'continue: a token of another question');
  }
  return [from, ip, uid];
}

/** What an archive can be asked for, too: it knows no other times (of 5e-324 a thousandth is none), and no NUL in a text. */
const isTime = (value: unknown): value is number =>
  Number.isInteger(value) && (value as number) >= POSTGRES_BEGINS && (value as number) <= 8.64e15;
const POSTGRES_BEGINS = Date.UTC(-4713, 10, 24);
const isText = (value: unknown): value is string => typeof value === 'string' && !value.includes('\u0000');

function parse(json: string): unknown {
  try {
    return JSON.parse(json);
  } catch {
    return undefined;
  }
}
