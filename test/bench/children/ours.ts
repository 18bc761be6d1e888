import { collectorGivesWay } from '../../../src/garbage-collector.ts';
import { PodJson } from '../../../src/http/pod-json.ts';
import { answer } from '../../../src/index/answer.ts';
import { canonicalIp } from '../../../src/index/ip-address.ts';
import { PodIndex } from '../../../src/index/pod-index.ts';
import { podReader } from '../../../src/kubernetes/pod-from-api.ts';
import { json } from '../../../src/kubernetes/wire/json.ts';
import { protobuf } from '../../../src/kubernetes/wire/protobuf.ts';
import { createLog } from '../../../src/log.ts';
import { startService } from '../../../src/service.ts';
import type { Service } from '../../../src/service.ts';
import { CAPABILITIES, loadCapabilities } from '../../../src/capabilities.ts';
import { readServeSettings } from '../../../src/serve-settings.ts';
import { answering } from './answering.ts';

/** What is measured: the whole service as `podwhois serve` composes it, or its decoder and index alone (`replay`). */

/** As in production, where the level has its own costs; nobody reads what is written. */
const log = createLog({ level: 'info', format: 'json' });
const formats = { protobuf, json };
let service: Service | undefined;
let startedAt = 0;
const index = new PodIndex();
/** For life, like the service's: what pods share is shared in it. */
const reader = podReader({ annotations: [], canonicalIp, known: (uid) => index.byUid(uid) });
const podJson = new PodJson(false);
let readied = false;
let notes: [string, number][] = [];
let stopNoting: (() => void) | undefined;

answering({
  /** Starts the service; it is listening then and not yet synced. */
  start: async (environment: Record<string, string>) => {
    const settings = readServeSettings({ flags: {}, environment: { PORT: '0', HOST: '127.0.0.1', ...environment } });
    service = await startService(settings, { log, capabilities: await loadCapabilities(CAPABILITIES, settings) });
    collectorGivesWay(service, log);
    startedAt = performance.now();
    return service.url;
  },
  /** Resolves with the seconds since the service began to watch, once the first sync is done. */
  synced: async () => {
    for (;;) {
      if (service?.source.synced) return { wall: (performance.now() - startedAt) / 1000, pods: service.index.size };
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
  },
  counts: () => ({ pods: service?.index.size ?? 0, addresses: service?.index.addresses ?? 0 }),
  /** How many changes of pods there have been. */
  changes: () => service?.index.changes.sequence ?? 0,
  relists: () => service?.metrics.counters.lists_total.ok ?? 0,
  /** From now on notes when each version could first be asked for; the second call tells. */
  note: () => {
    const noted = notes;
    notes = [];
    const changes = service?.index.changes;
    let seen = changes?.sequence ?? 0;
    stopNoting?.();
    stopNoting = changes?.onChange(() => {
      const now = performance.timeOrigin + performance.now();
      for (const change of changes.since(seen) ?? []) notes.push([change.pod.resourceVersion, now]);
      seen = changes.sequence;
    });
    return noted;
  },
  /** Decides and writes the answer of each address; microseconds for one. */
  lookups: (ips: readonly string[]) => {
    let bytes = 0;
    const began = performance.now();
    for (const ip of ips) {
      const found = service && answer(service.index, ip, { partial: false, clusterCidrs: [] });
      if (found?.kind === 'one') bytes += podJson.of(found.pod).length;
    }
    const took = performance.now() - began;
    if (bytes === 0) throw new Error('nothing was found');
    return (took / ips.length) * 1000;
  },
  close: async () => {
    await service?.close();
    service = undefined;
  },
  /** The counterpart of the floor's replay: chunks of a watch through decoder and index; CPU seconds. */
  replay: ({ chunks, format }: { chunks: Uint8Array[]; format: 'protobuf' | 'json' }) => {
    if (!readied) {
      index.slice().beginReplace().commit('1');
      readied = true;
    }
    const slice = index.slice();
    const decoder = formats[format].watch(reader);
    let events = 0;
    const began = process.cpuUsage();
    for (const chunk of chunks) {
      for (const event of decoder.push(chunk)) {
        if (event.type === 'ADDED' || event.type === 'MODIFIED') slice.upsert(event.object);
        else if (event.type === 'DELETED') slice.remove(event.object);
        else continue;
        events++;
      }
    }
    const used = process.cpuUsage(began);
    return { cpu: (used.user + used.system) / 1e6, events };
  },
});
