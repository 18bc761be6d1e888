import { readFileSync } from 'node:fs';
import { Agent, request } from 'undici';
import { SYNC_QUERY } from '../floors/sync-query.ts';
import { answering } from './answering.ts';

/** The floor of reading a real API server: receives the stream of a first sync and throws it away. */

const END = Buffer.from('k8s.io/initial-events-end');
/** More than the event that ends the list. */
const LAST = 1024;

answering({
  drain: async ({ url, token, ca, accept }: { url: string; token: string; ca: string; accept: string }) => {
    const began = performance.now();
    const dispatcher = new Agent({ connect: { ca: readFileSync(ca) } });
    const headers = { accept, authorization: `Bearer ${token}`, 'user-agent': 'podwhois-bench' };
    const { body } = await request(`${url}/api/v1/pods?${SYNC_QUERY}`, { dispatcher, headers });
    let bytes = 0;
    let last: Buffer = Buffer.alloc(0);
    for await (const chunk of body as AsyncIterable<Buffer>) {
      bytes += chunk.length;
      // The end is the last that comes for long, so that it lies in the last bytes, or across two chunks: no more is searched.
      last = chunk.length < LAST ? Buffer.concat([last, chunk]).subarray(-LAST) : chunk.subarray(-LAST);
      if (last.includes(END)) break;
    }
    const wall = (performance.now() - began) / 1000;
    await dispatcher.destroy();
    return { wall, bytes };
  },
});
