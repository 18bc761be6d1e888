import { connectTo } from './one-connection.ts';

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

/**
 * As many GETs as go through over 50 connections, each for a path drawn at random, the next one as soon as the answer is whole.
 *
 * It never sleeps: who writes to a process that sleeps pays for waking it, two to four microseconds on a virtual machine, and a server
 * pays that the more often the slower it is, because the load has nothing to do meanwhile. Of a caller on another machine no server
 * pays anything of the kind.
 */
export async function blast({ url, paths, headers, seconds }: Target): Promise<Blast> {
  const began = performance.now();
  const end = began + seconds * 1000;
  let total = 0;
  let failed = 0;
  const run = (): Promise<void> =>
    new Promise((resolve, reject) => {
      const ask = (): void => {
        const drawn = Math.floor(Math.random() * paths.length);
        connection.get(paths[drawn] ?? '/', headers?.[drawn]);
      };
      const connection = connectTo(url, {
        connected: ask,
        answered: (isOk) => {
          total++;
          if (!isOk) failed++;
          if (performance.now() < end) ask();
          else connection.close();
        },
        closed: (error) => (error ? reject(error) : resolve()),
      });
    });
  await Promise.all(Array.from({ length: CONNECTIONS }, run));
  return { perSecond: (total / (performance.now() - began)) * 1000, total, failed };
}
