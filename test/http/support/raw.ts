import { connect } from 'node:net';
import type { Socket } from 'node:net';

export interface RawAnswer {
  readonly status: number;
  /** The status line and the headers, as they came. */
  readonly head: string;
  readonly headers: ReadonlyMap<string, string>;
  readonly body: string;
  readonly json: Record<string, unknown>;
}

/** Sends bytes as they are and gives everything that comes until the server closes. */
export function exchange(port: number, ...pieces: readonly (string | Buffer)[]): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1');
    const chunks: Buffer[] = [];
    socket.on('data', (chunk) => chunks.push(chunk));
    socket.on('error', (error: NodeJS.ErrnoException) => {
      // What was sent after the server had seen enough.
      if (error.code !== 'ECONNRESET' && error.code !== 'EPIPE') reject(error);
    });
    socket.on('close', () => resolve(Buffer.concat(chunks).toString()));
    for (const piece of pieces) socket.write(piece);
  });
}

/** One request on a connection of its own, the answer as it came. */
export async function ask(
  port: number,
  path: string,
  options: { method?: string; headers?: readonly string[]; body?: string } = {},
) {
  const { method = 'GET', headers = [], body } = options;
  const length = body === undefined ? [] : [`Content-Length: ${Buffer.byteLength(body)}`];
  const head = [`${method} ${path} HTTP/1.1`, 'Host: podwhois', 'Connection: close', ...headers, ...length];
  return parseAnswer(await exchange(port, `${head.join('\r\n')}\r\n\r\n${body ?? ''}`));
}

export function parseAnswer(text: string): RawAnswer {
  const end = text.indexOf('\r\n\r\n');
  const head = text.slice(0, end);
  const [line = '', ...lines] = head.split('\r\n');
  const headers = new Map(
    lines.map((one): [string, string] => [
      one.slice(0, one.indexOf(':')).toLowerCase(),
      one.slice(one.indexOf(':') + 1).trim(),
    ]),
  );
  const raw = text.slice(end + 4);
  const body = headers.get('transfer-encoding') === 'chunked' ? unchunked(raw) : raw;
  return {
    status: Number(line.split(' ')[1]),
    head,
    headers,
    body,
    get json(): Record<string, unknown> {
      return JSON.parse(body) as Record<string, unknown>;
    },
  };
}

function unchunked(text: string): string {
  const bytes = Buffer.from(text);
  const pieces: Buffer[] = [];
  for (let at = 0; ;) {
    const line = bytes.indexOf('\r\n', at);
    const size = Number.parseInt(bytes.toString('latin1', at, line), 16);
    if (!(size > 0)) return Buffer.concat(pieces).toString();
    pieces.push(bytes.subarray(line + 2, line + 2 + size));
    at = line + 2 + size + 2;
  }
}

/** A connection that stays. `received` grows. */
export function open(port: number): { readonly socket: Socket; received: string; readonly closed: Promise<void> } {
  const socket = connect(port, '127.0.0.1');
  const connection = {
    socket,
    received: '',
    closed: new Promise<void>((resolve) => socket.once('close', () => resolve())),
  };
  socket.on('data', (chunk) => (connection.received += chunk.toString()));
  socket.on('error', () => undefined);
  return connection;
}
