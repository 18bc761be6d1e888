import { Agent, request } from 'undici';
import autocannon from 'autocannon';
import { quantile } from '../statistics.ts';
import { answering } from './answering.ts';

/** The load, in a process of its own: `blast` for requests per second, `probe` for how long a lone request waits. */

let probing = false;
let waits: number[] = [];

answering({
  /** As many requests as go through over 50 connections, the paths in turn. */
  blast: async ({ url, paths, seconds }: { url: string; paths: string[]; seconds: number }) => {
    const result = await autocannon({
      url,
      connections: 50,
      duration: seconds,
      requests: paths.map((path) => ({ method: 'GET' as const, path })),
    });
    return {
      perSecond: result.requests.average,
      total: result.requests.total,
      p99: result.latency.p99,
      failed: result.non2xx + result.errors,
    };
  },
  /** One request every few milliseconds until `probed`; its wait counts from when it was due, so that a stall is not left out. */
  probe: ({ url, paths, everyMs }: { url: string; paths: string[]; everyMs: number }) => {
    probing = true;
    waits = [];
    const agent = new Agent({ connections: 16 });
    let next = 0;
    const timer = setInterval(() => {
      if (!probing) {
        clearInterval(timer);
        void agent.destroy();
        return;
      }
      const due = performance.now();
      void request(url + (paths[next++ % paths.length] ?? ''), { dispatcher: agent })
        .then(async (response) => {
          await response.body.dump();
          waits.push(performance.now() - due);
        })
        .catch(() => undefined);
    }, everyMs);
  },
  probed: () => {
    probing = false;
    return { count: waits.length, p50: quantile(waits, 0.5), p99: quantile(waits, 0.99), max: quantile(waits, 1) };
  },
});
