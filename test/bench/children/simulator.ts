import type { PodWish } from '../../../src/simulator/cluster.ts';
import { startSimulator } from '../../../src/simulator/simulator.ts';
import type { Simulator } from '../../../src/simulator/simulator.ts';
import { markerUid, wallMs } from '../marker.ts';
import type { Marker } from '../marker.ts';
import { answering } from './answering.ts';

/** The simulator in a process of its own, so that what it costs is not counted as ours. */

let simulator: Simulator | undefined;
let notes: [string, number][] = [];
let stopNoting: (() => void) | undefined;
let churning: NodeJS.Timeout | undefined;
let marking: NodeJS.Timeout | undefined;
let markers: Marker[] = [];
let marked = 0;

answering({
  start: async ({ format, ...options }: { pods: number; churn?: number; format?: 'json' }) => {
    await simulator?.close();
    markers = [];
    simulator = await startSimulator({ seed: 1, keepBytes: true, ...options });
    if (format === 'json') simulator.faults.add({ jsonOnly: true, times: Infinity });
    return simulator.url;
  },
  warm: (format: 'json' | 'protobuf') => simulator?.warm(format),
  /** So many events a second, one at a time: the simulator's own churn makes ten at once, of which the first waits for the last. 0 ends it. */
  churn: (perSecond: number) => {
    clearInterval(churning);
    if (perSecond === 0) return;
    let made = 0;
    const began = performance.now();
    churning = setInterval(() => {
      const owed = Math.floor(((performance.now() - began) * perSecond) / 1000) - made;
      simulator?.cluster.step(owed);
      made += owed;
    }, 1);
    churning.unref();
  },
  /** Makes a marker every so often, each of which is deleted after its life, until `marked`. Returns the number of the first. */
  mark: ({ everyMs, livesMs }: { everyMs: number; livesMs: number }) => {
    // Whose rows were waited for when the last ones ended.
    for (const { uid, gone } of markers) if (gone === undefined) simulator?.cluster.deletePod('default', uid);
    markers = [];
    marking = setInterval(() => {
      const uid = markerUid(marked++);
      markers.push({ uid, came: wallMs() });
      simulator?.cluster.createPod({ name: uid, uid });
      for (const one of markers) {
        if (one.gone !== undefined || one.came + livesMs > wallMs()) continue;
        one.gone = wallMs();
        simulator?.cluster.deletePod('default', one.uid);
      }
    }, everyMs);
    return marked;
  },
  marked: () => {
    clearInterval(marking);
    return markers;
  },
  /** Makes so many events at once. */
  step: (events: number) => simulator?.cluster.step(events),
  createPod: (wish: PodWish) => void simulator?.cluster.createPod(wish),
  version: () => String(simulator?.cluster.store.version),
  /** From now on notes when each version was there to be sent, encoded; the second call tells. */
  note: () => {
    const noted = notes;
    notes = [];
    stopNoting?.();
    const store = simulator?.cluster.store;
    stopNoting = store?.revision.onChange(() => {
      store.log.at(-1)?.current.bytes({ format: 'protobuf', kind: 'Pod' });
      notes.push([String(store.version), wallMs()]);
    });
    return noted;
  },
});
