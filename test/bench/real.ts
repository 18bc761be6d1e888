import { readFileSync } from 'node:fs';
import { Cluster } from '../../src/simulator/cluster.ts';
import { envelope } from '../../src/simulator/encoding/framing.ts';
import { startControlPlane } from '../support/real-servers.ts';
import type { ControlPlane } from '../support/real-servers.ts';
import { startChild } from './child.ts';
import { progress } from './rows.ts';
import type { Scale } from './rows.ts';
import { median, ratios, spread } from './statistics.ts';
import type { Row } from './table.ts';

interface Run {
  readonly wall: number;
  readonly serverCpu: number;
}

const PROTOBUF = 'application/vnd.kubernetes.protobuf;stream=watch';

/** First sync from a real API server against a client that receives the same stream and throws it away. */
export async function real({ realPods, rounds }: Scale): Promise<readonly Row[]> {
  if (!process.env['KUBEBUILDER_ASSETS']) {
    const why = 'skipped: KUBEBUILDER_ASSETS is not set';
    return [
      { what: 'first sync from a real API server', ours: why, floor: '', result: '', target: '', met: undefined },
    ];
  }
  progress(`a real API server with ${realPods} pods`);
  const plane = await startControlPlane({ apiOnly: true });
  try {
    await fill(plane, realPods);
    const drained: Run[] = [];
    const drainedJson: Run[] = [];
    const ours: Run[] = [];
    let megabytes = 0;
    const drain = async (accept: string): Promise<Run> => {
      const child = startChild('drain', { core: 0 });
      const before = cpuOf(plane.apiServer.pid);
      const { wall, bytes } = await child.ask<{ wall: number; bytes: number }>('drain', {
        url: plane.url,
        token: plane.token,
        ca: plane.caFile,
        accept,
      });
      await child.stop();
      megabytes = bytes / 1e6;
      return { wall, serverCpu: cpuOf(plane.apiServer.pid) - before };
    };
    const sync = async (): Promise<Run> => {
      const child = startChild('ours', { core: 0 });
      const before = cpuOf(plane.apiServer.pid);
      await child.ask('start', { KUBECONFIG: plane.kubeconfig });
      const { wall, pods } = await child.ask<{ wall: number; pods: number }>('synced');
      const serverCpu = cpuOf(plane.apiServer.pid) - before;
      await child.stop();
      if (pods !== realPods) throw new Error(`${pods} of ${realPods} pods`);
      return { wall, serverCpu };
    };
    await drain(PROTOBUF); // the first fills the API server's caches
    for (let round = 0; round < rounds; round++) {
      progress(`first sync from the real API server, round ${round + 1} of ${rounds}`);
      drainedJson.push(await drain('application/json'));
      drained.push(await drain(PROTOBUF));
      ours.push(await sync());
    }
    const walls = (runs: readonly Run[]): number[] => runs.map((run) => run.wall);
    const cpus = (runs: readonly Run[]): number[] => runs.map((run) => run.serverCpu);
    const wall = ratios(walls(ours), walls(drained));
    const faster = ratios(walls(drainedJson), walls(ours));
    const cpu = ratios(cpus(ours), cpus(drained));
    const name = `real API server, ${realPods.toLocaleString('en')} pods`;
    return [
      {
        what: `${name}: first sync, protobuf (${megabytes.toFixed(0)} MB)`,
        ours: `${spread(walls(ours))} s`,
        floor: `${spread(walls(drained))} s`,
        result: `× ${spread(wall)}`,
        target: '≤ 1.1 × the stream thrown away',
        met: median(wall) <= 1.1,
      },
      {
        what: `${name}: against its JSON stream`,
        ours: `${spread(walls(ours))} s`,
        floor: `${spread(walls(drainedJson))} s`,
        result: `${spread(faster)} × faster`,
        target: '≥ 2 × faster',
        met: median(faster) >= 2,
      },
      {
        what: `${name}: the API server's CPU`,
        ours: `${spread(cpus(ours))} s`,
        floor: `${spread(cpus(drained))} s`,
        result: `× ${spread(cpu)}`,
        target: '≤ 1.1 × the stream thrown away',
        met: median(cpu) <= 1.1,
      },
    ];
  } finally {
    await plane.down();
  }
}

/**
 * Puts pods where the API server keeps them, as it would write them: `k8s\0` and a runtime.Unknown in etcd, a hundred in a
 * transaction. By POST and a patch of the status each, 40,000 take minutes.
 */
async function fill(plane: ControlPlane, count: number): Promise<void> {
  const cluster = new Cluster({ pods: count, keepBytes: false });
  const base64 = (bytes: Uint8Array | string): string => Buffer.from(bytes).toString('base64');
  let batch: object[] = [];
  const flush = async (): Promise<void> => {
    const response = await fetch(`${plane.etcdUrl}/v3/kv/txn`, {
      method: 'POST',
      body: JSON.stringify({ success: batch }),
    });
    if (!response.ok) throw new Error(`etcd: ${response.status} ${await response.text()}`);
    await response.arrayBuffer();
    batch = [];
  };
  for (const version of cluster.store.objects) {
    const pod = version.bytes({ format: 'protobuf', kind: 'Pod' });
    const { head, tail } = envelope('Pod', pod.length);
    const value = base64(Buffer.concat([head, pod, tail]));
    batch.push({ requestPut: { key: base64(`/registry/pods/${version.key}`), value } });
    if (batch.length === 100) await flush();
  }
  if (batch.length > 0) await flush();
}

/** User and system CPU of a process in seconds: fields 14 and 15 of /proc/PID/stat, in ticks of 10 ms. */
function cpuOf(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? [];
  return (Number(fields[11]) + Number(fields[12])) / 100;
}
