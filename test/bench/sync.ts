import { startChild, startLoad } from './child.ts';
import type { Child, Usage } from './child.ts';
import { progress } from './rows.ts';
import type { Scale } from './rows.ts';
import { median, ratios, spread } from './statistics.ts';
import type { Row } from './table.ts';

interface Sync {
  readonly cpu: number;
  readonly wall: number;
  readonly stallMs: number;
  readonly waitMs: number;
  readonly peakRssMb: number;
}

interface Contestant {
  /** Starts listening; returns its URL. */
  listen(child: Child): Promise<string>;
  /** Reads the cluster and resolves when it has. */
  sync(child: Child): Promise<{ wall: number; pods: number }>;
}

/** The server of both. Stopped until all is measured that is not the sync: ours asks for its list as soon as it listens. */
interface Held {
  readonly load: Child;
  readonly simulator: Child;
  readonly pods: number;
}

const MISS = '/pod?ip=192.0.2.254';

/** One first sync in a fresh process, with a lone request every 2 ms beside it. */
async function once(name: string, contestant: Contestant, { load, simulator, pods }: Held): Promise<Sync> {
  const child = startChild(name, { core: 0 });
  try {
    simulator.process.kill('SIGSTOP');
    const url = await contestant.listen(child);
    await load.ask('probe', { url, everyMs: 2 });
    const before = await child.ask<Usage>('usage');
    const synced = contestant.sync(child);
    simulator.process.kill('SIGCONT');
    const { wall, pods: got } = await synced;
    const after = await child.ask<Usage>('usage');
    const { p99 } = await load.ask<{ p99: number }>('probed');
    if (got < pods) throw new Error(`${name} read ${got} of ${pods} pods`);
    return { cpu: after.cpu - before.cpu, wall, stallMs: after.stallMs, waitMs: p99, peakRssMb: after.peakRssMb };
  } finally {
    await child.stop();
  }
}

/** First sync from the simulator's ready-made stream against the bare loop: CPU, longest stall, wait of a lookup meanwhile. */
export async function firstSync({ pods, rounds }: Scale): Promise<readonly Row[]> {
  const rows: Row[] = [];
  const load = startLoad();
  await load.ask('paths', [MISS]);
  for (const format of ['protobuf', 'json'] as const) {
    const simulator = startChild('simulator', { core: 1 });
    const url = await simulator.ask<string>('start', { pods, ...(format === 'json' && { format }) });
    await simulator.ask('warm', format);
    const held = { load, simulator, pods };
    const ours: Sync[] = [];
    const bare: Sync[] = [];
    for (let round = 0; round < rounds; round++) {
      progress(`first sync of ${pods} pods, ${format}, round ${round + 1} of ${rounds}`);
      bare.push(
        await once(
          'bare',
          { listen: (child) => child.ask('listen'), sync: (child) => child.ask('sync', { url, format }) },
          held,
        ),
      );
      ours.push(
        await once(
          'ours',
          {
            listen: (child) => child.ask('start', { K8S_API_SERVER: url }),
            sync: (child) => child.ask('synced'),
          },
          held,
        ),
      );
    }
    await simulator.stop();
    const row = (what: string, pick: (one: Sync) => number, unit: string, limit: number, digits: number): Row => {
      const [mine, floor] = [ours.map(pick), bare.map(pick)];
      const ratio = ratios(mine, floor);
      return {
        what: `${what}, ${format}`,
        ours: `${spread(mine, digits)} ${unit}`,
        floor: `${spread(floor, digits)} ${unit}`,
        result: `× ${spread(ratio)}`,
        target: `≤ ${limit} × the bare loop`,
        met: median(ratio) <= limit,
      };
    };
    const name = `first sync of ${pods.toLocaleString('en')} pods`;
    rows.push(
      row(`${name}: CPU per pod`, (one) => (one.cpu / pods) * 1e6, 'µs', 1.15, 1),
      row(`${name}: longest stall`, (one) => one.stallMs, 'ms', 1.2, 0),
      row(`${name}: a lookup waits, p99`, (one) => one.waitMs, 'ms', 1.2, 1),
      { ...row(`${name}: peak RSS`, (one) => one.peakRssMb, 'MB', 1.2, 0), target: '', met: undefined },
    );
  }
  await load.stop();
  return rows;
}
