/** As much of the Postgres protocol, version 3, as a server must know that lets somebody else understand the statements. */

/** Longer ones are refused: as Postgres has it for the first message, and much less than it for the others. */
const LONGEST_STARTUP = 10_000;
const LONGEST = 256 * 2 ** 20;

/** What the first message of a connection can be, by the number in it. */
const FIRST: Readonly<Record<number, string>> = {
  80877102: 'cancel',
  80877103: 'tls',
  80877104: 'tls', // by Kerberos
  0x30000: 'startup',
  0x30002: 'startup', // what is new in 3.2 is of no use here
};

export interface Message {
  /** A letter; the first messages of a connection have none. */
  readonly type: string;
  /** All of it, as it came. */
  readonly bytes: Buffer;
}

/** What a client sends, message by message. Ends where it sends something else than the protocol. */
export async function* messagesOf(chunks: AsyncIterable<Buffer>): AsyncGenerator<Message, void, undefined> {
  let received: Buffer[] = [];
  let size = 0;
  let needed = 8;
  let isStarted = false;
  for await (const chunk of chunks) {
    received.push(chunk);
    size += chunk.length;
    if (size < needed) continue;
    let rest = Buffer.concat(received);
    for (;;) {
      const typed = isStarted ? 1 : 0;
      needed = isStarted ? 5 : 8;
      if (rest.length < needed) break;
      const length = rest.readUInt32BE(typed);
      if (length < needed - typed || length > (isStarted ? LONGEST : LONGEST_STARTUP)) return;
      needed = typed + length;
      if (rest.length < needed) break;
      const bytes = rest.subarray(0, needed);
      rest = rest.subarray(needed);
      if (isStarted) yield { type: String.fromCharCode(bytes[0] ?? 0), bytes };
      else {
        const type = FIRST[bytes.readUInt32BE(4)];
        if (type === undefined) return;
        isStarted = type === 'startup';
        yield { type, bytes };
      }
    }
    received = [rest];
    size = rest.length;
  }
}

/** In `ReadyForQuery`: no transaction is open. */
const IDLE = 'I'.charCodeAt(0);

function message(type: string, ...parts: readonly (string | readonly number[])[]): Buffer {
  const body = Buffer.concat(parts.map((part) => Buffer.from(typeof part === 'string' ? `${part}\0` : part)));
  const head = Buffer.alloc(5);
  head.write(type);
  head.writeUInt32BE(body.length + 4, 1);
  return Buffer.concat([head, body]);
}

export const parameterStatus = (parameters: Readonly<Record<string, string>>): Buffer =>
  Buffer.concat(Object.entries(parameters).map(([name, value]) => message('S', name, value)));

/** Whoever asks is let in. */
export const greeting = (parameters: Readonly<Record<string, string>>): Buffer =>
  Buffer.concat([
    message('R', [0, 0, 0, 0]),
    parameterStatus(parameters),
    message('K', [0, 0, 0, 0, 0, 0, 0, 0]),
    message('Z', [IDLE]),
  ]);

export const fatal = (code: string, text: string): Buffer =>
  message('E', 'SFATAL', 'VFATAL', `C${code}`, `M${text}`, [0]);

export const simpleQuery = (sql: string): Buffer => message('Q', sql);
export const SYNC = message('S');

/** "Go on, send the rows": as text, of so many columns as there are. */
export const COPY_IN_RESPONSE = message('G', [0, 0, 0]);

/** Whether what is answered says at its end that no transaction is open. */
export const isIdle = (answer: Buffer): boolean => answer.subarray(-6).equals(READY);
const READY = message('Z', [IDLE]);

/** The answer without the response to COPY, which the client has had already. */
export function withoutCopyResponse(answer: Buffer): Buffer {
  for (let at = 0; at + 5 <= answer.length;) {
    const end = at + 1 + answer.readUInt32BE(at + 1);
    if (answer[at] === COPY_IN_RESPONSE[0]) return Buffer.concat([answer.subarray(0, at), answer.subarray(end)]);
    at = end;
  }
  return answer;
}

/**
 * How a statement (`Q`, `P`) takes rows from the client: not at all; by itself, which can be followed from outside; or in company or
 * prepared, which cannot.
 */
export function copyFrom({ type, bytes }: Message): 'none' | 'alone' | 'otherwise' {
  if (type !== 'Q' && type !== 'P') return 'none';
  const text = bytes.toString('utf8', 5);
  const from = COPY_FROM.exec(text);
  if (!from) return 'none';
  return type === 'Q' && from.index === 0 && ALONE.test(text) ? 'alone' : 'otherwise';
}

const COPY_FROM = /(?:^|[;\0])(?:\s|--[^\n]*\n|\/\*[^]*?\*\/)*copy\b[^;]*\bfrom\s+stdin\b/i;
const ALONE = /^[^;]*;?\s*\0$/;

/** A message of the same kind whose statement fails, so that what follows goes as with any that fails. */
export function failing({ type, bytes }: Message, text: string): Buffer {
  const sql = `DO $$ BEGIN RAISE EXCEPTION USING ERRCODE = 'feature_not_supported', MESSAGE = '${text}'; END $$`;
  if (type === 'Q') return simpleQuery(sql);
  const name = bytes.toString('utf8', 5, bytes.indexOf(0, 5));
  return message('P', name, sql, [0, 0]);
}
