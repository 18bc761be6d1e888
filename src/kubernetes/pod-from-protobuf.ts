import type { ContainerKind, StringMap } from '../pod.ts';
import { Interner } from './interner.ts';
import { labelsFromProtobuf } from './labels.ts';
import { apiGroupOf, PodFacts } from './pod-facts.ts';
import type { Controller } from './pod-facts.ts';
import { MessageReader } from './wire/message-reader.ts';

/**
 * A `core/v1.Pod` message. Field numbers: k8s.io/api/core/v1/generated.proto and
 * k8s.io/apimachinery/pkg/apis/meta/v1/generated.proto (v0.36); Kubernetes never changes one. Every field not named is skipped.
 */
export class PodFromProtobuf {
  readonly #reader = new MessageReader();
  readonly #annotations: ReadonlySet<string>;
  readonly #labels = new Interner<StringMap>(1 << 22);
  readonly #owners = new Interner<Controller | typeof NO_CONTROLLER>(1 << 21);
  /** What was read before: neighbours in a list have texts in common, and so have the fields of one pod. */
  #before = new PodFacts();

  constructor(annotations: ReadonlySet<string>) {
    this.#annotations = annotations;
  }

  /** Throws when the bytes are not such a message. */
  read(bytes: Uint8Array): PodFacts {
    const reader = this.#reader;
    reader.reset(bytes);
    const facts = new PodFacts();
    for (let field; (field = reader.nextField()) !== 0;) {
      switch (field) {
        case 1:
          this.#metadata(reader.open(bytes.length), facts);
          break;
        case 2:
          this.#spec(reader.open(bytes.length), facts);
          break;
        case 3:
          this.#status(reader.open(bytes.length), facts);
          break;
        default:
      }
    }
    reader.close(bytes.length);
    this.#before = facts;
    return facts;
  }

  /** meta/v1.ObjectMeta */
  #metadata(end: number, facts: PodFacts): void {
    const reader = this.#reader;
    let labels = '';
    let owners = '';
    for (let field; (field = reader.nextField(end)) !== 0;) {
      switch (field) {
        case 1:
          facts.name = reader.text(end);
          break;
        case 3:
          facts.namespace = reader.text(end, this.#before.namespace);
          break;
        case 5:
          facts.uid = reader.text(end);
          break;
        case 6:
          facts.resourceVersion = reader.text(end);
          break;
        case 8:
          facts.createdAt = this.#time(reader.open(end)) ?? 0;
          break;
        case 9:
          facts.deletionTimestamp = this.#time(reader.open(end));
          break;
        case 11:
          labels += reader.run(end);
          break;
        case 12:
          if (this.#annotations.size > 0) this.#annotation(reader.open(end), facts);
          break;
        case 13:
          owners += reader.run(end);
          break;
        default:
      }
    }
    reader.close(end);
    if (labels !== '') facts.labels = this.#labels.get(labels) ?? this.#labels.set(labels, labelsFromProtobuf(labels));
    if (owners !== '') {
      const owner = this.#owners.get(owners) ?? this.#owners.set(owners, readController(owners));
      if (owner !== NO_CONTROLLER) facts.owner = owner;
    }
  }

  #annotation(end: number, facts: PodFacts): void {
    const reader = this.#reader;
    let key = '';
    let value = '';
    for (let field; (field = reader.nextField(end)) !== 0;) {
      if (field === 1) key = reader.text(end);
      else if (field === 2 && (key === '' || this.#annotations.has(key))) value = reader.text(end);
    }
    reader.close(end);
    if (this.#annotations.has(key)) facts.annotations.push(key, value);
  }

  /** meta/v1.Time: no bytes at all are no time. */
  #time(end: number): number | undefined {
    const reader = this.#reader;
    if (reader.pos === end) return undefined;
    let seconds = 0;
    for (let field; (field = reader.nextField(end)) !== 0;) if (field === 1) seconds = reader.integer();
    reader.close(end);
    if (Math.abs(seconds) > MAX_SECONDS) throw new Error(`${seconds} seconds are not a time`);
    return seconds;
  }

  #spec(end: number, facts: PodFacts): void {
    const reader = this.#reader;
    for (let field; (field = reader.nextField(end)) !== 0;) {
      switch (field) {
        case 2:
          this.#container('container', reader.open(end), facts);
          break;
        case 8:
          facts.serviceAccount = reader.text(end, this.#before.serviceAccount);
          break;
        case 10:
          facts.nodeName = reader.text(end);
          break;
        case 11:
          facts.hostNetwork = reader.boolean();
          break;
        case 20:
          this.#container('init', reader.open(end), facts);
          break;
        case 34:
          this.#ephemeralContainer(reader.open(end), facts);
          break;
        default:
      }
    }
    reader.close(end);
  }

  /** Container, or EphemeralContainerCommon. Name and image come first, and then nothing is left to look for. */
  #container(kind: ContainerKind, end: number, facts: PodFacts): void {
    const reader = this.#reader;
    const likely = this.#before.containers[facts.containers.length];
    let name: string | undefined;
    let image: string | undefined;
    for (let field; (field = reader.nextField(end)) !== 0;) {
      if (field === 1) name = reader.text(end, likely?.name);
      else if (field === 2) image = reader.text(end, likely?.image);
      if (name !== undefined && image !== undefined) reader.pos = end;
    }
    reader.close(end);
    facts.containers.push({ kind, name: name ?? '', image: image ?? '' });
  }

  #ephemeralContainer(end: number, facts: PodFacts): void {
    const reader = this.#reader;
    for (let field; (field = reader.nextField(end)) !== 0;) {
      if (field === 1) this.#container('ephemeral', reader.open(end), facts);
    }
    reader.close(end);
  }

  #status(end: number, facts: PodFacts): void {
    const reader = this.#reader;
    for (let field; (field = reader.nextField(end)) !== 0;) {
      switch (field) {
        case 1:
          facts.phase = reader.text(end, this.#before.phase);
          break;
        case 2:
          if (this.#isReady(reader.open(end))) facts.ready = true;
          break;
        case 5:
          facts.hostIp = reader.text(end);
          break;
        case 6:
          facts.podIp = reader.text(end);
          break;
        case 7:
          facts.startedAt = this.#time(reader.open(end));
          break;
        case 8:
          this.#containerStatus('container', reader.open(end), facts);
          break;
        case 9:
          facts.qosClass = reader.text(end, this.#before.qosClass);
          break;
        case 10:
          this.#containerStatus('init', reader.open(end), facts);
          break;
        case 12:
          facts.podIps.push(this.#address(reader.open(end), facts.podIp));
          break;
        case 13:
          this.#containerStatus('ephemeral', reader.open(end), facts);
          break;
        case 16:
          facts.hostIps.push(this.#address(reader.open(end), facts.hostIp));
          break;
        default:
      }
    }
    reader.close(end);
  }

  /** PodCondition: whether it is the Ready one, and true. */
  #isReady(end: number): boolean {
    const reader = this.#reader;
    let ready = false;
    let yes = false;
    for (let field; (field = reader.nextField(end)) !== 0;) {
      if (field === 1) ready = reader.isText(end, READY);
      else if (field === 2) yes = reader.isText(end, TRUE);
    }
    reader.close(end);
    return ready && yes;
  }

  /** PodIP, HostIP */
  #address(end: number, likely: string): string {
    const reader = this.#reader;
    let ip = '';
    for (let field; (field = reader.nextField(end)) !== 0;) if (field === 1) ip = reader.text(end, likely);
    reader.close(end);
    return ip;
  }

  #containerStatus(kind: ContainerKind, end: number, facts: PodFacts): void {
    const reader = this.#reader;
    const likely = facts.containers[facts.containerStatuses.length];
    let name = '';
    let ready = false;
    let restarts = 0;
    let id = '';
    for (let field; (field = reader.nextField(end)) !== 0;) {
      if (field === 1) name = reader.text(end, likely?.name);
      else if (field === 4) ready = reader.boolean();
      else if (field === 5) restarts = reader.integer();
      else if (field === 8) id = reader.text(end);
    }
    reader.close(end);
    facts.containerStatuses.push({ kind, name, ready, restarts, id });
  }
}

const READY = Buffer.from('Ready');
const TRUE = Buffer.from('True');

/** Beyond it a Date is invalid. */
const MAX_SECONDS = 8.64e12;

/** What is known of owner references none of which is the controller's. */
const NO_CONTROLLER = 'no controller';

/** meta/v1.OwnerReference, a run of them */
function readController(run: string): Controller | typeof NO_CONTROLLER {
  const reader = new MessageReader(Buffer.from(run, 'latin1'));
  let owner: Controller | undefined;
  while (reader.nextField() !== 0) {
    const end = reader.open(reader.length);
    let apiGroup = '';
    let kind = '';
    let name = '';
    let uid = '';
    let controller = false;
    for (let field; (field = reader.nextField(end)) !== 0;) {
      if (field === 1) kind = reader.text(end);
      else if (field === 3) name = reader.text(end);
      else if (field === 4) uid = reader.text(end);
      else if (field === 5) apiGroup = apiGroupOf(reader.text(end));
      else if (field === 6) controller = reader.boolean();
    }
    reader.close(end);
    if (controller) owner ??= { apiGroup, kind, name, uid };
  }
  reader.close(reader.length);
  return owner ?? NO_CONTROLLER;
}
