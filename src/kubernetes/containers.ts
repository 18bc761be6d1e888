import type { Container, ContainerKind, ContainerShape, PackedContainers } from '../pod.ts';
import { Interner } from './interner.ts';

/**
 * Containers, small: as objects, with their ids as text, two of them would take 400 of the 900 bytes a pod may take. What is
 * kept is a shape (what the pods of one template have in common, shared) and a string of each pod's own; the objects are
 * made when they are asked for.
 */

/** What the spec says of a container. */
export interface ContainerSpec {
  readonly kind: ContainerKind;
  readonly name: string;
  readonly image: string;
}

/** What the status says of the container of this kind and name. */
export interface ContainerStatus {
  readonly kind: ContainerKind;
  readonly name: string;
  readonly ready: boolean;
  readonly restarts: number;
  readonly id: string;
}

const ID_DIGITS = 64;
const MAX_INT32 = 0x7fffffff;
/** A 32-bit number of restarts and a bit make a varint of at most 5 bytes. */
const MAX_STATE_BYTES = 5 + ID_DIGITS;

const NO_SHAPES: readonly ContainerShape[] = Object.freeze([]);

export class ContainerPacker {
  readonly #shapes = new Interner<readonly ContainerShape[]>(1 << 21);
  /**
   * By the first image: what its pods have had last, when that container had been created and when not, which come in turns. Looking
   * there first spares making the shapes to find them.
   */
  readonly #created = new Interner<readonly ContainerShape[]>(1 << 20);
  readonly #waiting = new Interner<readonly ContainerShape[]>(1 << 20);
  #bytes = Buffer.alloc(16 * MAX_STATE_BYTES);
  #at = 0;

  /** In the order of the specs. A status without a spec is dropped; a spec without a status has not been created yet. */
  pack(specs: readonly ContainerSpec[], statuses: readonly ContainerStatus[]): PackedContainers {
    if (this.#bytes.length < specs.length * MAX_STATE_BYTES) {
      this.#bytes = Buffer.alloc(specs.length * MAX_STATE_BYTES);
    }
    this.#at = 0;
    const image = specs[0]?.image ?? '';
    let likelies = this.#waiting;
    let likely = NO_SHAPES;
    let isLikely = specs.length === 0;
    const ids: string[] = [];
    const byName = statuses.length > FEW ? statusesByName(statuses) : undefined;
    for (let i = 0; i < specs.length; i++) {
      const spec = specs[i]!;
      const status = byName ? byName.get(spec.kind + spec.name) : statusOf(spec, statuses);
      const id = status?.id ?? '';
      this.#packState(status);
      const hasDigits = this.#packDigits(id);
      ids.push(id);
      if (i === 0) {
        if (hasDigits) likelies = this.#created;
        likely = likelies.get(image) ?? NO_SHAPES;
        isLikely = specs.length === likely.length;
      }
      isLikely &&= isShape(likely[i]!, spec, id, hasDigits);
    }
    const shapes = isLikely ? likely : likelies.set(image, this.#shapesOf(specs, ids));
    return { shapes, states: this.#bytes.toString('latin1', 0, this.#at) };
  }

  #shapesOf(specs: readonly ContainerSpec[], ids: readonly string[]): readonly ContainerShape[] {
    const shapes = specs.map((spec, i) => newShape(spec, ids[i]!));
    const key = JSON.stringify(shapes);
    return this.#shapes.get(key) ?? this.#shapes.set(key, shapes);
  }

  #packState(status: ContainerStatus | undefined): void {
    const restarts = status?.restarts ?? 0;
    if (!(restarts >= 0 && restarts <= MAX_INT32))
      throw new Error(`restartCount ${restarts} is not a number of restarts`);
    let value = restarts * 2 + (status?.ready ? 1 : 0);
    for (; value > 0x7f; value = Math.floor(value / 0x80)) this.#bytes[this.#at++] = (value % 0x80) + 0x80;
    this.#bytes[this.#at++] = value;
  }

  /** False, with nothing packed, when the id does not end in its 64 digits. */
  #packDigits(id: string): boolean {
    const start = id.length - ID_DIGITS;
    if (start < 0) return false;
    for (let i = 0; i < ID_DIGITS; i++) {
      const code = id.charCodeAt(start + i);
      if (!isHexDigit(code)) return false;
      this.#bytes[this.#at + i] = code;
    }
    this.#at += ID_DIGITS;
    return true;
  }
}

export function unpackContainers({ shapes, states }: PackedContainers): Container[] {
  const containers: Container[] = [];
  let at = 0;
  for (const { kind, name, image, idPrefix, hasDigits } of shapes) {
    let byte = states.charCodeAt(at++);
    let number = byte & 0x7f;
    for (let scale = 0x80; byte >= 0x80; scale *= 0x80) {
      byte = states.charCodeAt(at++);
      number += (byte & 0x7f) * scale;
    }
    const id = hasDigits ? idPrefix + states.slice(at, at + ID_DIGITS) : idPrefix;
    if (hasDigits) at += ID_DIGITS;
    containers.push({ kind, name, image, id, ready: number % 2 === 1, restarts: Math.floor(number / 2) });
  }
  return containers;
}

/** Lower case only, as every runtime writes them. */
const isHexDigit = (code: number): boolean => (code >= 0x30 && code <= 0x39) || (code >= 0x61 && code <= 0x66);

function isShape(shape: ContainerShape, spec: ContainerSpec, id: string, hasDigits: boolean): boolean {
  return (
    shape.hasDigits === hasDigits &&
    shape.kind === spec.kind &&
    shape.name === spec.name &&
    shape.image === spec.image &&
    shape.idPrefix.length === id.length - (hasDigits ? ID_DIGITS : 0) &&
    id.startsWith(shape.idPrefix)
  );
}

function newShape({ kind, name, image }: ContainerSpec, id: string): ContainerShape {
  const hasDigits = /[0-9a-f]{64}$/.test(id);
  const idPrefix = hasDigits ? id.slice(0, -ID_DIGITS) : id;
  // The slice would hold the whole id for as long as the shape lives; what comes out of a Buffer is a string of its own.
  return { kind, name, image, idPrefix: Buffer.from(idPrefix).toString(), hasDigits };
}

/** How many statuses are looked through one by one; how many there are is the pod's choice. */
const FEW = 8;

/** Names are unique in a pod; were they not, the first status counts. */
function statusOf(spec: ContainerSpec, statuses: readonly ContainerStatus[]): ContainerStatus | undefined {
  for (const status of statuses) if (status.name === spec.name && status.kind === spec.kind) return status;
  return undefined;
}

function statusesByName(statuses: readonly ContainerStatus[]): Map<string, ContainerStatus> {
  return new Map(statuses.toReversed().map((status) => [status.kind + status.name, status]));
}
