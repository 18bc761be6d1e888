import type { ContainerKind, StringMap } from '../pod.ts';
import { Interner } from './interner.ts';
import { labelsFromJson, NO_STRINGS } from './labels.ts';
import { apiGroupOf, PodFacts } from './pod-facts.ts';
import type { Controller } from './pod-facts.ts';
import { boolean, integer, list, NOTHING, record, seconds, text } from './wire/json-values.ts';
import type { JsonObject } from './wire/json-values.ts';

/**
 * A Pod from parsed JSON. What is absent or null is the API's default, as it is to Kubernetes; a field of another type than
 * the API's throws. Own properties only are met: what JSON.parse makes of a `__proto__` key is an own property, and no
 * field of a pod is called as something that Object.prototype has.
 */
export class PodFromJson {
  readonly #annotations: ReadonlySet<string>;
  readonly #labels = new Interner<StringMap>(1 << 22);
  readonly #owners = new Interner<Controller>(1 << 21);

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
    return this.#labels.set(key, labelsFromJson(parsed));
  }
}

function controllerOf(references: readonly unknown[]): Controller | undefined {
  let owner: Controller | undefined;
  for (const one of references) {
    const reference = record(one, 'metadata.ownerReferences[]');
    const apiGroup = apiGroupOf(text(reference['apiVersion'], 'metadata.ownerReferences[].apiVersion'));
    const kind = text(reference['kind'], 'metadata.ownerReferences[].kind');
    const name = text(reference['name'], 'metadata.ownerReferences[].name');
    const uid = text(reference['uid'], 'metadata.ownerReferences[].uid');
    const controller = boolean(reference['controller'], 'metadata.ownerReferences[].controller');
    if (controller) owner ??= { apiGroup, kind, name, uid };
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
