import { isFinished } from '../index/answer.ts';
import type { Bound, Tenure } from '../index/history/interval.ts';
import { asciiJson } from './ascii-json.ts';

/** How long a pod held an address, and what identified it, all ASCII, without the closing brace. */
export function openTenureJson({ ip, holder, from, until }: Tenure, partial: boolean): string {
  const { name, namespace, uid, labels, serviceAccount, nodeName, workload, hostNetwork, deletionTimestamp } = holder;
  const fields = {
    ip,
    name,
    namespace,
    uid,
    labels,
    node_name: nodeName === '' ? null : nodeName,
    service_account: serviceAccount === '' ? null : serviceAccount,
    workload: workload ? { kind: workload.kind, name: workload.name, source: workload.source } : null,
    host_network: hostNetwork,
    terminating: deletionTimestamp !== undefined,
    finished: isFinished(holder),
    held_from: textOf(from.at),
    held_from_observed: from.observed,
    ...untilOf(until),
    ...(partial && { view: 'partial' }),
  };
  return asciiJson(fields).slice(0, -1);
}

export const tenureJson = (tenure: Tenure, partial: boolean): string => `${openTenureJson(tenure, partial)}}`;

const untilOf = (until: Bound | undefined) => ({
  held_until: until ? textOf(until.at) : null,
  held_until_observed: until ? until.observed : null,
});

/** RFC 3339, with milliseconds. */
export const textOf = (ms: number): string => new Date(ms).toISOString();
