import type { ContainerKind, Owner, StringMap } from '../pod.ts';
import { Interner } from './interner.ts';
import { newStringMap, NO_STRINGS, PodFacts } from './pod-facts.ts';

/**
 * A Pod from parsed JSON. What is absent or null is the API's default, as it is to Kubernetes; a field of another type than
 * the API's throws. Own properties only are met: what JSON.parse makes of a `__proto__` key is an own property, and no
 * field of a pod is called as something that Object.prototype has.
 */
export class PodFromJson {
  readonly #annotations: ReadonlySet<string>;
  readonly #labels = new Interner<StringMap>(1 << 22);
  readonly #owners = new Interner<Owner>(1 << 21);

  constructor(annotations: ReadonlySet<string>) {
    this.#annotations = annotations;
  }

  read(object: unknown): PodFacts {
    const facts = new PodFacts();
    const pod = record(object, 'the object');
    this.#metadata(record(pod['metadata'], 'metadata'), facts);
    readSpec(record(pod['spec'], 'spec'), facts);
    readStatus(record(pod['status'], 'status'), facts);
    return facts;
  }

  #metadata(metadata: JsonObject, facts: PodFacts): void {
    facts.name = text(metadata['name'], 'metadata.name');
    facts.namespace = text(metadata['namespace'], 'metadata.namespace');
    facts.uid = text(metadata['uid'], 'metadata.uid');
    facts.resourceVersion = text(metadata['resourceVersion'], 'metadata.resourceVersion');
    facts.createdAt = seconds(metadata['creationTimestamp'], 'metadata.creationTimestamp') ?? 0;
    facts.deletionTimestamp = seconds(metadata['deletionTimestamp'], 'metadata.deletionTimestamp');
    facts.labels = this.#labelsOf(record(metadata['labels'], 'metadata.labels'));
    if (this.#annotations.size > 0) {
      const annotations = record(metadata['annotations'], 'metadata.annotations');
      for (const key of Object.keys(annotations)) {
        if (this.#annotations.has(key)) facts.annotations.push(key, text(annotations[key], 'metadata.annotations'));
      }
    }
    const owner = controllerOf(list(metadata['ownerReferences'], 'metadata.ownerReferences'));
    if (owner) {
      const key = JSON.stringify(owner);
      facts.owner = this.#owners.get(key) ?? this.#owners.set(key, owner);
    }
  }

  #labelsOf(parsed: JsonObject): StringMap {
    if (parsed === NOTHING) return NO_STRINGS;
    const key = JSON.stringify(parsed);
    const known = this.#labels.get(key);
    if (known) return known;
    const labels = newStringMap();
    for (const name of Object.keys(parsed)) labels[name] = text(parsed[name], 'metadata.labels');
    return this.#labels.set(key, labels);
  }
}

function controllerOf(references: readonly unknown[]): Owner | undefined {
  let owner: Owner | undefined;
  for (const one of references) {
    const reference = record(one, 'metadata.ownerReferences[]');
    const kind = text(reference['kind'], 'metadata.ownerReferences[].kind');
    const name = text(reference['name'], 'metadata.ownerReferences[].name');
    const uid = text(reference['uid'], 'metadata.ownerReferences[].uid');
    const controller = boolean(reference['controller'], 'metadata.ownerReferences[].controller');
    if (controller) owner ??= { kind, name, uid };
  }
  return owner;
}

function readSpec(spec: JsonObject, facts: PodFacts): void {
  facts.serviceAccount = text(spec['serviceAccountName'], 'spec.serviceAccountName');
  facts.nodeName = text(spec['nodeName'], 'spec.nodeName');
  facts.hostNetwork = boolean(spec['hostNetwork'], 'spec.hostNetwork');
  readContainers('container', spec['containers'], 'spec.containers', facts);
  readContainers('init', spec['initContainers'], 'spec.initContainers', facts);
  readContainers('ephemeral', spec['ephemeralContainers'], 'spec.ephemeralContainers', facts);
}

function readContainers(kind: ContainerKind, value: unknown, path: string, facts: PodFacts): void {
  for (const one of list(value, path)) {
    const container = record(one, path);
    facts.containers.push({ kind, name: text(container['name'], path), image: text(container['image'], path) });
  }
}

function readStatus(status: JsonObject, facts: PodFacts): void {
  facts.phase = text(status['phase'], 'status.phase');
  facts.hostIp = text(status['hostIP'], 'status.hostIP');
  facts.podIp = text(status['podIP'], 'status.podIP');
  facts.qosClass = text(status['qosClass'], 'status.qosClass');
  facts.startedAt = seconds(status['startTime'], 'status.startTime');
  for (const one of list(status['podIPs'], 'status.podIPs')) facts.podIps.push(address(one, 'status.podIPs'));
  for (const one of list(status['hostIPs'], 'status.hostIPs')) facts.hostIps.push(address(one, 'status.hostIPs'));
  for (const one of list(status['conditions'], 'status.conditions')) {
    const condition = record(one, 'status.conditions');
    if (text(condition['type'], 'status.conditions') !== 'Ready') continue;
    if (text(condition['status'], 'status.conditions') === 'True') facts.ready = true;
  }
  readStatuses('container', status['containerStatuses'], 'status.containerStatuses', facts);
  readStatuses('init', status['initContainerStatuses'], 'status.initContainerStatuses', facts);
  readStatuses('ephemeral', status['ephemeralContainerStatuses'], 'status.ephemeralContainerStatuses', facts);
}

function address(value: unknown, path: string): string {
  return text(record(value, path)['ip'], path);
}

function readStatuses(kind: ContainerKind, value: unknown, path: string, facts: PodFacts): void {
  for (const one of list(value, path)) {
    const status = record(one, path);
    facts.containerStatuses.push({
      kind,
      name: text(status['name'], path),
      ready: boolean(status['ready'], path),
      restarts: integer(status['restartCount'], path),
      id: text(status['containerID'], path),
    });
  }
}

type JsonObject = Readonly<Record<string, unknown>>;

const NOTHING: JsonObject = Object.freeze(Object.create(null) as JsonObject);
const NO_ITEMS: readonly unknown[] = Object.freeze([]);

function record(value: unknown, path: string): JsonObject {
  if (value === undefined || value === null) return NOTHING;
  if (typeof value !== 'object' || Array.isArray(value)) throw new Error(`${path} is not an object`);
  return value as JsonObject;
}

function list(value: unknown, path: string): readonly unknown[] {
  if (value === undefined || value === null) return NO_ITEMS;
  if (!Array.isArray(value)) throw new Error(`${path} is not a list`);
  return value as readonly unknown[];
}

function text(value: unknown, path: string): string {
  if (typeof value === 'string') return value;
  if (value === undefined || value === null) return '';
  throw new Error(`${path} is not a text`);
}

function boolean(value: unknown, path: string): boolean {
  if (typeof value === 'boolean') return value;
  if (value === undefined || value === null) return false;
  throw new Error(`${path} is not a boolean`);
}

function integer(value: unknown, path: string): number {
  if (Number.isSafeInteger(value)) return value as number;
  if (value === undefined || value === null) return 0;
  throw new Error(`${path} is not an integer`);
}

const RFC3339 = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:\d\d)$/;

function seconds(value: unknown, path: string): number | undefined {
  if (value === undefined || value === null) return undefined;
  const time = typeof value === 'string' && RFC3339.test(value) ? Date.parse(value) : NaN;
  if (Number.isNaN(time)) throw new Error(`${path} is not a time`);
  return Math.floor(time / 1000);
}
