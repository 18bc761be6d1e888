import { createConnection } from 'node:net';
import type { Socket } from 'node:net';

export interface Target {
  readonly url: string;
  readonly paths: readonly string[];
  /** Of the path at the same place: header lines, each with its end. */
  readonly headers?: readonly string[];
  readonly seconds: number;
}

export interface Blast {
  readonly perSecond: number;
  readonly total: number;
  /** Answered with anything but 200. */
  readonly failed: number;
}

const CONNECTIONS = 50;
const END_OF_HEAD = Buffer.from('\r\n\r\n');

/**
 * As many GETs as go through over 50 connections, each for a path drawn at random, the next one as soon as the answer is whole.
 * Nothing but sockets, for load that costs more than what it measures measures itself.
 *
 * It never sleeps: who writes to a process that sleeps pays for waking it, two to four microseconds on a virtual machine, and a server
 * pays that the more often the slower it is, because the load has nothing to do meanwhile. Of a caller on another machine no server
 * pays anything of the kind.
 */
export async function blast({ url, paths, headers, seconds }: Target): Promise<Blast> {
  const { host, hostname, port } = new URL(url);
  const began = performance.now();
  const end = began + seconds * 1000;
  let total = 0;
  let failed = 0;
  const ask = (socket: Socket): void => {
    const drawn = Math.floor(Math.random() * paths.length);
    const path = paths[drawn] ?? '/';
    const more = headers?.[drawn] ?? '';
    socket.write(`GET ${path} HTTP/1.1\r\nHost: ${host}\r\n${more}Connection: keep-alive\r\n\r\n`, 'latin1');
  };
  const run = (): Promise<void> =>
    new Promise((resolve, reject) => {
      const socket = createConnection(Number(port), hostname);
      let pending: Buffer | undefined;
      socket.setNoDelay(true);
      socket.on('connect', () => ask(socket));
      socket.on('error', reject);
      socket.on('close', () => resolve());
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
        if (pending) return;
        total++;
        if (!text.startsWith('HTTP/1.1 200')) failed++;
        if (performance.now() < end) ask(socket);
        else socket.destroy();
      });
    });
  await Promise.all(Array.from({ length: CONNECTIONS }, run));
  return { perSecond: (total / (performance.now() - began)) * 1000, total, failed };
}
