import type { PodObject } from '../pod-object.ts';
import type { ObjectStore } from '../store.ts';
import type { SimulatedNode } from './node.ts';
import type { Random } from './random.ts';
import type { Workload, Workshop } from './workload.ts';

/** What filling a cluster and playing its life need of it. */
export interface World {
  readonly store: ObjectStore<PodObject>;
  readonly nodes: readonly SimulatedNode[];
  readonly random: Random;
  readonly workshop: Workshop;
  /** What churns; DaemonSets do not. */
  readonly workloads: Workload[];
  /** The time now, as objects carry it (RFC 3339). */
  readonly time: string;
  timeIn(seconds: number): string;
  node(name: string | undefined): SimulatedNode | undefined;
  /** A node that has an address left, by chance. */
  pickNode(): SimulatedNode;
  createNamespace(name: string): object;
  deletePod(namespace: string, name: string): PodObject | undefined;
  releaseAddresses(pod: PodObject): void;
}
