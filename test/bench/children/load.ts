import { request } from 'undici';
import { quantile } from '../statistics.ts';
import { answering } from './answering.ts';
import { blast } from './blast.ts';
import { probe } from './probe.ts';
import type { Probe } from './probe.ts';

/**
 * The load, in a process of its own: `blast` for requests per second, `probe` for how long a lone request waits, `walk` for all
 * pages of `/pods` again and again.
 */

let probing: Probe | undefined;
let paths: string[] = [];
let headers: string[] | undefined;

answering({
  /** What is asked for from now on. */
  paths: (all: string[]) => {
    paths = all;
    headers = undefined;
  },
  /** With header lines for each path. */
  requests: (all: { paths: string[]; headers: string[] }) => void ({ paths, headers } = all),
  /** As many requests as go through over 50 connections. */
  blast: ({ url, seconds }: { url: string; seconds: number }) =>
    blast({ url, paths, ...(headers && { headers }), seconds }),
  /** A lone request every few milliseconds until `probed`. */
  probe: ({ url, everyMs }: { url: string; everyMs: number }) => {
    probing?.stop();
    // What was kept of the last one goes now, not while this one measures.
    probing = undefined;
    globalThis.gc?.();
    probing = probe(url, everyMs, () => drawn(paths));
  },
  /** Rejects where a connection ended meanwhile: what is measured answers every request. Whether it was a 200 does not matter. */
  probed: () => {
    const waits = waited();
    return { count: waits.length, p50: quantile(waits, 0.5), p99: quantile(waits, 0.99), max: quantile(waits, 1) };
  },
  /** As `probed`, but tells of each, milliseconds. */
  waits: waited,
  /** For so long, without a pause and without a look at the pods: as `curl` would. Returns how many pages that were. */
  walk: async ({ url, seconds }: { url: string; seconds: number }) => {
    const until = performance.now() + seconds * 1000;
    let pages = 0;
    for (let token = ''; performance.now() < until; pages++) {
      const { statusCode, body } = await request(`${url}/pods?limit=500${token && `&continue=${token}`}`);
      let last = Buffer.alloc(0);
      for await (const chunk of body as AsyncIterable<Buffer>) last = Buffer.concat([last, chunk]).subarray(-MAX_TOKEN);
      if (statusCode !== 200) throw new Error(`/pods: ${statusCode}`);
      token = /"continue":"([^"]+)"\}$/.exec(last.toString('latin1'))?.[1] ?? '';
    }
    return pages;
  },
});

/** More than a token is long. */
const MAX_TOKEN = 2048;

function waited(): readonly number[] {
  probing?.stop();
  if (probing?.broken) throw probing.broken;
  return probing?.waits ?? [];
}

function drawn(all: readonly string[]): string {
  return all[Math.floor(Math.random() * all.length)] ?? '';
}
