import { setTimeout as sleep } from 'node:timers/promises';
import { Agent, request } from 'undici';
import { quantile } from '../statistics.ts';
import { answering } from './answering.ts';

/** A caller with an address of its own, in a process of its own: one request after the other, with a pause between. */

answering({
  call: async ({ url, from, seconds }: { url: string; from: string; seconds: number }) => {
    const agent = new Agent({ localAddress: from });
    const waits: number[] = [];
    const end = performance.now() + seconds * 1000;
    while (performance.now() < end) {
      await sleep(2);
      const sent = performance.now();
      const { statusCode, body } = await request(url, { dispatcher: agent });
      await body.dump();
      waits.push(performance.now() - sent);
      if (statusCode !== 200) throw new Error(`${url} answers ${statusCode}`);
    }
    await agent.close();
    return quantile(waits, 0.5);
  },
});
