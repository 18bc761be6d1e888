import type { PodObject } from '../pod-object.ts';
import * as life from './life.ts';
import { newborn } from './populate.ts';
import type { Workload } from './workload.ts';
import type { World } from './world.ts';

/** One change of one pod; false when there was nothing left to change, and another event must take its place. */
type Event = () => boolean;

/**
 * The daily life of a cluster as a sequence of events. What takes time in a real cluster (starting, stopping, the grace
 * period) takes steps here, so the same seed plays the same history at any rate.
 */
export class Churn {
  readonly #cluster: World;
  /** Events to come, by the step they are due in. */
  readonly #due = new Map<number, Event[]>();
  /** Due and not played yet. */
  readonly #ready: Event[] = [];
  #step = 0;
  #started = 0;

  constructor(cluster: World) {
    this.#cluster = cluster;
  }

  step(): void {
    this.#step++;
    this.#ready.push(...(this.#due.get(this.#step) ?? []));
    this.#due.delete(this.#step);
    for (let tries = 0; tries < 1000; tries++) {
      const event = this.#ready.shift() ?? this.#activity();
      if (event()) return;
    }
    this.#cluster.store.tick(); // an empty cluster: only its Leases change
  }

  #after(steps: number, event: Event): void {
    const at = this.#step + Math.max(1, steps);
    const events = this.#due.get(at);
    if (events) events.push(event);
    else this.#due.set(at, [event]);
  }

  #activity(): Event {
    const { random, workloads, store } = this.#cluster;
    if (workloads.length === 0) return () => false;
    if (this.#started++ % 4 === 0) store.tick(); // in between, something that is no pod changes
    const workload = random.pick(workloads);
    const replace = (): boolean => this.#replace(workload);
    const crash = (): boolean => this.#crash(workload);
    switch (workload.kind) {
      case 'Deployment': {
        const rollout = (): boolean => this.#rollout(workload);
        const scale = (): boolean => this.#scale(workload);
        const debug = (): boolean => this.#debug(workload);
        return random.pick([rollout, replace, replace, crash, scale, debug]);
      }
      case 'StatefulSet':
        return random.pick([replace, replace, crash]);
      case 'CronJob':
      case 'Job':
        return () => this.#run(workload);
      case 'DaemonSet':
      case 'Pod':
        break;
    }
    return crash;
  }

  /** A new revision: for each replica a pod of the new one comes and one of the old goes, a few at a time. */
  #rollout(workload: Workload): boolean {
    const old = workload.pods.splice(0);
    this.#cluster.workshop.revise(workload, this.#cluster.time);
    for (const [i, name] of old.entries()) {
      this.#after(1 + 3 * i, () => this.#birth(workload));
      this.#after(4 + 3 * i, () => this.#death(workload, name));
    }
    return this.#birth(workload);
  }

  /** A pod is deleted; its controller makes another: at once, or (StatefulSet) with the same name when it is gone. */
  #replace(workload: Workload): boolean {
    if (workload.pods.length === 0) return this.#birth(workload);
    const [name = ''] = workload.pods.splice(this.#cluster.random.below(workload.pods.length), 1);
    if (workload.kind !== 'StatefulSet') this.#after(1, () => this.#birth(workload));
    return this.#death(workload, name);
  }

  /** Up or down, and back towards what it was made for. */
  #scale(workload: Workload): boolean {
    const surplus = workload.pods.length - workload.replicas;
    if (surplus < 0 || (surplus < 2 && this.#cluster.random.below(2) === 0)) return this.#birth(workload);
    return workload.pods.length > 1 && this.#death(workload, workload.pods.pop() ?? '');
  }

  #crash(workload: Workload): boolean {
    const { random, time } = this.#cluster;
    if (workload.pods.length === 0) return false;
    const name = random.pick(workload.pods);
    this.#after(3 + random.below(10), () =>
      this.#change(workload, name, undefined, (pod) => life.restarted(pod, this.#cluster.time, random)),
    );
    return this.#change(workload, name, undefined, (pod) => life.crashed(pod, time));
  }

  #debug(workload: Workload): boolean {
    const { random, time } = this.#cluster;
    if (workload.pods.length === 0) return false;
    return this.#change(workload, random.pick(workload.pods), undefined, (pod) =>
      pod.spec['ephemeralContainers'] ? pod : life.debugged(pod, time, random),
    );
  }

  /** A Job's pod runs and ends, keeping its IP; of the finished ones the newest three stay. */
  #run(workload: Workload): boolean {
    if (workload.kind === 'CronJob') this.#cluster.workshop.revise(workload, this.#cluster.time);
    if (workload.pods.length > 3) {
      const name = workload.pods.shift() ?? '';
      this.#after(2, () => this.#death(workload, name));
    }
    return this.#birth(workload);
  }

  /** Pending now; scheduled, running and (Jobs) finished later. */
  #birth(workload: Workload): boolean {
    const cluster = this.#cluster;
    const { random, store } = cluster;
    const ordinal = workload.kind === 'StatefulSet' ? this.#freeOrdinal(workload) : random.suffix(5);
    const birth = newborn(workload, random.uid(), cluster.time, ordinal);
    if (store.get(workload.namespace, birth.name)) return false;
    const { template } = workload;
    workload.pods.push(birth.name);
    store.put(life.pending(template, birth));
    const { name, uid } = birth;
    this.#after(1, () =>
      this.#change(workload, name, uid, (pod) => life.scheduled(pod, cluster.pickNode(), cluster.time)),
    );
    this.#after(3 + random.below(4), () =>
      this.#change(workload, name, uid, (pod) => {
        const node = cluster.node(pod.spec.nodeName);
        if (!node || pod.status.podIPs || node.free === 0) return pod;
        const addresses = workload.hostNetwork ? node.addresses : node.allocate();
        return life.running(pod, { template, node, addresses, time: cluster.time, random });
      }),
    );
    if (workload.kind === 'Job' || workload.kind === 'CronJob') {
      this.#after(12 + random.below(12), () =>
        this.#change(workload, name, uid, (pod) => {
          if (pod.status.phase !== 'Running') return pod;
          cluster.releaseAddresses(pod);
          return life.finished(pod, random.below(5) === 0 ? 'Failed' : 'Succeeded', cluster.time);
        }),
      );
    }
    return true;
  }

  /** Terminating now; stopped and gone later. A StatefulSet then makes the name anew, with another uid. */
  #death(workload: Workload, name: string): boolean {
    const cluster = this.#cluster;
    const { random } = cluster;
    const uid = cluster.store.get(workload.namespace, name)?.metadata.uid;
    const gone = 4 + random.below(8);
    this.#after(gone - 1, () =>
      this.#change(workload, name, uid, (pod) =>
        pod.status.phase === 'Running' ? life.crashed(pod, cluster.time) : pod,
      ),
    );
    this.#after(gone, () => {
      if (uid === undefined || cluster.store.get(workload.namespace, name)?.metadata.uid !== uid) return false;
      if (workload.kind === 'StatefulSet') this.#after(1, () => this.#birth(workload));
      return cluster.deletePod(workload.namespace, name) !== undefined;
    });
    return this.#change(workload, name, uid, (pod) => life.terminating(pod, cluster.timeIn(30)));
  }

  /** Puts what `next` makes of a pod; nothing when it is gone, another one (uid) or stays as it is. */
  #change(workload: Workload, name: string, uid: string | undefined, next: (pod: PodObject) => PodObject): boolean {
    const { store } = this.#cluster;
    const pod = store.get(workload.namespace, name);
    if (!pod || (uid !== undefined && pod.metadata.uid !== uid)) return false;
    const changed = next(pod);
    if (changed === pod) return false;
    store.put(changed);
    return true;
  }

  /** The lowest number whose name is free; one that is still terminating is not. */
  #freeOrdinal({ namespace, prefix, pods }: Workload): string {
    for (let i = 0; ; i++) {
      const name = `${prefix}${i}`;
      if (!pods.includes(name) && !this.#cluster.store.get(namespace, name)) return String(i);
    }
  }
}
