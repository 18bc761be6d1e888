import { imageFlags, startChild } from './child.ts';
import type { Child, Usage } from './child.ts';
import { progress } from './rows.ts';
import type { Scale } from './rows.ts';
import { median, ratios, spread } from './statistics.ts';
import type { Row } from './table.ts';

interface Kept {
  readonly peakRssMb: number;
  readonly bytesPerPod: number;
  readonly addresses: number;
  /** Over the relist. */
  readonly stallMs: number;
}

const settled = async (child: Child, relists: number): Promise<void> => {
  while ((await child.ask<number>('relists')) < relists) await new Promise((resolve) => setTimeout(resolve, 50));
};

/** Peak of the whole process over a first sync and a relist, and what is kept per pod. */
export async function memory({ pods, rounds, smoke }: Scale): Promise<readonly Row[]> {
  // A bounded heap is collected sooner.
  const execArgv = smoke ? [] : imageFlags();
  const simulator = startChild('simulator', { core: 1 });
  const url = await simulator.ask<string>('start', { pods });
  await simulator.ask('warm', 'protobuf');
  const measured = async (child: Child, twice: () => Promise<number>): Promise<Kept> => {
    try {
      const empty = await child.ask<number>('heap');
      const addresses = await twice();
      const { peakRssMb, stallMs } = await child.ask<Usage>('usage');
      const full = await child.ask<number>('heap');
      return { peakRssMb, stallMs, bytesPerPod: (full - empty) / pods, addresses };
    } finally {
      await child.stop();
    }
  };
  const mine: Kept[] = [];
  const floor: Kept[] = [];
  const few = Math.min(rounds, 3);
  for (let round = 0; round < few; round++) {
    progress(`memory of ${pods} pods over a relist, round ${round + 1} of ${few}`);
    const bare = startChild('bare', { core: 0, execArgv });
    floor.push(
      await measured(bare, async () => {
        await bare.ask('sync', { url, format: 'protobuf' });
        await bare.ask('usage');
        await bare.ask('sync', { url, format: 'protobuf' });
        return 0;
      }),
    );
    const ours = startChild('ours', { core: 0, execArgv });
    mine.push(
      await measured(ours, async () => {
        await ours.ask('start', { K8S_API_SERVER: url, RESYNC_INTERVAL: '10s' });
        await ours.ask('synced');
        await ours.ask('usage');
        await settled(ours, 2);
        return (await ours.ask<{ addresses: number }>('counts')).addresses;
      }),
    );
  }
  await simulator.stop();
  const peak = ratios(
    mine.map((one) => one.peakRssMb),
    floor.map((one) => one.peakRssMb),
  );
  const kept = mine.map((one) => one.bytesPerPod);
  const name = `${pods.toLocaleString('en')} pods, ${(mine[0]?.addresses ?? 0).toLocaleString('en')} addresses`;
  return [
    {
      what: `peak RSS after a relist, ${name}`,
      ours: `${spread(
        mine.map((one) => one.peakRssMb),
        0,
      )} MB`,
      floor: `${spread(
        floor.map((one) => one.peakRssMb),
        0,
      )} MB`,
      result: `× ${spread(peak)}`,
      target: '≤ 1.2 × the bare relist loop',
      met: median(peak) <= 1.2,
    },
    {
      what: 'longest stall in a relist that changes nothing',
      ours: `${spread(
        mine.map((one) => one.stallMs),
        0,
      )} ms`,
      floor: `${spread(
        floor.map((one) => one.stallMs),
        0,
      )} ms`,
      result: `× ${spread(
        ratios(
          mine.map((one) => one.stallMs),
          floor.map((one) => one.stallMs),
        ),
      )}`,
      target: '',
      met: undefined,
    },
    {
      what: 'kept per pod, index and service included',
      ours: `${spread(kept, 0)} B`,
      floor: `${spread(
        floor.map((one) => one.bytesPerPod),
        0,
      )} B`,
      result: spread(kept, 0),
      target: '≤ 900 B',
      met: median(kept) <= 900,
    },
  ];
}
