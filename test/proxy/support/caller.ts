import { once } from 'node:events';
import { connect } from 'node:net';
import type { Socket } from 'node:net';
import { parseAnswer } from '../../http/support/raw.ts';
import type { RawAnswer } from '../../http/support/raw.ts';

export interface Request {
  readonly method?: string;
  /** As it goes into the request line. */
  readonly path?: string;
  readonly host?: string;
  /** Whole lines, as they are. */
  readonly headers?: readonly string[];
  readonly body?: string;
}

/** Sends one request from a loopback address, byte for byte, and gives the answer as it came. */
export async function callFrom(address: string, port: number, request: Request): Promise<RawAnswer> {
  const socket = await connectFrom(address, port);
  const chunks: Buffer[] = [];
  socket.on('data', (chunk) => chunks.push(chunk));
  socket.write(bytesOf({ ...request, headers: ['Connection: close', ...(request.headers ?? [])] }));
  // A proxy that has seen enough resets.
  if (!socket.closed) await new Promise((resolve) => socket.once('close', resolve));
  return parseAnswer(Buffer.concat(chunks).toString());
}

/** A connection from a loopback address. */
export async function connectFrom(address: string, port: number): Promise<Socket> {
  const socket = connect({ host: '127.0.0.1', port, localAddress: address });
  await once(socket, 'connect');
  socket.on('error', () => socket.destroy());
  socket.setTimeout(20_000, () => socket.destroy());
  return socket;
}

export function bytesOf(request: Request): string {
  const { method = 'GET', path = '/', host = 'app.example', headers = [], body } = request;
  const length = body === undefined || body === '' ? [] : [`Content-Length: ${Buffer.byteLength(body)}`];
  return `${[`${method} ${path} HTTP/1.1`, `Host: ${host}`, ...headers, ...length].join('\r\n')}\r\n\r\n${body ?? ''}`;
}
