import type { Container, Pod } from '../pod.ts';
import { asciiJson, PLAIN } from './ascii-json.ts';
import { timeJson } from './time-json.ts';
import { WeakCache } from './weak-cache.ts';

/** Bytes, overheads counted, of what pods share: by template, of which a cluster of 150,000 pods has thousands, and by node. */
const TEMPLATES = 8 * 1024 * 1024;
const HOSTS = 1024 * 1024;
/** What an entry, and each container in it, takes beside its text; and what a node's entry takes. */
const ENTRY = 250;
const HOST_ENTRY = 120;

/**
 * A pod as JSON, all ASCII: the fields of rule F and no others, what is not there as null. Written by hand, because this is most of what a
 * lookup costs beside HTTP itself: every piece that is joined costs, and more so every object that is not in the processor's
 * cache. So what the pods of one template have in common, and those of one node, is written once and kept.
 */
export class PodJson {
  readonly #templates = new WeakCache<object, Template>(TEMPLATES);
  readonly #hosts = new WeakCache<object, Host>(HOSTS);
  /** The last key of whatever is answered when not everything is in view (rule A10); empty when it is. */
  readonly view: string;
  readonly #end: string;

  /** `partial` (rule A10): a conflict with a pod outside the view cannot be seen, and every pod says so. */
  constructor(partial: boolean) {
    this.view = partial ? ',"view":"partial"' : '';
    this.#end = `"${this.view}}`;
  }

  of(pod: Pod): string {
    const template = this.#template(pod);
    const inner = pod.isPlain === true ? asItIs : escaped;
    return (
      `{"name":"${inner(pod.name)}","namespace":"${inner(pod.namespace)}","uid":"${inner(pod.uid)}` +
      template.json +
      addresses(pod.podIps, inner) +
      this.#host(pod) +
      state(pod) +
      (packed(pod, template) ?? containers(pod.containers, template, inner)) +
      `,"created_at":${timeJson(pod.createdAt)},"started_at":${timeJson(pod.startedAt)}` +
      `,"resource_version":"${inner(pod.resourceVersion)}${this.#end}`
    );
  }

  /** Pods of one template share their labels; that they share the rest is looked at, not believed. */
  #template(pod: Pod): Template {
    const { labels, annotations, owner, workload, serviceAccount, qosClass } = pod;
    const known = this.#templates.get(labels);
    if (
      known &&
      known.annotations === annotations &&
      known.owner === owner &&
      known.workload === workload &&
      known.serviceAccount === serviceAccount &&
      known.qosClass === qosClass
    ) {
      return known;
    }
    const json = flat(
      `","labels":${asciiJson(labels)},"annotations":${asciiJson(annotations)}` +
        `,"owner":${owner ? `{"kind":${quote(owner.kind)},"name":${quote(owner.name)},"uid":${quote(owner.uid)}}` : 'null'}` +
        `,"workload":${workload ? `{"kind":${quote(workload.kind)},"name":${quote(workload.name)},"source":${quote(workload.source)}}` : 'null'}` +
        `,"service_account":${orNull(serviceAccount)},"qos_class":${orNull(qosClass)}`,
    );
    const shapes = pod.containers.map(({ kind, name, image }) => ({
      kind,
      name,
      image,
      json: shapeJson(kind, name, image),
    }));
    const starts = pod.shapes?.map(({ kind, name, image, idPrefix, hasDigits }) =>
      hasDigits ? flat(shapeJson(kind, name, image) + asciiJson(idPrefix).slice(0, -1)) : undefined,
    );
    const packed = pod.shapes && { shapes: pod.shapes, starts: starts ?? [] };
    const template = { annotations, owner, workload, serviceAccount, qosClass, json, shapes, packed };
    const size = shapes.reduce((sum, shape) => sum + 2 * (shape.json.length + ENTRY), json.length + ENTRY);
    return this.#templates.set(labels, template, size);
  }

  #host({ hostIps, nodeName }: Pod): string {
    const known = this.#hosts.get(hostIps);
    if (known?.nodeName === nodeName) return known.json;
    const json = flat(`,"host_ip":${orNull(hostIps[0])},"host_ips":${list(hostIps)},"node_name":${orNull(nodeName)}`);
    return this.#hosts.set(hostIps, { nodeName, json }, json.length + HOST_ENTRY).json;
  }
}

interface Template extends Pick<Pod, 'annotations' | 'owner' | 'workload' | 'serviceAccount' | 'qosClass'> {
  readonly json: string;
  readonly shapes: readonly Shape[];
  /** Of each container of these very shapes its text up to the digits of its id. */
  readonly packed:
    { readonly shapes: NonNullable<Pod['shapes']>; readonly starts: readonly (string | undefined)[] } | undefined;
}

interface Shape extends Pick<Container, 'kind' | 'name' | 'image'> {
  readonly json: string;
}

interface Host extends Pick<Pod, 'nodeName'> {
  readonly json: string;
}

/** What stands between the quotes. */
type Inner = (text: string) => string;
const asItIs: Inner = (text) => text;
const escaped: Inner = (text) => (PLAIN.test(text) ? text : asciiJson(text).slice(1, -1));

const quote = (text: string): string => `"${escaped(text)}"`;

const orNull = (text: string | undefined): string => (text === undefined || text === '' ? 'null' : quote(text));

/** V8 keeps a joined string as the tree it was joined of, and walks it again in every string that holds it. */
const flat = (text: string): string => Buffer.from(text, 'latin1').toString('latin1');

const list = (texts: readonly string[]): string => `[${texts.map(quote).join(',')}]`;

function addresses(ips: readonly string[], inner: Inner): string {
  if (ips.length === 0) return ',"pod_ip":null,"pod_ips":[]';
  const first = inner(ips[0] as string);
  let json = `,"pod_ip":"${first}","pod_ips":["${first}`;
  for (let i = 1; i < ips.length; i++) json += `","${inner(ips[i] as string)}`;
  return `${json}"]`;
}

/** By phase, then ready, terminating and host network as bits: five pieces in one. */
const STATES = new Map(
  (['Pending', 'Running', 'Succeeded', 'Failed', 'Unknown'] as const).map((phase) => [
    phase,
    Array.from({ length: 8 }, (_, bits) =>
      flat(
        `,"phase":"${phase}","ready":${(bits & 1) !== 0},"terminating":${(bits & 2) !== 0},"host_network":${(bits & 4) !== 0},"containers":[`,
      ),
    ),
  ]),
);

function state({ phase, ready, deletionTimestamp, hostNetwork }: Pod): string {
  const bits = (ready ? 1 : 0) | (deletionTimestamp === undefined ? 0 : 2) | (hostNetwork ? 4 : 0);
  return STATES.get(phase)?.[bits] ?? '';
}

const shapeJson = (kind: string, name: string, image: string): string =>
  flat(`{"kind":"${kind}","name":${quote(name)},"image":${quote(image)},"id":`);

/** What follows the digits of an id, for few restarts, as nearly all containers have: by twice their number, and one when ready. */
const ENDS = Array.from({ length: 20 }, (_, i) => `","ready":${i % 2 === 1},"restarts":${i >> 1}}`);

/** Of `PackedContainers`. */
const ID_DIGITS = 64;

/** As `containers`, of containers as they are kept; undefined where one of them is unusual: not created yet, or often restarted. */
function packed({ shapes, states }: Pod, { packed }: Template): string | undefined {
  if (states === undefined || packed === undefined || packed.shapes !== shapes) return undefined;
  const { starts } = packed;
  let json = '';
  let at = 0;
  for (let i = 0; i < starts.length; i++) {
    const start = starts[i];
    const end = ENDS[states.charCodeAt(at)];
    if (start === undefined || end === undefined) return undefined;
    if (i > 0) json += ',';
    json += start + states.slice(at + 1, at + 1 + ID_DIGITS) + end;
    at += 1 + ID_DIGITS;
  }
  return `${json}]`;
}

function containers(all: readonly Container[], { shapes }: Template, inner: Inner): string {
  let json = '';
  for (let i = 0; i < all.length; i++) {
    const { kind, name, image, id, ready, restarts } = all[i] as Container;
    const shape = shapes[i];
    const same = shape !== undefined && shape.kind === kind && shape.name === name && shape.image === image;
    if (i > 0) json += ',';
    json += same ? shape.json : shapeJson(kind, name, image);
    const end = ENDS[2 * restarts + (ready ? 1 : 0)] ?? `","ready":${ready},"restarts":${restarts}}`;
    json += id === '' ? `null${end.slice(1)}` : `"${inner(id)}${end}`;
  }
  return `${json}]`;
}
