import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { isIP } from 'node:net';
import { join } from 'node:path';
import { podReader } from '../../../src/kubernetes/pod-from-api.ts';
import { json } from '../../../src/kubernetes/wire/json.ts';
import { protobuf } from '../../../src/kubernetes/wire/protobuf.ts';
import type { Pod } from '../../../src/pod.ts';
import type { ObjectReader, WatchEvent, WireFormat } from '../../../src/kubernetes/wire/format.ts';

/** What a real API server sent (see record.ts), and how tests look at what is read of it. */

export const FORMATS: readonly WireFormat[] = [protobuf, json];

export const KEPT = 'example.test/kept';

type Recording =
  | 'list'
  | 'page'
  | 'watch'
  | 'gone'
  | 'not-found'
  | 'too-large'
  | `namespaces${'' | '-whole' | '-page' | '-watch' | '-gone'}`
  | `slices${'' | '-page' | '-watch' | '-gone'}`;

export function golden(name: Recording, format: WireFormat): Buffer {
  const suffix = format === protobuf ? 'pb' : 'json';
  return readFileSync(join(import.meta.dirname, `${name}.golden.${suffix}`));
}

/** Its addresses are those that are written canonically: what canonical means is the index's to know. */
export function testReader(
  annotations: readonly string[] = [KEPT],
  known: (uid: string) => Pod | undefined = () => undefined,
): ObjectReader<Pod> {
  return podReader({
    annotations,
    known,
    canonicalIp: (text) => (isIP(text) === 0 || /[%A-Z]/.test(text) ? undefined : text),
  });
}

/** All of a record, computed fields too, as a plain object. */
export function plainPod(pod: Pod): Pod {
  const { uid, namespace, name, resourceVersion, labels, annotations, podIps, hostIps, hostNetwork, nodeName } = pod;
  const { phase, ready, deletionTimestamp, serviceAccount, owner, workload, containers, qosClass } = pod;
  const { createdAt, startedAt } = pod;
  const about = { uid, namespace, name, resourceVersion, labels, annotations, podIps, hostIps, hostNetwork, nodeName };
  const state = { phase, ready, deletionTimestamp, serviceAccount, owner, workload, containers, qosClass };
  return { ...about, ...state, createdAt, startedAt };
}

export function plainEvent(event: WatchEvent<Pod>): unknown {
  return event.type === 'ADDED' || event.type === 'MODIFIED' || event.type === 'DELETED'
    ? { type: event.type, object: plainPod(event.object) }
    : event;
}

/** The pods of a list that was asked for in both formats: read alike, in every field and in the order of fields. */
export function samePods(inProtobuf: Uint8Array, inJson: Uint8Array): readonly Pod[] {
  const one = protobuf.list(inProtobuf, testReader());
  const other = json.list(inJson, testReader());
  assert.deepEqual([one.unreadable, other.unreadable], [[], []]);
  assert.equal(one.resourceVersion, other.resourceVersion);
  const pods = one.items.map(plainPod);
  assert.deepEqual(pods, other.items.map(plainPod));
  assert.equal(JSON.stringify(pods), JSON.stringify(other.items.map(plainPod)));
  return pods;
}

export function readAll(format: WireFormat, bytes: Uint8Array): WatchEvent<Pod>[] {
  return format.watch(testReader()).push(bytes);
}

/** The frames of a recorded watch, each with what frames it. */
export function frames(format: WireFormat, stream: Buffer): Buffer[] {
  const found: Buffer[] = [];
  for (let at = 0; at < stream.length;) {
    const end = format === protobuf ? at + 4 + stream.readUInt32BE(at) : stream.indexOf('\n', at) + 1;
    found.push(stream.subarray(at, end));
    at = end;
  }
  return found;
}

/** Numbers from a seed (mulberry32): a failure can be had again. */
export function randomFrom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
