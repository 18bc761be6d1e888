import { createConnection } from 'node:net';

const END_OF_HEAD = Buffer.from('\r\n\r\n');

/** One keep-alive connection that asks one thing at a time. Nothing but a socket, for load that costs more than what it measures measures itself. */
export interface OneConnection {
  /** `headers`: lines, each with its end. */
  get(path: string, headers?: string): void;
  close(): void;
}

export interface Listener {
  readonly connected: () => void;
  /** The answer to the last `get` is whole; whether it was a 200. */
  readonly answered: (isOk: boolean) => void;
  /** Nothing more comes; undefined: it was closed in order, by either side. */
  readonly closed: (error: Error | undefined) => void;
}

/** Answers must have a `Content-Length`: another one is an error. */
export function connectTo(url: string, { connected, answered, closed }: Listener): OneConnection {
  const { host, hostname, port } = new URL(url);
  const socket = createConnection(Number(port), hostname);
  let pending: Buffer | undefined;
  let failure: Error | undefined;
  socket.setNoDelay(true);
  socket.on('connect', connected);
  socket.on('error', (error) => (failure = error));
  socket.on('close', () => closed(failure));
  socket.on('data', (chunk) => {
    const bytes = pending ? Buffer.concat([pending, chunk]) : chunk;
    const head = bytes.indexOf(END_OF_HEAD);
    const text = head < 0 ? '' : bytes.toString('latin1', 0, head);
    const length = /^content-length: *([0-9]+)/im.exec(text)?.[1];
    if (head >= 0 && length === undefined) {
      socket.destroy(new Error(`no length: ${text}`));
      return;
    }
    pending = head < 0 || bytes.length < head + END_OF_HEAD.length + Number(length) ? bytes : undefined;
    if (!pending) answered(text.startsWith('HTTP/1.1 200'));
  });
  return {
    get: (path, headers = '') =>
      void socket.write(`GET ${path} HTTP/1.1\r\nHost: ${host}\r\n${headers}Connection: keep-alive\r\n\r\n`, 'latin1'),
    close: () => void socket.destroy(),
  };
}
