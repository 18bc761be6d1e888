import type { Container, Owner, Pod, StringMap, Workload } from '../pod.ts';
import { FragmentCache } from './fragment-cache.ts';

/**
 * A pod as JSON: the fields of rule F and no others, what is not there as null. Written by hand, because this is most of what a
 * lookup costs beside HTTP itself; what the pods of one template have in common is written once and kept.
 */
export class PodJson {
  readonly #end: string;
  readonly #labels = new FragmentCache<StringMap>(JSON.stringify);
  readonly #annotations = new FragmentCache<StringMap>(JSON.stringify);
  readonly #owners = new FragmentCache<Owner>(({ kind, name, uid }) => JSON.stringify({ kind, name, uid }));
  readonly #workloads = new FragmentCache<Workload>(({ kind, name, source }) => JSON.stringify({ kind, name, source }));

  /** `partial` (rule A10): a conflict with a pod outside the view cannot be seen, and every pod says so. */
  constructor(partial: boolean) {
    this.#end = partial ? ',"view":"partial"}' : '}';
  }

  of(pod: Pod): string {
    return (
      `{"name":${quote(pod.name)},"namespace":${quote(pod.namespace)},"uid":${quote(pod.uid)}` +
      `,"labels":${this.#labels.of(pod.labels)},"annotations":${this.#annotations.of(pod.annotations)}` +
      `,"pod_ip":${orNull(pod.podIps[0])},"pod_ips":${list(pod.podIps)}` +
      `,"host_ip":${orNull(pod.hostIps[0])},"host_ips":${list(pod.hostIps)}` +
      `,"node_name":${orNull(pod.nodeName)},"phase":${quote(pod.phase)},"ready":${pod.ready}` +
      `,"terminating":${pod.deletionTimestamp !== undefined},"host_network":${pod.hostNetwork}` +
      `,"service_account":${orNull(pod.serviceAccount)}` +
      `,"owner":${pod.owner ? this.#owners.of(pod.owner) : 'null'}` +
      `,"workload":${pod.workload ? this.#workloads.of(pod.workload) : 'null'}` +
      `,"containers":${containers(pod.containers)},"qos_class":${orNull(pod.qosClass)}` +
      `,"created_at":${time(pod.createdAt)},"started_at":${time(pod.startedAt)}` +
      `,"resource_version":${quote(pod.resourceVersion)}${this.#end}`
    );
  }
}

// No quote, no backslash, no control character, no lone surrogate: what stands in almost every field.
const PLAIN = /^[ !#-[\]-~]*$/;

export const quote = (text: string): string => (PLAIN.test(text) ? `"${text}"` : JSON.stringify(text));

const orNull = (text: string | undefined): string => (text === undefined || text === '' ? 'null' : quote(text));

function list(texts: readonly string[]): string {
  let json = '[';
  for (const text of texts) json += (json === '[' ? '' : ',') + quote(text);
  return `${json}]`;
}

function containers(all: readonly Container[]): string {
  let json = '[';
  for (const { kind, name, image, id, ready, restarts } of all) {
    json +=
      `${json === '[' ? '' : ','}{"kind":"${kind}","name":${quote(name)},"image":${quote(image)},"id":${orNull(id)}` +
      `,"ready":${ready},"restarts":${restarts}}`;
  }
  return `${json}]`;
}

const DAY = 86_400_000;
let day = NaN;
let date = '';

/** RFC 3339, in whole seconds, as the Kubernetes API has them. */
function time(ms: number | undefined): string {
  if (ms === undefined || !(Math.abs(ms) < 8.64e15)) return 'null';
  const today = Math.floor(ms / DAY);
  // Most pods were made on few days, and a Date costs as much as the rest of the pod's numbers.
  if (today !== day) {
    day = today;
    date = new Date(today * DAY).toISOString().slice(0, -'00:00:00.000Z'.length);
  }
  const second = Math.floor((ms - today * DAY) / 1000);
  return `"${date}${two(Math.floor(second / 3600))}:${two(Math.floor(second / 60) % 60)}:${two(second % 60)}Z"`;
}

const two = (number: number): string => (number < 10 ? `0${number}` : String(number));
