import { request } from 'undici';
import { startChild } from './child.ts';
import type { Child } from './child.ts';
import { progress } from './rows.ts';
import type { Scale } from './rows.ts';
import { median, quantile, ratios, spread } from './statistics.ts';
import type { Row } from './table.ts';

const ACCEPT = {
  protobuf: 'application/vnd.kubernetes.protobuf;stream=watch',
  json: 'application/json',
} as const;

/** Records what a watch sends for so many events, in the chunks that came. */
async function record(simulator: Child, url: string, format: keyof typeof ACCEPT, events: number): Promise<Buffer[]> {
  const from = await simulator.ask<string>('version');
  await simulator.ask('step', events);
  const chunks: Buffer[] = [];
  const response = await request(
    `${url}/api/v1/pods?watch=1&resourceVersion=${from}&timeoutSeconds=5&allowWatchBookmarks=true`,
    { headers: { accept: ACCEPT[format] } },
  );
  for await (const chunk of response.body) chunks.push(chunk as Buffer);
  return chunks;
}

/** Events of a watch through decoder and index against a bare decode-and-upsert loop, from memory, per CPU-second. */
export async function watching({ rounds, smoke, seconds }: Scale): Promise<readonly Row[]> {
  const events = smoke ? 1000 : 15_000;
  const simulator = startChild('simulator', { core: 1 });
  const ours = startChild('ours', { core: 0 });
  const bare = startChild('bare', { core: 0 });
  const rows: Row[] = [];
  try {
    const url = await simulator.ask<string>('start', { pods: smoke ? 500 : 5000 });
    for (const format of ['protobuf', 'json'] as const) {
      const mine: number[] = [];
      const floor: number[] = [];
      for (let round = -1; round < rounds; round++) {
        progress(`${events} events as ${format}, round ${round + 1} of ${rounds}`); // the first warms up
        const chunks = await record(simulator, url, format, events);
        const theirs = await bare.ask<{ cpu: number; events: number }>('replay', { chunks, format });
        const own = await ours.ask<{ cpu: number; events: number }>('replay', { chunks, format });
        if (own.events !== theirs.events) throw new Error(`${own.events} events against ${theirs.events}`);
        if (round < 0) continue;
        mine.push(own.events / own.cpu);
        floor.push(theirs.events / theirs.cpu);
      }
      const ratio = ratios(mine, floor);
      rows.push({
        what: `watch events per CPU-second, ${format}`,
        ours: spread(mine, 0),
        floor: spread(floor, 0),
        result: `× ${spread(ratio)}`,
        target: '≥ 0.9 × the bare loop',
        met: median(ratio) >= 0.9,
      });
    }
    rows.push(await untilServed(simulator, seconds));
    return rows;
  } finally {
    await Promise.all([simulator, ours, bare].map((child) => child.stop()));
  }
}

/** From the moment an event's bytes are made in the simulator's process, to be written to the socket next, until lookups see it. */
async function untilServed(simulator: Child, seconds: number): Promise<Row> {
  progress('from event to answer at 1,000 events/s');
  const url = await simulator.ask<string>('start', { pods: 5000 });
  const ours = startChild('ours', { core: 0 });
  try {
    await ours.ask('start', { K8S_API_SERVER: url });
    await ours.ask('synced');
    await simulator.ask('churn', 1000);
    await pause(1000); // the first events find cold code
    await Promise.all([simulator.ask('note'), ours.ask('note')]);
    await pause(seconds * 1000);
    const made = new Map(await simulator.ask<[string, number][]>('note'));
    const seen = await ours.ask<[string, number][]>('note');
    const lags = seen.flatMap(([version, at]) => at - (made.get(version) ?? Number.NaN)).filter((lag) => lag >= 0);
    return {
      what: `event sent → served, at ${Math.round(lags.length / seconds)} events/s: p99`,
      ours: `${quantile(lags, 0.99).toFixed(2)} ms`,
      floor: '',
      result: `p50 ${quantile(lags, 0.5).toFixed(2)} ms`,
      target: '≤ 5 ms',
      met: lags.length > 0 && quantile(lags, 0.99) <= 5,
    };
  } finally {
    await ours.stop();
  }
}

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
