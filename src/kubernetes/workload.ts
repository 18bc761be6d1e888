import type { StringMap, Workload } from '../pod.ts';
import type { Controller } from './pod-facts.ts';

/**
 * What a pod belongs to in the eyes of its user. A wrong guess is worse than none: where the evidence is missing, the
 * workload is the owner itself.
 */
export function workloadOf(owner: Controller | undefined, labels: StringMap, createdAt: number): Workload | undefined {
  if (!owner) return undefined;
  if (owner.apiGroup === 'apps' && owner.kind === 'ReplicaSet') {
    const name = deploymentName(owner.name, labels['pod-template-hash']);
    if (name) return { kind: 'Deployment', name, source: 'pod-template-hash' };
  }
  if (owner.apiGroup === 'batch' && owner.kind === 'Job') {
    const name = cronJobName(owner.name, createdAt);
    if (name) return { kind: 'CronJob', name, source: 'scheduled-time' };
  }
  return { kind: owner.kind, name: owner.name, source: 'owner' };
}

/** The Deployment controller names a ReplicaSet `<deployment>-<hash>` and labels its pods with that hash. */
function deploymentName(replicaSet: string, hash: string | undefined): string | undefined {
  return hash && replicaSet.endsWith(`-${hash}`) ? replicaSet.slice(0, -hash.length - 1) : undefined;
}

const MINUTE = 60_000;
const DAY = 24 * 60 * MINUTE;

/**
 * How far the scheduled time may lie after the pod's creation: the CronJob controller starts a Job when its own clock has
 * reached the time, the API server stamps the pod with another clock, in whole seconds. A minute is the suffix's own unit.
 */
const CLOCK_SKEW = MINUTE;

/** The CronJob controller names a Job `<cronjob>-<scheduled time in minutes since 1970>`: 8 digits since 1989, until 2160. */
function cronJobName(job: string, createdAt: number): string | undefined {
  const match = /^(.+)-([1-9][0-9]{7,})$/.exec(job);
  if (!match) return undefined;
  const age = createdAt - Number(match[2]) * MINUTE;
  return age >= -CLOCK_SKEW && age <= DAY ? match[1] : undefined;
}
