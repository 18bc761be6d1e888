import { request } from 'undici';
import { startChild } from './child.ts';
import type { Usage } from './child.ts';
import { progress } from './rows.ts';
import type { Scale } from './rows.ts';
import { quantile } from './statistics.ts';
import type { Row } from './table.ts';

interface Point {
  readonly pods: number;
  readonly syncUsPerPod: number;
  readonly bytesPerPod: number;
  readonly lookupUs: number;
}

/** Sync time and memory linear in pods, lookup time flat. */
export async function growth({ pods, smoke }: Scale): Promise<readonly Row[]> {
  const sizes = smoke ? [500, pods] : [1000, 10_000, 50_000, pods];
  const points: Point[] = [];
  for (const size of sizes) {
    progress(`growth: ${size} pods`);
    points.push(await measure(size));
  }
  const last = points.at(-1);
  const middle = points.at(-2);
  const first = points[0];
  if (!last || !first || !middle) return [];
  const line = (pick: (point: Point) => number, unit: string): string =>
    points.map((point) => pick(point).toFixed(1)).join(' → ') + ` ${unit}`;
  const at = points.map((point) => point.pods.toLocaleString('en')).join(' → ');
  return [
    {
      what: `sync CPU per pod at ${at} pods`,
      ours: line((point) => point.syncUsPerPod, 'µs'),
      floor: '',
      result: `× ${(last.syncUsPerPod / middle.syncUsPerPod).toFixed(2)} from the third to the last`,
      target: 'linear: ≤ 1.3',
      met: last.syncUsPerPod <= 1.3 * middle.syncUsPerPod,
    },
    {
      what: 'kept per pod',
      ours: line((point) => point.bytesPerPod, 'B'),
      floor: '',
      result: `× ${(last.bytesPerPod / middle.bytesPerPod).toFixed(2)} from the third to the last`,
      target: 'linear: ≤ 1.1',
      met: last.bytesPerPod <= 1.1 * middle.bytesPerPod,
    },
    {
      what: 'a lookup, decided and written, median',
      ours: line((point) => point.lookupUs, 'µs'),
      floor: '',
      result: `× ${(last.lookupUs / first.lookupUs).toFixed(2)} from the first to the last`,
      target: 'flat: ≤ 1.5',
      met: last.lookupUs <= 1.5 * first.lookupUs,
    },
  ];
}

async function measure(pods: number): Promise<Point> {
  const simulator = startChild('simulator', { core: 1 });
  const ours = startChild('ours', { core: 0 });
  try {
    const api = await simulator.ask<string>('start', { pods });
    await simulator.ask('warm', 'protobuf');
    const empty = await ours.ask<number>('heap');
    const before = await ours.ask<Usage>('usage');
    const url = await ours.ask<string>('start', { K8S_API_SERVER: api });
    await ours.ask('synced');
    const after = await ours.ask<Usage>('usage');
    const full = await ours.ask<number>('heap');
    const ips = await addresses(url);
    const lookups: number[] = [];
    for (let round = 0; round < 12; round++) {
      const us = await ours.ask<number>('lookups', ips);
      if (round >= 4) lookups.push(us); // the first find cold code
    }
    return {
      pods,
      syncUsPerPod: ((after.cpu - before.cpu) / pods) * 1e6,
      bytesPerPod: (full - empty) / pods,
      lookupUs: quantile(lookups, 0.5),
    };
  } finally {
    await Promise.all([simulator.stop(), ours.stop()]);
  }
}

/** A thousand addresses spread over everything. */
async function addresses(url: string): Promise<string[]> {
  const all: string[] = [];
  for (let next: string | undefined = ''; next !== undefined;) {
    const response = await request(`${url}/pods?limit=500${next && `&continue=${next}`}`);
    const page = (await response.body.json()) as { pods: { pod_ip: string | null }[]; continue?: string };
    for (const pod of page.pods) if (pod.pod_ip) all.push(pod.pod_ip);
    next = page.continue;
  }
  const step = Math.max(1, Math.floor(all.length / 1000));
  return all.filter((_, i) => i % step === 0);
}
